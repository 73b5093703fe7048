"""One contract for every executor, and what worker processes must survive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from conftest import QUICK_COMPILATION, tiny_trial
from processes import SOON, wait_until
from studies import SPLIT

from ablation.data.datasets import Dataset, prepare_dataset
from ablation.errors import AblationError
from ablation.executors.contract import Executor, Progress, Task
from ablation.executors.make import make_executor
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.trial import TrialResult
from ablation.training.trial_runner import planned_initial_state


@pytest.fixture(scope="module")
def dataset_file(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("images") / "dataset.npz"
    tiny_dataset.save(file)
    return file


@pytest.fixture(
    scope="module", params=["inline", "local", pytest.param("ray", marks=pytest.mark.slow), "local-jax"]
)
def executor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """An executor for all tests, which keeps its processes: each of them takes 6 s to start."""
    logs = tmp_path_factory.mktemp("logs")
    if request.param == "ray":
        request.getfixturevalue("ray_here")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "local-jax":
            patch.setenv("XLA_FLAGS", QUICK_COMPILATION)
            executor = make_executor("local", 1, 1, logs, keep=True, engine="jax")
        else:
            executor = make_executor(request.param, 2, 1, logs, keep=True, engine="tensorflow")
        yield executor
        executor.close()


def tasks_of(dataset: Dataset, folder: Path, count: int, **changes: object) -> list[Task]:
    trials = [tiny_trial(dataset, seed=seed, **changes) for seed in range(count)]
    tasks = [Task(trial, folder / trial.id, save_model=False) for trial in trials]
    for task in tasks:
        task.folder.mkdir(exist_ok=True)
    return tasks


def bits(result: TrialResult) -> object:
    return result.metrics, [record.model_copy(update={"seconds": 0}) for record in result.history]


def test_every_task_has_a_result_and_every_epoch_is_told(
    executor: Executor, tiny_dataset: Dataset, dataset_file: Path, tmp_path: Path
) -> None:
    tasks = tasks_of(tiny_dataset, tmp_path, 3)
    told: list[Progress] = []
    results = {task.trial.id: result for task, result in executor.run(tasks, dataset_file, 1, told.append)}
    assert set(results) == {task.trial.id for task in tasks}
    assert {result.status for result in results.values()} == {"completed"}
    for task in tasks:
        epochs = [p.record.epoch if p.record else 0 for p in told if p.trial == task.trial]
        assert epochs == [0, 1, 2]
        assert (task.folder / "test_probabilities.npy").exists()


@pytest.mark.parametrize("name", ["inline", pytest.param("local", marks=pytest.mark.slow)])
def test_a_seed_draws_its_own_images_wherever_its_trial_runs(name: str, tmp_path: Path) -> None:
    executor = make_executor(name, 2, 1, tmp_path / "logs")
    sizes = DatasetSettings(train_size=60, validation_size=40, test_size=50)
    pool = prepare_dataset(sizes, SPLIT)
    pool.save(tmp_path / "dataset.npz")
    tasks = [
        replace(task, trial=task.trial.model_copy(update={"vary": SPLIT}))
        for task in tasks_of(pool, tmp_path, 2)
    ]
    orders = {
        task.trial.id: tuple(record.order for record in result.history)
        for task, result in executor.run(tasks, tmp_path / "dataset.npz", 1, lambda _: None)
    }
    assert orders == {t.trial.id: planned_initial_state(t.trial, pool).orders for t in tasks}
    assert len({*orders.values()}) == 2


def test_a_trial_that_fails_is_a_result_with_its_cause_and_the_others_go_on(
    executor: Executor, tiny_dataset: Dataset, dataset_file: Path, tmp_path: Path
) -> None:
    good, bad = tasks_of(tiny_dataset, tmp_path, 2)
    bad.folder.rmdir()
    bad.folder.write_text("a file where a folder should be")
    blocked = Task(bad.trial, tmp_path / "blocked", save_model=False)
    blocked.folder.mkdir()
    (blocked.folder / "test_probabilities.npy").mkdir()  # the trial cannot write its predictions
    results = {t.trial.id: r for t, r in executor.run([blocked, good], dataset_file, 1, lambda _: None)}
    assert results[good.trial.id].status == "completed"
    assert results[bad.trial.id].status == "failed"
    assert results[bad.trial.id].cause.startswith("IsADirectoryError: ")
    assert "Traceback" in (blocked.folder / "error.txt").read_text()


def test_a_trial_that_takes_too_long_is_ended_and_the_next_one_runs(
    executor: Executor,
    request: pytest.FixtureRequest,
    tiny_dataset: Dataset,
    dataset_file: Path,
    tmp_path: Path,
) -> None:
    slow, quick = (
        tiny_trial(tiny_dataset, epochs=epochs, family="dense", dense=(4,)) for epochs in (100_000, 1)
    )
    starts_slowly = request.node.callspec.params["executor"] in ("ray", "local-jax")
    for seconds in (8 if starts_slowly else 5, 40, 160):  # until a busy machine trains two epochs in them
        tasks = [
            Task(slow, tmp_path / f"slow-{seconds}", False, timeout=seconds),
            Task(quick, tmp_path / f"quick-{seconds}", False),
        ]
        for task in tasks:
            task.folder.mkdir()
        results = {task.trial.id: r for task, r in executor.run(tasks, dataset_file, 1, lambda _: None)}
        ended = results[slow.id]
        assert ended.status == "timeout"
        if len(ended.history) > 1:
            break
    assert len(ended.history) > 1
    epochs = f"{len(ended.history)} epochs completed"
    assert ended.cause == f"was stopped after its timeout of {seconds} s, with {epochs}"
    assert results[quick.id].status == "completed"


@pytest.mark.usefixtures("ray_here")
@pytest.mark.slow
def test_the_bits_are_the_same_in_this_process_in_workers_and_on_ray(
    tiny_dataset: Dataset, dataset_file: Path, tmp_path: Path
) -> None:
    found = []
    for name, workers in (("inline", 1), ("local", 2), ("ray", 2)):
        (tmp_path / name).mkdir()
        tasks = tasks_of(tiny_dataset, tmp_path / name, 3, dropout=0.3, batch_norm=True)
        runner = make_executor(name, workers, 1, tmp_path / "logs")
        results = {t.trial.id: bits(r) for t, r in runner.run(tasks, dataset_file, 1, lambda _: None)}
        found.append(sorted(results.items()))
    assert found[0] == found[1] == found[2]


def workers() -> set[psutil.Process]:
    """Return the processes that train for this one."""
    local = {c for c in psutil.Process().children() if "ablation.training.worker" in c.cmdline()}
    return local | {c for c in psutil.Process().children(recursive=True) if c.name().startswith("ray::train")}


def executor_of(name: str, workers: int, request: pytest.FixtureRequest, tmp_path: Path) -> Executor:
    if name == "ray":
        request.getfixturevalue("ray_here")
    return make_executor(name, workers, 1, tmp_path / "logs")


@pytest.mark.unix
@pytest.mark.parametrize("name", ["local", pytest.param("ray", marks=pytest.mark.slow)])
@pytest.mark.parametrize("deaths", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_killed_worker_takes_its_trial_with_it_only_the_second_time(
    deaths: int,
    name: str,
    request: pytest.FixtureRequest,
    tiny_dataset: Dataset,
    dataset_file: Path,
    tmp_path: Path,
) -> None:
    runner, kept = executor_of(name, 1, request, tmp_path), workers()
    first, second = tasks_of(tiny_dataset, tmp_path, 2, epochs=60)
    attempts: list[list[int]] = []

    def kill(progress: Progress) -> None:
        """Kill the worker at the first epoch that it tells of, as often as it may die."""
        if progress.trial != first.trial:
            return
        if progress.record is None:
            attempts.append([])
            return
        attempts[-1].append(progress.record.epoch)
        if len(attempts) <= deaths and len(attempts[-1]) == 1:
            for worker in workers() - kept:
                worker.send_signal(signal.SIGKILL)

    results = {t.trial.id: r for t, r in runner.run([first, second], dataset_file, 1, kill)}
    assert len(attempts) == 2
    assert results[second.trial.id].status == "completed"
    assert results[first.trial.id].status == ("completed" if deaths == 1 else "failed")
    if deaths == 1:
        assert [record.epoch for record in results[first.trial.id].history] == list(range(1, 61))
    elif name == "ray":
        assert results[first.trial.id].cause == (
            "the worker process died 2 times; the last time, Ray reported: The worker died unexpectedly while "
            "executing this task. Check python-core-worker-*.log files for more information"
        )
    else:
        assert results[first.trial.id].cause == (
            "the worker process died 2 times, the last time killed by SIGKILL (as the system does when memory runs "
            f"out: try fewer --workers); see {tmp_path / 'logs' / 'worker-0.log'}"
        )


@pytest.mark.parametrize("name", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_closing_the_iterator_ends_what_trains(
    name: str, request: pytest.FixtureRequest, tiny_dataset: Dataset, dataset_file: Path, tmp_path: Path
) -> None:
    runner, kept = executor_of(name, 2, request, tmp_path), workers()
    tasks = [*tasks_of(tiny_dataset, tmp_path, 1), *tasks_of(tiny_dataset, tmp_path, 6, epochs=100_000)[1:]]
    running = runner.run(tasks, dataset_file, 1, lambda _: None)
    next(iter(running))
    wait_until(lambda: workers() - kept)
    running.close()
    wait_until(lambda: workers() <= kept, SOON)


def test_an_unknown_executor_is_told() -> None:
    with pytest.raises(AblationError, match="no executor 'locl'. Did you mean 'local'"):
        make_executor("locl", None, 1, Path(os.devnull))


def test_a_worker_imports_nothing_that_training_does_not_need_and_users_still_can() -> None:
    code = """
        import sys
        from ablation.training import worker

        worker.start_tensorflow(1)
        print(*sorted({"sklearn", "matplotlib", "IPython"} & sys.modules.keys()))
        import sklearn.metrics
        import matplotlib.pyplot
        print("imported")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["", "imported"]
