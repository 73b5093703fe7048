"""What the terminal shows of `ablation status`, once or again and again."""

from __future__ import annotations

from rich.text import Text

from ablation.analysis.phrases import duration
from ablation.cli.console import new_console
from ablation.cli.console_tuning import print_tuning
from ablation.cli.json_output import print_json
from ablation.cli.terminal import print_status
from ablation.results.live import LiveState
from ablation.results.run import Run

_PHASES = {
    "starting": "is starting",
    "training": "is training",
    "reporting": "is writing tables, figures and report",
    "stopped": "has stopped before its end; the same `ablation run` command continues it",
    "ended": "has ended",
}


def show_status(run: Run, as_json: bool) -> None:
    """Print how far a run is, as text or as JSON."""
    if as_json:
        from ablation.workflow.records import status_record  # imports much of what reports need

        print_json(status_record(run))
        return
    print_status(run)
    print_tuning(run)


def show_state(run: Run, state: LiveState, as_json: bool) -> None:
    """Print how far a run is now, in the place of what a terminal showed before."""
    if as_json:
        show_status(run, as_json)
        return
    console = new_console()
    if console.is_terminal and not console.is_dumb_terminal:
        console.clear()
    show_status(run, as_json)
    for trial in state.trials:
        if trial.status == "running":
            line = f"  {trial.variant} seed {trial.seed}: epoch {trial.epoch} of {trial.epochs}"
            console.print(Text(line, style="dim"), soft_wrap=True)
    left = "" if state.seconds_left is None else f", about {duration(state.seconds_left)} left"
    console.print(Text(f"The run {_PHASES[state.phase]}{left}.", style="bold"))
