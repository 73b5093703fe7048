"""Keep what a ready study's page shows: tables, figures, and which images each trial classified correctly.

    python experiments/keep.py RUN --figures forest overfitting_gap

Writes ``experiments/reference/STUDY/`` and ``figures/STUDY/``. `correct.npz` holds one bit per test image for
each trial, packed; with these bits, the intervals over seeds and test images can be computed again
(``pytest tests/analysis/test_reference_tables.py``).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np

import ablation

EXPERIMENTS = Path(__file__).parent
TABLES = ("results", "comparisons", "effects")


def keep(run: ablation.Run, figures: list[str]) -> None:
    """Copy tables and figures of a finished run, and pack what its trials classified correctly."""
    name = run.study.name
    reference, drawn = EXPERIMENTS / "reference" / name, EXPERIMENTS.parent / "figures" / name
    reference.mkdir(parents=True, exist_ok=True)
    drawn.mkdir(parents=True, exist_ok=True)
    for table in (*TABLES, *(["dose_response"] if len(run.dose_response) else [])):
        shutil.copy(run.folder / f"{table}.csv", reference)
    for figure in figures:
        shutil.copy(run.figures_folder / f"{figure}.png", drawn)
    ids = {(trial.variant, trial.seed): trial.id for trial in run.completed_trials}
    bits = {
        ids[variant, seed]: np.packbits(predictions.right(run.test_labels[seed]))
        for variant, trials in run.predictions.items()
        for seed, predictions in trials.items()
    }
    np.savez_compressed(reference / "correct.npz", images=len(run.dataset.test), **bits)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--figures", nargs="+", default=["forest", "overfitting_gap"])
    options = parser.parse_args()
    keep(ablation.Run(options.run), options.figures)


if __name__ == "__main__":
    main()
