"""What the terminal shows of a class."""

from __future__ import annotations

from rich.text import Text

from ablation.cli.console import new_console
from ablation.grid.value_text import counted
from ablation.results.classroom import CLASS_PAGE, Classroom
from ablation.results.run import Run


def print_class(run: Run) -> bool:
    """Print which hand-ins count and why the others do not; return whether all of them count."""
    console, classroom = new_console(), Classroom.read(run.store)
    assert classroom is not None
    console.print(f"class   {run.folder / CLASS_PAGE}", soft_wrap=True, highlight=False, markup=False)
    aside = counted(len(classroom.set_aside), "hand-in")
    verb = "is" if len(classroom.set_aside) == 1 else "are"
    rest = f", and {aside} {verb} set aside:" if classroom.set_aside else "."
    console.print(f"\n{counted(len(classroom.students), 'hand-in')} of the class are counted{rest}")
    for one in classroom.set_aside:
        console.print(Text(f"  {one}"), soft_wrap=True)
    return not classroom.set_aside
