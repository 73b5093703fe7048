"""What is checked of one hand-in: whether it is whole, untouched, and in agreement with itself."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile, ZipFile

from ablation.classroom.hand_ins import MOST_BYTES, Fault
from ablation.data.datasets import Dataset
from ablation.errors import RunError
from ablation.files import DAMAGED, files_below, read_json
from ablation.grid.trial import Trial
from ablation.grid.value_text import counted
from ablation.results.contradictions import contradiction
from ablation.results.left_out import trained_by_earlier_code
from ablation.results.run import Run
from ablation.store.model_layers import kept_accounts
from ablation.store.run_folder import Store, is_search

_FINISHED = ("completed", "diverged")
_MOST_TRIALS = 10_000


def open_hand_in(folder: Path) -> Run:
    """Return the run of a hand-in.

    Raises:
        Fault: It is not a run of a study.
    """
    try:
        if is_search(folder):
            raise Fault("it is a search and no run of a study.")
        study, _ = Store(folder).study()
        if sum(len(study.seeds_of(variant.name)) for variant in study.variants) > _MOST_TRIALS:
            raise Fault(f"it has more than {counted(_MOST_TRIALS, 'trial')}.")
        run = Run(folder)
    except RunError:
        raise Fault("study.json is damaged.") from None
    if not run.study.reads_test:
        raise Fault("its trials do not read the test set, as those of a search.")
    return run


def images_of(run: Run) -> Dataset | None:
    """Return the images of a hand-in; None if it has none, which may be left out where they are many.

    Raises:
        Fault: They are not those that its study names.
    """
    file = run.store.dataset_file
    if not file.is_file():
        return None
    try:
        with ZipFile(file) as arrays:
            is_too_large = sum(member.file_size for member in arrays.infolist()) > MOST_BYTES
        dataset = None if is_too_large else Dataset.load(file)
    except (OSError, ValueError, BadZipFile, NotImplementedError, MemoryError):
        dataset = None
    if dataset is None or dataset.digest != run.trials[0].dataset_digest:
        raise Fault("dataset.npz does not hold the images that study.json names: damaged or edited.")
    return dataset


def require_sound(run: Run, dataset: Dataset) -> None:
    """Check the trials of a hand-in, each against its checksums, its predictions and its seed.

    Args:
        run: The hand-in.
        dataset: The images of the class.

    Raises:
        Fault: A trial is missing, or something in it was changed or cannot come from its seed.
    """
    if run.changes is None:
        raise Fault(
            "declared.json is missing or damaged, which says what was declared before the first trial."
        )
    kept_accounts(run.store)  # which the merged report reads, too
    for trial in run.trials:
        if damage := _foreign_file(run, trial) or run.store.damage(trial):
            raise Fault(f"{_named(trial)}: {damage}: damaged or edited after it was written.")
    _require_all(run)
    for trial in run.trials:
        if problem := contradiction(run.store, trial, run.trial_results[trial.id], dataset):
            raise Fault(f"{_named(trial)}: {problem}.")
    _ = run.results, run.history  # nothing in it keeps these tables from being computed


def _named(trial: Trial) -> str:
    return f"{trial.variant} seed {trial.seed}"


def _foreign_file(run: Run, trial: Trial) -> str:
    """Say whether the record of a trial names a file that is not below its folder; it would be read."""
    folder = run.store.place(trial)
    file = folder / "trial.json"
    if not file.is_file():
        return ""
    try:
        names = set(read_json(file)["files"])
    except DAMAGED:
        return "trial.json does not contain what was written"
    foreign = sorted(names - files_below(folder).keys())
    return f"{foreign[0]} is missing" if foreign else ""


def _require_all(run: Run) -> None:
    """Refuse a run of which trials are missing: those that are there may have been chosen."""
    missing = [trial for trial in run.trials if trial.id not in run.trial_results]
    if len(missing) == len(run.trials) and (reasons := trained_by_earlier_code(run)):
        raise Fault(f"its trials were trained by other code: {next(iter(reasons.values()))}.")
    if missing:
        raise Fault(
            f"the run is not finished: {len(missing)} of {counted(len(run.trials), 'trial')} "
            f"{'is' if len(missing) == 1 else 'are'} missing, the first of them {_named(missing[0])}."
        )
    for trial in run.trials:
        result = run.trial_results[trial.id]
        if result.status not in _FINISHED:
            raise Fault(f"{_named(trial)} did not complete: {result.status}, {result.cause.rstrip('.')}.")
