"""Load objects from custom modules, ``module:object``, with a hash of the file that each comes from."""

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

_imported: dict[str, tuple[Path, str]] = {}  # the file of each module, and its hash at import


def load_object(name: str, folder: Path, kind: str) -> tuple[Any, str]:
    """Return an object and a hash of its module's file.

    A module is imported again if its file has changed since the last import, as happens in a notebook, or if
    the last import was of a module of the same name in another folder.

    Args:
        name: The name of the object, ``module:object``.
        folder: The folder in which the module is looked for first.
        kind: The kind of object that is expected, for errors.

    Raises:
        AblationError: The module or the object does not exist, or the module raises an error.
    """
    module_name, _, attribute = name.partition(":")
    module = _module(module_name, folder)
    loaded = getattr(module, attribute, None) if attribute else None
    if loaded is None:
        hint = did_you_mean(attribute, [key for key in vars(module) if not key.startswith("_")])
        raise AblationError(f"'{module_name}' has no {kind} '{attribute}'; expected module:object.{hint}")
    file = getattr(module, "__file__", None)
    return loaded, _hash(Path(file)) if file else ""


def error_summary(error: BaseException) -> str:
    """Return an exception as one line, like ``ValueError: not today (my_models.py, line 12)``.

    The place is the last one in a custom module, if there is any. If Keras first names the call and then the
    reason, only the reason is returned.
    """
    text = re.sub(r"\x1b\[\d+m|\{\{function_node .*?\}\} ", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    while lines[1:] and re.match(
        "Exception encountered when calling|Could not automatically infer", lines[0]
    ):
        lines.pop(0)
    custom_files = {str(file): file.name for file, _ in _imported.values()}
    frames = traceback.extract_tb(error.__traceback__)
    places = [
        f" ({custom_files[frame.filename]}, line {frame.lineno})"
        for frame in frames
        if frame.filename in custom_files
    ]
    kind = "" if isinstance(error, AblationError) else f"{type(error).__name__}: "
    return f"{kind}{lines[0][:300]}".removesuffix(": ") + (places[-1] if places else "")


def _module(name: str, folder: Path) -> ModuleType:
    if sys.path[0] != str(folder):
        sys.path.insert(0, str(folder))
    file = folder.joinpath(*name.split(".")).with_suffix(".py")
    version = (file, _hash(file)) if file.is_file() else None
    if version and _imported.get(name) != version:
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except Exception as error:
        reason, hint = f"{type(error).__name__}: {error}", ""
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            beside = [path.stem for path in folder.glob("*.py")]
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
