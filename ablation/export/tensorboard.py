"""A run for TensorBoard: the curves and final measures of every trial, and HParams, without TensorFlow.

Each trial is one TensorBoard run, ``<run folder>/tensorboard/<variant>/s<seed>``. The trials of a variant are
one session group of HParams.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ablation.errors import RunError, writing
from ablation.executors.contract import Progress, Task
from ablation.export.places import Place, forget_others, trial_places
from ablation.export.records import FINAL, epoch_measures, epoch_times, final_measures, parameters
from ablation.files import atomic_writer
from ablation.grid.trial import EpochRecord, Trial, TrialResult
from ablation.results.run import Run
from ablation.store.run_folder import Store

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

FOLDER = "tensorboard"
_METRICS = ("test_accuracy", "val_accuracy", "train_accuracy", "gap_accuracy", "test_loss", "val_loss")


class TensorBoard:
    """An `ablation.workflow.observers.Observer` that writes a run for TensorBoard while it trains.

    Args:
        folder: The run folder.

    Raises:
        RunError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        require_tensorboard()
        self._folder = folder
        self._places: dict[str, Place] = {}
        self._open: dict[str, _Events] = {}

    def noted(self, notes: Sequence[str]) -> None:
        """See `Observer.noted`."""

    def planned(self, trials: Sequence[Trial], pending: Sequence[Task]) -> None:
        """See `Observer.planned`; trials that have ended before are written, too."""
        run = Run(self._folder)
        write_tensorboard(run)
        self._places = trial_places(run, run.folder / FOLDER)

    def progressed(self, progress: Progress) -> None:
        """See `Observer.progressed`."""
        if progress.record:
            with writing(self._folder):
                self._events(progress.trial).epoch(progress.record, time.time())

    def finished(self, trial: Trial, result: TrialResult) -> None:
        """See `Observer.finished`."""
        place, store = self._places[trial.id], Store(self._folder)
        with writing(self._folder):
            events = self._events(trial)
            events.end(result, time.time())
            events.close()
            del self._open[trial.id]
            if not events.epochs.issuperset(record.epoch for record in result.history):
                place.clear()  # it resumed from a checkpoint, so that its first epochs are not in this file
                _write_trial(place, result, store.ended_at(trial))
            place.write_about(store.fingerprint(trial))

    def _events(self, trial: Trial) -> _Events:
        """Return the trial's open event file, a new one at the trial's first event."""
        if trial.id not in self._open:
            place, now = self._places[trial.id], time.time()
            place.clear()
            file = (place.folder / _name(trial.id, now)).open("wb", buffering=0)
            self._open[trial.id] = _Events(file, place, now)
        return self._open[trial.id]


def require_tensorboard() -> None:
    """Raise an error unless TensorBoard is installed.

    Raises:
        RunError: TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise RunError("TensorBoard is not installed: pip install 'ablation-harness[tensorboard]'")


def write_tensorboard(run: Run) -> Path:
    """Write the trials of a run that have ended; trials that are there already stay as they are.

    Args:
        run: The run, finished or not.

    Returns:
        The folder, which is the argument of ``tensorboard --logdir``.

    Raises:
        RunError: The folder cannot be written to.
    """
    root, places = run.folder / FOLDER, trial_places(run, run.folder / FOLDER)
    with writing(root):
        root.mkdir(exist_ok=True)
        forget_others(root, places)
        _write_study(root, run)
        for trial in run.trials:
            result, place = run.trial_results.get(trial.id), places[trial.id]
            fingerprint = run.store.fingerprint(trial)
            if result and not place.holds(fingerprint):
                place.clear()
                _write_trial(place, result, run.store.ended_at(trial))
                place.write_about(fingerprint)
    return root


def _write_study(root: Path, run: Run) -> None:
    """Write for HParams which settings vary and which measures it shows."""
    from tensorboard.plugins.hparams import summary_v2
    from tensorboard.summary.writer.record_writer import RecordWriter

    by_variant = parameters(run.study)
    names = dict.fromkeys(name for settings in by_variant.values() for name in settings)
    values = {
        name: [settings[name] for settings in by_variant.values() if name in settings] for name in names
    }
    metrics = dict.fromkeys([run.study.compare.metric, *_METRICS])
    summary = summary_v2.hparams_config_pb(
        [summary_v2.HParam(name, summary_v2.Discrete(set(levels))) for name, levels in values.items()],
        [summary_v2.Metric(FINAL + name, display_name=name) for name in metrics],
        time_created_secs=0.0,
    )
    with _event_file(root / _name("study", 0.0)) as file:
        _put(RecordWriter(file), 0.0, file_version="brain.Event:2")
        _put(RecordWriter(file), 0.0, summary=summary)


def _write_trial(place: Place, result: TrialResult, ended: float) -> None:
    """Write a trial that has ended, with the computed times at which its epochs ended."""
    began = ended - result.seconds
    with _event_file(place.folder / _name(place.trial.id, began)) as file:
        events = _Events(file, place, began)
        for record, at in zip(result.history, epoch_times(result, ended), strict=True):
            events.epoch(record, at)
        events.end(result, ended)


class _Events:
    """The event file of one trial."""

    def __init__(self, file: IO[bytes], place: Place, began: float) -> None:
        from tensorboard.plugins.hparams import summary_v2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._file = file
        self._records = RecordWriter(file)
        self.epochs = set[int]()
        _put(self._records, began, file_version="brain.Event:2")
        session = summary_v2.hparams_pb(dict(place.parameters), place.trial.variant, began)
        _put(self._records, began, summary=session)

    def epoch(self, record: EpochRecord, at: float) -> None:
        """Write an epoch, unless it is written already: a trial whose worker died repeats some epochs."""
        if record.epoch not in self.epochs:
            self.epochs.add(record.epoch)
            _put(self._records, at, step=record.epoch, summary=_scalars(epoch_measures(record)))

    def end(self, result: TrialResult, at: float) -> None:
        """Write the final measures and the status of the trial."""
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams import metadata
        from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        _put(self._records, at, step=len(result.history), summary=_scalars(final_measures(result)))
        status = STATUS_SUCCESS if result.is_completed else STATUS_FAILURE
        ended = HParamsPluginData(session_end_info=SessionEndInfo(status=status, end_time_secs=at))
        summary = Summary()
        about = metadata.create_summary_metadata(ended)
        summary.value.add(tag=metadata.SESSION_END_INFO_TAG, metadata=about, tensor=metadata.NULL_TENSOR)
        _put(self._records, at, summary=summary)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _scalars(measures: Mapping[str, float]) -> Summary:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb

    summary = Summary()
    for name, value in measures.items():
        summary.MergeFrom(scalar_pb(name, value))
    return summary


def _put(records: RecordWriter, at: float, **what: Any) -> None:
    from tensorboard.compat.proto.event_pb2 import Event

    records.write(Event(wall_time=at, **what).SerializeToString())


def _name(what: str, at: float) -> str:
    """Return an event file's name: TensorBoard recognises "tfevents", and reads files in order of name."""
    return f"events.out.tfevents.{int(at):010}.{what}"


def _event_file(path: Path) -> AbstractContextManager[IO[bytes]]:
    """Open an event file that is written whole or not at all."""
    # TensorBoard reads every file whose name contains "tfevents", and so must not see that name too early.
    return atomic_writer(path, partial=path.with_name(".partial"))
