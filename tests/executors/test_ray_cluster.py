"""A Ray cluster of several nodes, on the loopback address: nodes are lost and join, drivers are killed.

pytest -m slow tests/executors/test_ray_cluster.py
"""

from __future__ import annotations

import signal
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import TINY_GRID
from processes import SOON, command, finish, finished_trials, start, wait_until, without_times

from ablation import Study, run_study
from ablation.data.datasets import Dataset
from ablation.executors.contract import Progress, Task
from ablation.executors.ray_cluster import RayCluster
from ablation.grid.trial import Trial, TrialResult
from ablation.search.run import run_search
from ablation.search.settings import Search
from ablation.training.checkpoint import CHECKPOINT

pytestmark = pytest.mark.slow

ADDRESS = "127.0.0.1"
SEEDS = 6  # with four variants 24 trials


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of three nodes of one CPU each; the first one is the driver's."""
    import ray

    if ray.is_initialized():
        ray.shutdown()
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # all stays on the loopback address
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setattr(ray._private.ray_constants, "ENABLE_RAY_CLUSTER", False)
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "node_ip_address": ADDRESS, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        made.add_node(num_cpus=1, node_ip_address=ADDRESS)
    yield made
    ray.shutdown()
    made.shutdown()


def training(cluster: Any) -> dict[str, Any]:
    """Return the nodes that train now, by the id of their trial."""
    nodes = {node.all_processes["raylet"][0].process.pid: node for node in cluster.list_all_nodes()}
    found = {}
    for pid, node in nodes.items():
        for worker in psutil.Process(pid).children():
            with suppress(psutil.Error):  # it has just ended
                title = " ".join(worker.cmdline())  # empty once it has ended and nobody has taken notice
                if title.startswith("ray::train "):
                    found[title.split()[1]] = node
    return found


class Watch:
    """Remembers what each attempt of a trial told, and does something as soon as it may."""

    def __init__(self, when: Callable[[Progress, Watch], bool], do: Callable[[Trial], None]) -> None:
        self.attempts: dict[str, list[list[int]]] = {}
        self._when, self._do, self._done = when, do, False

    def planned(self, trials: object, pending: list[Task]) -> None: ...

    def progressed(self, progress: Progress) -> None:
        attempts = self.attempts.setdefault(progress.trial.id, [])
        if progress.record is None:
            attempts.append([])
        else:
            attempts[-1].append(progress.record.epoch)
        if not self._done and self._when(progress, self):
            self._done = True
            self._do(progress.trial)

    def finished(self, trial: Trial, result: TrialResult) -> None: ...


def grid_of(folder: Path, epochs: int, seeds: int = SEEDS) -> Path:
    grid = folder / "grid.yaml"
    text = textwrap.dedent(TINY_GRID)
    grid.write_text(text.replace("epochs: 2", f"epochs: {epochs}").replace("seeds: 2", f"seeds: {seeds}"))
    return grid


@pytest.mark.usefixtures("without_report")
def test_a_node_is_killed_and_another_one_joins(cluster: Any, tmp_path: Path) -> None:
    grid = grid_of(tmp_path, epochs=300)
    study = Study.from_yaml(grid)
    here = finish(command(grid, tmp_path / "local"))
    assert here.returncode == 0, here.stderr

    def may(progress: Progress, watch: Watch) -> bool:
        """In the middle of the study, in the middle of a trial on a node that is not the driver's."""
        begun = len(watch.attempts) > len(study.variants) * SEEDS / 3
        epoch = progress.record.epoch if progress.record else 0
        return begun and 150 < epoch < 250 and training(cluster)[progress.trial.id] != cluster.head_node

    lost: list[str] = []
    joined: list[Any] = []
    on_the_new_node: list[str] = []

    def kill_and_add(trial: Trial) -> None:
        lost.append(trial.id)
        cluster.remove_node(training(cluster)[trial.id], allow_graceful=False)
        joined.append(cluster.add_node(num_cpus=1, node_ip_address=ADDRESS))

    class AlsoWhere(Watch):
        def progressed(self, progress: Progress) -> None:
            super().progressed(progress)
            if progress.record is None and training(cluster).get(progress.trial.id) in joined:
                on_the_new_node.append(progress.trial.id)

    watch = AlsoWhere(may, kill_and_add)
    run = run_study(study, tmp_path / "ray", executor="ray", address=cluster.address, observer=watch)
    assert (run.results["status"] == "completed").all()
    assert without_times(tmp_path / "ray") == without_times(tmp_path / "local")
    for trial in run.trials:
        attempts = watch.attempts[trial.id]
        if trial.id in lost:
            before, after = attempts
            assert before[0] == 1 < after[0] <= before[-1] + 1  # it goes on from a checkpoint
            assert after == list(range(after[0], 301))
        else:
            assert attempts == [list(range(1, 301))]  # nothing else is trained twice
    assert len(lost) == 1
    assert on_the_new_node


def test_each_node_has_one_copy_of_the_images_which_its_processes_share(
    cluster: Any, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    import ray

    tiny_dataset.save(tmp_path / "dataset.npz")
    connection = RayCluster(cluster.address, None, 0)
    connection.connect(threads=1)
    reference = connection.dataset(tmp_path / "dataset.npz")
    assert connection.dataset(tmp_path / "dataset.npz") is reference

    def look(dataset: Dataset) -> tuple[str, bool]:
        time.sleep(0.5)  # so that no node is done with all of them
        return ray.get_runtime_context().get_node_id(), dataset.train.images.flags.writeable

    seen = ray.get([ray.remote(num_cpus=1)(look).remote(reference) for _ in range(12)])
    assert len({node for node, _ in seen}) == 3
    assert not any(writeable for _, writeable in seen)  # they read the node's memory, and have no copy
    where = ray.experimental.get_object_locations([reference])[reference]["node_ids"]
    assert sorted(where) == sorted({node for node, _ in seen})
    connection.close()


def test_a_driver_is_killed_and_started_again(cluster: Any, tmp_path: Path) -> None:
    grid, out = grid_of(tmp_path, epochs=1000, seeds=2), tmp_path / "run"
    options = ("--executor", "ray", "--address", cluster.address)
    first = start(command(grid, out, *options))
    wait_until(lambda: len(finished_trials(out)) >= 2 and list(out.glob(f"trials/.running/*/{CHECKPOINT}")))
    first.kill()
    first.communicate()
    kept = {folder: (folder / "result.json").stat().st_mtime_ns for folder in finished_trials(out)}
    resumed = [file.parent.name for file in out.glob(f"trials/.running/*/{CHECKPOINT}")]
    assert resumed
    wait_until(lambda: not training(cluster))  # Ray ends what belonged to the dead driver

    watch = Watch(lambda *_: False, lambda _: None)
    run = run_study(Study.from_yaml(grid), out, executor="ray", address=cluster.address, observer=watch)
    for folder, written in kept.items():
        assert (folder / "result.json").stat().st_mtime_ns == written
        assert folder.name not in watch.attempts
    assert all(watch.attempts[name][0][0] > 1 for name in resumed)  # from where their checkpoint was
    here = finish(command(grid, tmp_path / "local"))
    assert here.returncode == 0, here.stderr
    assert (run.results["status"] == "completed").all()
    assert without_times(out) == without_times(tmp_path / "local")


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_its_own_cluster_and_goes_on_from_there(
    blow: signal.Signals, tmp_path: Path
) -> None:
    grid, out = grid_of(tmp_path, epochs=1000, seeds=1), tmp_path / "run"
    process = start(command(grid, out, "--executor", "ray"))
    wait_until(lambda: finished_trials(out))
    family = psutil.Process(process.pid).children(recursive=True)
    assert any(member.name().startswith("ray::train") for member in family)
    process.send_signal(blow)
    told = process.communicate(timeout=SOON)[0]
    assert process.returncode == 130
    assert told.rstrip().endswith(
        "Interrupted: finished trials are kept, and the same command resumes from there."
    )
    assert not psutil.wait_procs(family, timeout=SOON)[1]
    again = finish(command(grid, out, "--executor", "ray"))
    assert again.returncode == 0, again.stderr
    assert "4 trials to train" not in again.stdout


@pytest.mark.usefixtures("without_report")
def test_trials_share_a_gpu(cluster: Any, tmp_path: Path) -> None:
    """Ray counts GPUs and need not have any: TensorFlow finds none, and trains on the CPU."""
    cluster.add_node(num_cpus=4, num_gpus=1, node_ip_address=ADDRESS)
    at_once: list[int] = []
    running: set[str] = set()

    class Count(Watch):
        def progressed(self, progress: Progress) -> None:
            running.add(progress.trial.id)
            at_once.append(len(running))

        def finished(self, trial: Trial, result: TrialResult) -> None:
            running.discard(trial.id)

    study = Study.from_yaml(grid_of(tmp_path, epochs=300, seeds=1)).model_copy(update={"gpus": 0.5})
    count = Count(lambda *_: False, lambda _: None)
    run = run_study(study, tmp_path / "run", executor="ray", address=cluster.address, observer=count)
    assert (run.results["status"] == "completed").all()
    assert max(at_once) == 2


@pytest.mark.usefixtures("without_report")
def test_a_search_on_a_cluster_finds_what_it_finds_here(cluster: Any, tmp_path: Path) -> None:
    grid = grid_of(tmp_path, epochs=2, seeds=2)
    settings = """
        search:
          space: {dropout: [0, 0.2, 0.4], width: [1, 2]}
          tuner: random
          trials: 4
          seeds: 1
          confirm: {best: 1, seeds: 2}
    """
    grid.write_text(grid.read_text() + textwrap.dedent(settings))
    search = Search.from_yaml(grid)
    on_ray = run_search(search, tmp_path / "ray", executor="ray", address=cluster.address)
    here = run_search(search, tmp_path / "local", executor="inline")
    for part in ("search", "confirmation"):
        assert without_times(on_ray.folder / part) == without_times(here.folder / part)
