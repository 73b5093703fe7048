"""A grid file that is not YAML, or not the YAML that was meant: the line to change, and the likely cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablation import Study
from ablation.errors import GridError

_COLUMN = "keys of one section begin in the same column."
# The text, the number of the line to change, its key where it has one, and what is wrong.
BROKEN = {
    "an outdented key": (
        "study: x\nmodel:\n  family: dense\n dense: [8]\nseeds: 2\n",
        4, "", f"the line is not indented as its section is; {_COLUMN}",
    ),
    "an indented key": (
        "study: x\nmodel:\n  family: dense\n    dense: [8]\n",
        4, "", f"the line is indented further than the line above, which has a value already; {_COLUMN}",
    ),
    "no space after a colon": (
        "study: x\ntraining:\n  epochs: 3\n  batch_size:16\n  optimizer: adam\n",
        4, "", "a space is missing after the colon; write `batch_size: 16`.",
    ),
    "no space after the first colon of a section": (
        "study: x\ntraining:\n\n  batch_size:16  # images\n  # and\n  epochs: 3\n",
        4, "", "a space is missing after the colon; write `batch_size: 16`.",
    ),
    "no space after the only colon of a section": (
        "study: x\ntraining:\n  batch_size:16\n",
        2, "training", "expected a mapping, not batch_size:16. A space is missing after the colon; write `batch_size: 16`.",
    ),
    "no space after a colon in braces": (
        "study: x\ntraining: {epochs: 3, batch_size:16}\n",
        2, "training.batch_size:16", "unknown key 'batch_size:16'. A space is missing after the colon; write `batch_size: 16`.",
    ),
    "a tab": ("study: x\ntraining:\n\tepochs: 3\n", 3, "", "found a tab where YAML does not allow one; indent with spaces."),
    "a decimal comma": (
        "study: x\ntraining:\n  learning_rate: 1,0e-3\n",
        3, "training.learning_rate", "expected a number, not 1,0e-3. Write 1.0e-3, with a decimal point.",
    ),
    "a decimal comma of a plain setting": (
        "study: x\nmodel:\n  dropout: 0,5\n",
        3, "model.dropout", "expected a number, not 0,5. Write 0.5, with a decimal point.",
    ),
    "a decimal comma in braces": (
        "study: x\nmodel: {dropout: 0,5}\n",
        2, "model.5", "unknown key '5'. If it is a part of a number, write a decimal point instead of the comma.",
    ),
    "an open bracket": ("study: x\nfactors:\n  dropout: [0, 0.3\n  width: [1, 2]\n", 3, "", "the closing ']' is missing."),
    "an open brace": ("study: x\ntraining: {epochs: 3\nseeds: 3\n", 2, "", "the closing '}' is missing."),
    "an open brace at the end": ("study: x\ntraining: {epochs: 3\n", 2, "", "the closing '}' is missing."),
    "a brace too many": ("study: x\ntraining: {epochs: 3}}\n", 2, "", "there is a closing '}' that nothing opens."),
    "no comma": ("study: x\ntraining: {epochs: 3 batch_size: 16}\n", 2, "", "a comma is missing, or the closing '}'."),
    "an open quotation": ('study: x\nquestion: "what\nseeds: 3\n', 2, "", "the closing quotation mark is missing."),
    "a colon in a text": (
        "study: x\nquestion: Dropout: does it help?\n", 2, "", "a value that contains a colon needs quotation marks.",
    ),
    "a sign at the beginning": ("study: x\nquestion: @me\n", 2, "", "a value that begins with @ needs quotation marks."),
    "a star at the beginning": ("study: x\nquestion: *me\n", 2, "", "a value that begins with * needs quotation marks."),
    "no space after a dash": (
        "study: x\nfactors:\n  dropout:\n  - 0\n  -0.3\n", 5, "", "a space is missing after the dash; write `- 0.3`.",
    ),
    "an outdented item": (
        "study: x\nfactors:\n  dropout:\n   - 0\n  - 0.3\n",
        5, "", "the line is not indented as its list is; the items of a list begin in the same column.",
    ),
    "two documents": (
        "study: x\n---\nseeds: 2\n", 2, "", "expected one document; remove this line, which ends the first one.",
    ),
    "no colon": ("study: x\nseeds\nmodel: {}\n", 2, "", "the colon is missing; expected `key: value`."),
    "an equals sign": (
        "study: x\nseeds = 3\nmodel: {}\n", 2, "", "expected a colon instead of the equals sign; write `seeds: 3`.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_the_line_to_change_is_shown_with_the_likely_cause(name: str, tmp_path: Path) -> None:
    text, number, key, message = BROKEN[name]
    file = tmp_path / "grid.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(GridError) as error:
        Study.from_yaml(file)
    line = text.splitlines()[number - 1]
    place = f"{file}, line {number}" + (f", {key}" if key else "")
    assert str(error.value) == f"{place}: {message}\n    {number} | {line.strip() if key else line}"


# Examples that are valid themselves


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("compare: {holds_for: images}", "expected a list, like [seeds, images], not images."),
        ("compare: {holds_for: seeds}", "expected a list, like [seeds], not seeds."),
        ("vary: order", "expected a list, like [order], not order."),
        ("vary: test", "expected a list, like [init, order, dropout, augmentation], not test."),
        ("model: {blocks: 32}", "expected a list, like [[32]], not 32."),
        ("model: {blocks: [32]}", "expected a list, like [32], not 32."),
        ("model: {dense: 32}", "expected a list, like [32], not 32."),
        ("training: {metrics: auc}", "expected a list, like [auc], not auc."),
    ],
)
def test_a_list_that_is_suggested_is_accepted(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(f"study: s\n{text}\n", "utf-8")
    with pytest.raises(GridError) as error:
        Study.from_yaml(file)
    assert message in str(error.value)


# Files that a grid names


@pytest.mark.parametrize(
    ("dataset", "key", "message"),
    [
        ("{name: npz, path: data/mine.npz}", "path",
         "there is no 'data/mine.npz', relative to the grid file: FOLDER/data/mine.npz."),
        ("{name: npz, path: imagse.npz}", "path",
         "there is no 'imagse.npz', relative to the grid file: FOLDER/imagse.npz. Did you mean 'images.npz'?"),
        ("{name: folder, path: FOLDER/missing}", "path", "there is no 'FOLDER/missing'."),
        ("{name: cifar10, path: cifar}", "path", "there is no 'cifar', relative to the grid file: FOLDER/cifar."),
        ('{loader: "loadrs:load"}', "loader",
         "the module 'loadrs' cannot be imported (ModuleNotFoundError: No module named 'loadrs'). Did you mean 'loaders'?"),
        ('{loader: "loaders:laod"}', "loader",
         "'loaders' has no loader 'laod'; expected module:object. Did you mean 'load'?"),
    ],
)  # fmt: skip
def test_a_missing_file_is_named_with_its_line_and_what_it_is_relative_to(
    dataset: str, key: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "images.npz").touch()
    (tmp_path / "loaders.py").write_text("def load(): ...\n")
    dataset, message = (text.replace("FOLDER", str(tmp_path)) for text in (dataset, message))
    file = tmp_path / "grid.yaml"
    file.write_text(f"study: s\ndataset: {dataset}\n", "utf-8")
    with pytest.raises(GridError) as error:
        Study.from_yaml(file)
    assert str(error.value) == f"{file}, line 2, dataset.{key}: {message}\n    2 | dataset: {dataset}"


def test_images_from_elsewhere_need_no_path_of_the_grid(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text("study: s\ndataset: {name: npz, path: missing.npz}\n", "utf-8")
    assert Study.from_yaml(file, data_dir=tmp_path).dataset.path == str(tmp_path)
