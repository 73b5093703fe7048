"""Each warning appears where it should, says what it must, and is silent otherwise."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablation import Run, Study
from ablation.analysis.completed_trials import comparable, split_pairs
from ablation.cli.terminal import print_results, print_status
from ablation.data.datasets import Dataset, Part, prepare_dataset
from ablation.grid.settings import BuilderSettings
from ablation.grid.trial import TrialResult
from ablation.results.notes import half_width, observed_notes, planned_notes, stale_share

WriteGrid = Callable[[str], Path]

SOUND = """
    study: sound
    dataset: {name: digits, train_size: 120, validation_size: 400, test_size: 700}
    model: {blocks: [[4], [6]], dense: [8], batch_norm_momentum: 0.9}
    training: {epochs: 40, batch_size: 16}
    factors: {batch_norm: [false, true], dropout: [0, 0.2]}
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepare_dataset(_study(SOUND, tmp_path_factory.mktemp("grid")).dataset)


def _study(text: str, folder: Path) -> Study:
    (folder / "grid.yaml").write_text(textwrap.dedent(text))
    return Study.from_yaml(folder / "grid.yaml")


# Before training


@pytest.mark.parametrize(
    ("old", "new", "note"),
    [
        ("", "", None),
        ("study: sound", "study: sound\n    vary: [split]", None),  # every variant draws images
        (
            "momentum: 0.9",
            "momentum: 0.99",
            "+BatchNorm, +both: after 320 updates, BatchNorm's moving statistics still contain 4% of their initial "
            "values (momentum 0.99), so accuracy in inference mode will be too low. Set batch_norm_momentum: 0.9, or "
            "train for longer.",
        ),
        (
            "train_size: 120",
            "train_size: 115",
            "+BatchNorm, +both: the last batch of each epoch has 3 instead of 16 images, too few for BatchNorm's "
            "statistics. Set dataset.train_size: 112, or another batch_size.",
        ),
        (
            "validation_size: 400",
            "validation_size: 50",
            "50 validation images measure a trial's accuracy to within ±14 percentage points. Differences between "
            "variants are measured more closely, because variants share these images and are averaged over seeds. For "
            "closer accuracies, set a larger dataset.validation_size.",
        ),
        (
            "[[4], [6]]",
            "[[4], [4], [4], [4], [6]]",
            "plain, +BatchNorm, +Dropout, +both: 8x8 images shrink to one pixel before the last block, so the blocks "
            "from there on end without pooling.",
        ),
        (
            "{batch_norm: [false, true], dropout: [0, 0.2]}",
            "{batch_norm: [false, true], dropout: [0, 0.2], width: [1, 2], depth: [1, 2]}\n    ablate: leave_one_out\n"
            "    compare: {questions: effects}",
            "No question will have a verdict: the study asks for main effects and interactions, and its variants do not "
            "cross the factors completely, so that none can be estimated. Set compare.questions: variants.",
        ),
        (
            "study: sound",
            "study: sound\n    vary: [dropout]",
            "plain, +BatchNorm: its 5 seeds repeat the same training 5 times, because nothing in it draws from vary: "
            "[dropout]. Add init or order to vary, or train one seed.",
        ),
        (
            "study: sound",
            "study: sound\n    vary: [init, label_noise]",
            "`label_noise` under `vary` has no effect, because no label is wrong. Set dataset.label_noise.",
        ),
    ],
)  # fmt: skip
def test_what_can_be_known_before_training_is_told(
    old: str, new: str, note: str | None, dataset: Dataset, tmp_path: Path
) -> None:
    study = _study(SOUND.replace(old, new) if old else SOUND, tmp_path)
    if study.dataset.train_size != 120 or study.dataset.validation_size != 400:
        dataset = prepare_dataset(study.dataset)
    assert planned_notes(study, dataset) == ([note] if note else [])


def test_channels_that_seem_to_come_first_are_told(dataset: Dataset, tmp_path: Path) -> None:
    def rolled(part: Part) -> Part:
        return Part(np.moveaxis(part.images, -1, 1), part.labels)

    first = replace(dataset, train=rolled(dataset.train), val=rolled(dataset.val), test=rolled(dataset.test))
    study = _study(SOUND, tmp_path)
    assert planned_notes(study, first)[-1] == (
        "The images have a height of 1 and 8 channels: their channels seem to come first. Move the channels to "
        "the end with numpy.moveaxis(x, 1, -1)."
    )


def test_the_dry_run_and_the_report_show_them(tiny_study: Study, finished_run: Run, tmp_path: Path) -> None:
    from ablation.workflow.dry_run import plan_study

    note = (
        "40 validation images measure a trial's accuracy to within ±15 percentage points. Differences between "
        "variants are measured more closely, because variants share these images and are averaged over "
        "seeds. For closer accuracies, set a larger dataset.validation_size."
    )
    assert note in plan_study(tiny_study, tmp_path / "none").notes
    assert not (tmp_path / "none").exists()
    page = (finished_run.folder / "report.html").read_text("utf-8")
    assert note.replace("'", "&#39;") in page
    assert page.index("validation images measure") < page.index("Variants</h2>")


@pytest.mark.parametrize("grid", ["grid.yaml", "cifar10-small.yaml", "cifar10.yaml"])
def test_batch_norm_settles_in_the_studies_that_come_along(grid: str) -> None:
    study = Study.from_yaml(Path(__file__).parents[2] / "experiments" / grid)
    size = study.dataset.train_size or 40_000
    assert max(stale_share(variant, size) for variant in study.variants) < 1e-4


def test_half_the_interval_of_an_accuracy() -> None:
    assert half_width(0.5, 100) == pytest.approx(0.098)


# After training: the tables of a finished run, changed to what would give cause


def altered(run: Run, **changes: Callable[[pd.DataFrame], pd.DataFrame]) -> Run:
    """Return a run with sound tables and 2,000 images a part; ``changes`` spoil a table by its name."""
    copy = Run(run.folder)
    part = Part(run.dataset.test.images[:1].repeat(2000, 0), np.arange(2000) % 10)
    copy.__dict__["dataset"] = replace(run.dataset, train=part, val=part, test=part)
    means = {"plain": 0.4, "+Dropout": 0.5, "+BatchNorm": 0.6, "+both": 0.7}
    base = run.results["variant"].map(means) + 0.01 * run.results["seed"]
    results = run.results.assign(train_accuracy=base + 0.1, val_accuracy=base, test_accuracy=base)
    history = run.history.assign(active_accuracy=0.5, val_accuracy=0.5, val_loss=1.0)
    copy.__dict__ |= {"results": results, "history": history, "predictions": {}}
    copy.__dict__ |= {name: change(copy.__dict__[name]) for name, change in changes.items()}
    return copy


def where(table: pd.DataFrame, variant: str) -> pd.Series:
    return table["variant"] == variant


def test_a_sound_run_has_no_notes(finished_run: Run) -> None:
    assert observed_notes(altered(finished_run)) == []


def test_a_variant_that_has_learned_nothing_is_told_from_stale_statistics(finished_run: Run) -> None:
    def poor(results: pd.DataFrame) -> pd.DataFrame:
        low = results["variant"].isin(["+BatchNorm", "+both"])
        return results.assign(train_accuracy=results["train_accuracy"].mask(low, 0.1))

    def active(history: pd.DataFrame) -> pd.DataFrame:
        return history.assign(active_accuracy=history["active_accuracy"].mask(where(history, "+both"), 0.1))

    assert observed_notes(altered(finished_run, results=poor, history=active)) == [
        "+BatchNorm (50% in training mode, 10% in inference mode): training images that are predicted correctly in "
        "training mode are predicted wrongly in inference mode, so the accuracies measure BatchNorm's moving "
        "statistics rather than the model. Set a lower batch_norm_momentum, train for longer, or lower the learning "
        "rate.",
        "Not learned yet (accuracy at chance level): +both (10%), on the 2000 training images that are measured. "
        "Always predicting the most frequent class gives 10%, and 2000 images measure an accuracy to within ±1 "
        "percentage points. Change learning_rate or train for longer before comparing.",
    ]
    own = BuilderSettings(builder="own_models:cnn", arguments={})
    spoiled = altered(finished_run, results=poor, history=active)
    variants = tuple(v.model_copy(update={"model": own}) for v in spoiled.study.variants)
    spoiled.__dict__["study"] = spoiled.study.model_copy(update={"variants": variants})
    assert any(
        "Set a lower momentum of BatchNormalization in your model, train" in n
        for n in observed_notes(spoiled)
    )


def test_a_validation_set_too_small_for_the_differences_is_told(finished_run: Run) -> None:
    def close(results: pd.DataFrame) -> pd.DataFrame:
        second = where(results, "plain") & (results["seed"] == 1)
        return results.assign(val_accuracy=0.5 + 0.002 * where(results, "plain") + 0.002 * second)

    difference = stats.ttest_1samp([0.2, 0.4], 0)
    low, high = difference.confidence_interval(0.95)
    assert observed_notes(altered(finished_run, results=close)) == [
        "Do not rank the variants by validation accuracy: even the best and the worst of them, plain and +BatchNorm, "
        "cannot be distinguished by it (a difference of 0.3 percentage points, 95% interval "
        f"\N{MINUS SIGN}{-low:.1f} to +{high:.1f}, n = 2 pairs)."
    ]


def test_a_ranking_of_equal_means_names_two_variants(finished_run: Run) -> None:
    def equal(results: pd.DataFrame) -> pd.DataFrame:
        turn = results["variant"].isin(["plain", "+Dropout"]) ^ (results["seed"] == 1)
        return results.assign(val_accuracy=0.5 + 0.1 * turn)

    run = altered(finished_run, results=equal)
    (note,) = (note for note in observed_notes(run) if note.startswith("Do not rank"))
    assert note.startswith(
        "Do not rank the variants by validation accuracy: even the best and the worst of them, +BatchNorm and plain, cannot"
    )


@pytest.mark.usefixtures("without_figures")
def test_variants_that_gave_the_same_numbers_to_the_bit_are_named_first(
    two_variants: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without BatchNorm, its momentum has no effect."""
    plain = two_variants.variants[0]
    other = plain.model.model_copy(update={"batch_norm_momentum": 0.9})
    variants = (plain, plain.model_copy(update={"name": "momentum", "model": other}))
    run = two_variants.model_copy(update={"variants": variants, "factors": {}}).run(
        tmp_path / "run", executor="inline"
    )
    note = (
        "momentum and plain are identical: all trials with the same seed gave the same numbers in every epoch, to the "
        "last bit. What distinguishes momentum (batch_norm_momentum = 0.9) had no effect on training, and the "
        "comparison says nothing about it."
    )
    assert run.notes[0] == note
    page = (run.folder / "report.html").read_text("utf-8")
    assert page.count(note) == 1
    for show in (print_results, print_status):
        show(run)
        out = " ".join(capsys.readouterr().out.split())
        assert out.count(note) == 1
        assert out.index(note) < out.index("test (95%")


def test_seeds_that_do_not_vary_are_told(finished_run: Run) -> None:
    def same(results: pd.DataFrame) -> pd.DataFrame:
        return results.assign(test_loss=results["test_loss"].mask(where(results, "plain"), 1.5))

    assert observed_notes(altered(finished_run, results=same)) == [
        "plain: its 2 seeds gave the same test loss to the last digit, so they repeat one training and do not vary. "
        "Check which streams `vary:` names."
    ]


def test_a_spread_below_one_test_image_is_told(finished_run: Run) -> None:
    def alike(results: pd.DataFrame) -> pd.DataFrame:
        third = results[results["seed"] == 1].assign(seed=2)
        third["test_accuracy"] += 0.01
        third["test_loss"] += 0.01
        more = pd.concat([results, third], ignore_index=True)
        return more.assign(test_accuracy=more["test_accuracy"].mask(where(more, "+both"), 0.7))

    assert observed_notes(altered(finished_run, results=alike)) == [
        "+both: over 3 seeds, the standard deviation of its test accuracy is less than one of the 2000 test images, "
        "which cannot distinguish its seeds. Set a larger dataset.test_size."
    ]


def test_a_larger_test_set_is_no_advice_for_a_model_that_calls_all_by_one_class(finished_run: Run) -> None:
    def constant(results: pd.DataFrame) -> pd.DataFrame:
        third = results[results["seed"] == 1].assign(seed=2)
        third["test_loss"] += 0.01
        more = pd.concat([results, third], ignore_index=True)
        spread = more["test_accuracy"] + 0.01 * (more["seed"] == 2)
        return more.assign(test_accuracy=spread.mask(where(more, "+both"), 0.1))

    assert observed_notes(altered(finished_run, results=constant)) == [
        "3 of 3 seeds of +both failed (100.0%, 95% interval 29.2% to 100.0%): seeds 0 (10.0%), 1 (10.0%), 2 (10.0%)."
    ]


def test_training_that_was_still_improving_is_named(finished_run: Run) -> None:
    def rising(history: pd.DataFrame) -> pd.DataFrame:
        gained = 0.1 * (history["epoch"] - 1) * where(history, "+both")
        return history.assign(val_accuracy=history["val_accuracy"] + gained)

    run = altered(finished_run, history=rising)
    epochs = int(run.history["epoch"].max())
    assert observed_notes(run) == [
        "Still improving at the end of training: +both (validation accuracy rose by 10.0 points in the last epoch). "
        f"The comparison holds for {epochs} epochs, and not for training to convergence. Train for longer to compare "
        "finished models."
    ]
    assert run.comparisons.set_index("variant")["unfinished"].to_dict() == {
        "+Dropout": "", "+BatchNorm": "", "+both": "+both",
    }  # fmt: skip


def test_one_collapsed_seed_is_named_counted_and_left_out_beside(finished_run: Run) -> None:
    def collapsed(results: pd.DataFrame) -> pd.DataFrame:
        more = [results[results["seed"] == 1].assign(seed=seed) for seed in (2, 3, 4)]
        table = pd.concat([results, *more], ignore_index=True)
        table["test_accuracy"] += 0.002 * (table["seed"] ** 2 % 5)
        table["test_loss"] += 0.01 * table["seed"]
        one = where(table, "+both") & (table["seed"] == 3)
        return table.assign(test_accuracy=table["test_accuracy"].mask(one, 0.1))

    run = altered(finished_run, results=collapsed)
    assert (
        "1 of 5 seeds of +both failed (20.0%, 95% interval 0.5% to 71.6%): seed 3 (10.0%)."
        in observed_notes(run)
    )
    row = run.comparisons.set_index("variant").loc["+both"]
    assert (row["verdict"], row["failed_seeds"], row["n_rest"]) == ("unresolved", "+both (seed 3)", 4)
    assert row["difference_rest"] == pytest.approx(0.3)
    assert run.failed_seeds.set_index("variant").loc["+both", "collapsed"] == 1


def test_looking_at_any_time_is_said_not_to_cover_all_intervals(finished_run: Run) -> None:
    run = altered(finished_run)
    compare = run.study.compare.model_copy(update={"looks": "any"})
    run.__dict__["study"] = run.study.model_copy(update={"compare": compare})
    assert observed_notes(run) == [
        "Verdicts and the intervals of comparisons and effects are anytime-valid. All other intervals (of means, "
        "per-class accuracies and calibration errors) are valid for a number of seeds that was fixed beforehand; read "
        "them as descriptions."
    ]


def test_failed_seeds_leave_the_pairs_that_exist_and_are_named(finished_run: Run) -> None:
    def lost(results: pd.DataFrame) -> pd.DataFrame:
        failed = where(results, "+both") & (results["seed"] == 1)
        return results.assign(status=results["status"].mask(failed, "failed"))

    assert observed_notes(altered(finished_run, results=lost)) == [
        "+both is compared with plain on 1 of 2 pairs, without seed 1 (not completed in both variants).",
        "1 trial of +both did not complete, and the same `ablation run` command trains it again. Verdicts before and after that are "
        "two looks at the results, while intervals and p-values are valid for one: repeat the command before you read "
        "them, or set `looks: any` under `compare:`.",
    ]


def test_pairs_that_are_left_out_are_counted_as_the_verdict_counts_them(finished_run: Run) -> None:
    def lost(results: pd.DataFrame) -> pd.DataFrame:
        split = where(results, "+both") & (results["seed"] == 0)
        not_finite = where(results, "+both") & (results["seed"] == 1)
        return results.assign(
            provenance=results["provenance"].mask(split, "another machine"),
            test_accuracy=results["test_accuracy"].mask(not_finite, np.nan),
        )

    run = altered(finished_run, results=lost)
    (note,) = (note for note in observed_notes(run) if note.startswith("+both is compared"))
    assert note == (
        "+both is compared with plain on 0 of 2 pairs, without seed 0 (completed in two environments); seed 1 "
        "(without a finite test_accuracy)."
    )
    assert run.comparisons.set_index("variant").loc["+both", "n"] == 0
    assert split_pairs(run.results, "plain") == [("+both", 0)]


def test_a_variant_that_always_ran_elsewhere_is_named(finished_run: Run) -> None:
    def moved(results: pd.DataFrame) -> pd.DataFrame:
        elsewhere = results["variant"].isin(["+both", "+BatchNorm"])
        return results.assign(provenance=results["provenance"].mask(elsewhere, "elsewhere"))

    run = altered(finished_run, results=moved)
    assert (
        "+BatchNorm, +both: no trial ran in the environment of plain's trial of its seed, so the tables and figures "
        "of predictions (calibration, confusion, accuracy per class) leave it out."
    ) in observed_notes(run)
    assert set(comparable(run.results, "plain")["variant"]) == {"plain", "+Dropout"}


def test_trials_of_different_machines_are_never_pooled_silently(finished_run: Run, tmp_path: Path) -> None:
    run = altered(finished_run)
    elsewhere = dict(run.trial_results)
    for trial in run.trials[:3]:
        result: TrialResult = elsewhere[trial.id]
        changed = result.provenance | {"tensorflow": "1.15.0", "host": "elsewhere"}
        elsewhere[trial.id] = result.model_copy(update={"provenance": changed})
    here = run.trial_results[run.trials[0].id].provenance["tensorflow"]
    run.__dict__["trial_results"] = elsewhere
    assert observed_notes(run) == [
        f"Trials ran in different environments: tensorflow is '1.15.0' in 3 trials and '{here}' in 5 trials. Pairs "
        "whose trials ran in the same environment are compared, and their differences are pooled; a pair of trials "
        "from two environments is left out.",
    ]  # the host's name changes no number
