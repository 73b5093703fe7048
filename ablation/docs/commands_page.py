"""The page of the commands: each with its arguments and options, as the Typer app declares them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from markup import code, prose, table
from typer.models import ArgumentInfo, OptionInfo

from ablation.cli.app import app

INTRODUCTION = """
`RUN` is a run's folder, by default the newest in `experiments/runs/`. Exit codes: 0, all is well; 1, a
trial is not completed, a variant cannot be built, trials are not paired, a number differs, a hand-in is
set aside, or a branch does not pass the merge gate; 2, bad usage or grid, nothing was started; 130,
interrupted.
"""
_KINDS: dict[Any, str] = {Path: "path", int: "whole number", float: "number", str: "text", bool: "switch"}


@dataclass(frozen=True)
class Parameter:
    """An argument or an option of a command.

    Attributes:
        name: As it is typed.
        kind: What it can be, in words.
        default: What holds without it, in words.
        meaning: Its help.
    """

    name: str
    kind: str
    default: str
    meaning: str


def commands() -> dict[str, Callable[..., Any]]:
    """Return the functions behind the commands, by name."""
    found = _named(app, "")
    for group in app.registered_groups:
        if group.typer_instance and group.name:
            found |= _named(group.typer_instance, f"{group.name} ")
    return found


def _named(commands: typer.Typer, prefix: str) -> dict[str, Callable[..., Any]]:
    functions = [info.callback for info in commands.registered_commands if info.callback]
    return {prefix + function.__name__.replace("_", "-"): function for function in functions}


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """Return a command's arguments, and then its options."""
    declared = [_parameter(p) for p in inspect.signature(function, eval_str=True).parameters.values()]
    return sorted(declared, key=lambda parameter: parameter.name.startswith("-"))


def commands_page() -> str:
    """Return the page as Markdown."""
    parts = ["# The commands", prose(INTRODUCTION)]
    for name, function in commands().items():
        parts += [f"## `ablation {name}`", prose(inspect.getdoc(function) or "")]
        rows = [(code(p.name), p.kind, p.default, p.meaning) for p in parameters(function)]
        parts.append(table(("argument or option", "what it can be", "default", "meaning"), rows))
    return "\n\n".join(parts) + "\n"


def _parameter(declared: inspect.Parameter) -> Parameter:
    annotation, infos = declared.annotation, list[Any]()
    if get_origin(annotation) is Annotated:
        annotation, *infos = get_args(annotation)
    info = next((i for i in infos if isinstance(i, ArgumentInfo | OptionInfo)), OptionInfo())
    metavar = (info.metavar or "").strip("[]")
    if isinstance(info, ArgumentInfo):
        name = metavar or declared.name.upper()
    else:
        names = [name.split("/")[0] for name in info.param_decls or ()]
        name = ", ".join(names) or f"--{declared.name.replace('_', '-')}"
        name += f" {metavar}" if metavar else ""
    matched = re.fullmatch(
        r"(.*?)(?: \[(.*)\])?\.?", info.help or ""
    )  # the help says what an unset option means
    assert matched
    default = _default(declared.default) if matched[2] is None else matched[2]
    return Parameter(name, _kind(annotation, info), default, f"{matched[1]}." if matched[1] else "")


def _kind(annotation: Any, info: ArgumentInfo | OptionInfo) -> str:
    if get_origin(annotation) is list:
        return f"{_kind(get_args(annotation)[0], info)}, repeatable"
    if type(None) in get_args(annotation):
        return _kind(get_args(annotation)[0], info)
    words = _KINDS.get(annotation, str(annotation))
    return words + (f", at least {info.min}" if info.min is not None else "")


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    return {None: "–", False: "off", True: "on"}[value] if value in (None, False, True) else code(str(value))
