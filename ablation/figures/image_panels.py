"""Test images as a figure can show them, whatever the number of their channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def show_image(ax: Axes, image: NDArray[Any]) -> None:
    """Draw an image into a panel: one channel in grey, else its first three channels as red, green and blue.

    Args:
        ax: The panel.
        image: (height, width, channels), uint8 from 0 to 255 or floats from 0 to 1.
    """
    channels = image.shape[-1]
    if channels == 1:
        ax.imshow(image[..., 0], cmap="gray")
        return
    colours = np.zeros((*image.shape[:2], 3), image.dtype)
    colours[..., : min(channels, 3)] = image[..., :3]
    ax.imshow(colours)


def channels_note(channels: int) -> str:
    """Say how images are shown that have neither one channel nor three; empty for others."""
    if channels in (1, 3):
        return ""
    first = "two channels are shown as red and green" if channels == 2 else (
        f"first three of the {channels} channels are shown as red, green and blue"
    )  # fmt: skip
    return f" The {first}."
