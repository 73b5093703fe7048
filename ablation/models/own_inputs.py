"""What a user's model expects of its images: there is one per input, and they are normalised already."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ablation.errors import AblationError

if TYPE_CHECKING:
    import keras

_OF_BYTES = (127.5, 128, 255, 256)  # what values from 0 to 255 are divided by


def refuse_raw_images(name: str, model: keras.Model) -> None:
    """Refuse a model for images with values from 0 to 255, which would be nearly black for it.

    Args:
        name: The code that built the model, ``module:object``.
        model: The model.

    Raises:
        AblationError: The model takes whole numbers, or has a layer that divides by 255 and none that
            multiplies by it.
    """
    kinds = {tensor.dtype for tensor in getattr(model, "inputs", None) or ()}
    if whole := sorted(kind for kind in kinds if "int" in kind or kind == "bool"):
        raise AblationError(
            f"{name}: the model's input is {whole[0]}, but models receive normalised images, which are "
            "floats (dataset.normalise). Remove `dtype` from the keras.Input."
        )
    scales = _scales(model)
    dividing = [layer for layer, scale in scales.items() if any(np.isclose(scale * n, 1) for n in _OF_BYTES)]
    if dividing and math.prod(scales.values()) < 1 / 64:
        raise AblationError(
            f"{name}: the layer {dividing[0]} divides by {1 / scales[dividing[0]]:g}, as if the images had "
            "values from 0 to 255, but models receive normalised images (dataset.normalise). Remove the "
            "layer; or, if it belongs to a model that expects such values, put layers.Rescaling(255) in "
            "front of that model."
        )


def refuse_other_inputs(name: str, model: Any, image_shape: tuple[int, int, int] | None = None) -> None:
    """Refuse a model that does not take one image, or none of this shape.

    Raises:
        AblationError: It has several inputs, or an input that is no image, or of another shape.
    """
    shapes = [tuple(tensor.shape[1:]) for tensor in getattr(model, "inputs", None) or ()]
    written = " and ".join(
        " × ".join("?" if side is None else str(side) for side in shape) for shape in shapes
    )
    if len(shapes) > 1:
        raise AblationError(
            f"{name}: the model has {len(shapes)} inputs, of {written}; expected one, an image."
        )
    given = shapes[0] if shapes else image_shape
    if given and len(given) != 3:
        raise AblationError(
            f"{name}: the model takes values of the shape {written}; expected images, height × width × "
            "channels. Begin the model with layers.Flatten or layers.Reshape."
        )
    if given and image_shape and any(a not in (None, b) for a, b in zip(given, image_shape, strict=True)):
        images = " × ".join(map(str, image_shape))
        raise AblationError(f"{name}: the model takes images of {written}, but the dataset's are {images}.")


def _scales(model: keras.Model) -> dict[str, float]:
    """Return what each Rescaling layer of a model multiplies by, by the name of the layer."""
    import keras

    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Rescaling)]
    return {layer.name: float(np.max(np.abs(np.asarray(layer.scale, float)))) for layer in layers}
