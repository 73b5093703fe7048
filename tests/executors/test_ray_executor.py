"""What a user of `--executor ray` is told, and how much a cluster is given to do."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import tiny_trial

from ablation import Run, Study, run_study
from ablation.data.datasets import Dataset
from ablation.errors import AblationError, GridError, RunError
from ablation.executors import ray as on_ray
from ablation.executors.contract import Task
from ablation.executors.make import make_executor
from ablation.executors.ray_cluster import RayCluster
from ablation.executors.ray_task import Ended, Saved, train
from ablation.grid.trial import EpochRecord
from ablation.training.checkpoint import CHECKPOINT


def test_an_address_goes_with_ray(tmp_path: Path) -> None:
    with pytest.raises(AblationError) as caught:
        make_executor("local", None, 1, tmp_path, address="auto")
    assert str(caught.value) == "--address names a Ray cluster; it can be used only with --executor ray."


def test_without_ray_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RunError) as caught:
        RayCluster(None, None, 0).connect(1)
    assert str(caught.value) == (
        "--executor ray needs Ray, which is not installed: pip install 'ablation-harness[ray]'"
    )


def test_without_ray_a_run_folder_stays_as_it_is(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was started, so what the folder says of the study is what it said before."""
    shutil.copytree(finished_run.folder, tmp_path / "run")
    before = {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
    monkeypatch.setitem(sys.modules, "ray", None)
    study = finished_run.study.model_copy(update={"seeds": (7,)})
    with pytest.raises(RunError, match="needs Ray, which is not installed"):
        run_study(study, tmp_path / "run", executor="ray")
    assert {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()} == before


@pytest.fixture
def not_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has no cluster yet, whatever other tests hold."""
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)


@pytest.mark.usefixtures("not_connected")
def test_a_cluster_that_does_not_answer_is_told_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(RunError) as caught:
        RayCluster(address, None, 0).connect(1)
    assert (
        str(caught.value)
        == f"--address {address}: no Ray cluster answers at this address: connection refused."
    )
    with pytest.raises(RunError) as caught:
        RayCluster("ray://head:10001", None, 0).connect(1)
    assert str(caught.value) == (
        "--address ray://head:10001: run the command inside the cluster, as `ray job submit` does; there it finds "
        "the cluster without --address."
    )


@pytest.mark.usefixtures("ray_here")
def test_as_many_trials_as_fit_are_given_to_a_cluster_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert RayCluster(None, None, 0).places(threads=1) == 2
    assert RayCluster(None, 1, 0).places(threads=1) == 1
    assert RayCluster(None, None, 0).places(threads=2) == 1
    with pytest.raises(RunError) as caught:
        RayCluster(None, None, gpus=0.5).places(threads=1)
    assert str(caught.value) == (
        "--executor ray: each trial needs CPU: 1, GPU: 0.5, but this machine has CPU: 2, GPU: 0."
    )
    shared = RayCluster("auto", None, gpus=0.5)  # a node with a GPU may join
    assert shared.places(threads=1) == 16
    assert capsys.readouterr().err == (
        "Waiting for a node: each trial needs CPU: 1, GPU: 0.5, but the cluster has CPU: 2, GPU: 0 so far.\n"
    )


@pytest.mark.parametrize(
    ("cpus", "gpus", "asked", "fit"),
    [
        (8, 0, 0, 8),
        (8, 1, 0.25, 4),
        (2, 1, 0.25, 2),
        (8, 3, 0.1, 8),
        (8, 4, 2, 2),
        (0, 8, 1, 0),
        (8, 0, 1, 0),
    ],
)
def test_cpus_and_gpus_are_both_needed(cpus: int, gpus: int, asked: float, fit: int) -> None:
    assert RayCluster(None, None, asked).fitting({"CPU": cpus, "GPU": gpus}, threads=1) == fit


def test_gpus_are_a_fraction_or_whole(write_grid: Any) -> None:
    assert Study.from_yaml(write_grid("{study: s, gpus: 0.25}")).gpus == 0.25
    with pytest.raises(GridError, match="gpus: expected a fraction of one GPU, or a whole number of GPUs"):
        Study.from_yaml(write_grid("{study: s, gpus: 1.5}"))


@pytest.mark.usefixtures("ray_here")
def test_a_node_that_cannot_train_ends_the_run_with_a_sentence(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_dataset.save(tmp_path / "dataset.npz")
    task = Task(tiny_trial(tiny_dataset), tmp_path / "trial")
    task.folder.mkdir()

    def another_version(_: str, *rest: Any) -> Any:
        yield from train("tiny-s0-00000000", *rest)

    monkeypatch.setattr(on_ray, "train", another_version)
    with pytest.raises(RunError) as caught:
        list(make_executor("ray", 1, 1, tmp_path).run([task], tmp_path / "dataset.npz", 1, lambda _: None))
    message = str(caught.value)
    assert message.startswith("a node of the Ray cluster cannot train (pid=")
    assert message.endswith(
        "): RuntimeError: the node's version of ablation would train a different trial. Each node needs the same "
        "versions of ablation and TensorFlow as this machine."
    )


def test_a_lost_node_is_no_fault_of_the_trial_and_what_ray_refuses_is_told(tiny_dataset: Dataset) -> None:
    import ray

    class Stream:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def __next__(self) -> None:
            raise self.error

    attempt = on_ray._Attempt(Task(tiny_trial(tiny_dataset), Path()))
    for lost in (ray.exceptions.NodeDiedError("gone"), ray.exceptions.ObjectLostError("00", None, "")):
        for _ in range(3):
            with pytest.raises(on_ray._LostError):
                on_ray._listen(Stream(lost), attempt, lambda _: None)
    with pytest.raises(RunError) as caught:
        on_ray._listen(Stream(ray.exceptions.RuntimeEnvSetupError("no space")), attempt, lambda _: None)
    assert str(caught.value) == "Ray cannot run the trials: Failed to set up runtime environment."


def test_a_trial_tells_its_epochs_and_sends_its_checkpoints_from_which_another_goes_on(
    tiny_dataset: Dataset,
) -> None:
    trial = tiny_trial(tiny_dataset, epochs=60)
    settings = trial.model_dump(mode="json")
    started, *events, ended = train(trial.id, settings, tiny_dataset, 1, True, None)
    assert started is None
    assert [e.epoch for e in events if isinstance(e, EpochRecord)] == list(range(1, 61))
    assert isinstance(ended, Ended)
    assert sorted(ended.files) == ["model.keras", "normalisation.json", "test_probabilities.npy"]
    *_, checkpoint = (e.content for e in events if isinstance(e, Saved))
    _, *later, again = train(trial.id, settings, tiny_dataset, 1, True, checkpoint)
    assert isinstance(again, Ended)
    assert again.files["test_probabilities.npy"] == ended.files["test_probabilities.npy"]
    epochs = [e.epoch for e in later if isinstance(e, EpochRecord)]
    assert 1 < epochs[0] <= 60 == epochs[-1]
    assert CHECKPOINT not in again.files
