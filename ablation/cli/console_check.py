"""What the terminal shows of `ablation check`."""

from __future__ import annotations

from rich.text import Text

from ablation.cli.console import new_console
from ablation.cli.terminal import results_table
from ablation.grid.value_text import counted
from ablation.workflow.check import Check


def print_check(check: Check) -> None:
    """Print each variant's size, and the layers in which it differs from the baseline."""
    console = new_console()
    console.print(Text(check.description, style="bold"))
    console.print(Text(check.classes))
    table = results_table("variant", "parameters", "multiply-adds", "layers")
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
            table = results_table(Text(variant.name), left=(Text(check.baseline), "becomes"))
            for difference in differences:
                table.add_row(*(Text(t) for t in (difference.layer, difference.baseline, difference.variant)))
            console.print(table)
    for note in check.notes:
        console.print(Text(f"Note: {note}", style="yellow"))
    console.print(
        f"\n{counted(check.trials, 'trial')} in all; `ablation run --grid FILE --dry-run` lists what is left."
    )
