"""What a trial will cost, which one comes next, and how long it will still take."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from conftest import after_epoch, tiny_trial

from ablation.data.datasets import Dataset
from ablation.executors import engine
from ablation.executors.contract import Task
from ablation.executors.eta import TimeEstimate
from ablation.executors.local import LocalExecutor
from ablation.executors.task_queue import TaskQueue
from ablation.executors.worker_process import Conversation, WorkerProcess
from ablation.grid.seeding import Randomness
from ablation.grid.settings import AnyModel, CnnSettings, DenseSettings, TrainingSettings
from ablation.grid.study import Engine
from ablation.grid.trial import Trial
from ablation.models.build import build_model
from ablation.models.cost import guess_seconds, multiply_adds
from ablation.training.attempt import OUT_OF_MEMORY


@pytest.mark.parametrize(
    "settings",
    [
        CnnSettings(),
        CnnSettings(depth=2, width=1.5, batch_norm=True),
        CnnSettings(blocks=((3,), (4, 5), (6,), (7,), (8,)), dense=()),
        DenseSettings(depth=3),
    ],
)
@pytest.mark.parametrize("shape", [(32, 32, 3), (9, 7, 1)])
def test_multiply_adds_are_those_of_the_model(settings: AnyModel, shape: tuple[int, int, int]) -> None:
    model = build_model(settings, shape, 10, Randomness(0))
    counted = 0
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            positions = math.prod(layer.output.shape[1:-1]) if len(layer.kernel.shape) == 4 else 1
            counted += positions * math.prod(layer.kernel.shape)
    assert multiply_adds(settings, shape, 10) == counted


def test_a_larger_model_and_more_epochs_are_guessed_to_take_longer(tiny_dataset: Dataset) -> None:
    small = guess_seconds(CnnSettings(), TrainingSettings(), tiny_dataset)
    assert guess_seconds(CnnSettings(width=2), TrainingSettings(), tiny_dataset) > small
    assert guess_seconds(CnnSettings(), TrainingSettings(epochs=3000), tiny_dataset) > 10 * small


def tasks(dataset: Dataset, **variants: tuple[int, float]) -> list[Task]:
    """Return tasks of variants given as (number of seeds, seconds of each)."""
    return [
        Task(
            tiny_trial(dataset, seed, epochs=10).model_copy(update={"variant": name}), Path(), seconds=seconds
        )
        for name, (seeds, seconds) in variants.items()
        for seed in range(seeds)
    ]


def test_a_worker_stays_with_its_variant_and_then_takes_the_longest_that_is_free(
    tiny_dataset: Dataset,
) -> None:
    task_queue = TaskQueue(tasks(tiny_dataset, short=(2, 1), long=(2, 5), middle=(2, 3)))
    one = two = None
    order = []
    for _ in range(3):
        one, two = task_queue.next(one), task_queue.next(two)
        assert one is not None
        assert two is not None
        order.append((one.trial.variant, one.trial.seed, two.trial.variant, two.trial.seed))
    # long and middle first; then both workers share what is left, rather than that one of them waits
    assert order == [("long", 0, "middle", 0), ("long", 1, "middle", 1), ("short", 0, "short", 1)]
    assert task_queue.next(one) is None
    assert task_queue.next(two) is None


def test_every_task_is_taken_once(tiny_dataset: Dataset) -> None:
    waiting = tasks(tiny_dataset, a=(3, 1), b=(5, 1), c=(1, 9))
    task_queue = TaskQueue(waiting)
    workers: list[Task | None] = [None, None, None, None]
    taken = []
    while any(found := [task_queue.next(last) for last in workers]):
        taken += [task for task in found if task]
        workers = found
    assert sorted(task.trial.id for task in taken) == sorted(task.trial.id for task in waiting)


def test_the_forecast_learns_from_epochs_that_have_ended(tiny_dataset: Dataset) -> None:
    first, second, other = tasks(tiny_dataset, slow=(2, 10), quick=(1, 5))
    forecast = TimeEstimate([first, second, other])
    assert forecast.work_left() is None
    twice_the_guess = after_epoch(1).model_copy(update={"seconds": 2.0})
    forecast.trained(first.trial, twice_the_guess)
    # 9 epochs at 2 s, another trial of 20 s, and a variant not seen yet: twice its guess, too
    assert forecast.work_left() == pytest.approx(18 + 20 + 10)
    forecast.trained(other.trial, after_epoch(1).model_copy(update={"seconds": 0.5}))
    assert forecast.work_left() == pytest.approx(18 + 20 + 4.5)
    forecast.finished(second.trial)
    forecast.started(first.trial)
    assert forecast.work_left() == pytest.approx(20 + 4.5)
    assert forecast.work_done == 2.5


def test_a_group_is_seeds_of_one_variant_with_the_same_settings(tiny_dataset: Dataset) -> None:
    def task(seed: int, variant: str = "tiny", epochs: int = 2) -> Task:
        trial = tiny_trial(tiny_dataset, seed=seed, epochs=epochs).model_copy(update={"variant": variant})
        return Task(trial, Path(), seconds=1)

    waiting = [task(0), task(1), task(2), task(3, epochs=5), task(4, "other")]
    queue, groups, group = TaskQueue(waiting, at_once=2), [], list[Task]()
    while group := queue.next_group(group):
        groups.append([t.trial.seed for t in group])
    assert groups == [[0, 1], [2], [3], [4]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets which GPUs and which packages `choose_engine` sees."""

    def is_like(gpus: int, *packages: str) -> None:
        monkeypatch.setattr(engine, "visible_gpus", lambda: tuple(map(str, range(gpus))))
        monkeypatch.setattr(engine, "_has_any", lambda names: bool({*names} & {*packages}))
        monkeypatch.setattr(engine, "_is_installed", lambda name: name in packages)

    return is_like


def test_the_engine_is_the_one_that_uses_the_gpus_and_the_run_says_why(machine: Callable[..., None]) -> None:
    def chosen(asked: Engine | None = None) -> tuple[str, int, str]:
        found = engine.choose_engine(asked)
        return found.name, len(found.gpus), found.reason

    machine(0, "tensorflow", "jax")
    assert chosen() == ("tensorflow", 0, "")
    assert chosen("jax") == (
        "jax", 0, "There is no GPU; on a processor, `engine: tensorflow` is usually faster."
    )  # fmt: skip
    machine(0, "jax")
    assert chosen() == ("jax", 0, "TensorFlow is not installed, so that trials train with JAX.")
    machine(2, "tensorflow", "jax", "jax-cuda13-plugin")
    assert chosen() == (
        "jax", 2, "This machine has 2 GPUs. JAX uses them and trains the seeds of a variant together (`engine: jax`)."
    )  # fmt: skip
    assert engine.choose_engine(None).workers(None, 1) == 2
    machine(1, "tensorflow", "nvidia-cudnn-cu12")
    assert chosen() == ("tensorflow", 1, "This machine has 1 GPU, which TensorFlow uses.")
    machine(1, "tensorflow", "jax")
    assert chosen() == (
        "tensorflow",
        0,
        "This machine has 1 GPU, but trials train on the processor: neither TensorFlow nor JAX is installed with CUDA. "
        "`pip install '.[gpu]'` installs JAX with it.",
    )


def test_a_worker_trains_as_many_seeds_at_once_as_leaves_work_for_the_others() -> None:
    assert engine.seeds_at_once("jax", tasks=20, workers=1) == 20
    assert engine.seeds_at_once("jax", tasks=50, workers=1) == 20
    assert engine.seeds_at_once("jax", tasks=10, workers=4) == 3
    assert engine.seeds_at_once("tensorflow", tasks=20, workers=1) == 1


class PretendedProcess:
    """Stands for a worker process on a GPU, which lacks the memory for a trial beside another one."""

    gpus: ClassVar[list[str]] = []
    seen: ClassVar[list[tuple[str, str]]] = []
    lacking: ClassVar[set[str]] = set()
    is_stopped = False

    def __init__(self, _file: Path, _threads: int, _engine: Engine, gpu: str, log: Path) -> None:
        self.gpu, self.log = gpu, log
        self.gpus.append(gpu)

    def converse(self, conversation: Conversation, _because: str) -> str:
        for line in conversation.task_lines():
            trial = Trial.model_validate(line["trial"])
            self.seen.append((trial.id, self.gpu))
            ended = {"status": "completed"}
            if trial.id in self.lacking:
                self.lacking.remove(trial.id)
                ended = {"status": "failed", "cause": f"{OUT_OF_MEMORY}: 12 GiB"}
            conversation.heard({"trial": trial.id, "result": {"trial_id": trial.id, **ended}})
        return ""

    def stop(self) -> None:
        self.is_stopped = True


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> type[PretendedProcess]:
    """Let local executors start `PretendedProcess`es, which note their GPUs and trials."""
    for name in ("gpus", "seen"):
        monkeypatch.setattr(PretendedProcess, name, [])
    monkeypatch.setattr(PretendedProcess, "lacking", set())
    monkeypatch.setattr("ablation.executors.local.WorkerProcess", PretendedProcess)
    return PretendedProcess


def test_each_local_worker_has_one_gpu_and_sees_no_other(
    pretended: type[PretendedProcess], tiny_dataset: Dataset, tmp_path: Path
) -> None:
    tasks = [Task(tiny_trial(tiny_dataset, seed=seed), tmp_path, seconds=1) for seed in range(6)]
    executor = LocalExecutor(3, tmp_path, engine="jax", gpus=("0", "5"))
    assert len(list(executor.run(tasks, tmp_path, 1, lambda _: None))) == 6
    assert pretended.gpus == ["0", "5", "0"]
    environments = [WorkerProcess(tmp_path, 1, "jax", gpu, tmp_path)._environment for gpu in ("5", "")]
    assert [of["CUDA_VISIBLE_DEVICES"] for of in environments] == ["5", "-1"]


def test_a_trial_that_lacked_memory_is_tried_once_more_alone_at_the_end(
    pretended: type[PretendedProcess], tiny_dataset: Dataset, tmp_path: Path
) -> None:
    tasks = [Task(tiny_trial(tiny_dataset, seed=seed), tmp_path, seconds=1) for seed in range(4)]
    first = tasks[0].trial.id
    pretended.lacking.add(first)
    ended = list(LocalExecutor(2, tmp_path, gpus=("0", "1")).run(tasks, tmp_path, 1, lambda _: None))
    assert [task.trial.id for task, _ in ended][-1] == first
    assert [result.status for _, result in ended] == 4 * ["completed"]
    assert [trial for trial, _ in pretended.seen].count(first) == 2
    assert (pretended.seen[-1], pretended.gpus) == ((first, "0"), ["0", "1", "0"])

    pretended.lacking.add(first)  # with nothing beside it, it is not tried again
    ((_, result),) = LocalExecutor(1, tmp_path, gpus=("0",)).run(tasks[:1], tmp_path, 1, lambda _: None)
    assert (result.status, result.cause) == ("failed", f"{OUT_OF_MEMORY}: 12 GiB")
