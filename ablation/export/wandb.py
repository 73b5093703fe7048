"""A run for Weights & Biases, without a network: an offline run per trial, and one for the report."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ablation.digest import short_digest
from ablation.errors import RunError, writing
from ablation.export.records import all_settings, epoch_measures, final_measures
from ablation.export.results_files import ResultsFiles, results_files
from ablation.files import DAMAGED, read_json
from ablation.grid.trial import Trial, TrialResult
from ablation.results.run import Run

FOLDER = "wandb"  # as W&B names it, in the folder that it is given
_REPORTING = "WANDB_ERROR_REPORTING"
_LONGEST = 128  # characters of the name of a project
_COMPLETE = "complete.json"  # in the folder of an offline run: it was written to its end, and of what


def require_wandb() -> None:
    """Raise an error unless wandb is installed.

    Raises:
        RunError: wandb is not installed.
    """
    if find_spec("wandb") is None:
        raise RunError("wandb is not installed: pip install 'ablation-harness[wandb]'")


def write_wandb(run: Run) -> str:
    """Write the trials of a run that have ended, and its report; what is there already stays as it is.

    Nothing is sent anywhere: ``wandb sync`` uploads the folders that are written. The id of a trial's run is
    a hash of its result, so that a trial is the same run in W&B whenever it is written, and one that was
    trained again is another run.

    Args:
        run: The run, finished or not.

    Returns:
        The pattern of the folders of the offline runs.

    Raises:
        RunError: The folder cannot be written to, or W&B raised an error.
    """
    import wandb

    root = run.folder / FOLDER
    try:
        with _nothing_reported(), writing(root):
            root.mkdir(exist_ok=True)
            _write(run, root)
    except wandb.Error as error:
        raise RunError(f"W&B, {root}: {str(error).splitlines()[0]}") from None
    return str(root / "offline-run-*")


@contextmanager
def _nothing_reported() -> Iterator[None]:
    """Keep W&B from reporting its own use, as it would even offline; wait until all files are written."""
    import wandb

    before, is_used = os.environ.get(_REPORTING), wandb.run is not None  # by the user's own code
    os.environ[_REPORTING] = "false"
    try:
        yield
    finally:
        if not is_used:
            wandb.teardown()  # ends W&B's own process once it has written
        os.environ.pop(_REPORTING)
        if before is not None:
            os.environ[_REPORTING] = before


def _write(run: Run, root: Path) -> None:
    wanted = set()
    for trial in run.trials:
        if result := run.trial_results.get(trial.id):
            run_id = short_digest(f"{trial.id} {run.store.fingerprint(trial)}", 16)
            wanted.add(run_id)
            if _is_missing(root, run_id, trial.id):
                _write_trial(run, run_id, trial, result)
    of_study = short_digest(f"{run.study.name} {run.dataset.digest}", 16)
    wanted.add(of_study)
    files = results_files(run)
    if _is_missing(root, of_study, files.digest):
        _write_results(run, of_study, files)
    for folder in root.glob("offline-run-*"):
        if folder.name.rpartition("-")[2] not in wanted:
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove an offline run, its mark of completeness first, so that a part of it never counts as whole."""
    (folder / _COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _is_missing(root: Path, run_id: str, holds: str) -> bool:
    """Return whether an offline run is not there; one that is not whole, or holds something else, goes."""
    for folder in root.glob(f"offline-run-*-{run_id}"):
        try:
            if read_json(folder / _COMPLETE) == holds:
                return False
        except DAMAGED:
            pass
        _remove(folder)
    return True


@contextmanager
def _offline_run(run: Run, run_id: str, holds: str, **about: Any) -> Iterator[Any]:
    """Open an offline run, and mark its folder as complete at the end of the block.

    Args:
        run: The run to export.
        run_id: The id of the run in W&B.
        holds: What the folder holds at the end.
        about: Further arguments of `wandb.init`.
    """
    import wandb

    settings = wandb.Settings(
        mode="offline", root_dir=str(run.folder), silent=True, console="off", reinit="create_new",
        disable_code=True, disable_git=True, disable_job_creation=True, save_code=False,
        x_disable_machine_info=True, x_disable_meta=True, x_disable_stats=True,
    )  # fmt: skip
    tracked = wandb.init(project=project_name(run.study.name), id=run_id, settings=settings, **about)
    try:
        yield tracked
    finally:
        tracked.finish()
    (Path(tracked.dir).parent / _COMPLETE).write_text(json.dumps(holds), "utf-8")


def project_name(name: str) -> str:
    """Return the name of a study without the characters that W&B refuses in that of a project."""
    return re.sub(r"[/\\#?%:]", "_", name)[:_LONGEST]


def _write_trial(run: Run, run_id: str, trial: Trial, result: TrialResult) -> None:
    about = {
        "name": f"{trial.variant}, seed {trial.seed}",
        "group": trial.variant,
        "job_type": "trial",
        "tags": [result.status],
        "notes": result.cause or None,
        "config": all_settings(run.study, trial)
        | {"trial_id": trial.id, "dataset_digest": trial.dataset_digest},
    }
    with _offline_run(run, run_id, trial.id, **about) as tracked:
        for record in result.history:
            tracked.log(epoch_measures(record), step=record.epoch)
        tracked.summary.update(final_measures(result) | {"status": result.status})


def _write_results(run: Run, run_id: str, files: ResultsFiles) -> None:
    """Write the study's figures as images, and its report and tables as files of a run of their own."""
    import wandb

    about = {"name": "report", "job_type": "report", "notes": run.study.question or None}
    with _offline_run(run, run_id, files.digest, **about) as tracked:
        for file in files.documents:
            copied = shutil.copy(file, tracked.dir)
            tracked.save(copied, base_path=tracked.dir, policy="now")
        if files.pictures:
            tracked.log({f"figures/{file.stem}": wandb.Image(str(file)) for file in files.pictures})
