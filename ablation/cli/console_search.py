"""What the terminal shows of `ablation search`."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from ablation.analysis.phrases import (
    interval_phrase,
    method_phrase,
    minus,
    points,
    signed_points,
    verdict_phrase,
)
from ablation.cli.console import new_console
from ablation.cli.terminal import results_table
from ablation.results.run import Run
from ablation.search.results import SearchRun


def print_search(search_run: SearchRun) -> None:
    """Print the scores of a search, and those of the confirmation with fresh seeds."""
    console, in_percent = new_console(), search_run.search.settings.in_points
    table = results_table(
        "proposal", "in the\nsearch", "fresh\nseeds", "optimism", "difference", "interval", "verdict"
    )
    compare = search_run.confirmed.compare
    for row in search_run.confirmation.to_dict("records"):
        form = "{:.1%}" if in_percent else "{:.4f}"
        table.add_row(
            Text(row["trial"]),
            form.format(row["searched"]),
            form.format(row["confirmed"]),
            f"{signed_points(row['optimism'])} pp" if in_percent else minus(f"{row['optimism']:+.4f}"),
            points(row["difference"], compare),
            interval_phrase(row, compare),
            Text(verdict_phrase(row)),
        )
    console.print(f"Confirmed against {escape(search_run.search.baseline.name)}; {method_phrase(compare)}")
    console.print(table)
    if search_run.ablated:
        _print_ablation(console, search_run.ablated)
    console.print(f"[dim]report  [/]{escape(str(search_run.folder / 'report.html'))}", soft_wrap=True)


def _print_ablation(console: Console, run: Run) -> None:
    """Print how each variant of the ablation of the winner differs from its baseline."""
    table = results_table("variant", "difference", "interval", "verdict")
    for row in run.baseline_comparisons.to_dict("records"):
        cells = (points(row["difference"], run.compare), interval_phrase(row, run.compare))
        table.add_row(Text(row["variant"]), *cells, Text(verdict_phrase(row)))
    baseline = run.study.baseline
    console.print(Text(f"\nThe ablation of the winner, against {baseline}; {method_phrase(run.compare)}"))
    console.print(table)
