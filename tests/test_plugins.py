"""Plug-ins of another package: an example is installed beside ablation, and used from the grid to the figure."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import tomllib
from collections.abc import Callable
from contextlib import nullcontext
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

from ablation import Run, Study
from ablation.data.datasets import prepare_dataset
from ablation.errors import AblationError
from ablation.executors.contract import Task
from ablation.executors.make import make_executor
from ablation.figures.catalogue import draw
from ablation.grid.dataset_settings import DatasetSettings
from ablation.store.run_folder import Store
from ablation.workflow.observers import NullObserver

EXAMPLE = Path(__file__).parent / "plugin_example"
NAMED = "of the package ablation-plugin-example 1.2"
GRID = """
    study: bars
    dataset: {name: shapes, train_size: 60, validation_size: 40, test_size: 50}
    model: {family: dense, dense: [8]}
    training: {epochs: 2, batch_size: 20, metrics: ["ablation_plugin_example:mean_confidence"]}
    factors: {dropout: [0, 0.3]}
    seeds: 1
"""


def install(folder: Path, package: str, package_version: str, offered: dict[str, dict[str, str]]) -> None:
    """Write into a folder what pip would write about a package: its metadata and its entry points."""
    about = folder / f"{package}-{package_version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {package_version}\n")
    lines = [
        f"[{group}]\n{name} = {where}\n" for group, names in offered.items() for name, where in names.items()
    ]
    (about / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example is installed where this process finds it, and those that it starts."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))["project"]
    site = tmp_path / "site"
    install(site, project["name"], project["version"], project["entry-points"])
    shutil.copy(EXAMPLE / "ablation_plugin_example.py", site)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    )
    return site


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that installs a package with one entry point, by hand."""

    def offered(package: str, kind: str, name: str, target: str, code: str = "") -> None:
        install(tmp_path, package, "0.5", {f"ablation.{kind}s": {name: target}})
        (tmp_path / f"{package}.py").write_text(textwrap.dedent(code))
        monkeypatch.syspath_prepend(str(tmp_path))

    return offered


@pytest.mark.usefixtures("installed", "without_report")
def test_a_study_is_read_trained_exported_and_drawn_by_plugins(
    write_grid: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    Study.from_yaml(write_grid(GRID)).run(folder, executor="announced", workers=1, observer=NullObserver())
    assert (folder / "announced.txt").read_text("utf-8").split() == ["plain", "+Dropout"]
    run = Run(folder)
    assert run.dataset.origin == "shapes (read by ablation-plugin-example 1.2)"
    assert run.dataset.class_names == ("lying", "upright")
    assert run.results["test_mean_confidence"].between(0.5, 1).all()  # computed in worker processes
    assert {result.provenance["reader"] for result in run.trial_results.values()} == {
        "ablation-plugin-example 1.2"
    }
    assert run.export("best") == [str(folder / "best.txt")]
    assert (folder / "best.txt").read_text("utf-8") in ("plain", "+Dropout")
    picture = run.figure("seconds")
    assert picture.png.is_file()
    assert picture.whole_caption.startswith("Seconds per trial, n = 2 trials. shapes (read by")


def test_a_run_is_opened_where_its_plugin_is_not_installed(
    installed: Path, write_grid: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study.from_yaml(write_grid(GRID.replace('["ablation_plugin_example:mean_confidence"]', "[]")))
    run_folder = tmp_path / "run"
    Store(run_folder).open(study, prepare_dataset(study.dataset))
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(installed)])
    assert Run(run_folder).study.dataset.name == "shapes"
    with pytest.raises(AblationError) as caught:
        prepare_dataset(Run(run_folder).study.dataset)
    assert str(caught.value) == "dataset.name: no installed package has a reader named 'shapes'."


def test_names_of_plugins_are_valid_names(
    installed: Path, write_grid: Callable[[str], Path], finished_run: Run, tmp_path: Path
) -> None:
    with pytest.raises(AblationError) as caught:
        Study.from_yaml(write_grid(GRID.replace("name: shapes", "name: shape")))
    assert "dataset.name: shape is not a valid value. Did you mean 'shapes'?" in str(caught.value)
    for ask, message in [
        (
            lambda: make_executor("anounced", None, 1, tmp_path),
            "--executor: there is no executor 'anounced'. Did you mean 'announced'?",
        ),
        (lambda: finished_run.export("bst"), "--to: there is no format 'bst'. Did you mean 'best'?"),
        (
            lambda: finished_run.figure("secnds"),
            "there is no figure named 'secnds'. Did you mean 'seconds'?",
        ),
    ]:
        with pytest.raises(AblationError) as caught:
            ask()
        assert str(caught.value) == message


def test_a_name_of_ablations_own_is_refused(offer: Callable[..., None], tmp_path: Path) -> None:
    offer("grabber", "reader", "digits", "grabber:read")
    with pytest.raises(AblationError) as caught:
        prepare_dataset(DatasetSettings(name="digits"))
    assert str(caught.value) == (
        "the reader 'digits' of the package grabber 0.5 has the name of one of ablation's own; uninstall or "
        "rename it."
    )


def test_two_plugins_of_one_name_are_refused(
    installed: Path, offer: Callable[..., None], finished_run: Run
) -> None:
    offer("other", "exporter", "best", "other:write")
    with pytest.raises(AblationError) as caught:
        finished_run.export("parquet")
    found = {f"the exporter 'best' {NAMED}", "the exporter 'best' of the package other 0.5"}
    first, _, rest = str(caught.value).partition(" and ")
    second, _, end = rest.partition(" have one name; ")
    assert {first, second} == found
    assert end == "uninstall or rename one of them."


CODE = """
    def raises(*given):
        raise ValueError("not today")

    def nothing(*given):
        return 3

    def exits(*given):
        raise SystemExit(0)

    class Silent(Exception):
        def __str__(self):
            raise RuntimeError("not even a message")

    def is_silent(*given):
        raise Silent

    text = "no function"
"""
HERE = "of the package faulty 0.5"


@pytest.mark.parametrize(
    ("kind", "target", "message"),
    [
        ("reader", "faulty:raises", f"dataset.name: the reader 'it' {HERE} raised ValueError: not today"),
        (
            "reader",
            "faulty:missing",
            f"the reader 'it' {HERE} (entry point faulty:missing) cannot be loaded: AttributeError: module "
            "'faulty' has no attribute 'missing'",
        ),
        (
            "reader",
            "faulty:text",
            f"the reader 'it' {HERE} (entry point faulty:text) is of type str; expected a function.",
        ),
        ("executor", "faulty:raises", f"the executor 'it' {HERE} raised ValueError: not today"),
        (
            "executor",
            "faulty:nothing",
            f"the executor 'it' {HERE} made a value of type int; expected one with run and close.",
        ),
        ("executor", "faulty:exits", f"the executor 'it' {HERE} raised SystemExit: 0"),
        ("exporter", "faulty:raises", f"the exporter 'it' {HERE} raised ValueError: not today"),
        ("exporter", "faulty:exits", f"the exporter 'it' {HERE} raised SystemExit: 0"),
        (
            "exporter",
            "faulty:is_silent",
            f"the exporter 'it' {HERE} raised Silent: its text cannot be shown, because of RuntimeError",
        ),
        (
            "exporter",
            "faulty:nothing",
            f"the exporter 'it' {HERE} returned a value of type int; expected where it wrote the run.",
        ),
    ],
)
def test_what_is_wrong_with_a_plugin_is_a_sentence(
    kind: str, target: str, message: str, offer: Callable[..., None], finished_run: Run, tmp_path: Path
) -> None:
    offer("faulty", kind, "it", target, CODE)
    sys.modules.pop("faulty", None)
    use = {
        "reader": lambda: prepare_dataset(DatasetSettings(name="it")),
        "executor": lambda: make_executor("it", None, 1, tmp_path),
        "exporter": lambda: finished_run.export("it"),
    }
    with pytest.raises(AblationError) as caught:
        use[kind]()
    assert str(caught.value) == message


def test_the_page_of_plugins_shows_the_example_as_it_is() -> None:
    page = (Path(__file__).parent.parent / "ablation" / "docs" / "plugins.md").read_text("utf-8")
    assert (EXAMPLE / "ablation_plugin_example.py").read_text("utf-8") in page
    _, _, offered = (EXAMPLE / "pyproject.toml").read_text("utf-8").partition('[project.entry-points."')
    assert offered.partition("[tool")[0].strip() in page


def test_the_package_itself_has_no_plugins() -> None:
    """What ablation offers is in its own tables, and not in entry points."""
    assert version("ablation-harness")
    for kind in ("readers", "executors", "exporters", "figures"):
        assert not entry_points(group=f"ablation.{kind}")


EXECUTOR = """
    from ablation import TrialResult

    class Odd:
        def __init__(self, way):
            self.way = way

        def run(self, tasks, dataset_file, threads, on_progress):
            return self.way(tasks)

        def close(self):
            pass

    def result(task, **about):
        return task, TrialResult(**{"trial_id": task.trial.id, "status": "failed"} | about)

    def stops(tasks):
        yield result(tasks[0])
        raise SystemExit(0)

    none = lambda options: Odd(lambda tasks: None)
    numbers = lambda options: Odd(lambda tasks: iter([3]))
    other = lambda options: Odd(lambda tasks: iter([result(tasks[0], trial_id="other")]))
    empty = lambda options: Odd(lambda tasks: iter([result(tasks[0], status="completed")]))
    twice = lambda options: Odd(lambda tasks: iter([result(tasks[0])] * 2))
    ended = lambda options: Odd(stops)
    good = lambda options: Odd(lambda tasks: iter([result(tasks[0])]))
"""


@pytest.mark.parametrize(
    ("target", "trouble"),
    [
        ("none", "raised TypeError: 'NoneType' object is not iterable"),
        ("numbers", "yielded something else than (Task, TrialResult): int, NoneType."),
        ("other", "yielded the result of other for TRIAL."),
        ("empty", "yielded a result of TRIAL that is completed and has no metrics."),
        ("twice", "yielded TRIAL, which it was not asked to train, or not a second time."),
        ("ended", "raised SystemExit: 0"),
        ("good", ""),
    ],
)
def test_what_the_executor_of_a_plugin_yields_is_checked(
    target: str, trouble: str, offer: Callable[..., None], finished_run: Run, tmp_path: Path
) -> None:
    offer("odd", "executor", "odd", f"odd:{target}", EXECUTOR)
    sys.modules.pop("odd", None)
    task, kept = Task(finished_run.trials[0], tmp_path), []
    runner = make_executor("odd", None, 1, tmp_path)
    with pytest.raises(AblationError) if trouble else nullcontext() as caught:
        kept.extend(runner.run([task], tmp_path, 1, lambda _: None))
    if trouble:
        expected = trouble.replace("TRIAL", task.trial.id)
        assert str(caught.value) == f"the executor 'odd' of the package odd 0.5 {expected}"
    else:
        assert [result.status for _, result in kept] == ["failed"]
    runner.close()


def test_a_figure_of_any_name_is_drawn_or_missing_with_its_reason(
    offer: Callable[..., None], finished_run: Run, tmp_path: Path
) -> None:
    offer("faulty", "figure", "odd*", "faulty:exits", CODE)
    sys.modules.pop("faulty", None)
    assert draw(finished_run, ["odd*"], tmp_path).missing == {"odd*": "SystemExit: 0"}
