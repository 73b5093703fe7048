"""The scales of images: 0 to 255 or 0 to 1, the same in all parts, and not nearly black."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.part_names import IN_WORDS, PartName
from ablation.errors import DatasetError

_OTHER_SCALE = 50  # images whose largest value is so many times that of others have another scale
_DARK = 31  # images of no larger value are nearly black on the scale from 0 to 255
_DIFFERING_SCALE = 8  # so many times larger, they may have: 12 bits in 16 are 16 times darker


def refuse_other_scales(images: Mapping[PartName, NDArray[Any]], where: object) -> None:
    """Refuse images that are scaled wrongly, and parts that are of another kind than the training images.

    Args:
        images: The images of each part, (n, height, width, channels), uint8 or float32.
        where: The source of the images, for errors.

    Raises:
        DatasetError: A part differs from the training images in size, channels, type or scale; or floats are
            nearly black.
    """
    train = images["train"]
    for part, others in images.items():
        name = IN_WORDS[part]
        if others.shape[1:] != train.shape[1:]:
            raise DatasetError(
                f"{where}: {name} images have the shape {others.shape[1:]}; expected {train.shape[1:]}, as "
                "training images have."
            )
        (low, high), (least, most) = _range(train), _range(others)
        smaller, larger = sorted((high, most))
        if others.dtype != train.dtype or (0 < smaller <= 1 and smaller * _OTHER_SCALE < larger):
            raise DatasetError(
                f"{where}: training images are {train.dtype} from {low:g} to {high:g}, but {name} images are "
                f"{others.dtype} from {least:g} to {most:g}; expected one type and one scale. Store all of "
                "them as uint8 from 0 to 255, or as floats from 0 to 1."
            )
    _refuse_divided_twice(train, where)


def scaling_hint(images: NDArray[Any]) -> str:
    """Return how to scale images of another type or range; empty if that is not known."""
    if images.dtype.kind == "b":
        return " Convert them with x.astype(float)."
    if images.dtype.kind not in "iuf":
        return ""
    least, most = _range(images)
    if -1 <= least < 0 and most <= 1:
        return " If they are scaled to -1 to 1, convert them with (x + 1) / 2."
    if least < 0:
        return " Negative values, as of standardised images, have no known scale; give the original images."
    if images.dtype.kind == "f":
        return " Divide all of them by 255." if 100 < most <= 255 else ""
    if most <= 255:
        return ' Convert them with x.astype("uint8").'
    return " Divide all of them by the largest possible value."


def scale_notes(images: Mapping[PartName, NDArray[Any]]) -> list[str]:
    """Say that images are nearly black, and that the largest values of the parts are far apart."""
    high = _range(images["train"])[1]
    return _dark_notes(images["train"]) + [
        f"The scales may differ: the largest value of the training images is {high:g}, but that of the "
        f"{IN_WORDS[part]} images is {most:g}."
        for part, others in images.items()
        if (most := _range(others)[1]) * _DIFFERING_SCALE <= high or high * _DIFFERING_SCALE <= most
        if most != high
    ]


def _dark_notes(images: NDArray[Any]) -> list[str]:
    """Say that whole numbers are small, as those of masks and of scikit-learn's digits (0 to 16) are."""
    most = max(int(images.max()), 1)
    if images.dtype.kind == "f" or most > _DARK:
        return []
    factor = "255" if most == 1 else f"255 / {most}"
    return [
        f"The images are whole numbers of which none is above {most}, so they are nearly black on the scale "
        f"from 0 to 255. If {most} is white, multiply them by {factor}, or convert them to floats."
    ]


def _refuse_divided_twice(images: NDArray[Any], where: object) -> None:
    """Refuse floats that are nearly black, as those are that were divided by 255 once too often."""
    if images.dtype.kind == "f" and 0 < (most := images.max()) <= np.float32(1 / 255):
        raise DatasetError(
            f"{where}: images are floats of which none is above {most:.2g}, that is 1/255 or less, as if "
            "they were divided by 255 twice. Expected floats from 0 to 1; multiply all images by 255."
        )


def _range(images: NDArray[Any]) -> tuple[float, float]:
    return float(images.min()), float(images.max())
