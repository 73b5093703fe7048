"""Does a worker's memory stay flat? 200 trials of four variants in one worker.

    python experiments/benchmark/memory.py

Prints the worker's resident memory after every 20 trials. Exits with 1 if its maximum grows by more than 5%
in the second half.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import psutil

from ablation import Study, Trial, TrialResult, run_study

TRIALS = 200
GRID = {
    "study": "memory",
    "dataset": {"name": "digits", "train_size": 120, "validation_size": 100, "test_size": 100},
    "model": {"batch_norm_momentum": 0.5},
    "training": {"epochs": 3, "batch_size": 16},
    "factors": {"dropout": [0, 0.2], "batch_norm": [False, True]},
    "seeds": TRIALS // 4,
}


class Scale:
    """Weighs the worker after every trial."""

    def __init__(self) -> None:
        self.gib: list[float] = []

    def planned(self, *_: object) -> None:
        """See `ablation.workflow.observers.Observer`."""

    def progressed(self, *_: object) -> None:
        """See `ablation.workflow.observers.Observer`."""

    def finished(self, trial: Trial, result: TrialResult) -> None:
        """Add the resident memory of this process's children."""
        assert result.status == "completed", result.cause
        weight = sum(child.memory_info().rss for child in psutil.Process().children())
        self.gib.append(weight / 2**30 if weight else self.gib[-1])  # the worker ends with its last trial
        if len(self.gib) % 20 == 0:
            print(f"{len(self.gib):4} trials ({trial.variant:11}) {self.gib[-1]:6.3f} GiB", flush=True)


def main() -> None:
    """Run the trials and compare the halves."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as name:
        grid = Path(name) / "grid.yaml"
        grid.write_text(json.dumps(GRID))
        scale = Scale()
        run_study(Study.from_yaml(grid), Path(name) / "run", workers=1, observer=scale)
    middle, end = max(scale.gib[: TRIALS // 2]), max(scale.gib)
    print(f"most in the first half {middle:.3f} GiB, in all {end:.3f} GiB")
    sys.exit(int(end > 1.05 * middle))


if __name__ == "__main__":
    main()
