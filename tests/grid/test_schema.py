"""The JSON Schema of the grid and the product agree on what a grid is.

pytest -m slow tests/grid/test_schema.py  # compares the names that editors offer with the installed Keras
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from processes import ablation
from ruamel.yaml import YAML
from test_documentation import blocks
from test_grid_file import _KEYS as KEYS
from test_grid_file import _VALUES as VALUES
from test_grid_file import EXPERIMENTS, MISTAKES, WRONG

from ablation import Search, Study, grid_schema, write_schema
from ablation.control_characters import control_in
from ablation.errors import AblationError, GridError, RunError
from ablation.grid.component_parser import resolved
from ablation.grid.yaml_positions import read_yaml
from ablation.workflow.scaffold import write_scaffold
from ablation.workflow.schema import SCHEMA, schema_text
from ablation.workflow.taking_apart import write_ablation

DOCS = Path(__file__).parents[2] / "ablation" / "docs"
VALIDATOR = Draft7Validator(grid_schema())
Write = Callable[[str], Path]


@pytest.fixture
def docs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS)


def as_json(file: Path) -> Any:
    """What an editor makes of a grid file: mappings with text for keys."""
    return json.loads(json.dumps(read_yaml(file).data, default=str))


def complaints(file: Path) -> list[str]:
    errors = VALIDATOR.iter_errors(as_json(file))
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in errors]


def read(file: Path) -> None:
    """Read a grid as the product does, as a search if it has one."""
    Study.from_yaml(file)
    if "search" in read_yaml(file).data:
        Search.from_yaml(file)


# --- The file ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("docs")
def test_the_schema_is_what_the_code_generates() -> None:
    import generate
    import grid_schema

    assert schema_text() == grid_schema.schema_text(), f"run `{generate.COMMAND}` and commit {SCHEMA}"


def test_the_schema_is_one_of_draft_07_with_a_name() -> None:
    Draft7Validator.check_schema(grid_schema())
    assert grid_schema()["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert (grid_schema()["$id"], grid_schema()["title"]) == (
        "urn:ablation-harness:grid",
        "Grid file of ablation",
    )
    references = set(re.findall(r'"\$ref": "([^"]*)"', schema_text()))
    assert references <= {f"#/definitions/{name}" for name in grid_schema()["definitions"]}


def test_every_key_says_what_it_means() -> None:
    defined = grid_schema()["definitions"]
    named = {**grid_schema()["properties"], **{k: v for k, v in defined.items() if "." not in k}}
    for section in ("dataset", "compare", "search", "tune"):
        named |= {f"{section}.{k}": v for k, v in named[section]["properties"].items()}
    assert [name for name, schema in named.items() if not schema.get("description")] == []
    assert "``" not in schema_text()


def test_it_is_printed_without_tensorflow() -> None:
    code = "import sys; from ablation.cli.app import app; app(['schema'], standalone_mode=False); " \
           "print(*{'numpy', 'keras', 'tensorflow'} & {*sys.modules}, file=sys.stderr)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr.split()) == (schema_text(), [])


def test_it_replaces_an_earlier_schema_and_nothing_else(tmp_path: Path) -> None:
    earlier, grid = tmp_path / SCHEMA, tmp_path / "grid.yaml"
    earlier.write_text('{"$id": "urn:ablation-harness:grid", "title": "of an earlier version"}', "utf-8")
    assert write_schema(earlier) == write_schema(tmp_path) == earlier
    assert earlier.read_text("utf-8") == schema_text()
    grid.write_text("study: s", "utf-8")
    for taken in (grid, "pyproject.toml"):
        with pytest.raises(RunError) as caught:
            write_schema(taken)
        assert str(caught.value) == (
            f"{taken} already exists and is not the schema of a grid; choose another name."
        )
    assert grid.read_text("utf-8") == "study: s"
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / SCHEMA).write_text('{"title": "of something else"}', "utf-8")
    with pytest.raises(RunError, match="is not the schema of a grid"):
        write_scaffold(tmp_path / "new")
    assert [file.name for file in (tmp_path / "new").iterdir()] == [SCHEMA]


# --- What is valid -------------------------------------------------------------------------------------------


def test_the_ready_grids_are_valid() -> None:
    grids = sorted(EXPERIMENTS.rglob("*.yaml"))
    assert len(grids) > 10
    assert {file.name: complaints(file) for file in grids if complaints(file)} == {}


def test_the_grids_of_the_pages_are_valid(write_grid: Write) -> None:
    shown = blocks("yaml")
    assert len(shown) > 20
    for block in shown:
        named = re.search(r"^study:", block.text, re.MULTILINE)
        file = write_grid(block.text + ("" if named else "\nstudy: example\n"))
        assert complaints(file) == [], block


@pytest.mark.parametrize("kind", ["built-in", "builder", "taken apart"])
def test_what_init_writes_names_a_schema_that_lies_beside_it(kind: str, tmp_path: Path) -> None:
    if kind == "taken apart":
        model = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Flatten(),
                keras.layers.Dropout(0.2),
                keras.layers.Dense(10, "softmax"),
            ]
        )
        model.save(tmp_path / "own.keras")
        written = write_ablation(str(tmp_path / "own.keras"), tmp_path / "new")
    else:
        written = write_scaffold(tmp_path / "new", kind == "builder")
    first, *_ = written[0].read_text("utf-8").splitlines()
    assert first == "# yaml-language-server: $schema=grid.schema.json"
    assert written[-1] == tmp_path / "new" / "grid.schema.json"
    assert written[-1].read_text("utf-8") == schema_text()
    assert complaints(written[0]) == []


# --- What is not valid ---------------------------------------------------------------------------------------

# Grids that `test_grid_file` has the product refuse, and that an editor takes for valid.
ONLY_THE_PRODUCT = {
    "factors.model.dropout: 'dropout' and 'model.dropout' are one setting",
    "variants.a.epochs: 'training.epochs' and 'epochs' are one setting",
    "value 1 of factors.blocks: a dense model has no setting 'blocks'",
    "model.dropout: expected a finite number, not NaN",
    "millions of cells",
    "factor also fixed",
    "a variant named as a combination",
    "a variant that changes nothing",
    "a variant that changes only what is off",
    "unknown baseline",
    "XLA where it has no deterministic gradient",
    "a metric that does not exist",
    "a loss compared without a margin",
    "ablate with one component",
    "ablate with three levels",
}


def test_product_and_schema_refuse_the_same_grids(write_grid: Write) -> None:
    grids = {message: f"study: s\n{lines}\n" for lines, message in MISTAKES}
    grids |= {name: textwrap.dedent(text) for name, (text, _) in WRONG.items()}
    refused, accepted = set(), set()
    for name, text in grids.items():
        try:
            (refused if complaints(write_grid(text)) else accepted).add(name)
        except GridError:  # no YAML, which editors see without a schema
            continue
    assert {name for name in accepted if not name.startswith(tuple(ONLY_THE_PRODUCT))} == set()
    assert len(accepted) == len(ONLY_THE_PRODUCT)
    assert len(refused) > 70


# Further faulty grids, each refused by both.
FAULTY = """
    dataset: {name: npz}
    dataset: {name: own}
    dataset: {name: tfds}
    dataset: {name: huggingface}
    dataset: {name: cifar10, loader: "colorsys:hls_to_rgb"}
    dataset: {name: cifar10, id: x}
    dataset: {name: cifar10, image_size: 32}
    dataset: {name: cifar10, class_names: [a, b]}
    dataset: {name: cifar10, on_error: skip}
    dataset: {loader: module}
    dataset: {name: folder, path: ., class_names: [a]}
    dataset: {label_noise: 1}
    dataset: {split_seed: -1}
    model: {blocks: [[]]}
    model: {blocks: []}
    model: {activation: rleu}
    model: {dropout_after: [con]}
    model: {augmentation: [flipp]}
    model: {augmentation: [{RandomZoom: 0.1}]}
    model: {augmentation: [{RandomZoom: {height_factor: 0.1}, RandomFlip: {}}]}
    model: {file: model.onnx}
    model: {file: model.keras, builder: "my:build"}
    model: {file: model.keras, dropout: 0.2}
    model: {family: dense, dense: []}
    model: {depth: 65}
    training: {loss: {reduction: sum, name2: x}}
    training: {metrics: [auc, auc]}
    training: {metrics: f1_score}
    training: {class_weight: {}}
    training: {class_weight: {cat: -1}}
    training: {class_weight: balance}
    training: {evaluate: first}
    training: {early_stopping: {patience: 0}}
    training: {learning_rate: 0}
    training: {batch_size: 0}
    training: {train_size: 0}
    factors: {optimizer: [adam, adamm]}
    factors: {width: {narrow: 0.5}}
    factors: {model.epochs: [1, 2]}
    factors: {builder: [a, b]}
    variants: {"": {width: 2}}
    variants: {wide: 2}
    variants: {wide: {training.width: 2}}
    ablate: {remove: [Dropout]}
    ablate: {how: all}
    compare: {margin: 0}
    compare: {margin: 2 points}
    compare: {alpha: 0.5}
    compare: {holds_for: [images]}
    compare: {metric: accuracy}
    gpus: 1.5
    seeds: 0
    threads: 0
    design: half
    engine: torch
    tune: {trials: 3}
    tune: {space: {dropout: {range: [0, 0.3], choice: [0, 0.1]}}}
    tune: {space: {dropout: {choice: [0, 0.1], log: true}}}
    tune: {space: {dropout: {range: [0, 0.1, 0.2]}}}
    tune: {space: {dropout: {range: [0, 0.3], step: 0}}}
    tune: {space: {dropout: 0.1}}
    tune: {space: {dropout: [0.1, 1.5]}}
    tune: {space: {dropout: [0.1, 0.2]}, tuner: hyperband}
    tune: {space: {dropout: [0.1, 0.2]}, budgets: 3}
    search: {}
    search: {space: {}}
    search: {space: {width: [1, 2]}, hypermodel: "my:Model"}
    search: {space: {wdith: [1, 2]}}
    search: {space: {family: [cnn, dense]}}
    search: {space: {width: [1, 2]}, confirm: {seeds: 1}}
    search: {space: {width: [1, 2]}, seeds: []}
    search: {space: {width: [1, 2]}, tuner: bayesan}
    search: {hypermodel: models}
""".strip().splitlines()


@pytest.mark.parametrize("line", [line.strip() for line in FAULTY])
def test_product_and_schema_refuse_this(line: str, write_grid: Write) -> None:
    file = write_grid(f"study: s\n{line}\n")
    with pytest.raises(GridError):
        read(file)
    assert complaints(file)


def only_the_product() -> list[str]:
    """The grids of the page that only the product refuses."""
    page = (DOCS / "editor.md").read_text("utf-8")
    return re.findall(r"^\| [^|`]+ \| `([^`]+)` \| [^|]+ \|$", page, re.MULTILINE)


@pytest.mark.parametrize("line", only_the_product())
def test_only_the_product_refuses_this(line: str, write_grid: Write) -> None:
    file = write_grid(f"{{study: s, {line}}}")
    with pytest.raises(GridError):
        read(file)
    assert complaints(file) == []


def test_a_capital_letter_is_up_to_keras_and_your_code_to_you(write_grid: Write) -> None:
    for name in ("adam", "Adam", "AdamW", "adam_w", "random:Random", "ClassOfALaterKeras"):
        assert complaints(write_grid(f"{{study: s, training: {{optimizer: {name}}}}}")) == [], name
        assert complaints(write_grid(f"{{study: s, training: {{optimizer: {{{name}: {{}}}}}}}}")) == [], name
    for name in ("adamm", "my.py:build", "a path/with:slash", "''", "3"):
        assert complaints(write_grid(f"{{study: s, training: {{optimizer: {name}}}}}")) != [], name


# --- Whatever the grid ---------------------------------------------------------------------------------------

_NUMBERS = st.integers(1, 100)
_SHARES = st.floats(0.01, 0.9)
_UNITS = st.lists(st.integers(1, 512), min_size=1, max_size=3)
_STAGES = st.lists(st.sampled_from(["conv", "flatten", "dense"]), max_size=3)
SETTINGS = {
    "width": st.floats(0.1, 64) | st.integers(1, 64),
    "depth": st.integers(1, 64),
    "activation": st.sampled_from(["relu", "gelu", "tanh"]),
    "dropout": _SHARES,
    "dropout_after": _STAGES,
    "batch_norm": st.booleans(),
    "batch_norm_momentum": _SHARES,
    "order": st.sampled_from(["dropout_first", "batch_norm_first"]),
    "augmentation": st.lists(st.sampled_from(["flip", "shift", "rotate"]), unique=True),
    "blocks": st.lists(_UNITS, min_size=1, max_size=3),
    "dense": _UNITS,
    "epochs": _NUMBERS,
    "train_size": st.none() | _NUMBERS,
    "label_noise": _SHARES,
    "batch_size": _NUMBERS,
    "optimizer": st.sampled_from(["adam", "sgd", "lion"]),
    "learning_rate": st.floats(1e-6, 10),
    "loss": st.sampled_from(["categorical_crossentropy", "mean_squared_error"]),
    "class_weight": st.none() | st.just("balanced") | st.dictionaries(st.text(max_size=3).filter(lambda name: name.isprintable()), _SHARES | _NUMBERS, min_size=1, max_size=3),
    "metrics": st.lists(st.sampled_from(["auc", "recall", "top_k_categorical_accuracy"]), unique=True),
    "early_stopping": st.none() | st.fixed_dictionaries({}, optional={"patience": _NUMBERS, "min_delta": _SHARES}),
    "evaluate": st.sampled_from(["last", "best"]),
    "precision": st.sampled_from(["float32", "mixed_bfloat16"]),
}  # fmt: skip
TRAINING = [*SETTINGS][[*SETTINGS].index("epochs") :]


def _some(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: SETTINGS[name] for name in names})


@st.composite
def grids(draw: st.DrawFn) -> dict[str, Any]:
    """Grids that are valid but for variants that may happen to be equal."""
    varied = draw(st.lists(st.sampled_from([*SETTINGS]), unique=True, max_size=2))
    others = [name for name in SETTINGS if name not in varied]
    grid: dict[str, Any] = {"study": draw(st.text("abc -", min_size=1).filter(str.strip))}
    grid["model"] = draw(_some([name for name in others if name not in TRAINING]))
    grid["training"] = draw(_some([name for name in others if name in TRAINING]))
    spelling = {
        name: draw(st.sampled_from([name, f"{'training' if name in TRAINING else 'model'}.{name}"]))
        for name in varied
    }
    levels = {n: st.lists(SETTINGS[n], min_size=2, max_size=3, unique_by=json.dumps) for n in varied}
    grid["factors"] = {spelling[name]: draw(levels[name]) for name in varied}
    grid["variants"] = draw(
        st.dictionaries(st.text("xyz", min_size=1), _some(others).filter(bool), max_size=2)
    )
    further = {
        "seeds": _NUMBERS | st.lists(_NUMBERS, unique=True, min_size=1),
        "threads": _NUMBERS,
        "timeout": st.none() | st.floats(1, 9),
        "gpus": st.floats(0, 1) | _NUMBERS,
        "save_models": st.sampled_from([True, False, "raw"]),
        "engine": st.sampled_from([None, "jax"]),
        "question": st.text(max_size=9).filter(lambda text: not control_in(text)),
        "vary": st.lists(st.sampled_from(["init", "order", "split"]), min_size=1, unique=True),
        "dataset": st.fixed_dictionaries({}, optional={"validation_size": _NUMBERS | _SHARES, "test_size": _NUMBERS, "normalise": st.just("standard")}),
        "compare": st.fixed_dictionaries({}, optional={"margin": st.sampled_from(["1pp", "0.5 pp", 0.01]), "alpha": st.floats(0.001, 0.4), "looks": st.just("any")}),
    }  # fmt: skip
    return grid | draw(st.fixed_dictionaries({}, optional=further))


def _write(values: object, folder: Path) -> Path:
    file = folder / "drawn.yaml"
    with file.open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(values, stream)
    return file


@settings(suppress_health_check=[*HealthCheck], max_examples=30, deadline=None)
@given(values=grids())
def test_a_valid_grid_is_valid_for_both(values: dict[str, Any], tmp_path: Path) -> None:
    file = _write(values, tmp_path)
    assert complaints(file) == []
    try:
        read(file)
    except GridError as error:
        assert "duplicate" in str(error), error  # as values that are written differently can be


@settings(suppress_health_check=[*HealthCheck], max_examples=60, deadline=None)
@given(values=grids(), wrong=st.dictionaries(KEYS, VALUES, min_size=1, max_size=2), section=st.sampled_from(["", "model", "training", "factors", "variants", "dataset"]))  # fmt: skip
def test_the_schema_refuses_nothing_that_the_product_accepts(
    values: dict[str, Any], wrong: dict[str, Any], section: str, tmp_path: Path
) -> None:
    changed = values | ({section: values.get(section, {}) | wrong} if section else wrong)
    file = _write(changed, tmp_path)
    try:
        read(file)
    except AblationError:
        return
    assert complaints(file) == []


@pytest.mark.slow
@pytest.mark.usefixtures("docs")
def test_the_names_that_are_offered_are_those_of_keras() -> None:
    """Those that it can create, or could if it had arguments."""
    from keras_classes import CLASSES, KERAS, SHORT_NAMES

    from ablation.grid.keras_names import KINDS, _classes

    assert keras.__version__.startswith(KERAS), "renew the lists in keras_classes.py"
    for kind, names in CLASSES.items():
        assert {*names} == {name for name in _classes(KINDS[kind]) if _usable(kind, name)}
        assert [name for name in SHORT_NAMES.get(kind, []) if not _usable(kind, name)] == []


def _usable(kind: str, name: str) -> bool:
    try:
        resolved(kind, name, Path())
    except AblationError as error:
        return "missing" in str(error)
    return True


def test_the_command_writes_and_prints(tmp_path: Path) -> None:
    done = ablation("schema", str(tmp_path / "s.json"))
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 's.json'}\n")
    assert (tmp_path / "s.json").read_text("utf-8") == schema_text()
