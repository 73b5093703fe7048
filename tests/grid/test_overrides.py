"""Settings beside a grid file are read, checked and reported like those in it."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY_GRID
from hypothesis import given, settings
from hypothesis import strategies as st

from ablation import Search, Study
from ablation.errors import GridError
from ablation.grid.grid_file import read_study
from ablation.grid.overrides import overridden, overrides_of, parse_overrides
from ablation.grid.study_diff import study_changes, study_digest


@pytest.fixture
def tiny_grid(write_grid: Callable[[str], Path]) -> Path:
    return write_grid(TINY_GRID)


def with_settings(grid: Path, *texts: str) -> Study:
    return Study.of(read_study(grid, overrides=parse_overrides(texts)))


def test_settings_make_the_study_of_an_edited_file(
    tiny_grid: Path, write_grid: Callable[[str], Path]
) -> None:
    given = with_settings(
        tiny_grid, "training.epochs=5", "factors.dropout=[0, 0.5]", "seeds=3", "compare.margin=0.02"
    )
    edited = (
        TINY_GRID.replace("epochs: 2", "epochs: 5")
        .replace("[0, 0.3]", "[0, 0.5]")
        .replace("seeds: 2", "seeds: 3")
    )
    study = Study.from_yaml(write_grid(f"{edited}    compare: {{margin: 0.02}}\n"))
    assert given == study
    assert study_digest(given) == study_digest(study)


def test_python_gives_settings_as_a_mapping(tiny_grid: Path) -> None:
    study = Study.from_yaml(tiny_grid, settings={"training.learning_rate": 1e-2, "factors.dropout": (0, 0.5)})
    assert study == with_settings(tiny_grid, "training.learning_rate=1e-2", "factors.dropout=[0, 0.5]")
    with pytest.raises(GridError) as error:
        Study.from_yaml(tiny_grid, settings={"training.epoch": 5})
    assert str(error.value) == "settings['training.epoch']: unknown key 'epoch'. Did you mean 'epochs'?"


def test_keys_with_dots_and_new_variants_are_found(write_grid: Callable[[str], Path]) -> None:
    grid = write_grid(
        "study: s\nfactors: {model.dropout: [0, 0.3]}\nvariants: {lr 0.1: {learning_rate: 0.1}}\n"
    )
    study = with_settings(
        grid,
        "factors.model.dropout=[0, 0.5]",
        "variants.lr 0.1.learning_rate=0.2",
        "variants.wide.model.width=2",
    )
    assert study.factors == {"dropout": ("0", "0.5")}
    assert [variant.name for variant in study.variants] == ["plain", "+Dropout", "lr 0.1", "wide"]
    assert study.variants[2].training.learning_rate == 0.2
    assert study.variants[3].settings["width"] == 2


def test_the_last_of_two_values_counts(tiny_grid: Path) -> None:
    assert with_settings(tiny_grid, "seeds=3", "seeds=4").seeds == (0, 1, 2, 3)


def test_a_search_has_settings_too(write_grid: Callable[[str], Path]) -> None:
    grid = write_grid("study: s\nsearch: {space: {dropout: [0, 0.5]}, trials: 3}\n")
    assert Search.from_yaml(grid, {"search.trials": 7}).settings.trials == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.epoch=5", "-s training.epoch=5: unknown key 'epoch'. Did you mean 'epochs'?"),
        ("training.learning_rate=.nan", "-s training.learning_rate=.nan: expected a finite number, not NaN."),
        ("factors.learning_rate={a: 1, b: null}", "-s factors.learning_rate={a: 1, b: null}, factors.learning_rate.b: expected a number, not null."),
        ("trainin.epochs=5", "-s trainin.epochs=5: unknown key 'trainin'. Did you mean 'training'?"),
        ("epochs=5", "-s epochs=5: unknown key 'epochs'. It belongs under `training:`."),
        ("training.epochs=many", "-s training.epochs=many: expected a whole number, not many."),
        ("factors.drpout=[0, 1]", "-s factors.drpout=[0, 1]: unknown setting 'drpout'. Did you mean 'dropout'?"),
        ("factors.dropout=[0, 0]", "-s factors.dropout=[0, 0], value 2 of factors.dropout: duplicate level 0."),
        ("training={epoch: 5}", "-s training={epoch: 5}, training.epoch: unknown key 'epoch'. Did you mean 'epochs'?"),
        ("seeds", "-s seeds: expected KEY=VALUE, like -s training.epochs=5."),
        ("=5", "-s =5: expected KEY=VALUE, like -s training.epochs=5."),
        ("seeds.first=3", "-s seeds.first=3: `seeds` is 2 and has no keys; set it as a whole."),
        ("model.blocks.0=[8]", "-s model.blocks.0=[8]: `model.blocks` is a list and has no keys; set it as a whole."),
        ("question=Why: this: that", "-s question=Why: this: that: the value is not valid YAML: a value that contains a colon needs quotation marks."),
        ("model.dense=[8", "-s model.dense=[8: the value is not valid YAML: the closing ']' is missing."),
        ("seeds=*x", "-s seeds=*x: a value that begins with * needs quotation marks."),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_where_it_was_made(text: str, message: str, tiny_grid: Path) -> None:
    with pytest.raises(GridError) as error:
        with_settings(tiny_grid, text)
    assert str(error.value) == message


def test_a_mistake_in_the_file_is_still_reported_in_the_file(write_grid: Callable[[str], Path]) -> None:
    grid = write_grid("study: s\ntraining: {epoch: 5}\n")
    with pytest.raises(GridError) as error:
        with_settings(grid, "training.batch_size=8")
    assert str(error.value).startswith(f"{grid}, line 2, training.epoch: unknown key 'epoch'.")


def test_a_study_with_other_settings_is_an_edited_one(tiny_grid: Path) -> None:
    changes = study_changes(Study.from_yaml(tiny_grid), with_settings(tiny_grid, "compare.alpha=0.01"))
    assert changes == ["compare.alpha: 0.05 → 0.01"]


KEYS = st.text(st.characters(codec="utf-8", exclude_characters="."), min_size=1, max_size=5)
VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())
MAPPINGS = st.recursive(VALUES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)


@settings(max_examples=50, deadline=None)
@given(
    data=st.dictionaries(KEYS, MAPPINGS, max_size=3),
    keys=st.lists(KEYS, min_size=1, max_size=3),
    value=VALUES,
)
def test_a_setting_is_put_in_its_place_and_nothing_else_changes(
    data: dict[str, Any], keys: list[str], value: Any
) -> None:
    before = repr(data)
    try:
        changed, (placed,) = overridden(data, overrides_of({".".join(keys): value}))
    except GridError:
        return  # it leads through a value that has no keys
    assert repr(data) == before
    expected = copy.deepcopy(data)
    inner: Any = expected
    for key in placed.path[:-1]:
        inner[key] = inner.get(key) or {}
        inner = inner[key]
    inner[placed.path[-1]] = value
    assert changed == expected


def test_a_misspelt_file_is_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text(textwrap.dedent(TINY_GRID))
    for wrong in ("digit.yaml", "digits", "digits.yml", "didgits.yaml"):
        with pytest.raises(GridError) as error:
            read_study(tmp_path / wrong)
        assert str(error.value) == (
            f"{tmp_path / wrong}: the file cannot be read: no such file or directory. "
            f"Did you mean '{tmp_path / 'digits.yaml'}'?"
        )
