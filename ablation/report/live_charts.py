"""The curves of the live page, as SVG text: no plotting library, because they are drawn every few seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from ablation.analysis.phrases import minus
from ablation.figures.palette import VariantStyle
from ablation.results.live import Curve, Epoch, LiveState

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 12, 46
_MOST_POINTS = 120  # of a curve: more cannot be told apart at this width
_MOST_NAMED = 8  # variants whose last values a chart reads out; the table below has all
_DASHES = {"-": "", "--": "7 4", "-.": "8 3 2 3", ":": "2 3"}
_SHAPES = {
    "o": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", "s": "M-3.5-3.5h7v7h-7z", "D": "M0-5L5 0L0 5L-5 0z",
    "^": "M0-5L4.6 4h-9.2z", "v": "M0 5L4.6-4h-9.2z",
    "P": "M-1.5-5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z",
    "X": "M-5-3L-3-5L0-2L3-5L5-3L2 0L5 3L3 5L0 2L-3 5L-5 3L-2 0z",
}  # fmt: skip

Measure = Callable[[Epoch], float]


@dataclass(frozen=True)
class Chart:
    """A chart of the live page: its heading, and the drawing."""

    title: str
    svg: Markup


@dataclass(frozen=True)
class _Line:
    """A curve of one measure: its points, how it looks, and whether it is a mean over seeds."""

    variant: str
    points: Sequence[tuple[int, float]]
    is_mean: bool


@dataclass(frozen=True)
class _Scale:
    """Where values lie in the drawing: the range of the values, and the last epoch."""

    low: float
    high: float
    epochs: int

    def x(self, epoch: float) -> float:
        """Return the place of an epoch from the left."""
        share = (epoch - 1) / (self.epochs - 1) if self.epochs > 1 else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Return the place of a value from the top."""
        return _TOP + (self.high - value) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM)


def live_charts(state: LiveState, styles: Mapping[str, VariantStyle]) -> list[Chart]:
    """Return the charts of validation and training accuracy, on one scale, and of the overfitting gap."""
    measures: list[Measure] = [lambda e: e.val, lambda e: e.train, lambda e: e.train - e.val]
    validation, training, gap = (_lines(state, measure) for measure in measures)
    epochs = max((trial.epochs for trial in state.trials), default=1)
    accuracies = _range([*validation, *training], at_most=(0.0, 1.0))
    of_gap = _range(gap, at_most=(-1.0, 1.0), always=0.0)
    return [
        Chart(title, _svg(title, lines, styles, _Scale(*limits, epochs), unit))
        for title, lines, limits, unit in (
            ("Validation accuracy", validation, accuracies, "%"),
            ("Training accuracy", training, accuracies, "%"),
            ("Overfitting gap, in percentage points", gap, of_gap, ""),
        )
    ]


def swatch(style: VariantStyle) -> Markup:
    """Return a short line in a variant's colour, dashes and mark, for a legend."""
    drawn = f'<path d="M2 7H38"{_stroke(style)}/>{_mark(style, 20, 7)}'
    return Markup(
        f'<svg class="swatch" viewBox="0 0 40 14" aria-hidden="true"><g class="ink">{drawn}</g></svg>'
    )


def hexadecimal(colour: Any) -> str:
    """Return a colour as ``#0173b2``; it may be given so, or as red, green and blue from 0 to 1."""
    if isinstance(colour, str):
        return colour
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour[:3])


def _lines(state: LiveState, measure: Measure) -> list[_Line]:
    """Return the mean curve of each variant over its completed seeds, and the curve of each other seed."""
    seeds = [
        _Line(trial.variant, _points(trial.curve, measure), False)
        for trial in state.trials
        if trial.curve and not trial.is_done
    ]
    means = [_Line(variant, _points(curve, measure), True) for variant, curve in state.means.items()]
    return [line for line in (*seeds, *means) if line.points]


def _points(curve: Curve, measure: Measure) -> list[tuple[int, float]]:
    """Return the points of a curve that can be drawn, every so many epochs if there are many."""
    step = math.ceil(len(curve) / _MOST_POINTS)
    chosen = [*curve[::step], *([curve[-1]] if (len(curve) - 1) % step else [])] if step > 1 else curve
    points = ((one.epoch, measure(one)) for one in chosen)
    return [(epoch, value) for epoch, value in points if math.isfinite(value)]


def _range(
    lines: Iterable[_Line], at_most: tuple[float, float], always: float | None = None
) -> tuple[float, float]:
    """Return the range of an axis: that of the values, a little wider, within its limits."""
    values = [value for line in lines for _, value in line.points]
    values += [always] if always is not None else []
    if not values:
        return at_most
    low, high = min(values), max(values)
    margin = max(0.02, 0.06 * (high - low))
    low, high = max(low - margin, at_most[0]), min(high + margin, at_most[1])
    return (low, high) if high > low else at_most


def _svg(
    title: str, lines: Sequence[_Line], styles: Mapping[str, VariantStyle], scale: _Scale, unit: str
) -> Markup:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    alternative = escape(_alternative(title, lines, unit))
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{alternative}">']
    for value in _ticks(scale.low, scale.high, 5, least=0.01):
        kind = "zero" if not value and scale.low < 0 else "grid"
        parts.append(f'<path class="{kind}" d="M{_LEFT} {scale.y(value):.1f}H{right}"/>')
        parts.append(_text(_LEFT - 8, scale.y(value) + 5, "end", minus(f"{round(100 * value)}{unit}")))
    for epoch in _ticks(1, scale.epochs, 6, least=1):
        parts.append(_text(scale.x(epoch), bottom + 19, "middle", f"{epoch:.0f}"))
    parts.append(f'<path class="axis" d="M{_LEFT} {bottom}H{right}"/>')
    parts.append(_text(right, _HEIGHT - 6, "end", "epoch"))
    if not lines:
        parts.append(_text(_WIDTH / 2, _HEIGHT / 2, "middle", "no epoch has ended yet"))
    parts.append('<g class="ink">')
    for line in lines:
        style, places = styles[line.variant], [(scale.x(e), scale.y(value)) for e, value in line.points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path class="{"mean" if line.is_mean else "seed"}" d="M{path}"{_stroke(style)}/>')
        parts.append(_mark(style, *places[-1]))
    return Markup("".join([*parts, "</g></svg>"]))


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _stroke(style: VariantStyle) -> str:
    return f' stroke="{hexadecimal(style.colour)}" stroke-dasharray="{_DASHES.get(style.dash, "")}"'


def _mark(style: VariantStyle, x: float, y: float) -> str:
    at, colour = f"translate({x:.1f} {y:.1f})", hexadecimal(style.colour)
    return f'<path class="mark" transform="{at}" d="{_SHAPES[style.marker]}" fill="{colour}"/>'


def _alternative(title: str, lines: Sequence[_Line], unit: str) -> str:
    """Say what a chart shows: its last values, those of means over seeds first."""
    last = {line.variant: line.points[-1] for line in lines}  # means come last, and replace those of a seed
    if not last:
        return f"{title}: no epoch has ended yet."
    named = [
        f"{variant} {minus(f'{100 * value:.1f}')}{unit} after epoch {epoch}"
        for variant, (epoch, value) in list(last.items())[:_MOST_NAMED]
    ]
    more = f"; and {len(last) - _MOST_NAMED} more" if len(last) > _MOST_NAMED else ""
    return f"{title} over the epochs: {'; '.join(named)}{more}."


def _ticks(low: float, high: float, most: int, least: float) -> list[float]:
    """Return round numbers between two values, at most so many and so far apart, multiples of 1, 2 or 5."""
    if high <= low:
        return [low]
    step = least
    while (high - low) / step > most:
        step *= 2.5 if f"{step:e}".startswith("2") else 2
    first = math.ceil(low / step - 1e-9)
    ticks = [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]
    return ticks or [low]
