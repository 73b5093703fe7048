"""Two runs side by side: which trials are pairs, and which questions the verdicts answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from ablation import Run
from ablation.report.document import Section
from ablation.report.side_by_side import side_by_side_report

Variants = Callable[..., Section]


def with_results(run: Run, results: pd.DataFrame, **compare: Any) -> Run:
    """The run with other results and another comparison."""
    changed = Run(run.folder)
    changed.study = run.study.model_copy(update={"compare": run.study.compare.model_copy(update=compare)})
    changed.__dict__["results"] = results
    return changed


@pytest.fixture
def variants(finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Variants:
    """Return a function that returns the section on the variants of the run beside another, without figures."""
    monkeypatch.setattr("ablation.report.side_by_side.draw_figures", lambda *_, **__: [])

    def section(other: Run, run: Run = finished_run) -> Section:
        report = side_by_side_report(run, other, [], tmp_path)
        return next(section for section in report.sections if section.id == "variants")

    return section


@pytest.fixture
def moved(finished_run: Run) -> pd.DataFrame:
    """The results, each test accuracy some points higher."""
    higher = [0.01 * (1 + k % 2) for k in range(len(finished_run.results))]
    return finished_run.results.assign(test_accuracy=finished_run.results["test_accuracy"] + higher)


NOTE = (
    "Means of test accuracy with 95% confidence intervals (Student's t). Second minus first: the difference in test "
    "accuracy with its 95% interval, which was not declared before the runs and is not a verdict. {how} Each run's "
    "verdicts compare its variants with its own baseline."
)


def differences(section: Section) -> list[tuple[str, str]]:
    return [(row[-1].text, row[-1].note) for row in section.tables[0].rows]


def test_trials_of_one_seed_and_environment_are_pairs(
    finished_run: Run, variants: Variants, moved: pd.DataFrame
) -> None:
    section = variants(with_results(finished_run, moved))
    assert differences(section) == [("+1.5", "−4.9 to +7.9")] * 4
    how = "It is taken seed by seed, over the seeds whose two trials ran in the same environment."
    assert list(section.notes) == [NOTE.format(how=how)]
    assert list(section.text) == []


def test_trials_of_two_environments_are_no_pairs(
    finished_run: Run, variants: Variants, moved: pd.DataFrame
) -> None:
    elsewhere = moved.assign(provenance=moved["provenance"].where(moved["variant"] != "plain", "elsewhere"))
    section = variants(with_results(finished_run, elsewhere))
    first, second = (t.query("variant == 'plain'")["test_accuracy"] for t in (finished_run.results, moved))
    low, high = stats.ttest_ind(second, first, equal_var=False).confidence_interval()
    welch = f"{100 * low:+.1f} to {100 * high:+.1f}".replace("-", "−")
    assert differences(section) == [("+1.5", welch), *[("+1.5", "−4.9 to +7.9")] * 3]
    how = (
        "It is taken seed by seed, over the seeds whose two trials ran in the same environment; for plain, without "
        "such seeds, it is unpaired (Welch)."
    )
    assert list(section.notes) == [NOTE.format(how=how)]

    one_seed = moved.assign(provenance=moved["provenance"].where(moved["seed"] == 0, "elsewhere"))
    assert differences(variants(with_results(finished_run, one_seed))) == [("+1.0", "needs 2 pairs")] * 4

    nowhere = variants(with_results(finished_run, moved.assign(provenance="elsewhere")))
    how = "It is unpaired (Welch), because no two trials of the same seed ran in the same environment."
    assert list(nowhere.notes) == [NOTE.format(how=how)]


def test_trials_on_other_images_are_no_pairs(
    finished_run: Run, variants: Variants, moved: pd.DataFrame
) -> None:
    other = with_results(finished_run, moved)
    other.__dict__["dataset"] = replace(finished_run.dataset, test=finished_run.dataset.val)
    how = "It is unpaired (Welch), because the images of the runs differ."
    assert list(variants(other).notes) == [NOTE.format(how=how)]
    drawn = with_results(finished_run, moved)
    drawn.study = drawn.study.model_copy(update={"vary": (*drawn.study.vary, "split", "test")})
    drawn.__dict__["test_labels"] = finished_run.test_labels
    section = variants(drawn)
    assert list(section.notes) == [NOTE.format(how=how)]
    assert list(section.text) == [
        "The verdicts of the two runs answer different questions: those of the first run are about test accuracy and "
        "generalise to other seeds and other test images, and those of the second run are about test accuracy and "
        "generalise to other seeds, that is, to other draws from its pool of images."
    ]


def test_verdicts_that_answer_other_questions_say_so(finished_run: Run, variants: Variants) -> None:
    other = with_results(finished_run, finished_run.results, metric="test_loss", margin=0.1)
    section = variants(other)
    assert list(section.text) == [
        "The verdicts of the two runs answer different questions: those of the first run are about test accuracy and "
        "generalise to other seeds and other test images, and those of the second run are about test loss and "
        "generalise to other seeds, on these test images."
    ]
    assert list(section.tables[0].headings) == [
        "Variant", "First: tiny", "Verdict", "Second: tiny", "Verdict on test loss", "Second minus first, points"
    ]  # fmt: skip
    assert list(variants(other, other).text) == []
    for_seeds = with_results(finished_run, finished_run.results, holds_for=("seeds",))
    assert list(variants(for_seeds).text) == [
        "The verdicts of the two runs answer different questions: those of the first run are about test accuracy and "
        "generalise to other seeds and other test images, and those of the second run are about test accuracy and "
        "generalise to other seeds, on these test images."
    ]
