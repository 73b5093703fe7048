"""Callbacks that write files write them into the folder of their own trial."""

from __future__ import annotations

import textwrap

import pandas as pd
import pytest

from ablation import Run, Study

WRITERS = """
    import pathlib
    import keras

    class Notes(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            pathlib.Path("begun.txt").write_text("begun")

        def on_epoch_end(self, epoch, logs=None):
            folder = pathlib.Path("by_epoch")
            folder.mkdir(exist_ok=True)
            (folder / f"{epoch}.txt").write_text(str(logs["val_loss"]))
"""
GRID = """
    study: s
    dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
    model: {family: dense, dense: [4]}
    training: {epochs: 2, batch_size: 20, callbacks: [{CSVLogger: {filename: log.csv}}, "writers:Notes"]}
    factors: {dropout: [0, 0.3]}
    seeds: 1
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("writers")
    (folder / "writers.py").write_text(textwrap.dedent(WRITERS))
    (folder / "grid.yaml").write_text(textwrap.dedent(GRID))
    (folder / "here").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ablation.workflow.run_study.write_report", lambda run: run.folder / "report.html")
        patch.chdir(folder / "here")
        run = Study.from_yaml(folder / "grid.yaml").run("../run", executor="inline")
        return Run(run.folder.absolute())


def test_each_trial_has_the_files_of_its_callbacks(written: Run) -> None:
    assert (written.results["status"] == "completed").all()
    for trial in written.trials:
        folder = written.folder / "trials" / trial.id / "callbacks"
        log, history = pd.read_csv(folder / "log.csv"), written.history.query("variant == @trial.variant")
        assert log["val_loss"].tolist() == pytest.approx(history["val_loss"].tolist())
        assert sorted(path.name for path in folder.rglob("*.txt")) == ["0.txt", "1.txt", "begun.txt"]


def test_nothing_is_written_where_the_command_was_started(written: Run) -> None:
    assert not list((written.folder.parent / "here").iterdir())


def test_the_files_of_callbacks_are_part_of_the_trial(written: Run) -> None:
    trial, other = written.trials
    log = written.folder / "trials" / trial.id / "callbacks" / "by_epoch" / "1.txt"
    text = log.read_text()
    log.write_text("edited")
    assert written.store.damage(trial) == "callbacks/by_epoch/1.txt does not match its checksum"
    assert not written.store.damage(other)
    log.write_text(text)
