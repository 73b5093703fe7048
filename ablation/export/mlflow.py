"""A run for MLflow: one experiment per study, with one parent run and one nested run per trial."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError, RunError
from ablation.export.mlflow_database import set_up_database
from ablation.export.records import epoch_measures, epoch_times, final_measures
from ablation.grid.trial import Trial, TrialResult
from ablation.grid.value_text import yaml_text
from ablation.results.run import TABLES, Run

if TYPE_CHECKING:
    from mlflow import MlflowClient

_DATASET, _TRIAL, _FINGERPRINT = "ablation.dataset_digest", "ablation.trial_id", "ablation.fingerprint"
_PARENT = "mlflow.parentRunId"  # MLflow's own tag for the run that a run is nested in
_MOST_METRICS, _LONGEST = 1000, 500  # MLflow's limits: metrics per batch, and characters per parameter


def require_mlflow() -> None:
    """Raise an error unless MLflow is installed.

    Raises:
        RunError: MLflow is not installed.
    """
    if find_spec("mlflow") is None:
        raise RunError("MLflow is not installed: pip install 'ablation-harness[mlflow]'")


def write_mlflow(run: Run, tracking_uri: str | None = None) -> str:
    """Write a run's trials that have ended, its tables and its report; trials that are there already stay.

    The parent run is recognised by the study's name and its dataset, and a trial by its id. A trial that was
    trained again since it was written replaces the earlier one.

    Args:
        run: The run, finished or not.
        tracking_uri: Where MLflow keeps its runs. The default is ``MLFLOW_TRACKING_URI`` or, if that is not
            set, MLflow's own default.

    Returns:
        The place where the run was written: the URI and the experiment.

    Raises:
        RunError: MLflow raised an error.
    """
    import mlflow

    where = tracking_uri or mlflow.get_tracking_uri()
    try:
        set_up_database(where)
        _write(mlflow.MlflowClient(where), run)
    except AblationError:
        raise
    except Exception as error:  # also those of its database, which are no exceptions of MLflow
        raise RunError(f"MLflow, {where}: {(str(error) or type(error).__name__).splitlines()[0]}") from None
    return f"{where}, experiment '{run.study.name}'"


def _write(client: MlflowClient, run: Run) -> None:
    name = run.study.name
    existing = client.get_experiment_by_name(name)
    experiment = existing.experiment_id if existing else client.create_experiment(name)
    parent = _parent(client, experiment, run)
    written_runs = {
        nested.data.tags.get(_TRIAL): nested for nested in _runs(client, experiment, _PARENT, parent)
    }
    for trial in run.trials:
        result, fingerprint = run.trial_results.get(trial.id), run.store.fingerprint(trial)
        written = written_runs.get(trial.id)
        if result is None or (written and written.data.tags.get(_FINGERPRINT) == fingerprint):
            continue
        if written:
            client.delete_run(written.info.run_id)
        _write_trial(client, experiment, parent, run, trial, result)
    for file in ("report.html", "report.md", *(f"{table}.csv" for table in TABLES)):
        if (run.folder / file).is_file():
            client.log_artifact(parent, str(run.folder / file))
    if len(run.trial_results) == len(run.trials):
        client.set_terminated(parent)


def _parent(client: MlflowClient, experiment: str, run: Run) -> str:
    """Return the id of the study's parent run, which is created if it does not exist."""
    digest = run.dataset.digest
    for candidate in _runs(client, experiment, _DATASET, digest):
        if _PARENT not in candidate.data.tags:
            return str(candidate.info.run_id)
    tags = {_DATASET: digest, "mlflow.note.content": run.study.question}
    return str(client.create_run(experiment, tags=tags, run_name=run.study.name).info.run_id)


def _runs(client: MlflowClient, experiment: str, tag: str, value: str) -> list[Any]:
    """Return all runs of an experiment whose tag has this value."""
    page = client.search_runs([experiment], f"tags.`{tag}` = '{value}'")
    runs = list(page)
    while page.token:
        page = client.search_runs([experiment], f"tags.`{tag}` = '{value}'", page_token=page.token)
        runs += page
    return runs


def _write_trial(
    client: MlflowClient, experiment: str, parent: str, run: Run, trial: Trial, result: TrialResult
) -> None:
    from mlflow.entities import Metric, Param

    ended = run.store.ended_at(trial)
    variant = next(variant for variant in run.study.variants if variant.name == trial.variant)
    parameters = variant.settings | variant.levels | {"variant": trial.variant, "seed": trial.seed}
    tags = {
        _PARENT: parent,
        _TRIAL: trial.id,
        _DATASET: trial.dataset_digest,
        "ablation.status": result.status,
    }
    tags |= {"ablation.cause": result.cause} if result.cause else {}
    written = client.create_run(
        experiment,
        start_time=_milliseconds(ended - result.seconds),
        tags=tags,
        run_name=f"{trial.variant}, seed {trial.seed}",
    ).info.run_id
    measures = [
        Metric(name, value, _milliseconds(at), record.epoch)
        for record, at in zip(result.history, epoch_times(result, ended), strict=True)
        for name, value in epoch_measures(record).items()
    ]
    measures += [
        Metric(name, value, _milliseconds(ended), len(result.history))
        for name, value in final_measures(result).items()
    ]
    client.log_batch(
        written, params=[Param(name, yaml_text(value)[:_LONGEST]) for name, value in parameters.items()]
    )
    for start in range(0, len(measures), _MOST_METRICS):
        client.log_batch(written, metrics=measures[start : start + _MOST_METRICS])
    if (model := run.store.model_file(trial)).is_file():
        client.log_artifact(written, str(model))
    client.set_terminated(written, "FINISHED" if result.is_completed else "FAILED", _milliseconds(ended))
    client.set_tag(written, _FINGERPRINT, run.store.fingerprint(trial))  # last, as it marks a complete export


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
