"""A folder of its own for the files that the callbacks of a trial write."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation.grid.keras_names import make
from ablation.grid.settings import Component

if TYPE_CHECKING:
    import keras

FOLDER = "callbacks"


def callback_in(folder: Path, component: Component) -> keras.callbacks.Callback:
    """Return a callback whose relative paths are in the subfolder ``callbacks`` of its trial's folder.

    It is created there, too. Trials that run at the same time would otherwise write the same files.

    Args:
        folder: The trial's folder.
        component: The callback.
    """
    own_folder = folder.absolute() / FOLDER
    own_folder.mkdir(exist_ok=True)
    with contextlib.chdir(own_folder):
        callback: Any = make("callbacks", component)
    for name in dir(callback):
        if name.startswith("on_"):
            setattr(callback, name, _called_in(own_folder, getattr(callback, name)))
    return callback


def _called_in(folder: Path, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def in_folder(*values: Any, **named: Any) -> Any:
        with contextlib.chdir(folder):
            return method(*values, **named)

    return in_folder
