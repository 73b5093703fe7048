"""What the terminal shows of the tuning of a run."""

from __future__ import annotations

from rich.text import Text

from ablation.analysis.phrases import interval_phrase, points, verdict_phrase
from ablation.analysis.tuning import AS_GIVEN
from ablation.cli.console import new_console
from ablation.cli.terminal import results_table
from ablation.results.run import Run


def print_tuning(run: Run) -> None:
    """Print how far the tuning of a run is and, once it is finished, as given beside each tuned."""
    if not run.study.tune:
        return
    console = new_console()
    if not run.tuning.comparisons:
        for line in run.tuning.progress():
            console.print(Text(line), soft_wrap=True)
        return
    table = results_table("variant", "as given", "verdict", "tuned", "verdict")
    rows = run.tuned.set_index(["budget", "variant"])
    for variant in (v.name for v in run.study.variants if v.name != run.study.baseline):
        cells: list[str | Text] = []
        for budget in (AS_GIVEN, run.tuning.whole_budget):
            row = rows.loc[(budget, variant)].to_dict()
            difference, interval = points(row["difference"], run.compare), interval_phrase(row, run.compare)
            cells += [f"{difference}\n{interval}", Text(verdict_phrase(row))]
        table.add_row(Text(variant), *cells)
    budget = run.tuning.whole_budget
    baseline = run.study.baseline
    console.print(Text(f"\nDifference from {baseline} as given, and each tuned ({budget} proposals)"))
    console.print(table)
    for note in run.tuning.notes:
        console.print(Text(f"Note: {note}", style="yellow"), soft_wrap=True)
