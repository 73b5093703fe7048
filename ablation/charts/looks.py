"""How each variant looks in the charts: as in the figures, and so that it can be seen on a dark page, too."""

from __future__ import annotations

from collections.abc import Sequence

from ablation.figures.palette import VariantStyle, variant_styles
from ablation.results.run import Run

DARK_GROUND = "#14171c"  # of style.css
_CONTRAST = 4.5  # WCAG 2.2 asks 3 of lines, and 4.5 of text
_MARKERS = {
    "o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down",
    "P": "cross", "X": "x",
}  # fmt: skip
_DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}

RGB = tuple[float, float, float]


def variant_looks(run: Run) -> list[dict[str, str]]:
    """Return for each variant its name, its colours on a light and on a dark page, its marker and its dash.

    Markers and dashes have the names that plotly.js gives them.
    """
    styles = variant_styles([variant.name for variant in run.study.variants], run.study.baseline)
    return [{"variant": name, **_look(style)} for name, style in styles.items()]


def _look(style: VariantStyle) -> dict[str, str]:
    light = rgb(style.colour)
    return {
        "colour": hexadecimal(light),
        "dark": hexadecimal(lightened(light, rgb(DARK_GROUND))),
        "marker": _MARKERS.get(style.marker, "circle"),
        "dash": _DASHES.get(style.dash, "solid"),
    }


def rgb(colour: str | Sequence[float]) -> RGB:
    """Return a colour, ``#rrggbb`` or three shares, as three shares."""
    if isinstance(colour, str):
        red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    else:
        red, green, blue = (float(share) for share in colour[:3])
    return red, green, blue


def hexadecimal(colour: RGB) -> str:
    """Return a colour as ``#rrggbb``."""
    return "#" + "".join(f"{round(255 * share):02x}" for share in colour)


def contrast(one: RGB, other: RGB) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2.2 defines it."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def lightened(colour: RGB, ground: RGB) -> RGB:
    """Return a colour, mixed with as much white as it takes to be seen on a dark ground."""
    mixed = colour
    for share in range(0, 100, 5):
        mixed = tuple(c + (1 - c) * share / 100 for c in colour)  # type: ignore[assignment]
        if contrast(mixed, ground) >= _CONTRAST:
            break
    return mixed


def _luminance(colour: RGB) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return float(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
