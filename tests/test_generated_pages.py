"""The reference is what the code says: every key, every option, every docstring."""

from __future__ import annotations

import inspect
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

import ablation
from ablation.grid.settings_group import Settings

DOCS = Path(__file__).parent.parent / "ablation" / "docs"


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS)
    import generate

    return generate


def test_the_pages_are_what_the_code_generates(generate: ModuleType) -> None:
    for name, text in generate.pages().items():
        assert (DOCS / name).read_text("utf-8") == text, f"run `{generate.COMMAND}` and commit {name}"


@pytest.mark.usefixtures("generate")
def test_no_key_is_without_a_meaning() -> None:
    from grid_page import sections

    keys = [(s.path, key, schema) for s in sections() for key, schema in s.keys.items()]
    lacking = [f"{path}.{key}" for path, key, schema in keys if not schema["description"]]
    assert lacking == [], "write the meaning as a string below the field"
    assert ("training.early_stopping", "patience") in {(path, key) for path, key, _ in keys}


@pytest.mark.usefixtures("generate")
def test_each_section_of_the_file_has_an_example() -> None:
    from grid_page import EXAMPLES, sections

    found = list(sections())
    assert [s.path for s in found if s.depth == 0 and s.path not in EXAMPLES] == []
    assert set(EXAMPLES) <= {s.path for s in found}


@pytest.mark.usefixtures("generate")
def test_no_command_and_no_option_is_without_a_meaning() -> None:
    from commands_page import commands, parameters

    for name, function in commands().items():
        assert inspect.getdoc(function), f"ablation {name}"
        assert [p.name for p in parameters(function) if not p.meaning] == [], f"ablation {name}"


class _Inner(Settings):
    kind: Literal["inner"] = "inner"
    rate: Annotated[float, Field(ge=0, lt=1)] = 0.5


class _Other(Settings):
    kind: Literal["other"] = "other"
    names: Annotated[tuple[str, ...], Field(min_length=2)]


class _Outer(Settings):
    """What another key may look like."""

    chosen: Annotated[_Inner | _Other, Field(discriminator="kind")] | None = None
    rate: float | _Inner = 0.1
    several: tuple[_Inner | Literal["none"], ...] = ()
    size: tuple[int, int] | None = None
    level: Annotated[int, Field(gt=0, le=9)] | Literal["all"] = 1
    anything: Any = None


@pytest.mark.usefixtures("generate")
def test_any_type_is_put_into_words() -> None:
    from grid_page import _section, kind

    outer, *inner = _section("outer", _Outer.model_json_schema())
    assert {key: kind(schema) for key, schema in outer.keys.items()} == {
        "chosen": "mapping",
        "rate": "number, or mapping",
        "several": "list of mappings, or `none`",
        "size": "list of 2 whole numbers",
        "level": "whole number above 0 and at most 9, or `all`",
        "anything": "any value",
    }
    assert [section.path for section in inner] == [
        "outer.chosen, kind: inner",
        "outer.chosen, kind: other",
        "outer.rate",
        "outer.several",
    ]
    assert kind(inner[0].keys["rate"]) == "number, at least 0 and below 1"
    assert kind(inner[1].keys["names"]) == "list of at least 2 texts"


def test_all_that_can_be_imported_is_described() -> None:
    for name in ablation.__all__:
        found = getattr(ablation, name)
        members = [found]
        if inspect.isclass(found):
            members += [
                m for key, m in vars(found).items() if not key.startswith("_") and _has_a_docstring(m)
            ]
        assert [m for m in members if not (m.__doc__ or "").strip()] == [], name


def _has_a_docstring(member: object) -> bool:
    return inspect.isroutine(member) or isinstance(member, property | cached_property)
