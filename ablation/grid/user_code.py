"""Load objects from custom modules, ``module:object``, with a hash of the files that each comes from."""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType
from typing import Any

from ablation.errors import AblationError, did_you_mean
from ablation.grid.user_files import Module, file_digest, files_read, is_users, user_modules

_imported: dict[str, Module] = {}  # the user's modules, as they were when they were imported
_read_at_import: dict[Path, set[Path]] = {}  # by folder, what was read while its modules were imported


def load_object(name: str, folder: Path, kind: str) -> tuple[Any, str]:
    """Return an object and a hash of its module's file and of the user's modules that this one imports.

    A module is imported again if one of these files has changed since the last import, as happens in a
    notebook, or if the last import was of a module of the same name in another folder.

    Args:
        name: The name of the object, ``module:object``.
        folder: The folder in which the module is looked for first.
        kind: The kind of object that is expected, for errors.

    Raises:
        AblationError: The module or the object does not exist, or the module raises an error, or the name
            contains a path.
    """
    refuse_path(name)
    module_name, _, attribute = name.partition(":")
    module = _module(module_name, folder)
    loaded = getattr(module, attribute, None) if attribute else None
    if loaded is None:
        hint = did_you_mean(attribute, [key for key in vars(module) if not key.startswith("_")])
        raise AblationError(f"'{module_name}' has no {kind} '{attribute}'; expected module:object.{hint}")
    if module_name in _imported:
        return loaded, _imported[module_name].source
    file = getattr(module, "__file__", None)
    return loaded, file_digest(Path(file)) if file else ""


def load_module(name: str, folder: Path) -> ModuleType:
    """Return a custom module, which is imported again if one of its files has changed.

    Raises:
        AblationError: The module does not exist, or raises an error.
    """
    refuse_path(f"{name}:")
    return _module(name, folder)


def module_source(name: str, folder: Path) -> str:
    """Return a hash of a custom module's file and of the user's modules that it imports.

    Raises:
        AblationError: There is no such module.
    """
    modules = user_modules(name, folder)
    if name not in modules:
        raise AblationError(
            f"there is no module '{name}' beside the grid file."
            f"{did_you_mean(name, [path.stem for path in folder.glob('*.py')])}"
        )
    return modules[name].source


@contextmanager
def modules_of(folder: Path) -> Iterator[None]:
    """Forget, after the block, the custom modules that it imported from a folder.

    Another version of the same code, in another folder, is then used as if this one did not exist: a module
    that is missing there is not found here.

    Args:
        folder: The absolute path of the folder.
    """
    was_searched = str(folder) in sys.path
    try:
        yield
    finally:
        if not was_searched:
            sys.path[:] = [place for place in sys.path if place != str(folder)]
        for name, module in list(sys.modules.items()):
            file = Path(getattr(module, "__file__", None) or "/")
            if file.is_relative_to(folder) and is_users(file):
                del sys.modules[name]
                _imported.pop(name, None)


def refuse_path(name: str) -> None:
    """Refuse ``./folder/file.py:object``, and name the module instead.

    Raises:
        AblationError: The part before the colon is the path of a file.
    """
    path, _, attribute = name.rpartition(":")
    if not path.endswith(".py") and not {"/", "\\"} & set(path):
        return
    parts = [part for part in path.replace("\\", "/").removesuffix(".py").split("/") if part not in ("", ".")]
    place = "" if len(parts) == 1 else ", seen from the folder of the grid file"
    if path.startswith("/") or not all(part.isidentifier() for part in parts):
        parts = parts[-1:]
        place = ", and put its file into the folder of the grid file"
    raise AblationError(
        f"'{name}' contains the path of a file. Name the module as Python imports it, "
        f"'{'.'.join(parts)}:{attribute}'{place}."
    )


def _text(error: BaseException) -> str:
    """Return what an exception says."""
    try:
        return str(error)
    except Exception as another:  # the class of the exception is a user's, too
        return f"its text cannot be shown, because of {type(another).__name__}"


def error_summary(error: BaseException) -> str:
    """Return an exception as one line, like ``ValueError: not today (my_models.py, line 12)``.

    The place is the last one in a custom module, if there is any. If Keras first names the call and then the
    reason, only the reason is returned.
    """
    text = re.sub(r"\x1b\[\d+m|\{\{function_node .*?\}\} ", "", _text(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    while lines[1:] and re.match(
        "Exception encountered when calling|Could not automatically infer", lines[0]
    ):
        lines.pop(0)
    custom_files = {str(file): file.name for file in (module.file for module in _imported.values())}
    frames = traceback.extract_tb(error.__traceback__)
    places = [
        f" ({custom_files[frame.filename]}, line {frame.lineno})"
        for frame in frames
        if frame.filename in custom_files
    ]
    kind = "" if isinstance(error, AblationError) else f"{type(error).__name__}: "
    return f"{kind}{lines[0][:300]}".removesuffix(": ") + (places[-1] if places else "")


@contextmanager
def code_files_read(folder: Path | None) -> Iterator[set[Path]]:
    """Collect the files that the code of a folder reads within the block.

    What its modules read while they were imported counts, too. So do modules that earlier blocks imported by
    a computed name: a process imports them once, so that later blocks do not read them.

    Args:
        folder: The folder; without one, nothing is collected.
    """
    if folder is None:
        yield set()
        return
    with files_read() as read:
        yield read
    at_import = _read_at_import.setdefault(folder, set())
    at_import |= {file for file in read if file.suffix == ".py"}
    read |= at_import


def _module(name: str, folder: Path) -> ModuleType:
    _refuse_standard_library(name)
    if sys.path[0] != str(folder):
        sys.path.insert(0, str(folder))
    for module, version in user_modules(name, folder).items():
        if _imported.get(module) != version and (module == name or _is_of_user(module)):
            sys.modules.pop(module, None)
            _forget_bytecode(version.file)
    importlib.invalidate_caches()
    try:
        with chdir(os.curdir), files_read() as read:
            loaded = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        reason, hint = f"{type(error).__name__}: {error}", ""
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            beside = [path.stem for path in folder.glob("*.py")]
            hint = (
                did_you_mean(name, beside)
                if 0 < len(beside) < 10
                else f" It is searched for in {folder} first."
            )
        raise AblationError(f"the module '{name}' cannot be imported ({reason}).{hint}") from None
    _imported.update(user_modules(name, folder))  # importing it may have changed the path
    _read_at_import.setdefault(folder, set()).update(read)
    return loaded


def _refuse_standard_library(name: str) -> None:
    """Refuse a module of Python's own, which builds no model and could do anything else."""
    if name.partition(".")[0] in sys.stdlib_module_names:
        raise AblationError(
            f"'{name}' is a module of Python's standard library. If it is a file of yours, give the file "
            "another name, because Python finds its own module first."
        )


def _forget_bytecode(file: Path) -> None:
    """Remove a module's bytecode, which Python takes for that of a file of the same second and size."""
    with suppress(OSError, NotImplementedError):
        Path(cache_from_source(str(file))).unlink(missing_ok=True)


def _is_of_user(module: str) -> bool:
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and is_users(Path(file))
