"""A run in a few lines: each variant's accuracies and gap, as text."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ablation.statistics import mean_intervals
from ablation.wording import conclusion

if TYPE_CHECKING:
    from ablation.run import Run

SUMMARY_HEADINGS = ("variant", "train", "validation", "test (95% interval)", "gap", "seeds")


def summary_rows(run: Run) -> list[tuple[str, ...]]:
    """Return a row a variant with completed trials, under `SUMMARY_HEADINGS`."""
    completed = run.results[run.results["status"] == "completed"]
    if completed.empty:
        return []
    measures = ["train_accuracy", "val_accuracy", "test_accuracy", "gap_accuracy"]
    summary = mean_intervals(completed, ["variant"], measures).set_index(["variant", "metric"])
    rows: list[tuple[str, ...]] = []
    for variant in completed["variant"].unique():
        train, val, test, gap = (summary.loc[(variant, measure)] for measure in measures)
        half = f" ± {100 * (test['high'] - test['mean']):.1f}" if test["n"] > 1 else ""
        rows.append(
            (
                str(variant),
                f"{train['mean']:.1%}",
                f"{val['mean']:.1%}",
                f"{100 * test['mean']:.1f}{half} %",
                f"{100 * gap['mean']:+.1f} pp",
                str(int(test["n"])),
            )
        )
    return rows


def summary_html(run: Run) -> str:
    """Return the summary and the verdicts as HTML, for a notebook."""
    counts = run.results["status"].value_counts()
    state = ", ".join(f"{count} {status}" for status, count in counts.items())
    head = f"<b>{escape(run.study.name)}</b> {escape(run.study.question)} <small>({state})</small>"
    cells = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in summary_rows(run)]
    headings = "".join(f"<th>{escape(heading)}</th>" for heading in SUMMARY_HEADINGS)
    table = f"<table><tr>{headings}</tr>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
    found = [conclusion(row, run.compare) for row in run.comparisons.to_dict("records") if row["verdict"]]
    return f"<div>{head}{table}<ul>{''.join(f'<li>{escape(text)}</li>' for text in found)}</ul></div>"
