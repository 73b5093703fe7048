"""Warnings that save a study: each names the variants, the figure that gives it away, and the remedy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from ablation.data.datasets import Dataset
from ablation.grid.settings import CnnSettings, Component, OwnModelSettings
from ablation.grid.study import Study, Variant
from ablation.models.architecture import pooled_blocks
from ablation.models.cost import updates
from ablation.results.run import Run
from ablation.training.provenance import differences

_WIDEST = 0.05  # a validation set that tells an accuracy no better than this is called too small
_SMALLEST_BATCH = 8


def planned_notes(study: Study, dataset: Dataset) -> list[str]:
    """Return the warnings that can be known before training."""

    def images(variant: Variant) -> int:
        return len(dataset.first(variant.training.train_size).train)

    notes = _grouped(
        study.variants,
        lambda v: _unpooled(v, dataset),
        lambda v: _stale_statistics(v, images(v)),
        lambda v: _small_last_batch(v, images(v)),
        lambda v: _seeds_without_effect(v, study),
        lambda v: _other_values(v, study),
    )
    height, _, channels = dataset.image_shape
    if channels > 4 and height in (1, 3):
        notes.append(
            f"The images have a height of {height} and {channels} channels: their channels seem to come "
            "first. Move them to the end, numpy.moveaxis(x, 1, -1)."
        )
    width = half_width(0.5, len(dataset.val))
    if width > _WIDEST:
        notes.append(
            f"{len(dataset.val)} validation images tell a trial's accuracy to ±{100 * width:.0f} points, and "
            "smaller differences between variants not at all. Set a larger dataset.validation_size."
        )
    return notes


def run_notes(run: Run) -> list[str]:
    """Return what to know before believing a run's numbers, a sentence or two each."""
    return [*observed_notes(run), *planned_notes(run.study, run.dataset)]


def observed_notes(run: Run) -> list[str]:
    """Return the warnings that the finished trials give."""
    completed = run.results[run.results["status"] == "completed"]
    if completed.empty:
        return _not_made_alike(run)
    return [
        *_not_made_alike(run),
        *_incomplete_pairs(run),
        *_not_numbers(run, completed),
        *_seeds_added(run),
        *_not_learning(run, completed),
        *_small_validation(run, completed),
        *_seeds_alike(run, completed),
    ]


def stale_share(variant: Variant, images: int) -> float:
    """Return the share of BatchNorm's initial moving statistics that training leaves in place."""
    if not variant.model.batch_norm:
        return 0.0
    return float(variant.model.batch_norm_momentum ** updates(variant.training, images))


def half_width(accuracy: float, images: int) -> float:
    """Return half the width of the 95% interval of an accuracy measured on so many images (Wald)."""
    return 1.96 * math.sqrt(accuracy * (1 - accuracy) / images)


def _grouped(variants: Iterable[Variant], *checks: Callable[[Variant], str]) -> list[str]:
    """Apply the checks to each variant; variants with the same trouble are named together."""
    found: dict[str, list[str]] = {}
    for check in checks:
        for variant in variants:
            if note := check(variant):
                found.setdefault(note, []).append(variant.name)
    return [f"{', '.join(names)}: {note}" for note, names in found.items()]


def _unpooled(variant: Variant, dataset: Dataset) -> str:
    model = variant.model
    if not isinstance(model, CnnSettings) or pooled_blocks(model, dataset.image_shape) == len(model.blocks):
        return ""
    height, width, _ = dataset.image_shape
    return (
        f"{height}x{width} images are one pixel small before the last block, so blocks from there on end "
        "without pooling."
    )


def _stale_statistics(variant: Variant, images: int) -> str:
    left = stale_share(variant, images)
    if left <= 0.01:
        return ""
    return (
        f"after {updates(variant.training, images)} updates BatchNorm's moving statistics are still "
        f"{left:.0%} their initial values (momentum {variant.model.batch_norm_momentum:g}), so accuracy in "
        "inference mode will be too low. Set batch_norm_momentum: 0.9, or train for longer."
    )


def _small_last_batch(variant: Variant, images: int) -> str:
    last = images % variant.training.batch_size
    if not variant.model.batch_norm or not 0 < last < min(_SMALLEST_BATCH, variant.training.batch_size):
        return ""
    return (
        f"the last batch of each epoch has {last} of {variant.training.batch_size} images, too few for "
        f"BatchNorm's statistics. Set dataset.train_size: {images - last}, or another batch_size."
    )


def _seeds_without_effect(variant: Variant, study: Study) -> str:
    model = variant.model
    live = {"init", "order"}
    live |= {"dropout"} if model.dropout else set()
    live |= {"augmentation"} if model.augmentation else set()
    if len(study.seeds) == 1 or live & set(study.vary):
        return ""
    return (
        f"its {len(study.seeds)} seeds are the same training {len(study.seeds)} times, for nothing in it "
        f"draws from vary: [{', '.join(study.vary)}]. Add init or order to vary, or train one seed."
    )


def _other_values(variant: Variant, study: Study) -> str:
    """Some of Keras's layers clip images to a range of values."""
    parts = [kind for kind in variant.model.augmentation if isinstance(kind, Component)]
    ranged = [part.name for part in parts if part.arguments.get("value_range") == [0, 1]]
    if study.dataset.normalise == "unit" or not ranged:
        return ""
    return (
        f"{ranged[0]} takes images from 0 to 1, and those of normalise: {study.dataset.normalise} have other "
        "values. Set its value_range, or normalise: unit."
    )


def _not_made_alike(run: Run) -> list[str]:
    found = differences(
        r.provenance for r in run.trial_results.values() if r.status in ("completed", "diverged")
    )
    return [
        f"Trials were not made alike: {key} is {_counted(values)}. Only those that most have in common are "
        "compared; run the study anew in one place (--out NEW_FOLDER) to compare all."
        for key, values in found.items()
    ]


def _counted(values: dict[str, int]) -> str:
    parts = [f"'{value}' in {n} trial{'s' if n > 1 else ''}" for value, n in values.items()]
    return " and ".join(parts)


def _incomplete_pairs(run: Run) -> list[str]:
    """A variant is compared on the pairs that exist; say where that is not all of them."""
    results = run.results
    done = results[results["status"] == "completed"]
    seeds = {name: set(done.loc[done["variant"] == name, "seed"]) for name in results["variant"].unique()}
    notes = []
    for name in seeds:
        planned = set(run.study.seeds_of(name))
        lost = sorted(planned - (seeds[name] & seeds[run.study.baseline]))
        if name != run.study.baseline and lost:
            numbers = f"seed{'s' if len(lost) > 1 else ''} {', '.join(map(str, lost))}"
            notes.append(
                f"{name} is compared with {run.study.baseline} on {len(planned) - len(lost)} of "
                f"{len(planned)} pairs: {numbers} did not complete in both."
            )
    return notes


def _not_numbers(run: Run, completed: pd.DataFrame) -> list[str]:
    """A metric of the user's own may be NaN."""
    metric = run.compare.metric
    missing = completed.loc[completed[metric].isna(), "variant"]
    if missing.empty:
        return []
    return [
        f"{metric} is not a number (NaN) in {len(missing)} of {len(completed)} completed trials, of "
        f"{', '.join(missing.unique())}: its comparisons are without them."
    ]


def _seeds_added(run: Run) -> list[str]:
    """Seeds that were added after a look make intervals of a fixed number of seeds too narrow."""
    declared, now = run.store.declared(), run.study
    if declared is None or now.compare.looks == "any" or len(now.seeds) <= len(declared[0].seeds):
        return []
    return [
        f"Seeds were added after the first trial, {len(now.seeds)} for {len(declared[0].seeds)}: intervals "
        "and p hold for a number of seeds that was fixed beforehand. `looks: any` under `compare:`, or "
        "--until-resolved, gives ones that hold under looking."
    ]


def _not_learning(run: Run, completed: pd.DataFrame) -> list[str]:
    """Tell a variant that has learned nothing from one whose BatchNorm statistics hide what it learned."""
    probe = run.dataset.train_probe.labels
    commonest = "labels" if probe.ndim == 2 else "class"
    chance = float(np.unique(probe, axis=0, return_counts=True)[1].max() / len(probe))
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
        own = any(isinstance(variant.model, OwnModelSettings) for variant in run.study.variants)
        momentum = "momentum of BatchNormalization in your model" if own else "batch_norm_momentum"
        notes.append(
            f"{', '.join(stale)}: training images that are right in training mode are wrong in inference "
            "mode, so what is measured is BatchNorm's moving statistics rather than the model. Set a lower "
            f"{momentum}, train for longer, or lower the learning rate."
        )
    if unlearned:
        notes.append(
            f"Not begun to learn: {', '.join(unlearned)} right, of the {len(probe)} training images that are "
            f"measured. Calling all by the commonest {commonest} gets {chance:.0%}, and so few images tell "
            f"an accuracy to ±{100 * width:.0f} points. Change learning_rate or train for longer before "
            "comparing."
        )
    return notes


def _small_validation(run: Run, completed: pd.DataFrame) -> list[str]:
    means = completed.groupby("variant")["val_accuracy"].mean()
    spread, images = float(means.max() - means.min()), len(run.dataset.val)
    width = half_width(float(means.mean()), images)
    if len(means) < 2 or spread >= width:
        return []
    return [
        f"The variants' validation accuracies lie within {100 * spread:.1f} points of each other, and "
        f"{images} validation images tell an accuracy to ±{100 * width:.1f}: do not rank variants by them. "
        "Set a larger dataset.validation_size."
    ]


def _seeds_alike(run: Run, completed: pd.DataFrame) -> list[str]:
    images, notes = len(run.dataset.test), []
    commonest = float(np.unique(run.dataset.test.labels, axis=0, return_counts=True)[1].max() / images)
    for name, trials in completed.groupby("variant", sort=False):
        n = len(trials)
        if n > 1 and trials["test_loss"].nunique() == 1:
            notes.append(
                f"{name}: its {n} seeds came to the same test loss to the last digit, so they are one "
                "training and no spread. See which streams `vary:` names."
            )
        elif (
            n > 2 and trials["test_accuracy"].std() < 1 / images and trials["test_accuracy"].max() > commonest
        ):
            notes.append(
                f"{name}: over {n} seeds its test accuracy spreads by less than one of the {images} test "
                "images, which cannot tell its seeds apart. Set a larger dataset.test_size."
            )
    return notes
