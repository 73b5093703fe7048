"""Write figures as files, each whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

from ablation.figures.style import Drawing, Picture, look
from ablation.files import atomic_writer

_SMALL, _LARGE = 40, 100  # square inches


def write(drawing: Drawing, folder: Path, figure_name: str, images: str) -> Picture:
    """Write a drawing of a figure as PNG and SVG.

    Args:
        drawing: The drawing.
        folder: The folder that the files are written to.
        figure_name: The figure that it belongs to.
        images: Which images it is of, in a sentence.
    """
    folder.mkdir(parents=True, exist_ok=True)
    once = f"{drawing.alone} {images}".lstrip()
    picture = Picture(drawing.name, drawing.title, drawing.caption, drawing.alt, folder, figure_name, once)
    figure = drawing.figure
    with look():
        if figure.get_layout_engine():
            figure.draw_without_rendering()  # lays the figure out, once for both files
            figure.set_layout_engine(None)
        box = figure.get_tightbbox().padded(0.1)  # "tight" would draw all of it once more for each file
        common: dict[str, Any] = {"bbox_inches": box, "facecolor": "white"}
        with atomic_writer(picture.svg) as stream:
            figure.savefig(stream, format="svg", metadata={"Date": None}, **common)
        area = box.width * box.height
        dpi = 150 if area < _LARGE else 120
        if area < _SMALL:  # there may be one per variant: their time counts, and not their size
            with atomic_writer(picture.png) as stream:
                figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None}, **common)
            return picture
        bitmap = io.BytesIO()
        figure.savefig(bitmap, dpi=dpi, pil_kwargs={"compress_level": 1}, **common)
    with Image.open(bitmap) as image, atomic_writer(picture.png) as stream:
        few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)  # enough, and a third of the size
        few.save(stream, "PNG", dpi=(dpi, dpi))
    return picture
