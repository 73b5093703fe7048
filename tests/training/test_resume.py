"""A trial that is interrupted goes on from its checkpoint, and comes to the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import after_epoch, tiny_trial

from ablation import files
from ablation.data.datasets import Dataset
from ablation.grid.settings import Component
from ablation.grid.trial import EpochRecord, Trial, TrialResult
from ablation.training import checkpoint
from ablation.training.checkpoint import CHECKPOINT, Checkpoint, TrainingState
from ablation.training.trial_runner import run_trial


class Interruption(Exception):  # noqa: N818
    """Stands for whatever ends a process between two epochs."""


@pytest.fixture(autouse=True)
def _checkpoint_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_PAUSE", 0)


def bits(result: TrialResult, folder: Path) -> tuple[object, ...]:
    history = [record.model_copy(update={"seconds": 0}) for record in result.history]
    probabilities = np.load(folder / "test_probabilities.npy").tobytes()
    whole = result.model_copy(update={"seconds": 0, "timing": {}, "memory": None, "history": tuple(history)})
    return whole.model_dump_json(), probabilities


def interrupt(trial: Trial, dataset: Dataset, folder: Path, after: int) -> None:
    """Run a trial and end it when it tells of an epoch: the checkpoint is then that of the epoch before."""

    def stop(record: EpochRecord) -> None:
        if record.epoch == after:
            raise Interruption

    with pytest.raises(Interruption):
        run_trial(trial, dataset, folder, on_epoch=stop)


def resume(trial: Trial, dataset: Dataset, folder: Path) -> tuple[TrialResult, list[int]]:
    """Run a trial again; return the epochs that it trained, too."""
    epochs: list[int] = []
    result = run_trial(trial, dataset, folder, on_epoch=lambda record: epochs.append(record.epoch))
    return result, epochs


AVERAGING = Component(name="SGD", arguments={"use_ema": True, "ema_overwrite_frequency": 5})
STOPPING = {"monitor": "val_loss", "patience": 2}


@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 0.3, "batch_norm": True},
        {"dropout": 0.3, "batch_norm": True, "augmentation": ("flip", "shift", "rotate")},
        {"optimizer": "sgd", "dropout": 0.5},
        {"optimizer": "rmsprop", "metrics": ("top_k_categorical_accuracy",)},
        {"precision": "mixed_float16", "batch_norm": True},
        {"optimizer": AVERAGING, "learning_rate": 0.1},
        {"evaluate": "best", "early_stopping": STOPPING, "learning_rate": 0.05},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_an_interrupted_trial_comes_to_the_same_bits(
    settings: dict[str, object], tiny_dataset: Dataset, tmp_path: Path
) -> None:
    trial = tiny_trial(tiny_dataset, epochs=6, **settings)
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = run_trial(trial, tiny_dataset, tmp_path / "whole")
    interrupt(trial, tiny_dataset, tmp_path / "parts", after=3)
    resumed, epochs = resume(trial, tiny_dataset, tmp_path / "parts")
    assert epochs[0] == 3  # it went on from the checkpoint after the second epoch
    assert bits(resumed, tmp_path / "parts") == bits(whole, tmp_path / "whole")
    assert not (tmp_path / "parts" / CHECKPOINT).exists()


def test_a_trial_interrupted_after_its_last_epoch_is_only_measured(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = tiny_trial(tiny_dataset, batch_norm=True)
    (tmp_path / "whole").mkdir()
    whole = run_trial(trial, tiny_dataset, tmp_path / "whole")
    monkeypatch.setattr("ablation.training.loop.CompiledLoop.variance_shift", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_trial(trial, tiny_dataset, tmp_path)
    monkeypatch.undo()
    resumed, epochs = resume(trial, tiny_dataset, tmp_path)
    assert epochs == []
    assert bits(resumed, tmp_path) == bits(whole, tmp_path / "whole")


@pytest.mark.parametrize("keep", [0, 1, 100, 1000, -1])
def test_a_damaged_checkpoint_is_not_trusted(keep: int, tiny_dataset: Dataset, tmp_path: Path) -> None:
    trial = tiny_trial(tiny_dataset, epochs=3)
    interrupt(trial, tiny_dataset, tmp_path, after=3)
    file = tmp_path / CHECKPOINT
    whole = file.read_bytes()
    file.write_bytes(whole[:keep])
    result, epochs = resume(trial, tiny_dataset, tmp_path)
    assert epochs == [1, 2, 3]
    assert result.status == "completed"


@pytest.mark.parametrize("at", [0.2, 0.4, 0.6, 0.8])
def test_neither_is_one_with_a_flipped_bit(at: float, tiny_dataset: Dataset, tmp_path: Path) -> None:
    trial = tiny_trial(tiny_dataset, epochs=3)
    (tmp_path / "whole").mkdir()
    whole = run_trial(trial, tiny_dataset, tmp_path / "whole")
    interrupt(trial, tiny_dataset, tmp_path, after=3)
    file = tmp_path / CHECKPOINT
    stored = bytearray(file.read_bytes())
    stored[int(at * len(stored))] ^= 1
    file.write_bytes(stored)
    resumed, _ = resume(trial, tiny_dataset, tmp_path)
    assert bits(resumed, tmp_path) == bits(whole, tmp_path / "whole")


def test_a_checkpoint_of_another_provenance_is_not_taken_up(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = tiny_trial(tiny_dataset, epochs=3)
    interrupt(trial, tiny_dataset, tmp_path, after=3)
    from ablation.training import trial_runner

    elsewhere = trial_runner.worker_provenance(1) | {"cpu features": "abacus"}
    monkeypatch.setattr(trial_runner, "worker_provenance", lambda _: elsewhere)
    _, epochs = resume(trial, tiny_dataset, tmp_path)
    assert epochs == [1, 2, 3]


def test_saving_takes_a_small_share_of_the_time(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    saved = []
    replace = files.os.replace
    monkeypatch.setattr(files.os, "replace", lambda *files: (saved.append(files), replace(*files)))
    run_trial(tiny_trial(tiny_dataset, epochs=30), tiny_dataset, tmp_path)
    assert 1 <= len(saved) < 30


def test_saving_takes_at_most_two_percent_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    now, spent = 0.0, {"saving": 0.0, "training": 0.0}
    monkeypatch.setattr(checkpoint.time, "perf_counter", lambda: now)
    pause = checkpoint.Pause()
    for _ in range(1000):
        now, spent["training"] = now + 2, spent["training"] + 2
        if pause.is_over:
            with pause.after():
                now, spent["saving"] = now + 0.5, spent["saving"] + 0.5
    assert 0.015 < spent["saving"] / spent["training"] < 0.02


def test_a_disk_without_room_for_checkpoints_does_not_stop_a_trial(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    assert run_trial(tiny_trial(tiny_dataset), tiny_dataset, tmp_path).status == "completed"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_variables_of_every_type_are_restored_to_the_bit(
    dtype: str, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    """NumPy's files know no bfloat16: they give back arrays of no type, which no variable takes."""
    import keras

    def compiled(start: float) -> keras.Model:
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype=dtype, name="output")])
        model.layers[0].bias.assign([start, start / 3])
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
        return model

    saved, restored, best = compiled(0.5), compiled(2.0), compiled(3.0)
    state = TrainingState(history=[after_epoch(1)], best_weights=saved.get_weights())
    Checkpoint(tmp_path, saved, {"threads": "1"}).save(state, 1.0)
    found = Checkpoint(tmp_path, restored, {"threads": "1"}).restore()
    assert len(found.history) == 1
    best.set_weights(found.best_weights)
    for model in (restored, best):
        for one, other in zip(model.get_weights(), saved.get_weights(), strict=True):
            assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())


def test_a_checkpoint_of_another_model_is_not_taken_up(tmp_path: Path) -> None:
    import keras

    def compiled(units: int) -> keras.Model:
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, name="output")])
        model.compile("sgd", "mse")
        model.optimizer.build(model.trainable_variables)
        return model

    Checkpoint(tmp_path, compiled(2), {}).save(TrainingState(history=[after_epoch(1)]), 1.0)
    assert Checkpoint(tmp_path, compiled(3), {}).restore().history == []
