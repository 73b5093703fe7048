"""Removing what old versions of a study left in its run folder."""

from __future__ import annotations

from pathlib import Path

from ablation.errors import RunError
from ablation.results.tuning import tuned_folder
from ablation.store.leftovers import Leftover, find_leftovers, remove_leftovers
from ablation.store.lock import InUseError
from ablation.store.run_folder import Store


def clean_run(folder: str | Path, remove: bool = False) -> list[Leftover]:
    """Find what no trial of a run's study needs, and remove it if that is asked for.

    The study is the one that was run last in the folder. Its trials are never touched.

    Args:
        folder: The run folder, in which no process may train meanwhile.
        remove: Whether to remove what is found.

    Returns:
        What was found.

    Raises:
        RunError: The folder is not a run folder, is in use, or belongs to a search, which makes its proposals
            again and needs the trials of all of them.
    """
    store = Store(folder)
    study, _ = store.study()
    above = store.folder.absolute().parent
    if not study.reads_test or (tuned_folder(above).name == store.folder.name and _is_tuned(above)):
        raise RunError(
            f"{store.folder} holds the trials of a search, which makes its proposals again when it is "
            "continued and then needs all of them; nothing is removed there."
        )
    try:
        with store.locked():
            study, digest = store.study()  # which a run may have changed before it was locked
            found = find_leftovers(store, study.trials(digest))
            if remove:
                remove_leftovers(store, found)
    except InUseError as error:
        raise RunError(f"{error.holding}; wait until it ends.") from None
    return found


def _is_tuned(folder: Path) -> bool:
    try:
        return Store(folder).study()[0].tune is not None
    except RunError:
        return False
