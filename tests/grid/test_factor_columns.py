"""Arguments of a builder that are named as columns of the results."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablation import Study

BUILDER = """
import keras

def build(image_shape, classes, seconds=1, status="a", variant="x", seed=3, test_accuracy=0):
    return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(),
                             keras.layers.Dense(classes, "softmax", name="out")])
"""


@pytest.mark.usefixtures("without_report")
def test_a_factor_named_as_a_column_has_a_column_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "column_builder.py").write_text(BUILDER)
    (tmp_path / "grid.yaml").write_text(
        "study: s\ndataset: {train_size: 60, validation_size: 40, test_size: 50}\n"
        "model: {builder: 'column_builder:build'}\ntraining: {epochs: 1, batch_size: 16}\nseeds: 1\n"
        "factors: {seconds: [1, 2], status: [a, b]}\n"
        "variants: {other: {variant: y, seed: 4, test_accuracy: 1}}\n"
    )
    run = Study.from_yaml(tmp_path / "grid.yaml").run(tmp_path / "run", executor="inline")
    results = run.results
    assert results.columns.is_unique
    assert set(results["status"]) == {"completed"}
    assert results["factor_seconds"].tolist() == ["1", "2", "1", "2", "1"]
    assert results["factor_status"].tolist() == ["a", "a", "b", "b", "a"]
    assert (results["seconds"] > 0).all()
    assert results["test_accuracy"].between(0, 1).all()
    assert set(run.effects.query("kind == 'main effect'")["effect"]) == {"seconds", "status"}
    assert run.study.variants[-1].settings["seed"] == 4
    assert run.export("parquet", "tensorboard")
    assert list(run.draw_figures(["interaction"]))
