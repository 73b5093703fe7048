"""Studies on images of unusual kinds end in a report that says what is unusual about them."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

from ablation import Run, Study, run_study
from ablation.figures.catalogue import FIGURES
from ablation.workflow.check import check_study
from ablation.workflow.dry_run import plan_study

GRID = """
    study: unusual
    dataset: {name: npz, path: d.npz, class_names: [ant, bee, cat]}
    model: {family: dense, dense: [8]}
    training: {epochs: 2, batch_size: 16, metrics: [{F1Score: {average: macro}}]}
    factors: {label_noise: [0, 0.25]}
    seeds: 2
"""
COUNTS = "Images per class (training + validation + test): ant 24 + 6 + 10; bee 24 + 6 + 10; cat 24 + 6 + 0"
ABSENT = (
    "There are no test images of cat: their test accuracy is not known, and the metrics of Keras that are means over "
    "classes leave them out."
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Images of five channels, of which the test part lacks a class."""
    folder = tmp_path_factory.mktemp("unusual")
    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 256, (90, 6, 6, 5), np.uint8), np.arange(90) % 3
    x_test, y_test = generator.integers(0, 256, (20, 6, 6, 5), np.uint8), np.arange(20) % 2
    np.savez(folder / "d.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    (folder / "grid.yaml").write_text(textwrap.dedent(GRID), "utf-8")
    return Study.from_yaml(folder / "grid.yaml")


@pytest.fixture(scope="module")
def run(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trained and reported while one figure cannot be drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FIGURES, "cost", lambda run: [][0])
        return run_study(study, tmp_path_factory.mktemp("run"), executor="inline")


def test_classes_are_listed_with_their_numbers_of_images(study: Study, run: Run) -> None:
    assert check_study(study).classes == COUNTS
    plan = plan_study(study, run.folder)
    assert plan.classes == COUNTS
    assert ABSENT in plan.notes
    report = (run.folder / "report.md").read_text("utf-8")
    for row in ("| ant | 24 | 6 | 10 |", "| cat | 24 | 6 | 0 |"):
        assert row in report


def test_a_figure_that_cannot_be_drawn_costs_only_itself(run: Run) -> None:
    assert run.results["status"].eq("completed").all()
    message = (
        "The figure cost is missing, because it could not be drawn: IndexError: list index out of range."
    )
    for name in ("report.html", "report.md"):
        assert message.replace("_", "\\_") in (run.folder / name).read_text("utf-8")
    assert not (run.figures_folder / "cost.png").exists()
    assert (run.figures_folder / "predictions.png").stat().st_size > 10_000


def test_a_class_without_test_images_gets_nothing_and_no_mean_counts_it(run: Run) -> None:
    per_class = run.per_class.set_index(["variant", "class"])
    assert per_class.loc[("plain", "cat"), ["accuracy", "low", "high"]].isna().all()
    for trial in run.trials:
        probabilities = run.store.test_probabilities(trial)
        assert probabilities is not None
        true, predicted = run.dataset.test.labels, probabilities.argmax(axis=1)
        scores = [
            2 * ((true == k) & (predicted == k)).sum() / ((true == k).sum() + (predicted == k).sum())
            for k in (0, 1)
        ]
        row = run.results[(run.results["variant"] == trial.variant) & (run.results["seed"] == trial.seed)]
        assert row["test_f1_score"].item() == pytest.approx(np.mean(scores), abs=1e-6)


@pytest.mark.slow
def test_the_report_can_be_verified(run: Run) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FIGURES, "cost", lambda run: [][0])
        assert run.verify().differences == []
