"""What `ablation repeat` prints."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from ablation.grid.value_text import counted
from ablation.workflow.repeat import Repetition


def print_repetition(repetition: Repetition) -> None:
    """Print whether a trial that was trained again gave the same bits and, if not, what may be the reason."""
    console, trial = Console(), repetition.trial
    name = f"{trial.variant} seed {trial.seed}"
    epochs = counted(len(repetition.again.history), "epoch")
    for line in repetition.differences:
        console.print(Text(f"{name}, {line}", style="red"), soft_wrap=True)
    if not repetition.differences:
        text = f"{name}: trained again for {epochs}; every number is the same, bit for bit"
        console.print(Text(text), soft_wrap=True)
    elif not repetition.environment:
        note = "Note: both record the same environment and the same files of yours."
        console.print(Text(note, style="yellow"), soft_wrap=True)
    for line in repetition.environment:
        console.print(Text(f"Note: not as before: {line}.", style="yellow"), soft_wrap=True)
