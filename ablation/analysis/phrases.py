"""Comparisons in words, the same in the terminal and in the report."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from ablation.analysis.alias_phrases import aliased_conclusion
from ablation.analysis.aliases import SEPARATED, WITH_FOLD, interactions_of
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.value_text import counted

Row = Mapping[Hashable, Any]

# Beside the word, so that a verdict is seen at a glance, and without colours.
MARKS = {"better": "▲", "worse": "▼", "equivalent": "=", "unresolved": "?"}
# The kinds of effects, as tables have them, in words.
ASKED = ("main effect", "interaction", SEPARATED)  # of which the declared ones have sentences
_KINDS = {
    "main effect": "main effects",
    "interaction": "interactions",
    SEPARATED: "separated interactions",
    WITH_FOLD: "effects with the fold-over",
    "effect where": "simple effects",
    "Shapley share": "Shapley shares",
}


_DISAGREEMENTS = (
    "The mean and the median of the paired differences disagree in direction",
    "All paired differences lie on one side of 0, although the interval of their mean contains 0 (a sign "
    "test, which is exploratory)",
    "The paired differences are not normal (Shapiro–Wilk test, p < 0.01), so that the interval of their "
    "mean can err more often than its level says",
)
_NOT_NORMAL = 0.01
_WORTH_SAYING = 0.9  # of the time: what saves less is within the error of an estimate
_FEWEST_TO_READ = 4


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


def confidence_phrase(confidence: float) -> str:
    """Return a confidence level as ``97.5%``, with as many digits as distinguish it from certainty.

    Only multiples of 5%, which are the levels of intervals that are not corrected, have no digits: levels
    that a correction led to are given beside each other, as 99.0% and 99.5%.
    """
    digits = 1
    while f"{100 * confidence:.{digits}f}" == f"{100:.{digits}f}" and digits < 8:
        digits += 1
    text = f"{100 * confidence:.{digits}f}"
    return f"{text.removesuffix('.0') if text.endswith(('0.0', '5.0')) else text}%"


def ranks_phrase(row: Row) -> str:
    """Return ``2 to 4``, the ranks that a variant can have."""
    low, high = row["rank_low"], row["rank_high"]
    return str(low) if low == high else f"{low} to {high}"


def p_phrase(p: float) -> str:
    """Return a p with three digits."""
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def verdict_phrase(row: Row) -> str:
    """Return the verdict; where there is none, why."""
    return str(row["verdict"] or row["reason"])


def method_phrase(compare: CompareSettings) -> str:
    """Say which test, level and margin the verdicts are from, and what they generalise to."""
    test = "paired t-test" if compare.looks == "once" else "anytime-valid paired t-test"
    over = "seeds and test images" if compare.includes_images else "seeds"
    corrected = ", Holm" if compare.correction == "holm" else ""
    margin = points(compare.margin, compare, sign=False)
    return f"{test} over {over}, alpha {compare.alpha:g}{corrected}, margin {margin}"


def verdicts_so_far(compare: CompareSettings) -> str:
    """Say why verdicts that are shown while trials are pending stay valid."""
    if compare.looks == "any":
        return "Its verdicts stay valid, because they are anytime-valid."
    return (
        "Its verdicts stay valid: a comparison whose trials are all done is judged as at the end of the run, "
        f"and any other one by the anytime-valid test at alpha {compare.interim().alpha:g}."
    )


def conclusion(row: Row, compare: CompareSettings) -> str:
    """Say in a sentence what a comparison supports, with its interval and n."""
    name, metric = row["variant"], compare.metric_in_words
    n = f"n = {counted(row['n'], 'pair')}"
    unit = " points" if compare.in_points else ""
    estimate = f"{points(row['difference'], compare)}{unit}"
    if not math.isnan(row["low"]):
        estimate += f", {confidence_phrase(row['confidence'])} interval {interval_phrase(row, compare)}"
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
    unfinished = ""
    if row["verdict"] and row["unfinished"]:
        verb = "were" if " and " in row["unfinished"] else "was"
        unfinished = f" {row['unfinished']} {verb} still improving, so this holds for this budget of epochs."
    return f"{sentence} ({estimate}, {n}).{_without_failed_seeds(row, compare)}{unfinished}"


def _without_failed_seeds(row: Row, compare: CompareSettings) -> str:
    """Say what remains of a comparison without the seeds whose training failed; empty if none did."""
    if not row["failed_seeds"]:
        return ""
    rest: Row = {"n": int(row["n_rest"]), "low": row["low_rest"], "high": row["high_rest"]}
    text = f" Training collapsed in {row['failed_seeds']}; without this,"
    if not rest["n"]:
        return f"{text} no pair is left."
    unit = " points" if compare.in_points else ""
    estimate = f"{points(row['difference_rest'], compare)}{unit}"
    if not math.isnan(rest["low"]):
        estimate += f" ({confidence_phrase(row['confidence'])} interval {interval_phrase(rest, compare)})"
    return f"{text} the difference is {estimate}, n = {counted(rest['n'], 'pair')}."


def second_reading_notes(comparisons: pd.DataFrame, compare: CompareSettings) -> list[str]:
    """Say where a reading without the assumption of normal differences disagrees with the declared verdicts.

    It disagrees if a decided mean and the median lie on different sides of 0, if all pairs agree in
    direction although the verdict is unresolved, or if the differences are visibly not normal. Comparisons
    of fewer than four pairs are left out.
    """
    kinds: dict[str, list[str]] = {text: [] for text in _DISAGREEMENTS}
    direction, one_side, not_normal = kinds.values()
    for row in comparisons.to_dict("records"):
        n, above = int(row["n"]), int(row["above_zero"])
        if not row["declared"] or n < _FEWEST_TO_READ or math.isnan(row["p"]):
            continue
        name = f"{row['variant']} against {row['baseline']}"
        found = f"{name} (median {points(row['median'], compare)}, {above} of {n} above 0)"
        if row["verdict"] in ("better", "worse") and row["median"] * row["difference"] <= 0:
            direction.append(found)
        elif (
            row["verdict"] == "unresolved" and row["p_sign"] <= 2 * 0.5**n and row["low"] <= 0 <= row["high"]
        ):
            one_side.append(f"{name} (n = {n}, {'above' if above else 'below'})")
        elif row["p_normal"] < _NOT_NORMAL:
            not_normal.append(found)
    return [f"{text}: {', '.join(names)}." for text, names in kinds.items() if names]


def effect_conclusion(row: Row, compare: CompareSettings, factors: int) -> str:
    """Say in a sentence what a main effect or an interaction supports, with its interval and n.

    Args:
        row: A row of the effects table.
        compare: How it was judged.
        factors: The number of factors of the study, over the others of which an effect is averaged.
    """
    unit = " points" if compare.in_points else ""
    estimate = f"{points(row['difference'], compare)}{unit}"
    if not math.isnan(row["low"]):
        estimate += f", {confidence_phrase(row['confidence'])} interval {interval_phrase(row, compare)}"
    if len(aliased := interactions_of(row["effect"])) > 1:
        averaged, sentence = "", aliased_conclusion(aliased, row["verdict"], row["reason"], compare)
    else:
        count = row["effect"].count(" × ") + 1
        averaged = "" if count == factors else "averaged over the other factors, "
        sentence = (_main_effect if count == 1 else _interaction)(row, compare)
    text = f"{averaged}{sentence} ({estimate}, n = {counted(row['n'], 'seed')})."
    return text[0].upper() + text[1:]


def _main_effect(row: Row, compare: CompareSettings) -> str:
    level, metric = f"{row['effect']} = {row['levels']}", compare.metric_in_words
    return {
        "better": f"{level} makes {metric} better",
        "worse": f"{level} makes {metric} worse",
        "equivalent": f"{level} changes {metric} by less than the margin",
        "unresolved": f"whether {level} changes {metric} is unresolved",
    }.get(row["verdict"], f"the effect of {level} on {metric} has no verdict: {row['reason']}")


def _interaction(row: Row, compare: CompareSettings) -> str:
    """Compare what the levels do together with what they do in smaller numbers."""
    factors, labels = row["effect"].split(" × "), row["levels"].split(" × ")
    if len(factors) != len(labels):  # a label contains the sign
        verdict = row["verdict"] or row["reason"]
        return (
            f"the interaction of {row['effect']} at {row['levels']} in {compare.metric_in_words}: {verdict}"
        )
    levels = [f"{factor} = {label}" for factor, label in zip(factors, labels, strict=True)]
    together, metric = f"{', '.join(levels[:-1])} and {levels[-1]}", compare.metric_in_words
    parts = "the sum of their separate effects"
    if len(levels) > 2:
        smaller = " and ".join(["pairs", *(f"groups of {size}" for size in range(3, len(levels)))])
        parts = f"their separate effects and the interactions of {smaller}"
    higher, lower = ("higher", "lower") if compare.higher_is_better else ("lower", "higher")
    match row["verdict"]:
        case "better" | "worse":
            order = higher if row["verdict"] == "better" else lower
            return f"together, {together} give a {order} {metric} than {parts} predict{_s(levels)}"
        case "equivalent":
            predicted = f"the {metric} that {parts} predict{_s(levels)}, within the margin"
            return f"together, {together} give {predicted}"
        case "unresolved":
            return (
                f"whether {together} together give another {metric} than {parts} predict{_s(levels)} is "
                "unresolved"
            )
        case _:
            return f"the interaction of {together} in {metric} has no verdict: {row['reason']}"


def _s(levels: Sequence[str]) -> str:
    """Return the ending of the verb after ``the sum`` or, of more than two levels, ``effects``."""
    return "s" if len(levels) == 2 else ""


def not_estimated(effects: pd.DataFrame) -> str:
    """Say how many effects the study cannot estimate, and why the first of them."""
    missing = effects[effects["n"] == 0]
    counts = missing["kind"].value_counts(sort=False)
    kinds = ", ".join(f"{_KINDS[str(kind)]} ({count})" for kind, count in counts.items())
    reason = missing["reason"].iloc[0]
    if reason == "exploratory":  # which is why it has no verdict, and not why it has no estimate
        reason = "no seed has completed all trials of its contrast"
    return f"Not estimated: {kinds}. The reason for the first one: {reason}."


def duration(seconds: float) -> str:
    """Return ``45 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def rough_duration(seconds: float) -> str:
    """Return a duration as closely as an estimate is: ``3 min 20 s``, ``38 min`` or ``4 h 20 min``."""
    step = 1 if seconds < 60 else 10 if seconds < 600 else 60 if seconds < 3600 else 600
    return re.sub(r" 0 (s|min)$", "", duration(step * round(seconds / step)))


def bfloat16_saves(seconds: float, in_bfloat16: float) -> str:
    """Say that a precision would save time on a processor that multiplies bfloat16; empty if hardly any.

    Args:
        seconds: An estimate of the time with the precision of the study.
        in_bfloat16: The estimate with mixed_bfloat16.
    """
    if not seconds or in_bfloat16 > _WORTH_SAYING * seconds:
        return ""
    return (
        "This processor multiplies bfloat16: `precision: mixed_bfloat16` would take about "
        f"{in_bfloat16 / seconds:.1f} of the time."
    )
