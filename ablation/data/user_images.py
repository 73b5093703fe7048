"""Read images that a user's own function returns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.arrays import CLASS_NAMES, RawImages, raw_images
from ablation.errors import AblationError, DatasetError
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.user_code import error_summary, load_object

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
    try:
        returned = function()
    except (Exception, SystemExit) as error:
        raise DatasetError(f"{name} raised {error_summary(error)}", "dataset.loader", name) from error
    return raw_images(_arrays_by_name(returned, name), name, name, settings.class_names or ())


def _arrays_by_name(returned: Any, name: str) -> Mapping[str, Any]:
    """Convert the return value of a loader to arrays by name."""
    if isinstance(returned, Mapping):
        return {str(k): v if k in CLASS_NAMES else _array(v, str(k), name) for k, v in returned.items()}
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
            raise DatasetError(
                f"{name} returned a value of type {kind}{size}; {_EXPECTED}.", "dataset.loader", name
            )
    return {key: _array(value, key, name) for key, value in parts.items()}


def _array(value: Any, key: str, name: str) -> NDArray[Any]:
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
            "dataset.loader",
            name,
        ) from None
