"""A run for Aim: a repository in the run folder, with one Aim run per trial and one for the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
        for run_hash in written.forget_others(fingerprints | {_REPORT: files.digest}):
            repo.delete_run(run_hash)
        for trial in run.trials:
            if trial.id in fingerprints and trial.id not in written.runs:
                run_hash = _write_trial(repo, run, trial, run.trial_results[trial.id])
                written.add(trial.id, fingerprints[trial.id], run_hash)
        if _REPORT not in written.runs:
            written.add(_REPORT, files.digest, _write_results(repo, run, files))
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

    def forget_others(self, fingerprints: Mapping[str, str]) -> list[str]:
        """Forget what is there in another state than these, and return the hashes of the Aim runs."""
        others = {n: one for n, one in self.runs.items() if fingerprints.get(n) != one[0]}
        self.runs = {name: one for name, one in self.runs.items() if name not in others}
        self._save()
        return [run_hash for _, run_hash in others.values()]

    def add(self, name: str, fingerprint: str, run_hash: str) -> None:
        """Record that an Aim run was written to its end."""
        self.runs[name] = [fingerprint, run_hash]
        self._save()

    def _save(self) -> None:
        write_atomically(self._file, json_text(self.runs))


@contextmanager
def _aim_run(repo: Repo, run: Run, name: str) -> Iterator[Any]:
    """Open an Aim run for the block; one that is not written to its end is removed.

    Args:
        repo: The repository.
        run: The run to export, whose study is the experiment.
        name: The name of the Aim run.
    """
    import aim

    written = aim.Run(
        repo=repo,
        experiment=run.study.name,
        system_tracking_interval=None,
        log_system_params=False,
        capture_terminal_logs=False,
    )
    written.name = name
    try:
        yield written
    except BaseException:
        written.close()
        repo.delete_run(written.hash)
        raise
    written.close()


def _write_trial(repo: Repo, run: Run, trial: Trial, result: TrialResult) -> str:
    """Write a trial; return the hash of its Aim run."""
    final = final_measures(result)
    with _aim_run(repo, run, f"{trial.variant}, seed {trial.seed}") as written:
        written.description = result.cause
        for tag in (trial.variant, result.status):
            written.add_tag(tag)
        written["hparams"] = all_settings(run.study, trial)
        written["trial"] = {"id": trial.id, "dataset_digest": trial.dataset_digest, "status": result.status}
        for record in result.history:
            for name, value in epoch_measures(record).items():
                written.track(value, name=name, step=record.epoch, epoch=record.epoch)
        for name, value in final.items():
            written.track(value, name=name, step=len(result.history))
    return str(written.hash)


def _write_results(repo: Repo, run: Run, files: ResultsFiles) -> str:
    """Write the figures as images, and the report as text; return the hash of their Aim run."""
    import aim

    with _aim_run(repo, run, "report") as written:
        written.description = run.study.question
        written.add_tag("report")
        for file in files.pictures:
            written.track(aim.Image(str(file)), name=f"figures/{file.stem}")
        for file in files.documents:
            if file.suffix == ".md":
                written.track(aim.Text(file.read_text("utf-8")), name=file.name)
    return str(written.hash)
