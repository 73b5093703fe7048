"""What makes the input of a removed layer fit where its output was taken."""

from __future__ import annotations

from typing import Any

from ablation.errors import AblationError
from ablation.models.ablated.graph import shape_text

Shape = tuple[int | None, ...]  # the batch first


def matching_layers(given: Shape, wanted: Shape, path: str, had_weights: bool) -> list[Any]:
    """Return the fewest layers that turn values of one shape into those of another.

    Images are cropped at their borders where convolutions without padding would have done so. A
    convolution of one pixel, or a Dense layer for vectors, matches the number of channels, and with strides
    the size. It is linear and has no offsets, like the projections of residual networks (He et al., 2016,
    arXiv:1512.03385).

    Args:
        given: The shape of what is handed on.
        wanted: The shape that is taken.
        path: The path of the layer that was removed, after which the new layers are named.
        had_weights: Whether weights were removed. What had none is not replaced by what has some.

    Raises:
        AblationError: No such layers fit.
    """
    import keras

    if tuple(given[1:]) == tuple(wanted[1:]):
        return []
    name = path.rpartition("/")[2]
    if not had_weights:
        raise _unfit(path, given, wanted, "it has no weights that a linear layer could stand for")
    if len(given) != len(wanted):
        raise _unfit(path, given, wanted, "a linear layer does not change the number of axes")
    if len(given) != 4:
        if given[1:-1] != wanted[1:-1]:
            raise _unfit(path, given, wanted, "a linear layer matches the number of channels only")
        return [keras.layers.Dense(wanted[-1], use_bias=False, name=f"{name}_match")]
    sides = list(zip(given[1:3], wanted[1:3], strict=True))
    if any(a != b and (a is None or b is None or a < b) for a, b in sides):
        raise _unfit(path, given, wanted, "a linear layer does not make images larger")
    strides = [1 if a is None or b is None else a // b for a, b in sides]
    # What the last stride would leave over is cropped, too: on a remainder, the gradient of a convolution of
    # one pixel with strides writes beyond its memory in TensorFlow 2.21 (oneDNN; 74 pixels to 37).
    crops = [
        0 if a is None or b is None else a - (b - 1) * s - 1 for (a, b), s in zip(sides, strides, strict=True)
    ]
    layers: list[Any] = []
    if any(crops):
        borders = tuple((crop // 2, crop - crop // 2) for crop in crops)
        layers.append(keras.layers.Cropping2D(borders, name=f"{name}_crop"))
    if given[3] != wanted[3] or strides != [1, 1]:
        layers.append(
            keras.layers.Conv2D(wanted[3], 1, strides=strides, use_bias=False, name=f"{name}_match")
        )
    return layers


def _unfit(path: str, given: Shape, wanted: Shape, reason: str) -> AblationError:
    return AblationError(
        f"the layer {path} cannot be removed: it turns {shape_text(given)} into {shape_text(wanted)}, and "
        f"{reason}. Remove it together with the layers around it, or change its arguments."
    )
