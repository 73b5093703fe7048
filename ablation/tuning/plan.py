"""What a run with tuning would do: the trials of the study as given, and an estimate for its tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ablation.analysis.phrases import rough_duration
from ablation.data.datasets import Dataset, prepare_dataset
from ablation.executors.engine import choose_engine
from ablation.executors.shard import WHOLE, Shard
from ablation.grid.search_space import Parameter
from ablation.grid.study import Study, Variant
from ablation.grid.trial import slug
from ablation.grid.tuning import SEARCHES, space_of
from ablation.grid.value_text import counted
from ablation.models.cost import guess_seconds
from ablation.results.run import Run
from ablation.store.run_folder import RUNS
from ablation.tuning.run import refuse_reserved_seeds
from ablation.workflow.dry_run import Plan, plan_study

_STEPS = 10  # into which keras-tuner divides a range without a step, for the tuner `grid`


def plan_run(
    study: Study,
    out: str | Path | None = None,
    *,
    only: Sequence[str] = (),
    workers: int | None = None,
    shard: Shard = WHOLE,
    max_seeds: int | None = None,
    fold_over: bool = False,
) -> Plan:
    """Return what `run_and_tune` with the same arguments would do.

    Which settings a search will propose is not known before. So the trials of the tuning are counted, and
    their time is estimated as if every proposal took as long as its variant as given.

    Raises:
        AblationError: As `run_and_tune`.
    """
    refuse_reserved_seeds(study)
    plan = plan_study(
        study, out, only=only, workers=workers, shard=shard, max_seeds=max_seeds, fold_over=fold_over
    )
    if not study.tune:
        return plan
    if only or not shard.is_whole:
        note = "Tuning is left to a run of the whole grid, without --only and --shard."
        return replace(plan, notes=(note, *plan.notes))
    dataset = prepare_dataset(study.dataset, study.vary)
    folder = Path(out or RUNS / slug(study.name))
    if not plan.pending_ids and Run(folder).with_study(study, dataset.digest).tuning.comparisons:
        note = "Tuning is finished."
    else:
        note = _tuning_note(study, dataset, choose_engine(study.engine).workers(workers, study.threads))
    return replace(plan, notes=(note, *plan.notes))


def _tuning_note(study: Study, dataset: Dataset, workers: int) -> str:
    """Say how many trials the searches and the tuned comparisons have, and how long they take."""
    tune = study.tune
    assert tune
    budgets = {variant.name: most_proposals(study, variant) for variant in study.variants}
    whole = max(budgets.values())
    compared = (1 + len(tune.smaller_budgets(whole))) * len(study.seeds)
    searching, seconds = 0, 0.0
    for variant in study.variants:
        of_variant = len(SEARCHES) * budgets[variant.name] * tune.seeds
        searching += of_variant
        seconds += (of_variant + compared) * guess_seconds(variant.model, variant.training, dataset)
    return (
        f"Tuning follows: two searches of {counted(whole, 'proposal')} per variant, at most "
        f"{counted(searching, 'trial')} without the test set, and then at most "
        f"{counted(compared * len(study.variants), 'trial')} that compare the tuned variants. In all, they "
        f"take roughly {rough_duration(seconds / workers)}, if each takes as long as its variant as given. "
        "Trials that are finished are not trained again."
    )


def most_proposals(study: Study, variant: Variant) -> int:
    """Return the largest number of proposals that a search can make for a variant.

    Args:
        study: The study that is tuned.
        variant: The variant.
    """
    assert study.tune
    combinations = 1
    for parameter in space_of(study, variant).values():
        combinations = min(combinations * _values(parameter, study.tune.tuner == "grid"), 10**9)
    return min(study.tune.most_trials or combinations, combinations)


def _values(parameter: Parameter, as_grid: bool) -> int:
    """Return how many values a parameter can take; a range of numbers without a step has no limit."""
    if parameter.range is None:
        return len(parameter.choice or ())
    low, high = parameter.range
    if parameter.step and not parameter.log:
        return int((high - low) / parameter.step + 1e-9) + 1
    if parameter.is_whole and not parameter.log:
        return int(high - low) + 1
    return _STEPS if as_grid else 10**9
