"""A run folder from somebody else is data: commands that read it run no code that it names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from processes import ablation

from ablation import Run, Study
from ablation.errors import AblationError, RunError
from ablation.store.checked_record import checked_text

GRID = """
study: theirs
dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
model: {builder: "theirs:build"}
variants: {wide: {width: 8}}
seeds: 1
"""
BUILDER = """
from pathlib import Path
import keras
Path(__file__).with_name("it ran").touch()
def build(image_shape, classes, width=4):
    return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(),
                             keras.layers.Dense(width), keras.layers.Dense(classes, "softmax")])
"""


@pytest.fixture
def planted(finished_run: Run, tmp_path: Path) -> Path:
    """A run folder whose study names code, and of which no trial is trained."""
    (tmp_path / "theirs.py").write_text(BUILDER, "utf-8")
    (tmp_path / "grid.yaml").write_text(GRID, "utf-8")
    study = Study.from_yaml(tmp_path / "grid.yaml")
    (tmp_path / "it ran").unlink()  # a grid is code, and was trusted
    folder = tmp_path / "run"
    shutil.copytree(finished_run.folder, folder)
    shutil.rmtree(folder / "trials")
    record = json.loads((folder / "study.json").read_text("utf-8"))
    record["study"] = study.model_dump(mode="json")
    (folder / "study.json").write_text(checked_text(record), "utf-8")
    return folder


@pytest.mark.parametrize("command", ["audit", "report"])
def test_commands_that_read_a_run_import_nothing_that_it_names(planted: Path, command: str) -> None:
    result = ablation(command, planted)
    assert "Traceback" not in result.stderr
    assert not (planted.parent / "it ran").exists()
    if command == "audit":
        assert (result.returncode, result.stderr) == (
            2,
            f"Error: {planted}: 2 trials are not trained yet, and building the models for the audit would run "
            "theirs:build. If you trust this run, repeat the command with --trust.\n",
        )


def test_with_trust_the_models_are_built(planted: Path) -> None:
    with pytest.raises(RunError, match="would run theirs:build"):
        Run(planted).audit()
    assert Run(planted).audit(trust=True)["paired"].tolist() == [True, True]


@pytest.mark.parametrize(
    "name", ["posix:system", "os:system", "subprocess:run", "code:interact", "os.path:join"]
)
def test_a_module_of_python_itself_is_no_builder(tmp_path: Path, name: str) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(GRID.replace("theirs:build", name), "utf-8")
    with pytest.raises(AblationError) as caught:
        Study.from_yaml(file)
    assert (
        f"'{name.partition(':')[0]}' is a module of Python's standard library. If it is a file of yours, give the "
        "file another name, because Python finds its own module first."
    ) in str(caught.value)
