"""Tiny real studies: a few digits, a few units, a few epochs."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from class_makers import CLASS_GRID, ENVIRONMENTS, write_hand_in, zipped
from playwright.sync_api import Browser, Page, sync_playwright

from ablation import Run, Study, collect
from ablation.data.datasets import Dataset, prepare_dataset
from ablation.executors.ray_cluster import RayCluster
from ablation.figures.drawing import draw_figures
from ablation.figures.style import DrawnPictures
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.settings import MODEL_FAMILIES, TrainingSettings
from ablation.grid.trial import EpochRecord, Trial
from ablation.operating_system import IS_WINDOWS
from ablation.tensorflow_setup import start_tensorflow

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.pop("COLUMNS", None)  # xdist sets it, as no shell does

CHROME = (  # where Chrome is installed outside of the path
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path(os.environ.get("PROGRAMFILES", "")) / "Google/Chrome/Application/chrome.exe",
)

TINY_GRID = """
    study: tiny
    dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
    model: {blocks: [[4], [6]], dense: [8], batch_norm_momentum: 0.5}
    training: {epochs: 2, batch_size: 16}
    factors:
      dropout: [0, 0.3]
      batch_norm: [false, true]
    seeds: 2
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what no test can do on Windows, with the reason that is listed at the end."""
    if IS_WINDOWS:
        for item in items:
            if item.get_closest_marker("unix"):
                item.add_marker(
                    pytest.mark.skip(reason="Windows has no such signals, forks, mounts or links")
                )


@pytest.fixture
def write_grid(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a grid file and returns its path."""

    def write(text: str) -> Path:
        file = tmp_path / "grid.yaml"
        file.write_text(textwrap.dedent(text), "utf-8")
        return file

    return write


@pytest.fixture
def tiny_study(write_grid: Callable[[str], Path]) -> Study:
    return Study.from_yaml(write_grid(TINY_GRID))


@pytest.fixture
def two_variants(write_grid: Callable[[str], Path]) -> Study:
    """The tiny study with one factor, where a second one tells nothing more."""
    return Study.from_yaml(write_grid(TINY_GRID.replace("      batch_norm: [false, true]\n", "")))


@pytest.fixture(scope="session")
def tiny_dataset() -> Dataset:
    return prepare_dataset(DatasetSettings(name="digits", train_size=60, validation_size=40, test_size=50))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, DrawnPictures]:
    """A small study, trained in this process, and the figures that it drew at its end."""
    folder, drawn = tmp_path_factory.mktemp("finished"), list[DrawnPictures]()

    def draw(run: Run) -> DrawnPictures:
        drawn.append(draw_figures(run))
        return drawn[-1]

    grid = folder / "grid.yaml"
    grid.write_text(textwrap.dedent(TINY_GRID), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ablation.report.write.draw_figures", draw)
        run = Study.from_yaml(grid).run(folder / "run", executor="inline")
    return run, drawn[0]


@pytest.fixture(scope="session")
def finished_run(finished: tuple[Run, DrawnPictures]) -> Run:
    """A small study that was trained; tests only read it."""
    return finished[0]


@pytest.fixture(scope="session")
def pictures(finished: tuple[Run, DrawnPictures]) -> DrawnPictures:
    """The small study's figures, drawn once for all tests."""
    return finished[1]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """TensorFlow in this process starts and computes as a worker's does."""
    start_tensorflow(1)


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """A Ray cluster of two cores in this machine, to which this process stays connected."""
    cluster = RayCluster(None, workers=2, gpus=0)
    cluster.connect(threads=1)
    yield
    cluster.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium, in which tests open what a person would."""
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    path = next((name for name in [*found, *map(str, filter(Path.is_file, CHROME))] if name), None)
    if path is None and os.environ.get("CI"):
        pytest.fail("CI needs Chromium to test the report in: .ci/run installs it")
    if path is None:
        pytest.skip("no Chromium: the report is not tested in a browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Return a function that opens a file in a browser window of its own, with Playwright's options for it."""
    with ExitStack() as contexts:

        def opened(file: Path, width: int = 1280, height: int = 720, **options: Any) -> Page:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            page = contexts.enter_context(context).new_page()
            page.goto(file.as_uri())
            return page

        yield opened


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the seconds of drawing where a test is about trials and tables."""
    for module in ("run_study", "merge"):
        monkeypatch.setattr(
            f"ablation.workflow.{module}.write_report", lambda run: run.folder / "report.html"
        )


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the seconds of drawing where a test reads the words of a report."""
    monkeypatch.setattr("ablation.report.write.draw_figures", lambda run: DrawnPictures([], {}))


@pytest.fixture(scope="session")
def class_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    grid = tmp_path_factory.mktemp("class") / "grid.yaml"
    grid.write_text(CLASS_GRID, "utf-8")
    return Study.from_yaml(grid)


@pytest.fixture(scope="session")
def class_images(class_study: Study) -> Dataset:
    return prepare_dataset(class_study.dataset)


@pytest.fixture(scope="session")
def whole_class(
    class_study: Study, class_images: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Run]:
    """What 30 students on four kinds of machines hand in, every second of them as a zip file; and the run."""
    folder = tmp_path_factory.mktemp("handed-in")
    for k in range(30):
        run = write_hand_in(
            folder / f"student-{k:02}" / "run", class_study, class_images, [2 + k], ENVIRONMENTS[k % 4]
        )
        if k % 2:
            zipped(run, folder / f"student-{k:02}.zip")
            shutil.rmtree(run.parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ablation.workflow.merge.write_report", lambda run: run.folder / "report.html")
        run = collect([folder], tmp_path_factory.mktemp("collected") / "run")
    return folder, run


@pytest.fixture
def cifar10_folder() -> Path:
    """The official CIFAR-10 python folder that ABLATION_CIFAR10 names, or a part of it."""
    folder = os.environ.get("ABLATION_CIFAR10")
    if not folder:
        pytest.skip("set ABLATION_CIFAR10 to a CIFAR-10 python folder to test on real CIFAR-10 images")
    return Path(folder)


QUICK_COMPILATION = "--xla_backend_optimization_level=0"


@pytest.fixture
def quick_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let XLA compile five times as fast, by optimising nothing: for programs of a few steps."""
    monkeypatch.setenv("XLA_FLAGS", QUICK_COMPILATION)


def tiny_trial(dataset: Dataset, seed: int = 0, epochs: int = 2, **changes: object) -> Trial:
    """Return a trial of a small CNN, or of another family; ``changes`` are settings of the model or of training."""
    training = {key: changes.pop(key) for key in list(changes) if key in TrainingSettings.model_fields}
    model = {"blocks": ((4,), (6,)), "dense": (8,), "batch_norm_momentum": 0.5, **changes}
    if changes.get("family", "cnn") != "cnn":
        del model["blocks"]
    return Trial(
        variant="tiny",
        seed=seed,
        dataset_digest=dataset.digest,
        model=MODEL_FAMILIES[str(changes.get("family", "cnn"))](**model),
        training=TrainingSettings(**{"epochs": epochs, "batch_size": 16, **training}),
    )


def after_epoch(epoch: int) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        loss=1,
        accuracy=0.5,
        active_loss=1,
        active_accuracy=0.5,
        train_loss=1,
        train_accuracy=0.75,
        val_loss=1,
        val_accuracy=0.5,
        seconds=1,
        order="",
    )  # fmt: skip
