"""Ten thousand trials cost ten thousand times what one costs: nothing is done for each pair of trials."""

from __future__ import annotations

import builtins
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from invented_runs import run_of_variants

from ablation import Run
from ablation.figures.readable import MOST_VARIANTS, readable
from ablation.store import trial_store


def counted_opens(monkeypatch: pytest.MonkeyPatch, read: Callable[[], object]) -> int:
    """Return how many files are opened while something is read."""
    opened, real = [0], io.open

    def counting(*arguments: Any, **named: Any) -> Any:
        opened[0] += 1
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(io, "open", counting)
        patch.setattr(builtins, "open", counting)
        read()
    return opened[0]


def test_keeping_a_trial_lists_no_other_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed, real = [0], trial_store._folders_in

    def counting(folder: Path) -> Iterator[Path]:
        for found in real(folder):
            listed[0] += 1
            yield found

    monkeypatch.setattr(trial_store, "_folders_in", counting)
    monkeypatch.setattr("os.fsync", lambda _: None)
    run = run_of_variants(tmp_path, ["plain", "a", "b", "c"], seeds=50, epochs=1)
    assert len(run.trials) == 200
    assert listed[0] == 0


def test_results_and_verdicts_read_six_files_per_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opens(seeds: int) -> int:
        run_of_variants(tmp_path / str(seeds), ["plain", "a"], seeds, epochs=1)
        return counted_opens(monkeypatch, lambda: Run(tmp_path / str(seeds)).comparisons)

    opens(5)  # imports what is imported late
    few, many = opens(10), opens(20)
    assert many - few == 20 * 6  # trial.json; result.json and the predictions, each checked, then read


def test_figures_of_very_many_variants_show_those_that_differ_most(tmp_path: Path) -> None:
    names = ["plain", *(f"v{k:02d}" for k in range(1, 60))]
    run = run_of_variants(tmp_path, names, seeds=2, epochs=1)
    shown, left_out = readable(run)
    kept = {variant.name for variant in shown.study.variants}
    sizes = run.baseline_comparisons.set_index("variant")["difference"].abs()
    others = kept - {"plain"}
    assert "plain" in kept
    assert len(kept) == MOST_VARIANTS
    assert sizes[list(others)].min() >= sizes.drop(list(others)).max()
    assert set(shown.results["variant"]) == set(shown.history["variant"]) == set(shown.predictions) == kept
    assert left_out == (
        "Shown are plain and the 39 variants that differ most from it, of 60 variants; the tables of the run "
        "folder, such as comparisons.csv, have all of them."
    )
    row = "v07" if "v07" in others else min(others)
    same = shown.comparisons.set_index("variant").loc[row], run.comparisons.set_index("variant").loc[row]
    assert same[0].equals(same[1])  # judged in the family of all variants


def test_figures_of_few_variants_show_all(tmp_path: Path) -> None:
    run = run_of_variants(tmp_path, ["plain", "a"], seeds=2, epochs=1)
    assert readable(run) == (run, "")
