"""What the terminal shows of `ablation check`."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ablation.workflow.check import Check


def print_check(check: Check) -> None:
    """Print each variant's size, and the layers in which it differs from the baseline."""
    console = Console()
    console.print(Text(check.description, style="bold"))
    table = _table("variant", "parameters", "multiply-adds", "layers", right=3)
    for variant in check.variants:
        mark = " (baseline)" if variant.name == check.baseline else ""
        adds = f"{variant.multiply_adds:,}" if variant.multiply_adds else "–"
        sizes = (f"{variant.parameters:,}", adds, str(len(variant.layers)))
        table.add_row(Text(variant.name + mark), *(sizes if not variant.error else ("–", "–", "–")))
    console.print(table)
    for variant in check.variants:
        if variant.error:
            console.print(Text(f"\n{variant.name} cannot be built: {variant.error}", style="red"))
        elif differences := check.differences(variant):
            console.print()
            table = _table(variant.name, check.baseline, "becomes", right=0)
            for difference in differences:
                table.add_row(*(Text(t) for t in (difference.layer, difference.baseline, difference.variant)))
            console.print(table)
    for note in check.notes:
        console.print(Text(f"Note: {note}", style="yellow"))
    console.print(f"\n{check.trials} trials in all; `ablation run --grid FILE --dry-run` lists what is left.")


def _table(*headings: str, right: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for place, heading in enumerate(headings):
        is_number = place >= len(headings) - right
        table.add_column(Text(heading), justify="right" if is_number else "left", overflow="fold")
    return table
