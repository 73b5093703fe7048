"""Read pictures to the pixel: every mode of Pillow, any depth, transparency, rotation and frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ablation.data.part_names import IN_WORDS, PartName
from ablation.errors import DatasetError
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.value_text import counted

# Formats of pictures that a camera or a program for images writes. The others are left out, for Pillow hands
# some of them to other programs.
_FORMATS = (
    "AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "QOI", "SGI", "TIFF", "WEBP",
)  # fmt: skip
_GREY = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_DEPTHS = (1, 2, 4, 8, 10, 12, 14, 16)  # bits that masks, cameras and scanners write into 16
# In a file with this layout, Pillow reads the upper 8 of the 16 bits of a colour.
_HALF_READ = re.compile(r"(RGB|LA)\w*;16[BLN]")
_LEAST_OF_16_BITS = 2**14


Source = Path | BytesIO | Image.Image
"""A picture's file, the content of one, or an open picture."""


@cache
def formats() -> tuple[str, ...]:
    """Return the formats that are read, as far as this Pillow knows them."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@cache
def suffixes() -> frozenset[str]:
    """Return the ends of the names of pictures in these formats, like ``.png``."""
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats())


@dataclass(frozen=True)
class Pixels:
    """The pixels of one picture.

    Attributes:
        name: The name of the picture, for errors.
        values: (height, width, 1 or 3); uint8, or float32 if the picture has more than 8 bits per channel.
        limit: The largest value if these are whole numbers of more than 8 bits; else 0.
    """

    name: str
    values: NDArray[Any]
    limit: int = 0


class PictureReader:
    """Reads pictures one by one, and keeps account of what should be known about them.

    Args:
        settings: The size to which pictures are resized, and what happens to those that cannot be read.
    """

    def __init__(self, settings: DatasetSettings) -> None:
        path = Path(settings.path or "")
        self._outer = (f"{path}/", f"{path.parent}/")
        self._size = settings.image_size
        self._skips = settings.on_error == "skip"
        self._broken: list[str] = []
        self._transparent: list[str] = []
        self._animated: list[str] = []
        self._half_read: dict[str, int] = {}
        self._first: Pixels | None = None
        self._notes: list[str] = []

    def read(self, name: str, source: Source) -> Pixels | None:
        """Return a picture's pixels, or None if it cannot be read and such pictures are skipped.

        Raises:
            DatasetError: The picture cannot be read, or has other values or another size than is expected.
        """
        try:
            with (
                source
                if isinstance(source, Image.Image)
                else Image.open(source, formats=formats()) as picture
            ):
                pixels = self._pixels(name, picture)
        except DatasetError:
            raise
        except Exception as error:  # a damaged file may raise anything
            if self._skips:
                self._broken.append(name)
                return None
            reason = error.strerror if isinstance(error, OSError) else None
            reason = reason or str(error).strip().rstrip(".") or type(error).__name__
            raise DatasetError(
                f"{name} cannot be read as an image: {reason}. Remove it, or set dataset.on_error: skip."
            ) from None
        first = self._first = self._first or pixels
        if pixels.values.shape[:2] != first.values.shape[:2]:
            sizes = [" × ".join(map(str, side.values.shape[:2])) for side in (first, pixels)]
            raise DatasetError(
                f"{name} has {sizes[1]} pixels, but {first.name} has {sizes[0]}; set dataset.image_size to "
                "resize all images to one size."
            )
        return pixels

    def _pixels(self, name: str, picture: Image.Image) -> Pixels:
        if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":
            self._animated.append(name)
        is_half_read = _HALF_READ.search(str(getattr(picture, "tile", "")))
        picture.load()
        if is_half_read:
            self._half_read[name] = int(np.asarray(picture)[..., :3].max())
        upright = ImageOps.exif_transpose(picture)
        if upright.mode in _DEEP:
            if "transparency" in upright.info:
                self._transparent.append(name)
            return _deep(name, upright, self._size)
        flat = self._flat(name, upright)
        if self._size is not None and flat.size != self._size[::-1]:
            flat = flat.resize(self._size[::-1], Image.Resampling.BILINEAR)
        values = np.asarray(flat, np.uint8)
        return Pixels(name, values.reshape(*values.shape[:2], -1))

    def _flat(self, name: str, picture: Image.Image) -> Image.Image:
        """Return the picture in grey or in colour, 8 bits per channel, its transparent pixels on white."""
        flat = "L" if picture.mode in _GREY else "RGB"
        if picture.mode in _ALPHA or "transparency" in picture.info:
            if picture.mode in ("La", "RGBa"):  # their colours are multiplied by their opacity
                picture = picture.convert(picture.mode.upper())
            layer = picture.convert("RGBA")
            if np.asarray(layer)[..., 3].min() < 255:
                self._transparent.append(name)
                white = Image.new("RGBA", layer.size, "white")
                layer = Image.alpha_composite(white, layer)
            return layer.convert("RGB").convert(flat)
        return _from_lab(picture) if picture.mode == "LAB" else picture.convert(flat)

    def stack(self, parts: Mapping[PartName, Sequence[Pixels]]) -> dict[PartName, NDArray[Any]]:
        """Return the pictures of each part as (n, height, width, channels).

        They have one channel if all pictures of all parts are grey, and three otherwise. They are uint8 from
        0 to 255, or float32 from 0 to 1 if some have more than 8 bits per channel: whole numbers are then
        divided by the largest number of the fewest bits that hold all of them, the same for all pictures.

        Raises:
            DatasetError: Pictures in colour have 16 bits per channel, and too few of them are used.
        """
        self._refuse_dark_colours()
        everything = [pixels for part in parts.values() for pixels in part]
        deep = [pixels for pixels in everything if pixels.values.dtype != np.uint8]
        channels = {part: {p.values.shape[-1] for p in pixels} for part, pixels in parts.items()}
        width = max(max(some, default=1) for some in channels.values())
        most = max((pixels.limit for pixels in deep), default=0)
        bits = next((depth for depth in _DEPTHS if most < 2**depth), most.bit_length())
        if deep and most:
            self._notes.append(_depth_note(deep, most, bits))
        self._notes += _colour_notes(channels)

        def finished(pixels: Pixels) -> NDArray[Any]:
            values = pixels.values
            if deep and (values.dtype == np.uint8 or pixels.limit):
                scale = 255 if values.dtype == np.uint8 else 2**bits - 1
                values = (values / np.float32(scale)).astype(np.float32)
            return values if values.shape[-1] == width else np.repeat(values, width, axis=-1)

        return {part: np.stack([finished(p) for p in pixels]) for part, pixels in parts.items() if pixels}

    def _refuse_dark_colours(self) -> None:
        most = max(self._half_read.values(), default=255) * 256 + 255
        if most < _LEAST_OF_16_BITS:
            count, names = counted(len(self._half_read), "picture"), listed(self._short(self._half_read))
            raise DatasetError(
                f"{count} in colour with 16 bits per channel: no value is above {most:,} ({names}). Of such "
                "colours, only the upper 8 bits are read, so that these pictures would be nearly black. "
                "Scale all pictures in the same way to whole numbers from 0 to 65535, or save them with 8 "
                "bits."
            )

    @property
    def notes(self) -> list[str]:
        """What should be known about the pictures that were read, in whole sentences."""
        kinds = (
            (self._broken, "cannot be read and {are} left out, because of on_error: skip"),
            (self._animated, "{have} several frames, of which the first is used"),
            (self._transparent, "{have} transparent pixels, which are placed on white"),
        )
        return [*(self._note(names, what) for names, what in kinds if names), *self._notes]

    def _note(self, names: Sequence[str], what: str) -> str:
        """Say something of some pictures, and name the first ones."""
        one = len(names) == 1
        verbs = {"are": "is" if one else "are", "have": "has" if one else "have"}
        return f"{counted(len(names), 'picture')} {what.format(**verbs)}: {listed(self._short(names))}."

    def _short(self, names: Iterable[str]) -> list[str]:
        return [name.removeprefix(self._outer[0]).removeprefix(self._outer[1]) for name in names]


def _deep(name: str, picture: Image.Image, size: tuple[int, int] | None) -> Pixels:
    """Return the pixels of a grey picture of more than 8 bits, not scaled yet.

    Raises:
        DatasetError: Its values are negative, not finite, or floats that are not between 0 and 1.
    """
    is_float = picture.mode == "F"
    values = np.array(picture)
    if isinstance(see_through := picture.info.get("transparency"), int) and not is_float:
        values[values == see_through] = 65535  # white
    least, most = values.min(), values.max()
    if least < 0 or not np.isfinite([least, most]).all() or (is_float and most > 1):
        expected = "floats from 0 to 1" if is_float else "whole numbers from 0"
        raise DatasetError(
            f"{name} has values from {least:g} to {most:g}; expected {expected}. Scale all pictures in the "
            "same way to whole numbers from 0 to 65535 and save them with 16 bits, or read arrays (npz)."
        )
    values = values.astype(np.float32)
    if size is not None and values.shape != size:
        resized = Image.fromarray(values).resize(size[::-1], Image.Resampling.BILINEAR)
        values = np.clip(np.asarray(resized), least, most)
    return Pixels(name, values[..., None], 0 if is_float else max(int(most), 1))


def _from_lab(picture: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, rgb = (ImageCms.createProfile(kind) for kind in ("LAB", "sRGB"))
    return ImageCms.applyTransform(picture, ImageCms.buildTransform(lab, rgb, "LAB", "RGB")) or picture


def listed(names: Iterable[str], most: int = 3) -> str:
    """Return the first names of a list, and how many there are beside them."""
    every = list(names)
    rest = f" and {len(every) - most:,} others" if len(every) > most else ""
    return ", ".join(every[:most]) + rest


def _depth_note(deep: Sequence[Pixels], most: int, bits: int) -> str:
    least = min(int(p.values.min()) for p in deep if p.limit)
    count = sum(1 for p in deep if p.limit)
    return (
        f"{counted(count, 'picture')} with more than 8 bits per channel: the values, from {least:,} to "
        f"{most:,}, are divided by {2**bits - 1:,} ({counted(bits, 'bit')})."
    )


def _colour_notes(channels: Mapping[PartName, set[int]]) -> list[str]:
    """Say which parts are all grey while the training pictures are in colour, or the other way round."""
    differ = [part for part, some in channels.items() if some and (3 in some) != (3 in channels["train"])]
    if not differ:
        return []
    sides = [f"all {IN_WORDS[p]} pictures are grey" for p, some in channels.items() if some == {1}]
    coloured = [IN_WORDS[p] for p, some in channels.items() if 3 in some]
    return [
        f"The colours differ between the parts: {' and '.join(sides)}, but {' and '.join(coloured)} pictures "
        "are in colour."
    ]
