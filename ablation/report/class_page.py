"""The page for a class: what each student alone would have concluded, and what all of them together show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ablation.analysis.phrases import MARKS, Row, conclusion, method_phrase, minus, percent, points
from ablation.analysis.sign_errors import ROUNDING, SIZES
from ablation.grid.compare_settings import CompareSettings
from ablation.report.render import page_template
from ablation.results.classroom import Classroom, differences_by_student, environments, signs_of_few
from ablation.results.run import Run

_LEFT, _RIGHT, _HEIGHT, _TOP = 380, 1215, 80, 6  # of the drawing, in its own units
_RADIUS, _STEP, _LEVELS = 8, 16, (0, -1, 1, -2, 2)
_NAME = 25  # letters of a variant's name that are shown beside its row


@dataclass(frozen=True)
class Dot:
    """A student's difference: its place, ``right``, ``wrong`` or ``open``, and what it says."""

    x: float
    y: float
    kind: str
    text: str
    value: float


@dataclass(frozen=True)
class DotRow:
    """A variant in the drawing.

    Attributes:
        name: Its name.
        short: As much of it as is shown.
        verdict: What all together show.
        y: The middle of its row.
        dots: One per student with a difference.
        mean, low, high: The mean of all and its interval, as places; NaN without an interval.
        summary: What the students alone would have concluded, counted.
    """

    name: str
    short: str
    verdict: str
    y: float
    dots: Sequence[Dot]
    mean: float
    low: float
    high: float
    summary: str


@dataclass(frozen=True)
class SignRow:
    """A variant in the table of few seeds: one share per number of seeds, as text, note and number."""

    name: str
    verdict: str
    cells: Sequence[tuple[str, str, float]]


@dataclass(frozen=True)
class Scale:
    """The axis of differences: from the smallest to the largest, with a tick at each ``step``."""

    low: float
    high: float
    step: float

    @classmethod
    def around(cls, values: Sequence[float]) -> Scale:
        """Return the axis that shows all of these values, and 0."""
        shown = [0.0, *(value for value in values if math.isfinite(value))]
        if not any(shown):
            return cls(0.0, 0.05, 0.01)
        width = max(shown) - min(shown)
        power = 10.0 ** math.floor(math.log10(width / 6))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= width / 6)
        return cls(math.floor(min(shown) / step) * step, math.ceil(max(shown) / step) * step, step)

    def place(self, value: float) -> float:
        """Return where a value is drawn."""
        return round(_LEFT + (value - self.low) / (self.high - self.low) * (_RIGHT - _LEFT), 1)

    def ticks(self, compare: CompareSettings) -> list[tuple[float, str]]:
        """Return the place and the text of each tick."""
        values = [self.low + k * self.step for k in range(round((self.high - self.low) / self.step) + 1)]
        factor = 100 if compare.in_points else 1
        return [
            (self.place(v), minus(f"{factor * v:+.4g}") if abs(v) > self.step / 2 else "0") for v in values
        ]


def class_page(run: Run, classroom: Classroom) -> str:
    """Return the page as HTML, with nothing outside of it.

    Args:
        run: The run that the hand-ins became.
        classroom: Its students.
    """
    by_student, few = differences_by_student(run, classroom), signs_of_few(run)
    asked = run.baseline_comparisons.to_dict("records")
    scale = Scale.around(
        [*by_student["difference"], *(row[end] for row in asked for end in ("low", "high", "difference"))]
    )
    rows = [_dot_row(k, row, by_student, scale, run.compare) for k, row in enumerate(asked)]
    kinds = [dot.kind for row in rows for dot in row.dots]
    return page_template("class.html").render(
        run=run, compare=run.compare, marks=MARKS, sizes=SIZES, rows=rows,
        students=len(classroom.students), aside=len(classroom.set_aside), environments=environments(run),
        seeds=sorted({len(student.seeds) for student in classroom.students}),
        ticks=scale.ticks(run.compare), zero=scale.place(0), bottom=_TOP + _HEIGHT * len(rows),
        left=_LEFT, right=_RIGHT, radius=_RADIUS, wrong=kinds.count("wrong"),
        judged=len(kinds) - kinds.count("open"),
        few=[_sign_row(row, few) for row in asked], groups=_groups_phrase(few, asked),
        conclusions=[(row["verdict"], conclusion(row, run.compare)) for row in asked],
        method=method_phrase(run.compare), names=[row["variant"] for row in asked],
        table=_table(classroom, by_student, run.compare),
    )  # fmt: skip


def _dot_row(
    place: int, row: Row, by_student: pd.DataFrame, scale: Scale, compare: CompareSettings
) -> DotRow:
    own = by_student[by_student["variant"] == row["variant"]].dropna(subset=["difference"])
    y = _TOP + _HEIGHT * (place + 0.5)
    dots, taken = list[Dot](), list[tuple[float, float]]()
    for student, value in sorted(
        zip(own["student"], own["difference"], strict=True), key=lambda pair: (pair[1], pair[0])
    ):
        x = scale.place(value)
        free = (y + _STEP * level for level in _LEVELS)
        at = next((f for f in free if all(math.dist((x, f), other) >= 2 * _RADIUS for other in taken)), y)
        taken.append((x, at))
        text = f"{student}: {points(value, compare)}"
        dots.append(Dot(x, round(at, 1), _kind(value, row), text, value))
    name = str(row["variant"])
    short = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
    mean, low, high = (
        scale.place(row[end]) if math.isfinite(row[end]) else math.nan
        for end in ("difference", "low", "high")
    )
    summary = _summary(own["difference"].tolist(), row, compare)
    return DotRow(name, short, str(row["verdict"]), y, dots, mean, low, high, summary)


def _kind(value: float, row: Row) -> str:
    """Say whether a student's sign is that of a difference that all together resolve."""
    if row["verdict"] not in ("better", "worse") or abs(value) < ROUNDING:
        return "open"
    return "right" if value * row["difference"] > 0 else "wrong"


def _summary(values: Sequence[float], row: Row, compare: CompareSettings) -> str:
    """Count what the students alone would have concluded."""
    kinds = [_kind(value, row) for value in values]
    none = sum(abs(value) < ROUNDING for value in values)
    rest = f", {none} equal" if none else ""
    if row["verdict"] in ("better", "worse"):
        return f"{kinds.count('right')} right, {kinds.count('wrong')} wrong{rest}"
    higher, lower = sum(v >= ROUNDING for v in values), sum(v <= -ROUNDING for v in values)
    better, worse = (higher, lower) if compare.higher_is_better else (lower, higher)
    return f"{better} better, {worse} worse{rest}"


def _sign_row(row: Row, few: pd.DataFrame) -> SignRow:
    own = few[few["variant"] == row["variant"]]
    cells = []
    for other, zero in zip(own["other"], own["zero"], strict=True):
        note = f"no difference {percent(zero)}" if zero > 0 else ""
        cells.append((percent(other), note, float(other)))
    return SignRow(str(row["variant"]), str(row["verdict"]), cells)


def _groups_phrase(few: pd.DataFrame, asked: Sequence[Row]) -> str:
    """Say which groups of pairs were looked at."""
    pairs = sorted({int(row["n"]) for row in asked})
    of = f"{pairs[0]}" if len(pairs) == 1 else f"{pairs[0]} to {pairs[-1]}" if pairs else "0"
    drawn = few[~few["all_groups"].astype(bool)]
    if drawn.empty:
        return f"all groups of this size among the {of} pairs"
    sizes = " and ".join(str(size) for size in sorted(set(drawn["pairs"])))
    return (
        f"all groups of this size among the {of} pairs; for {sizes} seeds, {int(drawn['groups'].iloc[0]):,} "
        "groups that are drawn with a fixed seed"
    )


def _table(
    classroom: Classroom, by_student: pd.DataFrame, compare: CompareSettings
) -> list[tuple[str, str, list[str]]]:
    """Return each student's name, seeds, and differences in the order of the variants, as text."""
    differences = by_student.groupby("student", sort=False)["difference"].apply(list)
    return [
        (
            s.name,
            ", ".join(map(str, s.seeds)),
            [points(value, compare) for value in differences.get(s.name, [])],
        )
        for s in classroom.students
    ]
