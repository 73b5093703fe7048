"""Read images that a function returns: a user's own, or that of a plug-in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.arrays import CLASS_NAMES, RawImages, raw_images
from ablation.errors import AblationError, DatasetError
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.user_code import error_summary, load_object
from ablation.plugins import Plugin

_EXPECTED = (
    "expected (x, y), or ((x_train, y_train), (x_test, y_test)) with (x_val, y_val) between them if there is "
    "a validation set, or a dictionary with these keys and, optionally, class_names"
)


def read_loader(settings: DatasetSettings) -> RawImages:
    """Call the custom loader.

    Raises:
        DatasetError: The loader does not exist, raises an error, or returns no images with labels.
    """
    name = str(settings.loader)
    try:
        function, _ = load_object(name, Path(settings.path or "."), "loader")
    except AblationError as error:
        raise DatasetError(str(error), "dataset.loader", name) from None
    if not callable(function):
        raise DatasetError(f"{name} is not a function.", "dataset.loader", name)
    arrays = _returned(function, name, ("dataset.loader", name))
    return raw_images(arrays, name, name, settings.class_names or ())


def read_plugin(settings: DatasetSettings, plugin: Plugin) -> RawImages:
    """Call the reader of a plug-in with the settings of the dataset.

    Raises:
        AblationError: The plug-in cannot be loaded.
        DatasetError: The reader raises an error, or returns no images with labels.
    """
    function = plugin.load()
    place = ("dataset.name", settings.name)
    arrays = _returned(lambda: function(settings), str(plugin), place)
    origin = f"{settings.name} (read by {plugin.package} {plugin.version})"
    return raw_images(arrays, origin, plugin, settings.class_names or ())


def _returned(function: Callable[[], Any], name: str, place: tuple[str, str]) -> Mapping[str, Any]:
    """Call a function that returns images, and return what it returned as arrays by name.

    Args:
        function: The function.
        name: What it is called in errors.
        place: The setting that names it, and its value.

    Raises:
        DatasetError: It raises an error, or returns no arrays.
    """
    try:
        with chdir(os.curdir):
            returned = function()
    except DatasetError:
        raise
    except (Exception, SystemExit) as error:
        raise DatasetError(f"{name} raised {error_summary(error)}", *place) from error
    return _arrays_by_name(returned, name, place)


def _arrays_by_name(returned: Any, name: str, place: tuple[str, str]) -> Mapping[str, Any]:
    """Convert the return value of a loader to arrays by name."""
    if isinstance(returned, Mapping):
        return {
            str(k): v if k in CLASS_NAMES else _array(v, str(k), name, place) for k, v in returned.items()
        }
    match returned:
        case ((x_train, y_train), (x_test, y_test)):
            parts = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
        case ((x_train, y_train), (x_val, y_val), (x_test, y_test)):
            parts = {"x_train": x_train, "y_train": y_train, "x_val": x_val, "y_val": y_val}
            parts |= {"x_test": x_test, "y_test": y_test}
        case (x, y):
            parts = {"x": x, "y": y}
        case _:
            size = f" with {len(returned)} items" if isinstance(returned, tuple) else ""
            kind = type(returned).__name__
            raise DatasetError(f"{name} returned a value of type {kind}{size}; {_EXPECTED}.", *place)
    return {key: _array(value, key, name, place) for key, value in parts.items()}


def _array(value: Any, key: str, name: str, place: tuple[str, str]) -> NDArray[Any]:
    """Convert images or labels to an array.

    Raises:
        DatasetError: They are not of one shape, or not arrays at all.
    """
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise DatasetError(
            f"{name} returned no array as {key}: {str(error).rstrip('.')}. If images differ in size, resize "
            "them to one size.",
            *place,
        ) from None
