"""What can change the bits of a result is recorded, and a study that goes on elsewhere says so first."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest
from untrained_runs import PROVENANCE, untrained_run

from ablation import Run, Trial, TrialResult
from ablation.training.provenance import environment_here, environment_variables
from ablation.workflow.dry_run import plan_study
from ablation.workflow.observers import NullObserver
from ablation.workflow.run_study import run_study

GRID = """
    study: tiny
    model: {family: dense, dense: [4]}
    training: {epochs: 1, batch_size: 16}
    seeds: [1, 2, 3]
"""


class Notes(NullObserver):
    """Remembers what is noted, and how many trials had ended by then."""

    def __init__(self) -> None:
        self.noted_after: list[tuple[int, str]] = []
        self.ended = 0

    def noted(self, notes: Sequence[str]) -> None:
        self.noted_after += [(self.ended, note) for note in notes]

    def finished(self, trial: Trial, result: TrialResult) -> None:
        self.ended += 1


def half_done(folder: Path, **provenance: str) -> Run:
    """Return a run of which two of three seeds are done, in this environment but for what is given."""
    earlier = PROVENANCE | environment_here("tensorflow", 1) | provenance
    return untrained_run(
        GRID,
        folder,
        lambda t, made: None if t.seed == 3 else made.model_copy(update={"provenance": earlier}),
    )


@pytest.mark.usefixtures("without_report")
def test_a_study_that_goes_on_in_another_environment_says_so_before_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, observer = half_done(tmp_path), Notes()
    assert not [note for note in plan_study(run.study, run.folder).notes if "environment" in note]
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")  # TensorFlow has started, and computes as before
    sentence = (
        "This environment is not that of earlier trials: environment variables was 'none' in 2 trials and is "
        "'TF_ENABLE_ONEDNN_OPTS=0' now. The same trial can give other numbers here. Only pairs whose trials "
        "ran in the same environment are compared; a pair of trials from two environments is left out."
    )
    assert sentence in plan_study(run.study, run.folder).notes
    run_study(run.study, run.folder, executor="inline", observer=observer)
    assert observer.noted_after == [(0, sentence)]
    assert observer.ended == 1


def test_a_change_of_several_things_is_one_sentence(tmp_path: Path) -> None:
    run = half_done(tmp_path, keras="3.0.0", threads="4")
    (note,) = [note for note in plan_study(run.study, run.folder).notes if "environment" in note]
    here = environment_here("tensorflow", 1)
    assert note.startswith(
        f"This environment is not that of earlier trials: keras was '3.0.0' in 2 trials and is '{here['keras']}' now; "
        "threads was '4' in 2 trials and is '1' now. "
    )


def test_a_variable_counts_for_the_engine_that_reads_it_and_under_its_former_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "4")  # workers set their threads
    assert environment_variables("tensorflow") == "ONEDNN_MAX_CPU_ISA=AVX2"
    assert environment_variables("jax") == "JAX_ENABLE_X64=1 XLA_FLAGS=--xla_gpu_deterministic_ops=true"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX")  # which oneDNN prefers
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=false")
    assert (
        environment_variables("tensorflow")
        == "ONEDNN_MAX_CPU_ISA=AVX XLA_FLAGS=--xla_gpu_deterministic_ops=false"
    )
    assert environment_variables("jax") == "JAX_ENABLE_X64=1 XLA_FLAGS=--xla_gpu_deterministic_ops=false"


TRAINED = """
    from pathlib import Path
    from tempfile import mkdtemp
    from ablation.tensorflow_setup import {start}
    {start}(1)
    from ablation.data.datasets import prepare_dataset
    from ablation.grid.dataset_settings import DatasetSettings
    from ablation.grid.settings import MODEL_FAMILIES, TrainingSettings
    from ablation.grid.trial import Trial
    from ablation.training.fused.attempt import attempts
    from ablation.training.fused.lane import SeedTask
    from ablation.training.provenance import digest
    dataset = prepare_dataset(DatasetSettings(name="digits", train_size=60, validation_size=40, test_size=50))
    model = MODEL_FAMILIES["{family}"](batch_norm=True, dropout=0.2, batch_norm_momentum=0.5, dense=(32,))
    training = TrainingSettings(epochs=2, batch_size=16)
    trial = Trial(variant="v", seed=0, dataset_digest=dataset.digest, model=model, training=training)
    (result,) = attempts([SeedTask(trial, Path(mkdtemp()), False, lambda _: None)], dataset)
    assert not result.cause, result.cause
    print(trial.id, repr(result.metrics["test_loss"]), digest(result.provenance))
"""


def trained(engine: str, **environment: str) -> list[str]:
    """Train a tiny trial in a process of its own; return its id, its test loss and the digest of its environment."""
    start, family = ("start_jax", "dense") if engine == "jax" else ("start_tensorflow", "cnn")
    code = textwrap.dedent(TRAINED.replace("{start}", start).replace("{family}", family))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


CHANGES = [
    ("tensorflow", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    ("tensorflow", {"DNNL_MAX_CPU_ISA": "AVX2"}),
    ("tensorflow", {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"}),
    ("jax", {"JAX_THREEFRY_PARTITIONABLE": "0"}),
]


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN computes otherwise there")
@pytest.mark.parametrize(("engine", "environment"), CHANGES)
def test_a_variable_that_changes_the_bits_is_another_environment(
    engine: str, environment: dict[str, str]
) -> None:
    (trial, loss, provenance), (same, other_loss, other) = trained(engine), trained(engine, **environment)
    assert same == trial
    assert other_loss != loss
    assert other != provenance


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["tensorflow", "jax"])
def test_threads_and_keras_json_of_the_user_change_neither(engine: str, tmp_path: Path) -> None:
    keras_file = {"epsilon": 0.01, "floatx": "float64", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(keras_file))
    numbers = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "4")
    everything = numbers | {"KERAS_HOME": str(tmp_path), "PYTHONHASHSEED": "7"}
    everything["JAX_DEFAULT_PRNG_IMPL"] = "rbg"  # with which Keras could not start
    assert trained(engine, **everything) == trained(engine)
