"""What the terminal says of dose-response curves."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from ablation.analysis.dose_phrases import dose_conclusion, method_of_curves
from ablation.results.run import Run


def print_dose_response(console: Console, run: Run) -> None:
    """Print what each dose-response curve supports, one line per curve; nothing if there is none."""
    curves = run.dose_response.groupby(["factor", "where"], sort=False)
    if not len(curves):
        return
    console.print("\n[bold]Dose–response[/] (exploratory; for other seeds, not for other test images)")
    for _, curve in curves:
        console.print(Text(f"  {dose_conclusion(curve, run.compare)}"), soft_wrap=True)
    console.print(Text(f"  {method_of_curves(run.compare)}", style="dim"), soft_wrap=True)
