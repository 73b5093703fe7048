"""What a run would do: its trials, which of them are finished, parameters, time, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ablation.data.datasets import prepare_dataset
from ablation.errors import refuse_file
from ablation.executors.cores import available_cores
from ablation.executors.shard import WHOLE, Shard
from ablation.grid.seeding import Randomness
from ablation.grid.study import Study
from ablation.grid.trial import Trial, slug
from ablation.grid.value_text import counted
from ablation.models.build import build_model
from ablation.models.cost import guess_seconds
from ablation.results.notes import planned_notes
from ablation.store.run_folder import RUNS, Store
from ablation.tensorflow_setup import quiet_stderr
from ablation.workflow.preflight import require_fit
from ablation.workflow.run_study import chosen_variants
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
    """What `ablation run --dry-run` prints; ``seconds`` is an estimate from the models' multiply-adds."""

    description: str
    baseline: str
    variants: tuple[VariantPlan, ...]
    pending_ids: tuple[str, ...]
    notes: tuple[str, ...]
    workers: int
    seconds: float


def plan_study(
    study: Study,
    out: str | Path | None = None,
    *,
    only: Sequence[str] = (),
    workers: int | None = None,
    shard: Shard = WHOLE,
) -> Plan:
    """Return what `run_study` with the same arguments would do.

    Each variant's model is built to count its parameters.

    Raises:
        AblationError: As `run_study`.
    """
    chosen = chosen_variants(study, only)
    dataset = prepare_dataset(study.dataset, study.vary)
    require_fit(study, dataset)
    store = Store(out or RUNS / slug(study.name))
    refuse_file(store.folder)
    study = with_earlier_seeds(study, store, dataset.digest)
    trials = study.trials(dataset.digest)
    finished = {t.id for t in trials if store.is_finished(t, store.result(t), study.save_models)}
    of_shard = shard.take(trials, dataset)
    pending = [t for t in of_shard if t.variant in chosen and t.id not in finished]
    rows, seconds = [], 0.0
    with quiet_stderr():
        shape, classes, multi_label = dataset.image_shape, len(dataset.class_names), dataset.is_multi_label
        models = [build_model(v.model, shape, classes, Randomness(0), multi_label) for v in study.variants]
    for variant, model in zip(study.variants, models, strict=True):
        of_variant = [t for t in trials if t.variant == variant.name]
        to_train = [t for t in pending if t.variant == variant.name]
        rows.append(
            VariantPlan(
                variant.name,
                model.count_params(),
                len(of_variant),
                sum(t.id in finished for t in of_variant),
                len(to_train),
            )
        )
        seconds += len(to_train) * guess_seconds(variant.model, variant.training, dataset)
    processes = min(workers or max(1, available_cores() // study.threads), max(1, len(pending)))
    return Plan(
        description=f"{study.name}: {dataset.describe()}",
        baseline=study.baseline,
        variants=tuple(rows),
        pending_ids=tuple(t.id for t in pending),
        notes=(*_other_trials(store, trials), *planned_notes(study, dataset)),
        workers=processes,
        seconds=seconds / processes,
    )


def _other_trials(store: Store, trials: Sequence[Trial]) -> list[str]:
    """Say how many trials of the run folder do not belong to the plan."""
    count = store.count_others(trials)
    if not count:
        return []
    return [
        f"{counted(count, 'trial')} in {store.folder} do{'es' * (count == 1)} not belong to this plan: they "
        "have different seeds, or come from earlier settings, images or modules. They are kept but not used."
    ]
