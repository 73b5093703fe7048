"""A study in which each seed has test images of its own, from the grid file to the verified report."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from ablation import Run, Study, run_study
from ablation.analysis.failed_seeds import failed_seeds_table
from ablation.errors import AblationError
from ablation.figures.disagreements import drawings as disagreements
from ablation.search.settings import Search
from ablation.workflow.check import check_study
from ablation.workflow.dry_run import plan_study

GRID = """
    study: own test images
    dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 101}
    model: {family: dense, dense: [8]}
    training: {epochs: 2, batch_size: 16}
    factors: {dropout: [0, 0.3]}
    seeds: 3
    vary: [init, order, dropout, augmentation, split, test]
"""
DESCRIPTION = (
    "Handwritten digits (8x8 scans, from scikit-learn): 60 training, 40 validation and 101 test images, which "
    "each seed draws from 1,797"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small study, trained and reported in this process; tests only read it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "grid.yaml").write_text(textwrap.dedent(GRID), "utf-8")
    return run_study(Study.from_yaml(folder / "grid.yaml"), folder / "run", executor="inline")


def correct(run: Run, variant: str, seed: int) -> np.ndarray:
    """Which test images a trial classifies correctly, from the draw of its seed and its probabilities."""
    trial = next(t for t in run.trials if (t.variant, t.seed) == (variant, seed))
    probabilities = run.store.test_probabilities(trial)
    assert probabilities is not None
    return probabilities.argmax(axis=1) == run.dataset.of(trial).test.labels


def test_a_run_and_a_check_name_the_pool_of_all_images(run: Run) -> None:
    assert run.dataset.describe() == DESCRIPTION
    assert DESCRIPTION in check_study(run.study).description
    assert DESCRIPTION in plan_study(run.study, run.folder).description


def test_accuracies_are_those_on_the_seeds_own_test_images(run: Run) -> None:
    for row in run.results.to_dict("records"):
        assert correct(run, row["variant"], row["seed"]).mean() == row["test_accuracy"]
    errors = run.calibration_error.set_index(["variant", "seed"])["accuracy"]
    expected = run.results.set_index(["variant", "seed"])["test_accuracy"]
    assert errors.to_dict() == pytest.approx(expected.to_dict())
    right = run.confusion.query("true == predicted").groupby("variant")["count"].sum()
    for variant, accuracies in run.results.groupby("variant")["test_accuracy"]:
        assert right[variant] == pytest.approx(101 * accuracies.sum())


def test_variants_of_a_seed_are_compared_image_by_image(run: Run) -> None:
    assert run.pairing["paired"].all()
    assert run.pairing["order"].nunique() == 3  # one for each seed
    for row in run.mcnemar.to_dict("records"):
        variant, plain = (correct(run, name, row["seed"]) for name in ("+Dropout", "plain"))
        gained, lost = int((variant & ~plain).sum()), int((plain & ~variant).sum())
        assert (row["only_variant_right"], row["only_baseline_right"]) == (gained, lost)
        assert row["p"] == pytest.approx(mcnemar([[0, gained], [lost, 0]], exact=True).pvalue)
    assert len(run.mcnemar) == 3


def test_no_image_is_compared_over_seeds(run: Run) -> None:
    assert run.study.compare.holds_for == ("seeds", "images")  # as declared
    assert run.compare.holds_for == ("seeds",)
    assert run.comparisons["holds_for"].tolist() == ["seeds"]
    assert run.comparisons["se_images"].fillna(0).eq(0).all()
    assert run.noise.empty
    assert run.seeds_needed["se_images"].eq(0).all()
    assert disagreements(run) == []


def test_a_constant_prediction_is_at_chance_level_with_every_seed(run: Run) -> None:
    """Seeds may have an image more or less of the most frequent class, and the level allows for it."""
    shares = [np.bincount(labels).max() / 101 for labels in run.test_labels.values()]
    assert run.chance_level == max(shares)
    constant = run.results.assign(
        test_accuracy=run.results["seed"].map(dict(zip(run.test_labels, shares, strict=True)))
    )
    table = failed_seeds_table(constant, "plain", run.chance_level, 101)
    assert table["collapsed"].tolist() == [3, 3]


def test_the_report_says_what_its_intervals_hold_for(run: Run) -> None:
    text = (run.folder / "report.md").read_text("utf-8")
    for sentence in (
        "each seed has test images of its own, so the variation over seeds contains that of test images drawn "
        "from this pool.",
        "Each seed drew its own training, validation and test images by class from one pool",
        "No image is compared over seeds, so there are no variance components.",
        "paired t-test over seeds, alpha 0.05",
    ):
        assert sentence in text
    assert "seeds and test images" not in text
    assert not (run.figures_folder / "disagreements.png").exists()
    assert (run.figures_folder / "predictions.png").exists()
    assert (run.figures_folder / "seed_noise.png").exists()


def test_the_report_is_verified(run: Run) -> None:
    verification = run.verify()
    assert verification.differences == []
    assert not verification.skipped


@pytest.mark.slow
@pytest.mark.usefixtures("without_report")
def test_workers_and_a_resumed_run_give_the_same_numbers(run: Run, tmp_path: Path) -> None:
    run_study(run.study, tmp_path / "run", only=["plain"], workers=1)
    there = run_study(run.study, tmp_path / "run", workers=1)
    measures = ["variant", "seed", "trial_id", "train_loss", "val_loss", "test_loss"]
    assert run.results[measures].equals(there.results[measures])
    assert plan_study(run.study, tmp_path / "run").pending_ids == ()


@pytest.mark.usefixtures("without_report")
def test_a_folder_serves_studies_with_shared_and_with_own_test_images(run: Run, tmp_path: Path) -> None:
    shared = run.study.model_copy(update={"vary": run.study.vary[:-1]})
    ids = [
        {trial.id for trial in run_study(study, tmp_path / "run", only=["plain"], executor="inline").trials}
        for study in (shared, run.study, shared)
    ]
    assert ids[0] == ids[2]
    assert not ids[0] & ids[1]
    assert "and 101 test images" in Run(tmp_path / "run").dataset.describe()


@pytest.mark.parametrize("begin", [check_study, plan_study, run_study])
def test_a_dataset_with_a_test_set_of_its_own_is_refused_before_anything_is_trained(
    begin: Callable[[Study], object], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AblationError) as error:
        begin(run.study.with_overrides(dataset="mnist"))
    assert str(error.value) == (
        "vary: test needs a dataset without a test set of its own, and mnist has one; remove test from vary, "
        "and all seeds share its test images."
    )
    assert not list(tmp_path.rglob("trial.json"))


def test_a_search_needs_test_images_that_no_seed_trains_on(write_grid: Callable[[str], Path]) -> None:
    text = GRID + "    search: {space: {width: [1, 2]}}\n"
    with pytest.raises(AblationError) as error:
        Search.from_yaml(write_grid(text))
    assert (
        "vary: a search needs the same test images for every seed, or it would choose settings on images that "
        "its confirmation tests; remove test from vary." in str(error.value)
    )
