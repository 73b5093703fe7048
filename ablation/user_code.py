"""Objects of a user's own modules, ``module:object``, and a hash of the file that each is from."""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ablation.errors import AblationError, did_you_mean

_sources: dict[str, str] = {}  # of the modules that were imported here, as they were then


def load_object(name: str, folder: Path, kind: str) -> tuple[Any, str]:
    """Return an object and a hash of its module's file.

    A module whose file was changed since it was imported is imported anew, as in a notebook.

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
        raise AblationError(f"'{module_name}' has no {kind} '{attribute}'; give module:object.{hint}")
    return found, _hash(module)


def _module(name: str, folder: Path) -> ModuleType:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    loaded = sys.modules.get(name)
    own = folder.joinpath(*name.split(".")).with_suffix(".py")
    if loaded and own.is_file():
        elsewhere = Path(getattr(loaded, "__file__", None) or "").resolve() != own.resolve()
        if elsewhere or _sources.get(name, _hash(loaded)) != _hash(loaded):
            del sys.modules[name]
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise AblationError(f"the module '{name}' cannot be imported ({reason}).") from None
    _sources.setdefault(name, _hash(module))
    if loaded is not module:
        _sources[name] = _hash(module)
    return module


def _hash(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    return hashlib.sha256(Path(file).read_bytes() if file else b"").hexdigest()[:12]
