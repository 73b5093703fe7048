"""Warnings that save a study: each names the variants, the number that shows the problem, and the remedy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from ablation.analysis.alias_phrases import design_summary
from ablation.analysis.completed_trials import completed_results
from ablation.analysis.convergence import unfinished_note
from ablation.analysis.estimates import Measurements
from ablation.analysis.failed_seeds import failed_note
from ablation.analysis.identical_trials import identical_variants
from ablation.analysis.inference import judge
from ablation.analysis.phrases import second_reading_notes, signed_points
from ablation.analysis.questions import study_questions
from ablation.data.arrays import most_frequent_share
from ablation.data.datasets import Dataset
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.settings import CnnSettings, Component, UserModelSettings
from ablation.grid.study import Study, Variant
from ablation.grid.study_diff import changed_settings
from ablation.grid.value_text import counted, several
from ablation.models.architecture import pooled_blocks
from ablation.models.cost import updates
from ablation.results.classroom import class_notes
from ablation.results.left_out import left_out_notes
from ablation.results.run import Run
from ablation.training.provenance import SEEDS_AT_ONCE

_WIDEST = 0.05  # a validation set that measures an accuracy no better than this is called too small
_SMALLEST_BATCH = 8


def planned_notes(study: Study, dataset: Dataset) -> list[str]:
    """Return the warnings that can be known before training."""

    def images(variant: Variant) -> int:
        return len(dataset.first(variant.training.train_size).train)

    notes = [*dataset.notes]
    notes += _grouped(
        study.variants,
        lambda v: _unpooled(v, dataset),
        lambda v: _stale_statistics(v, images(v)),
        lambda v: _small_last_batch(v, images(v)),
        lambda v: _seeds_without_effect(v, study),
        lambda v: _other_values(v, study),
        _weighted_classes,
    )
    notes += _idle_label_noise(study)
    asked = study_questions(study, study.compare)
    if len(study.variants) > 1 and not any(question.is_declared for question in asked):
        notes.append(
            "No question will have a verdict: the study asks for main effects and interactions, and its "
            "variants do not cross the factors completely, so that none can be estimated. Set "
            "compare.questions: variants."
        )
    height, _, channels = dataset.image_shape
    if channels > 4 and height in (1, 3):
        notes.append(
            f"The images have a height of {height} and {channels} channels: their channels seem to come "
            "first. Move the channels to the end with numpy.moveaxis(x, 1, -1)."
        )
    width = half_width(0.5, len(dataset.val))
    if width > _WIDEST:
        notes.append(
            f"{len(dataset.val)} validation images measure a trial's accuracy to within ±{100 * width:.0f} "
            "percentage points. Differences between variants are measured more closely, because variants "
            "share these images and are averaged over seeds. For closer accuracies, set a larger "
            "dataset.validation_size."
        )
    return notes


def run_notes(run: Run) -> list[str]:
    """Return what to know before believing a run's numbers, a sentence or two each."""
    return [
        *identical_notes(run),
        *class_notes(run),
        *design_summary(run.study),
        *observed_notes(run),
        *planned_notes(run.study, run.dataset),
    ]


def identical_notes(run: Run) -> list[str]:
    """Say which variants gave the same numbers to the bit: what distinguishes them had no effect at all."""
    by_name = {variant.name: variant for variant in run.study.variants}
    names = [run.study.baseline, *(name for name in by_name if name != run.study.baseline)]
    notes = []
    for first, *others in identical_variants(names, run.results, run.history):
        for name in others:
            changed = changed_settings(by_name[name], by_name[first])
            settings = f" ({changed})" if changed else ""
            notes.append(
                f"{name} and {first} are identical: all trials with the same seed gave the same numbers in "
                f"every epoch, to the last bit. What distinguishes {name}{settings} had no effect on "
                "training, and the comparison says nothing about it."
            )
    return notes


def _fewer_at_once(run: Run) -> list[str]:
    """Say which trials were trained with fewer seeds at once than planned, and why."""
    reasons: dict[tuple[str, str], int] = {}
    for trial in run.trials:
        result = run.trial_results.get(trial.id)
        _, _, reason = result.provenance.get(SEEDS_AT_ONCE, "").partition(" (") if result else ("", "", "")
        if reason:
            key = trial.variant, reason.removesuffix(")").rstrip(".")
            reasons[key] = reasons.get(key, 0) + 1
    return [
        f"{variant}: {counted(count, 'trial')} trained with fewer seeds at once, because {reason}. The "
        "results are the same within rounding."
        for (variant, reason), count in reasons.items()
    ]


def observed_notes(run: Run) -> list[str]:
    """Return the warnings that the finished trials give."""
    completed = completed_results(run.results)
    if completed.empty:
        return left_out_notes(run)
    return [
        *left_out_notes(run),
        *_repeatable_failures(run),
        *_fewer_at_once(run),
        *_not_numbers(run, completed),
        *_seeds_added(run),
        *_further_seeds(run),
        *_other_intervals(run),
        *_failed_seeds(run),
        *_unfinished(run),
        *second_reading_notes(run.comparisons, run.compare),
        *_not_learning(run, completed),
        *_small_validation(run, completed),
        *_indistinct_seeds(run, completed),
    ]


def stale_share(variant: Variant, images: int) -> float:
    """Return the share of BatchNorm's initial moving statistics that training leaves in place."""
    if not variant.model.batch_norm:
        return 0.0
    return float(variant.model.batch_norm_momentum ** updates(variant.training, images))


def half_width(accuracy: float, images: int) -> float:
    """Return half the width of the 95% interval (Wald) of an accuracy, by the number of images."""
    return 1.96 * math.sqrt(accuracy * (1 - accuracy) / images)


def _grouped(variants: Iterable[Variant], *checks: Callable[[Variant], str]) -> list[str]:
    """Apply the checks to each variant; variants with the same note are named together."""
    names_by_note: dict[str, list[str]] = {}
    for check in checks:
        for variant in variants:
            if note := check(variant):
                names_by_note.setdefault(note, []).append(variant.name)
    return [f"{several(names, 'variant')}: {note}" for note, names in names_by_note.items()]


def _weighted_classes(variant: Variant) -> str:
    if variant.training.class_weight is None:
        return ""
    return (
        "`class_weight` weights the loss that training minimises, which is logged as `loss`. No other loss "
        "or accuracy is weighted."
    )


def _unpooled(variant: Variant, dataset: Dataset) -> str:
    model = variant.model
    if not isinstance(model, CnnSettings) or pooled_blocks(model, dataset.image_shape) == len(model.blocks):
        return ""
    height, width, _ = dataset.image_shape
    return (
        f"{height}x{width} images shrink to one pixel before the last block, so the blocks from there on end "
        "without pooling."
    )


def _stale_statistics(variant: Variant, images: int) -> str:
    share = stale_share(variant, images)
    if share <= 0.01:
        return ""
    return (
        f"after {updates(variant.training, images)} updates, BatchNorm's moving statistics still contain "
        f"{share:.0%} of their initial values (momentum {variant.model.batch_norm_momentum:g}), so accuracy "
        "in inference mode will be too low. Set batch_norm_momentum: 0.9, or train for longer."
    )


def _small_last_batch(variant: Variant, images: int) -> str:
    last = images % variant.training.batch_size
    if not variant.model.batch_norm or not 0 < last < min(_SMALLEST_BATCH, variant.training.batch_size):
        return ""
    return (
        f"the last batch of each epoch has {last} instead of {variant.training.batch_size} images, too few "
        f"for BatchNorm's statistics. Set dataset.train_size: {images - last}, or another batch_size."
    )


def _seeds_without_effect(variant: Variant, study: Study) -> str:
    model = variant.model
    streams = {"init", "order", "split"}
    streams |= {"dropout"} if model.dropout else set()
    streams |= {"augmentation"} if model.augmentation else set()
    streams |= {"label_noise"} if variant.training.label_noise or study.dataset.label_noise else set()
    if len(study.seeds) == 1 or streams & set(study.vary):
        return ""
    return (
        f"its {len(study.seeds)} seeds repeat the same training {len(study.seeds)} times, because nothing in "
        f"it draws from vary: [{', '.join(study.vary)}]. Add init or order to vary, or train one seed."
    )


def _idle_label_noise(study: Study) -> list[str]:
    noisy = study.dataset.label_noise or any(v.training.label_noise for v in study.variants)
    if noisy or "label_noise" not in study.vary:
        return []
    return ["`label_noise` under `vary` has no effect, because no label is wrong. Set dataset.label_noise."]


def _other_values(variant: Variant, study: Study) -> str:
    """Warn of Keras layers that clip images to a range of values that the images do not have."""
    parts = [kind for kind in variant.model.augmentation if isinstance(kind, Component)]
    ranged = [part.name for part in parts if part.arguments.get("value_range") == [0, 1]]
    if study.dataset.normalise == "unit" or not ranged:
        return ""
    return (
        f"{ranged[0]} expects images with values from 0 to 1, and normalise: {study.dataset.normalise} gives "
        "other values. Set its value_range, or normalise: unit."
    )


def _repeatable_failures(run: Run) -> list[str]:
    """Warn that repeating failed trials is a second look at the results."""
    failed = run.results[run.results["status"].isin(["failed", "timeout"])]
    failed = failed[~failed["trial_id"].isin(run.other_models)]  # which completed, with another model
    if failed.empty or run.compare.looks == "any":
        return []
    return [
        f"{counted(len(failed), 'trial')} of {', '.join(failed['variant'].unique())} did not complete, and "
        f"the same `ablation run` command trains {'it' if len(failed) == 1 else 'them'} again. Verdicts "
        "before and after that are two looks at the results, while intervals and p-values are valid for one: "
        "repeat the command before you read them, or set `looks: any` under `compare:`."
    ]


def _not_numbers(run: Run, completed: pd.DataFrame) -> list[str]:
    """Warn of a compared metric that is NaN in some trials, as a custom metric may be."""
    metric = run.compare.metric
    missing = completed.loc[~np.isfinite(completed[metric].astype(float)), "variant"]
    if missing.empty:
        return []
    return [
        f"{metric} is not a finite number in {len(missing)} of {len(completed)} completed trials, of "
        f"{', '.join(missing.unique())}: these trials are left out of its comparisons."
    ]


def _seeds_added(run: Run) -> list[str]:
    """Warn of added seeds: they make intervals for a fixed number of seeds too narrow."""
    declared, study = run.store.declared(), run.study
    if declared is None or study.compare.looks == "any" or len(study.seeds) <= len(declared[0].seeds):
        return []
    return [
        f"Seeds were added after the first trial, {len(study.seeds)} instead of {len(declared[0].seeds)}: "
        "intervals and p-values are valid for a number of seeds that was fixed beforehand. Anytime-valid "
        "ones come from `looks: any` under `compare:`, or from --until-resolved."
    ]


def _further_seeds(run: Run) -> list[str]:
    """Say that seeds were added to single variants, and what follows for later runs."""
    names_by_count: dict[int, list[str]] = {}
    for variant in run.study.variants:
        if seeds := run.study.further_seeds.get(variant.name):
            names_by_count.setdefault(len(seeds), []).append(variant.name)
    if not names_by_count:
        return []
    added = "; ".join(f"{n} to {', '.join(names)}" for n, names in sorted(names_by_count.items()))
    return [
        f"Seeds were added while verdicts were open ({added}): a later run of the same grid keeps them, and "
        "its verdicts are anytime-valid, because results decided how many seeds there are."
    ]


def _other_intervals(run: Run) -> list[str]:
    """Say which intervals looking at results makes too narrow, although verdicts allow for it."""
    if run.compare.looks == "once":
        return []
    return [
        "Verdicts and the intervals of comparisons and effects are anytime-valid. All other intervals (of "
        "means, per-class accuracies and calibration errors) are valid for a number of seeds that was fixed "
        "beforehand; read them as descriptions."
    ]


def _failed_seeds(run: Run) -> list[str]:
    notes = (failed_note(row) for row in run.failed_seeds.to_dict("records"))
    return [note for note in notes if note]


def _unfinished(run: Run) -> list[str]:
    note = unfinished_note(run.convergence)
    return [note] if note else []


def _not_learning(run: Run, completed: pd.DataFrame) -> list[str]:
    """Distinguish variants that learned nothing from those whose BatchNorm statistics hide what they know."""
    probe = run.dataset.train_probe.labels
    answer = "set of labels" if probe.ndim == 2 else "class"
    chance = most_frequent_share(probe)
    width = half_width(chance, len(probe))
    last = run.history.groupby(["variant", "seed"], sort=False).tail(1)
    stale, unlearned = [], []
    for name, trials in completed.groupby("variant", sort=False):
        inference = float(trials["train_accuracy"].mean())
        active = float(last.loc[last["variant"] == name, "active_accuracy"].mean())
        if active - inference > 0.2:
            stale.append(f"{name} ({active:.0%} in training mode, {inference:.0%} in inference mode)")
        elif inference < chance + width:
            unlearned.append(f"{name} ({inference:.0%})")
    notes = []
    if stale:
        is_custom = any(isinstance(variant.model, UserModelSettings) for variant in run.study.variants)
        momentum = "momentum of BatchNormalization in your model" if is_custom else "batch_norm_momentum"
        notes.append(
            f"{', '.join(stale)}: training images that are predicted correctly in training mode are "
            "predicted wrongly in inference mode, so the accuracies measure BatchNorm's moving statistics "
            f"rather than the model. Set a lower {momentum}, train for longer, or lower the learning rate."
        )
    if unlearned:
        notes.append(
            f"Not learned yet (accuracy at chance level): {', '.join(unlearned)}, on the {len(probe)} "
            f"training images that are measured. Always predicting the most frequent {answer} gives "
            f"{chance:.0%}, and {len(probe)} images measure an accuracy to within ±{100 * width:.0f} "
            "percentage points. Change learning_rate or train for longer before comparing."
        )
    return notes


def _small_validation(run: Run, completed: pd.DataFrame) -> list[str]:
    """Warn of a ranking by validation accuracy where not even its two ends can be distinguished."""
    means = completed.groupby("variant")["val_accuracy"].mean()
    if len(means) < 2:
        return []
    best, worst = str(means.idxmax()), str(means.idxmin())
    if best == worst:  # all means are equal
        worst = str(means.index[-1])
    estimate = Measurements(run.results, "val_accuracy").estimate({best: 1.0, worst: -1.0})
    row = judge({"ends": estimate}, CompareSettings(metric="val_accuracy", holds_for=("seeds",))).iloc[0]
    if not row["low"] <= 0:
        return []
    return [
        f"Do not rank the variants by validation accuracy: even the best and the worst of them, {best} and "
        f"{worst}, cannot be distinguished by it (a difference of {100 * row['difference']:.1f} percentage "
        f"points, 95% interval {signed_points(row['low'])} to {signed_points(row['high'])}, n = {row['n']} "
        "pairs)."
    ]


def _indistinct_seeds(run: Run, completed: pd.DataFrame) -> list[str]:
    images, notes = len(run.dataset.test), []
    chance = run.chance_level
    for name, trials in completed.groupby("variant", sort=False):
        n = len(trials)
        if n > 1 and trials["test_loss"].nunique() == 1:
            notes.append(
                f"{name}: its {n} seeds gave the same test loss to the last digit, so they repeat one "
                "training and do not vary. Check which streams `vary:` names."
            )
        elif n > 2 and trials["test_accuracy"].std() < 1 / images and trials["test_accuracy"].max() > chance:
            notes.append(
                f"{name}: over {n} seeds, the standard deviation of its test accuracy is less than one of "
                f"the {images} test images, which cannot distinguish its seeds. Set a larger "
                "dataset.test_size."
            )
    return notes
