"""Comparisons in words, the same in the terminal and in the report."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from ablation.grid.compare_settings import CompareSettings
from ablation.grid.value_text import counted

Row = Mapping[Hashable, Any]

# Beside the word, so that a verdict is seen at a glance, and without colours.
MARKS = {"better": "▲", "worse": "▼", "equivalent": "=", "unresolved": "?"}
# The kinds of effects, as tables have them, in words.
_KINDS = {
    "main effect": "main effects",
    "interaction": "interactions",
    "effect where": "simple effects",
    "Shapley share": "Shapley shares",
}


def points(value: float, compare: CompareSettings, sign: bool = True) -> str:
    """Return a difference in the metric's unit: percentage points of a share, else the number itself."""
    if math.isnan(value):
        return "–"
    if not compare.in_points:
        return minus(f"{value:{'+' if sign else ''}.4f}")
    text = _rounded(100 * value, "+" if sign else "")
    return text if sign else f"{text} pp"


def _rounded(number: float, sign: str) -> str:
    """Return a number with one digit, a small one with two; what rounds to nothing is not negative."""
    number = 0.0 if abs(number) < 0.005 else number
    return minus(f"{number:{sign}.{2 if abs(number) < 0.1 else 1}f}")


def minus(number: str) -> str:
    """Return a number with a true minus sign."""
    return number.replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """Return a share as ``81.3%``."""
    return "–" if math.isnan(share) else f"{100 * share:.1f}%"


def signed_points(share: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return "–" if math.isnan(share) else _rounded(100 * share, "+")


def interval_phrase(row: Row, compare: CompareSettings) -> str:
    """Return ``+0.2 to +4.4``, or why there is no interval."""
    if math.isnan(row["low"]):
        return "needs 2 pairs" if row["n"] < 2 else "none yet"
    return f"{points(row['low'], compare)} to {points(row['high'], compare)}"


def p_phrase(p: float) -> str:
    """Return a p with three digits."""
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def verdict_phrase(row: Row) -> str:
    """Return the verdict; where there is none, why."""
    return str(row["verdict"] or row["reason"])


def method_phrase(compare: CompareSettings) -> str:
    """Say which test, level and margin the verdicts are from."""
    test = "paired t-test" if compare.looks == "once" else "anytime-valid paired t-test"
    corrected = ", Holm" if compare.correction == "holm" else ""
    return f"{test}, alpha {compare.alpha:g}{corrected}, margin {points(compare.margin, compare, sign=False)}"


def conclusion(row: Row, compare: CompareSettings) -> str:
    """Say in a sentence what a comparison supports, with its interval and n."""
    name, metric = row["variant"], compare.metric_in_words
    n = f"n = {counted(row['n'], 'pair')}"
    unit = " points" if compare.in_points else ""
    estimate = f"{points(row['difference'], compare)}{unit}"
    if not math.isnan(row["low"]):
        confidence = f"{100 * row['confidence']:.1f}".removesuffix(".0")
        estimate += f", {confidence}% interval {interval_phrase(row, compare)}"
    match row["verdict"]:
        case "better" | "worse":
            sentence = f"{name} is {row['verdict']} than {row['baseline']} in {metric}"
        case "equivalent":
            margin = points(compare.margin, compare, sign=False)
            sentence = f"{name} is equivalent to {row['baseline']} in {metric}, within ±{margin}"
        case "unresolved":
            sentence = f"Whether {name} differs from {row['baseline']} in {metric} is unresolved"
        case _:
            sentence = f"{name} has no verdict against {row['baseline']} in {metric}: {row['reason']}"
    return f"{sentence} ({estimate}, {n})."


def effect_conclusion(row: Row, compare: CompareSettings) -> str:
    """Say in a sentence what a main effect or an interaction supports, with its interval and n.

    A joint effect is called larger or smaller by its sign, as the difference has it: of a loss, a smaller
    one is the better one.
    """
    metric = compare.metric_in_words
    unit = " points" if compare.in_points else ""
    confidence = f"{100 * row['confidence']:.1f}".removesuffix(".0")
    estimate = (
        f"{points(row['difference'], compare)}{unit}, {confidence}% interval "
        f"{interval_phrase(row, compare)}, n = {row['n']} seeds"
    )
    if row["kind"] == "interaction":
        joint, parts = f"their joint effect on {metric}", "the sum of their separate effects"
        if row["effect"].count(" × ") > 1:
            parts += " and of the interactions of fewer of them"
        larger, smaller = ("larger", "smaller") if compare.higher_is_better else ("smaller", "larger")
        sentence = {
            "better": f"{joint} is {larger} than {parts}",
            "worse": f"{joint} is {smaller} than {parts}",
            "equivalent": f"{joint} is equivalent to {parts}",
        }.get(row["verdict"], f"whether {joint} differs from {parts} is unresolved")
        return f"{row['effect']}: {sentence} ({estimate})."
    level = f"{row['effect']} = {row['levels']}"
    sentence = {
        "better": f"{level} makes {metric} better",
        "worse": f"{level} makes {metric} worse",
        "equivalent": f"{level} changes {metric} by less than the margin",
    }.get(row["verdict"], f"whether {level} changes {metric} is unresolved")
    return f"Averaged over the other factors, {sentence} ({estimate})."


def not_estimated(effects: pd.DataFrame) -> str:
    """Say how many effects the study cannot estimate, and why the first of them."""
    missing = effects[effects["n"] == 0]
    counts = missing["kind"].value_counts(sort=False)
    kinds = ", ".join(f"{_KINDS[str(kind)]} ({count})" for kind, count in counts.items())
    return f"Not estimated: {kinds}. The reason for the first one: {missing['reason'].iloc[0]}."


def duration(seconds: float) -> str:
    """Return ``45 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
