"""The same study with worker processes and on a Ray cluster of the same cores: what does Ray cost?

    pip install '.[benchmark,ray]'
    python experiments/benchmark/overhead.py cifar10 --data-dir FOLDER   # a CIFAR-10 python folder
    python experiments/benchmark/overhead.py digits                      # the study of digits.yaml

Each of the two is a process of its own, timed from start to end. They take turns as often as `--repeats`
says. The one with Ray starts and ends a cluster of its own. Exits with 1 if Ray takes over a tenth longer
than the local executor, or if it arrives at other numbers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from speed import grid_of, timed

BAR = 1.1


def train(executor: str, grid: Path, folder: Path) -> dict[str, Any]:
    """Run the study; return each trial's numbers."""
    from ablation import Study, run_study

    run = run_study(Study.from_yaml(grid), folder / "run", executor=executor)
    return {"metrics": {name: result.metrics for name, result in run.trial_results.items()}}


def main() -> None:
    """Parse the command line; `--way` is how this script starts itself."""
    if sys.argv[1] == "--way":
        way, grid, folder = sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
        (folder / "report.json").write_text(json.dumps(train(way, grid, folder)))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=["digits", "cifar10"])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    data_dir = str(options.data_dir.absolute()) if options.data_dir else None
    shape = grid_of(options.study, data_dir, None, seeds=2 if options.study == "cifar10" else None)
    ratios, alike = [], True
    for turn in range(options.repeats):
        found = {}
        for way in ("local", "ray"):
            with tempfile.TemporaryDirectory() as name:
                grid = Path(name) / "grid.yaml"
                grid.write_text(json.dumps(shape))  # JSON is YAML
                found[way] = timed(way, grid, Path(name), __file__)
        ratios.append(found["ray"]["seconds"] / found["local"]["seconds"])
        alike &= found["ray"]["metrics"] == found["local"]["metrics"]
        seconds = ", ".join(f"{way} {run['seconds']:.1f} s" for way, run in found.items())
        print(f"turn {turn + 1}: {seconds}, ratio {ratios[-1]:.3f}", flush=True)
    print(f"ray / local: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    print(f"the numbers are {'the same' if alike else 'NOT THE SAME'} in both")
    raise SystemExit(int(statistics.median(ratios) > BAR or not alike))


if __name__ == "__main__":
    main()
