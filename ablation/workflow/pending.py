"""The trials that are still to be trained, and what is unexpected about some of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ablation.analysis.phrases import bfloat16_saves
from ablation.data.datasets import Dataset
from ablation.executors.contract import Task
from ablation.executors.engine import choose_engine
from ablation.executors.processor_speed import multiplies_bfloat16, processor_speed
from ablation.executors.shard import WHOLE, Shard
from ablation.grid.settings import TrainingSettings
from ablation.grid.study import SaveModels, Study
from ablation.grid.trial import Trial, TrialResult
from ablation.grid.value_text import counted
from ablation.models.cost import SERVER, Speed, guess_seconds
from ablation.results.earlier_code import earlier_code
from ablation.store.run_folder import Store

_WORTH_MEASURING = 600  # seconds of all trials: to measure the speed takes about ten, once per machine
_DEFAULT_EPOCHS = TrainingSettings().epochs


def pending_tasks(
    study: Study,
    dataset: Dataset,
    store: Store,
    results: Mapping[str, TrialResult],
    chosen: Collection[str],
    shard: Shard = WHOLE,
) -> list[Task]:
    """Return a task for each trial of the shard and the chosen variants that is not finished.

    Args:
        study: The study.
        dataset: Its images.
        store: Its run folder, to which nothing is written.
        results: The results of the trials that have one, by trial id.
        chosen: The names of the variants to train.
        shard: The part of the trials to train.
    """
    trials = study.trials(dataset.digest)
    pending = [
        trial
        for trial in shard.take(trials, dataset)
        if trial.variant in chosen and not store.is_finished(trial, results.get(trial.id), study.save_models)
    ]
    others = store.other_settings(trials) if pending else {}
    shorter = _shorter_trainings(pending, store, others)
    earlier = earlier_code([t for t in pending if not store.has_checkpoint(t.id)], store, others)
    engine = choose_engine(study.engine)
    on_processor = engine.name == "tensorflow" and not engine.gpus
    measured = _speed(pending, dataset) if on_processor else None
    uses_bfloat16 = multiplies_bfloat16() or any(t.training.precision == "mixed_bfloat16" for t in pending)
    share = measured.bfloat16_share if measured and uses_bfloat16 else None

    def seconds(trial: Trial, **changes: str) -> float:
        training = trial.training.model_copy(update=changes)
        return guess_seconds(trial.model, training, dataset, measured or SERVER)

    return [
        Task(
            trial,
            store.running_folder(trial),
            study.save_models,
            seconds(trial),
            study.timeout,
            _note(trial, results.get(trial.id), store, study.save_models, shorter.get(trial.id))
            or _from_scratch(earlier.get(trial.id, ""))
            or (_slow_precision(trial, share) if on_processor else ""),
            shorter.get(trial.id, ("", 0))[0],
            seconds(trial, precision="mixed_bfloat16") if share else None,
        )
        for trial in pending
    ]


def task_notes(tasks: Sequence[Task]) -> list[str]:
    """Return the notes of tasks, each with its number of trials, and say which precision would save time."""
    counts: dict[str, int] = {}
    for task in tasks:
        counts[task.note] = counts.get(task.note, 0) + 1
    notes = [f"{note} ({counted(count, 'trial')})." for note, count in counts.items() if note]
    if {task.trial.training.precision for task in tasks} != {"float32"}:  # the study has chosen already
        return notes
    in_bfloat16 = sum(task.seconds if (s := task.bfloat16_seconds) is None else s for task in tasks)
    saves = bfloat16_saves(sum(task.seconds for task in tasks), in_bfloat16)
    return [*notes, saves] if saves else notes


def _speed(pending: Sequence[Trial], dataset: Dataset) -> Speed | None:
    """Return what `processor_speed` measures; None where that would not matter."""
    seconds = sum(guess_seconds(trial.model, trial.training, dataset) for trial in pending)
    return processor_speed() if seconds >= _WORTH_MEASURING else None


def _slow_precision(trial: Trial, share: float | None) -> str:
    """Say that a precision takes longer than float32 on this machine's processor."""
    match trial.training.precision:
        case "mixed_float16":
            return "`precision: mixed_float16` is for GPUs; a processor takes several times as long for it"
        case "mixed_bfloat16" if multiplies_bfloat16() is False:
            return (
                "`precision: mixed_bfloat16` brings nothing here: this processor does not multiply bfloat16, "
                "and takes longer to imitate it than to compute in float32"
            )
        case "mixed_bfloat16" if share and share > 1:
            return (
                "`precision: mixed_bfloat16` brings nothing here: a convolution takes "
                f"{share:.1f} times as long as in float32"
            )
    return ""


def _note(
    trial: Trial,
    result: TrialResult | None,
    store: Store,
    save_models: SaveModels,
    shorter: tuple[str, int] | None,
) -> str:
    if result and result.is_completed and (reason := store.outdated(trial, result, save_models)):
        return f"Trained again, because {reason}"
    if result or not shorter or store.has_checkpoint(trial.id):
        return ""
    trial_id, epochs = shorter
    if trial.training.callbacks:
        return "Trained from epoch 1, because callbacks may have a state of their own, which is not kept"
    if store.has_checkpoint(trial_id):
        return f"Continued from the end of an earlier training of {counted(epochs, 'epoch')}"
    return (
        "Trained from epoch 1, because the last state of an earlier training of "
        f"{counted(epochs, 'epoch')} was not kept; `save_models: true` keeps it"
    )


def _from_scratch(why: str) -> str:
    return why and f"Trained from scratch, because {why}; the earlier results are kept and not used"


def _shorter_trainings(
    pending: Sequence[Trial], store: Store, others: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[str, int]]:
    """Return the longest training of the same settings with fewer epochs, as its id and epochs, by trial id.

    One whose state was kept comes before one whose state was not.
    """
    kept: dict[str, list[tuple[bool, int, str]]] = {}
    for trial_id, settings in others.items():
        rest, epochs = _without_epochs(settings)
        kept.setdefault(rest, []).append((store.has_checkpoint(trial_id), epochs, trial_id))
    found = {}
    for trial in pending:
        rest, epochs = _without_epochs(trial.settings)
        shorter = [training for training in kept.get(rest, []) if training[1] < epochs]
        if shorter:
            found[trial.id] = max(shorter)[2], max(shorter)[1]
    return found


def _without_epochs(settings: Mapping[str, Any]) -> tuple[str, int]:
    """Return settings without their number of epochs, as text, and that number."""
    training = dict(settings["training"])
    epochs = int(training.pop("epochs", _DEFAULT_EPOCHS))
    return json.dumps({**settings, "training": training}, sort_keys=True), epochs
