"""What a merge gate found, as a few lines of Markdown for whoever reads the pull request."""

from __future__ import annotations

import math

from ablation.analysis.phrases import (
    MARKS,
    conclusion,
    interval_phrase,
    method_phrase,
    percent,
    points,
    verdict_phrase,
)
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.value_text import counted
from ablation.report.render import render_gate
from ablation.results.gate import Gate

_ONE_SIDED = "variant "  # how `study_changes` begins to say that one was added, removed or renamed
_MARKS = MARKS | {"identical": "="}


def gate_summary(gate: Gate) -> str:
    """Return the summary as Markdown: whether the branch passes, and each comparison with its interval."""
    compare = gate.base.compare
    rows, sentences = [], []
    for variant, row in zip(gate.variants, gate.comparisons.to_dict("records"), strict=True):
        verdict = row["verdict"]
        rows.append(
            [
                variant,
                *(_value(mean, compare) for mean in gate.means(variant)),
                points(row["difference"], compare),
                "–" if verdict == "identical" else interval_phrase(row, compare),
                str(row["n"]),
                f"{_MARKS.get(verdict, '')} {verdict_phrase(row)}".strip(),
            ]
        )
        if verdict == "identical":
            sentences.append(
                f"{row['variant']} is identical to {row['baseline']}: all numbers of all pairs are the same "
                f"to the last bit (n = {counted(row['n'], 'pair')})."
            )
        else:
            sentences.append(conclusion(row, compare))
    return render_gate(
        passed=gate.passed,
        faults=gate.faults,
        sentences=sentences,
        rows=rows,
        metric=compare.metric_in_words,
        unit=", in percentage points" if compare.in_points else "",
        study=gate.base.study.name,
        seeds=", ".join(map(str, gate.base.study.seeds)),
        method=method_phrase(compare),
        is_open=bool((gate.comparisons["verdict"] == "unresolved").any()),
        differences=[line for line in gate.differences if not line.startswith(_ONE_SIDED)],
        one_sided=[line for line in gate.differences if line.startswith(_ONE_SIDED)],
        unfinished=gate.unfinished.to_dict("records"),
    )


def _value(mean: float, compare: CompareSettings) -> str:
    """Return a mean of the metric as text."""
    if math.isnan(mean):
        return "–"
    return percent(mean) if compare.in_points else f"{mean:.4f}"
