"""A run for Aim: a repository in the run folder, with one Aim run per trial and one for the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation.errors import RunError, writing
from ablation.export.records import all_settings, epoch_measures, final_measures
from ablation.export.results_files import ResultsFiles, results_files
from ablation.files import DAMAGED, json_text, read_json, write_atomically
from ablation.grid.trial import Trial, TrialResult
from ablation.results.run import Run

if TYPE_CHECKING:
    from aim import Repo

FOLDER = "aim"
_REPORT = "report"  # no trial has this id
_BEGUN = ""  # in place of a fingerprint: the Aim run is not written to its end


def require_aim() -> None:
    """Raise an error unless Aim is installed.

    Raises:
        RunError: Aim is not installed.
    """
    if find_spec("aim") is None:
        raise RunError("Aim is not installed: pip install 'ablation-harness[aim]'")


def write_aim(run: Run) -> Path:
    """Write the trials of a run that have ended, and its report; what is there already stays as it is.

    Args:
        run: The run, finished or not.

    Returns:
        The folder, which is the argument of ``aim up --repo``.

    Raises:
        RunError: The folder cannot be written to.
    """
    from aim import Repo

    root = run.folder / FOLDER
    with writing(root):
        root.mkdir(exist_ok=True)
        repo, written = Repo.from_path(str(root), init=True), _Written(root)
        fingerprints = {t.id: run.store.fingerprint(t) for t in run.trials if t.id in run.trial_results}
        files = results_files(run)
        for name, run_hash in written.others(fingerprints | {_REPORT: files.digest}):
            repo.delete_run(run_hash)
            written.forget(name)
        for trial in run.trials:
            if trial.id in fingerprints and trial.id not in written.runs:
                name = f"{trial.variant}, seed {trial.seed}"
                with _aim_run(repo, run, name, written.recording(trial.id)) as new:
                    _write_trial(new, run, trial, run.trial_results[trial.id])
                written.add(trial.id, fingerprints[trial.id], str(new.hash))
        if _REPORT not in written.runs:
            with _aim_run(repo, run, "report", written.recording(_REPORT)) as new:
                _write_results(new, run, files)
            written.add(_REPORT, files.digest, str(new.hash))
    return root


class _Written:
    """The record of what is in the repository, as Aim finds runs only once its server has indexed them.

    Args:
        root: The folder that holds the repository.
    """

    def __init__(self, root: Path) -> None:
        self._file = root / "exported.json"
        try:
            record = read_json(self._file).items()
            self.runs = {name: [str(fingerprint), str(run)] for name, (fingerprint, run) in record}
        except DAMAGED:
            self.runs = {}

    def others(self, fingerprints: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the names and hashes of the Aim runs that are not whole, or in another state than these."""
        return [(name, one[1]) for name, one in self.runs.items() if fingerprints.get(name) != one[0]]

    def forget(self, name: str) -> None:
        """Forget an Aim run, which is no longer there."""
        del self.runs[name]
        self._save()

    def recording(self, name: str) -> Callable[[str], None]:
        """Return a function that records the hash of an Aim run that is begun under a name."""
        return lambda run_hash: self.add(name, _BEGUN, run_hash)

    def add(self, name: str, fingerprint: str, run_hash: str) -> None:
        """Record what an Aim run holds."""
        self.runs[name] = [fingerprint, run_hash]
        self._save()

    def _save(self) -> None:
        write_atomically(self._file, json_text(self.runs))


@contextmanager
def _aim_run(repo: Repo, run: Run, name: str, record: Callable[[str], None]) -> Iterator[Any]:
    """Open an Aim run for the block.

    Args:
        repo: The repository.
        run: The run to export, whose study is the experiment.
        name: The name of the Aim run.
        record: Called with its hash before anything is written, so that the next export finds what is left
            if this one is killed.
    """
    import aim

    written = aim.Run(
        repo=repo,
        experiment=run.study.name,
        system_tracking_interval=None,
        log_system_params=False,
        capture_terminal_logs=False,
    )
    record(str(written.hash))
    written.name = name
    try:
        yield written
    finally:
        written.close()


def _write_trial(written: Any, run: Run, trial: Trial, result: TrialResult) -> None:
    """Write a trial to its Aim run."""
    written.description = result.cause
    for tag in (trial.variant, result.status):
        written.add_tag(tag)
    written["hparams"] = all_settings(run.study, trial)
    written["trial"] = {"id": trial.id, "dataset_digest": trial.dataset_digest, "status": result.status}
    for record in result.history:
        for name, value in epoch_measures(record).items():
            written.track(value, name=name, step=record.epoch, epoch=record.epoch)
    for name, value in final_measures(result).items():
        written.track(value, name=name, step=len(result.history))


def _write_results(written: Any, run: Run, files: ResultsFiles) -> None:
    """Write the figures as images, and the report as text, to an Aim run of their own."""
    import aim

    written.description = run.study.question
    written.add_tag("report")
    for file in files.pictures:
        written.track(aim.Image(str(file)), name=f"figures/{file.stem}")
    for file in files.documents:
        if file.suffix == ".md":
            written.track(aim.Text(file.read_text("utf-8")), name=file.name)
