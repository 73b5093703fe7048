"""What a run would do: its trials, which of them are finished, parameters, time, and warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablation.analysis.alias_phrases import design_notes
from ablation.data.class_counts import counts_in_words
from ablation.data.datasets import Dataset, prepare_dataset
from ablation.errors import refuse_file
from ablation.executors.contract import Task
from ablation.executors.engine import choose_engine
from ablation.executors.shard import WHOLE, Shard
from ablation.grid.seeding import Randomness
from ablation.grid.study import Study
from ablation.grid.trial import Trial, TrialResult
from ablation.grid.value_text import counted
from ablation.models.build import build_model
from ablation.results.notes import planned_notes
from ablation.results.run import Run
from ablation.store.plain_files import require_plain_files
from ablation.store.run_folder import Store
from ablation.tensorflow_setup import quiet_stderr
from ablation.workflow.ablated_models import edit_notes
from ablation.workflow.environment import environment_notes
from ablation.workflow.fold_over import fold_plan
from ablation.workflow.pending import pending_tasks, task_notes
from ablation.workflow.place import place_notes, store_of
from ablation.workflow.preflight import require_fit
from ablation.workflow.run_study import grown, study_to_run
from ablation.workflow.sequential import with_earlier_seeds


@dataclass(frozen=True)
class VariantPlan:
    """One variant of a plan: its numbers of trials, and the parameters of its model."""

    name: str
    parameters: int
    trials: int
    finished: int
    pending: int


@dataclass(frozen=True)
class Plan:
    """What `ablation run --dry-run` prints; ``seconds`` is an estimate from the models' multiply-adds.

    ``classes`` says how many images there are per class.
    """

    description: str
    baseline: str
    variants: tuple[VariantPlan, ...]
    pending_ids: tuple[str, ...]
    notes: tuple[str, ...]
    workers: int
    seconds: float
    classes: str = ""


def plan_study(
    study: Study,
    out: str | Path | None = None,
    *,
    only: Sequence[str] = (),
    workers: int | None = None,
    shard: Shard = WHOLE,
    max_seeds: int | None = None,
    fold_over: bool = False,
) -> Plan:
    """Return what `run_study` with the same arguments would do.

    Each variant's model is built to count its parameters. With ``max_seeds``, it is the next round of seeds,
    because the results of this round decide about further ones. ``fold_over`` adds variants if all trials are
    done; before that, their results decide about it.

    Raises:
        AblationError: As `run_study`.
    """
    store = store_of(study, out)
    refuse_file(store.folder)
    require_plain_files(store.folder)
    study, chosen = study_to_run(study, store, only, shard, max_seeds, fold_over)
    dataset = prepare_dataset(study.dataset, study.vary)
    require_fit(study, dataset)
    study = with_earlier_seeds(study, store, dataset.digest)
    tasks = pending_tasks(study, dataset, store, _results(study, dataset, store), chosen, shard)
    if (max_seeds or fold_over) and not tasks:
        run = Run(store.folder).with_study(study, dataset.digest)
        study = grown(run, chosen, max_seeds, fold_over) or study
        tasks = pending_tasks(study, dataset, store, _results(study, dataset, store), chosen, shard)
    results = _results(study, dataset, store).values()
    trials, pending = study.trials(dataset.digest), [task.trial for task in tasks]
    engine = choose_engine(study.engine)
    processes = min(engine.workers(workers, study.threads), max(1, len(pending)))
    return Plan(
        description=f"{study.name}: {dataset.describe()}",
        baseline=study.baseline,
        variants=tuple(_variant_plans(study, dataset, store, pending)),
        pending_ids=tuple(t.id for t in pending),
        notes=(
            *([engine.reason] if engine.reason else []),
            *place_notes(study, store),
            *(environment_notes(results, engine.name, study.threads) if tasks else []),
            *task_notes(tasks),
            *_rounds(tasks, max_seeds),
            *([fold_plan(study, bool(tasks))] if fold_over else []),
            *_other_trials(store, trials),
            *edit_notes(study, dataset),
            *design_notes(study),
            *planned_notes(study, dataset),
        ),
        workers=processes,
        seconds=sum(task.seconds for task in tasks) / processes,
        classes=counts_in_words(dataset.class_counts),
    )


def _variant_plans(
    study: Study, dataset: Dataset, store: Store, pending: Sequence[Trial]
) -> Iterator[VariantPlan]:
    """Yield the plan of each variant, whose model is built to count its parameters."""
    trials, results = study.trials(dataset.digest), _results(study, dataset, store)
    finished = [t for t in trials if store.is_finished(t, results.get(t.id), study.save_models)]
    shape, classes = dataset.image_shape, len(dataset.class_names)
    for variant in study.variants:
        with quiet_stderr():
            model = build_model(
                variant.model, shape, classes, Randomness(0), dataset.is_multi_label, variant.training
            )
        counts = (sum(t.variant == variant.name for t in of) for of in (trials, finished, pending))
        yield VariantPlan(variant.name, model.count_params(), *counts)


def _results(study: Study, dataset: Dataset, store: Store) -> dict[str, TrialResult]:
    """Return the results of the trials that have one, by trial id."""
    found = ((trial.id, store.result(trial)) for trial in study.trials(dataset.digest))
    return {trial_id: result for trial_id, result in found if result}


def _rounds(tasks: Sequence[Task], max_seeds: int | None) -> list[str]:
    """Say that further seeds may follow."""
    if not max_seeds or not tasks:
        return []
    return [
        "This is the next round of trials. Its results decide which questions are still open, and get "
        f"further seeds, at most {max_seeds} per variant."
    ]


def _other_trials(store: Store, trials: Sequence[Trial]) -> list[str]:
    """Say how many trials of the run folder do not belong to the plan."""
    count = store.count_others(trials)
    if not count:
        return []
    return [
        f"{counted(count, 'trial')} in {store.folder} do{'es' * (count == 1)} not belong to this plan: they "
        "have different seeds, or come from earlier settings, images or modules. They are kept but not used."
    ]
