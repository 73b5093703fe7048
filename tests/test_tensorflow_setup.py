"""What Keras and TensorFlow are set to, in a worker and in the process of a notebook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import tiny_trial

from ablation.data.datasets import Dataset
from ablation.tensorflow_setup import keras_settings, standard_keras

GRID = """
    study: s
    dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
    model: {builder: "nb_models:build", augmentation: [{RandomZoom: {height_factor: 0.1}}]}
    training:
      epochs: 1
      optimizer: {SGD: {momentum: 0.9}}
      learning_rate: {CosineDecay: {initial_learning_rate: 0.05, decay_steps: 100}}
      metrics: [f1_score]
      loss: {CategoricalFocalCrossentropy: {gamma: 3}}
    seeds: 1
"""
MODELS = """
    import keras

    def build(image_shape, classes):
        stack = [keras.Input(image_shape), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
        return keras.Sequential([*stack, keras.layers.Dense(classes, "softmax")])
"""


def python(code: str, folder: Path, **environment: str) -> str:
    """Run code in a process of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=folder, timeout=300,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "grid.yaml").write_text(textwrap.dedent(GRID))
    (tmp_path / "nb_models.py").write_text(textwrap.dedent(MODELS))
    return tmp_path


def test_reading_a_grid_leaves_tensorflow_as_it_was(folder: Path) -> None:
    """Neither its threads nor its determinism change, it may be set up later, and it may have computed."""
    printed = python(
        """
        from ablation import Study
        Study.from_yaml("grid.yaml")
        import tensorflow as tf
        from tensorflow.python.framework import config
        print(tf.config.threading.get_intra_op_parallelism_threads(), config.is_op_determinism_enabled())
        tf.config.threading.set_intra_op_parallelism_threads(3)  # raises once TensorFlow has started
        print(float(tf.reduce_sum(tf.ones(5))))
        print(len(Study.from_yaml("grid.yaml").variants))
        """,
        folder,
    )
    assert printed.split() == ["0", "False", "5.0", "1"]


KERAS_FILE = {"backend": "jax", "floatx": "float16", "epsilon": 0.01, "image_data_format": "channels_first"}


@pytest.mark.slow
def test_a_users_keras_json_changes_no_bits(folder: Path) -> None:
    from ablation import Study, run_study

    home = folder / "keras"
    home.mkdir()
    (home / "keras.json").write_text(json.dumps(KERAS_FILE))
    code = """
        from ablation import Study, run_study
        from ablation.workflow.check import check_study
        study = Study.from_yaml("grid.yaml")
        for executor in ("inline", "local"):
            run = run_study(study, executor, executor="local" if executor == "local" else "inline")
            (result,) = run.trial_results.values()
            assert not result.cause
            print(repr(result.metrics["test_loss"]), result.provenance["keras.json"])
        import keras
        print(check_study(study).variants[0].parameters)
        print(keras.config.image_data_format(), keras.config.floatx())
    """
    code = code.replace("        from ablation import", "        import ablation.workflow.run_study as w\n"
                        "        w.write_report = lambda run: run.folder\n        from ablation import", 1)  # fmt: skip
    printed = python(code, folder, KERAS_HOME=str(home), KERAS_BACKEND="").splitlines()
    here = run_study(Study.from_yaml(folder / "grid.yaml"), folder / "here", executor="inline")
    loss = repr(here.results["test_loss"][0].item())
    replaced = "backend jax, epsilon 0.01, floatx float16, image_data_format channels_first (not used)"
    (parameters,) = here.results["parameters"]
    assert printed == [*[f"{loss} {replaced}"] * 2, str(parameters), "channels_first float16"]


def test_what_a_trial_sets_in_keras_is_restored_after_it(tiny_dataset: Dataset, tmp_path: Path) -> None:
    import keras

    from ablation.training.attempt import attempt

    with standard_keras("mixed_bfloat16"):
        before = keras_settings()
        keras.config.set_epsilon(1e-3)
        trial = tiny_trial(tiny_dataset, precision="mixed_float16")
        assert attempt(trial, tiny_dataset, tmp_path, False, lambda _: None).cause == ""
        assert keras.config.epsilon() == 1e-3
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert keras_settings() == before
    assert keras.config.dtype_policy().name == "float32"
