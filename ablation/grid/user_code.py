"""Objects of a user's own modules, ``module:object``, and a hash of the file that each is from."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from ablation.digest import short_digest
from ablation.errors import AblationError, did_you_mean

_imported: dict[str, tuple[Path, str]] = {}  # a module's file, and what was in it then


def load_object(name: str, folder: Path, kind: str) -> tuple[Any, str]:
    """Return an object and a hash of its module's file.

    A module whose file was changed since it was imported is imported anew, as in a notebook, and so is one
    of the same name in another folder.

    Args:
        name: ``module:object``.
        folder: Where the module is looked for first.
        kind: What the object should be, for errors.

    Raises:
        AblationError: There is no such module or object, or the module raises an error.
    """
    module_name, _, attribute = name.partition(":")
    module = _module(module_name, folder)
    found = getattr(module, attribute, None) if attribute else None
    if found is None:
        hint = did_you_mean(attribute, [key for key in vars(module) if not key.startswith("_")])
        raise AblationError(f"'{module_name}' has no {kind} '{attribute}'; expected module:object.{hint}")
    file = getattr(module, "__file__", None)
    return found, _hash(Path(file)) if file else ""


def error_summary(error: BaseException) -> str:
    """Return what an exception says, ``ValueError: not today (my_models.py, line 12)``.

    The place is the last one in a user's own module, where there is any. Where Keras says first in which call
    it was, and what happened below, it is the latter.
    """
    text = re.sub(r"\x1b\[\d+m|\{\{function_node .*?\}\} ", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    while lines[1:] and re.match(
        "Exception encountered when calling|Could not automatically infer", lines[0]
    ):
        lines.pop(0)
    own = {str(file): file.name for file, _ in _imported.values()}
    frames = traceback.extract_tb(error.__traceback__)
    places = [f" ({own[frame.filename]}, line {frame.lineno})" for frame in frames if frame.filename in own]
    kind = "" if isinstance(error, AblationError) else f"{type(error).__name__}: "
    return f"{kind}{lines[0][:300]}".removesuffix(": ") + (places[-1] if places else "")


def _module(name: str, folder: Path) -> ModuleType:
    if sys.path[0] != str(folder):
        sys.path.insert(0, str(folder))
    own = folder.joinpath(*name.split(".")).with_suffix(".py")
    version = (own, _hash(own)) if own.is_file() else None
    if version and _imported.get(name) != version:
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except Exception as error:
        reason, hint = f"{type(error).__name__}: {error}", ""
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            beside = [file.stem for file in folder.glob("*.py")]
            hint = (
                did_you_mean(name, beside)
                if 0 < len(beside) < 10
                else f" It is searched for in {folder} first."
            )
        raise AblationError(f"the module '{name}' cannot be imported ({reason}).{hint}") from None
    if version:
        _imported[name] = version
    return module


def _hash(file: Path) -> str:
    return short_digest(file.read_bytes(), 12)
