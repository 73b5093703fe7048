"""Which command writes what is missing or damaged in a run folder: the one that made the folder."""

from __future__ import annotations

from pathlib import Path

SEARCH = "search.json"
CLASS = "class.json"


def maker_of(folder: Path) -> str:
    """Return the command that makes a run folder, as in ``ablation search``.

    Args:
        folder: The run folder: that of a study, one of those that a search consists of, or that of a class.
    """
    if (folder.resolve().parent / SEARCH).exists():
        return "ablation search"
    return "ablation class collect" if (folder / CLASS).exists() else "ablation run"
