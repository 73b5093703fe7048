"""The baseline under another name, really trained, is not called better or worse more often than alpha allows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ablation import Study, run_study
from ablation.analysis.inference import judge
from ablation.grid.compare_settings import CompareSettings

GRID = """
study: same
dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 500}
model: {family: dense, dense: [8]}
training: {epochs: 4, batch_size: 10, learning_rate: 0.01}
seeds: 120
"""


@pytest.mark.slow
@pytest.mark.usefixtures("without_report")
def test_the_baseline_under_another_name(tmp_path: Path) -> None:
    """120 trainings; 4,000 times, five of them play the variant and five others the baseline."""
    grid = tmp_path / "grid.yaml"
    grid.write_text(GRID)
    run = run_study(Study.from_yaml(grid), tmp_path / "run", executor="inline")
    accuracies = run.results["test_accuracy"].to_numpy()
    assert accuracies.std() > 0.005
    generator, alpha, sets = np.random.default_rng(0), 0.05, 4000
    for looks in ("once", "any"):
        compare = CompareSettings(alpha=alpha, looks=looks)  # type: ignore[arg-type]
        called = 0
        for _ in range(sets):
            drawn = generator.choice(accuracies, 10, replace=False)
            called += judge({"same": drawn[:5] - drawn[5:]}, compare)["verdict"].iloc[0] in (
                "better",
                "worse",
            )
        assert called / sets <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / sets)
