"""What a terminal or a page would obey instead of showing it is refused where it enters, and shown as text elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablation import Run, Study
from ablation.cli.endings import fail
from ablation.control_characters import control_in, visible
from ablation.data.datasets import prepare_dataset
from ablation.errors import AblationWarning, DatasetError, GridError, RunError, show_warning
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.trial import TrialResult

CONTROLS = ["\0", "\x07", "\x1b", "\r", "\x7f", "\x85", "\x9b", "\u202e", "\u2066", "\u2028", "\ud800"]
GRID = """
study: {study}
question: {question}
dataset: {{name: digits, train_size: 60, validation_size: 40, test_size: 50}}
variants:
  {variant}: {{width: 2}}
"""


@pytest.mark.parametrize("character", CONTROLS)
@pytest.mark.parametrize(("place", "line"), [("study", 2), ("question", 3), ("variant", 6)])
def test_a_grid_contains_none(tmp_path: Path, character: str, place: str, line: int) -> None:
    code = f"U+{ord(character):04X}"
    texts = {"study": "s", "question": "why", "variant": "wide"} | {place: f'"a\\u{ord(character):04x}b"'}
    file = tmp_path / "grid.yaml"
    file.write_text(GRID.format(**texts), "utf-8")
    with pytest.raises(GridError) as caught:
        Study.from_yaml(file)
    assert str(caught.value) == (
        f"{file}, line {line}: '{ascii(f'a{character}b')[1:-1]}' contains {code}, a control character, which cannot be "
        "shown; remove it."
    )


def test_a_question_may_have_lines_and_a_name_may_not(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(GRID.format(study="s", question='"why\\nnot?"', variant="wide"), "utf-8")
    assert Study.from_yaml(file).question == "why\nnot?"
    file.write_text(GRID.format(study="s", question="why", variant='"wide\\nlayers"'), "utf-8")
    with pytest.raises(GridError, match=r"line 6: 'wide\\nlayers' contains U\+000A, a control character"):
        Study.from_yaml(file)


def test_a_grid_that_is_json_may_have_characters_in_halves(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(GRID.format(study="s", question=json.dumps("Is it 🎉?"), variant="wide"), "utf-8")
    assert "\\ud83c" in file.read_text("utf-8")
    assert Study.from_yaml(file).question == "Is it 🎉?"


def test_a_study_from_somebody_else_contains_none(finished_run: Run, tmp_path: Path) -> None:
    shutil.copytree(finished_run.folder, tmp_path / "run")
    file = tmp_path / "run" / "study.json"
    record = json.loads(file.read_text("utf-8"))
    record["study"]["question"] = "a\x1b]0;b"
    file.write_text(json.dumps(record), "utf-8")
    with pytest.raises(RunError) as caught:
        Run(tmp_path / "run")
    assert str(caught.value) == f"{file} is damaged; the same `ablation run` command restores it."


def test_causes_of_failures_are_shown_as_text() -> None:
    result = TrialResult(trial_id="a-s0-12345678", status="failed", cause="ValueError: \x1b[31m\u202e!")
    assert result.cause == r"ValueError: \x1b[31m\u202e!"
    assert TrialResult.model_validate_json(result.model_dump_json()) == result


@pytest.mark.parametrize("name", ["b\x1b[2J", "b\udce9", "b\u202e"])
def test_classes_whose_names_cannot_be_shown_are_refused(tmp_path: Path, name: str) -> None:
    from PIL import Image

    for folder in ("a", name):
        (tmp_path / "pictures" / folder).mkdir(parents=True)
        for k in range(3):
            Image.fromarray(np.full((4, 4), k, np.uint8)).save(tmp_path / "pictures" / folder / f"{k}.png")
    with pytest.raises(DatasetError) as caught:
        prepare_dataset(DatasetSettings(name="folder", path=str(tmp_path / "pictures")))
    assert str(caught.value) == (
        f"{tmp_path / 'pictures'}: the name of the class '{visible(name)}' contains {control_in(name)}, which cannot be "
        "shown; rename the class."
    )


def test_errors_and_warnings_are_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail(RunError("\x1b[2J is no run folder.\nName another one."))
    show_warning(AblationWarning("the font \x9b is missing"), AblationWarning)
    assert capsys.readouterr().err == (
        "Error: \\x1b[2J is no run folder.\nName another one.\nWarning: the font \\x9b is missing\n"
    )


@given(text=st.text(st.characters()))
def test_what_is_visible_has_no_control_character_and_nothing_else_is_changed(text: str) -> None:
    assert control_in(visible(text)) == ""
    if not control_in(text):
        assert visible(text) == text
    assert control_in({"a": [text, {text: 1}]}) == control_in(text)
