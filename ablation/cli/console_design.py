"""What the terminal shows of a fractional design: its aliases before a run, and its fold-over afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from ablation.analysis.alias_phrases import design_notes
from ablation.cli.console import new_console
from ablation.workflow.fold_over import fold_sentence

if TYPE_CHECKING:
    from ablation.grid.study import Study
    from ablation.results.run import Run


def print_design(study: Study) -> None:
    """Print what a fractional design cannot tell apart; nothing for a full one."""
    for note in design_notes(study):
        new_console().print(Text(note), soft_wrap=True)


def print_fold_over(run: Run, is_asked: bool) -> None:
    """Print why a fold-over that was asked for added nothing."""
    if is_asked and (sentence := fold_sentence(run)):
        new_console().print(Text(sentence), soft_wrap=True)
