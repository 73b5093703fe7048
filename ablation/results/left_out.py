"""Notes on what is left out of a run's results: trials, models, and pairs of trials."""

from __future__ import annotations

from ablation.analysis.completed_trials import comparable, completed_results, split_pairs
from ablation.analysis.estimates import Measurements
from ablation.errors import RunError
from ablation.grid.value_text import counted
from ablation.results.earlier_code import earlier_code
from ablation.results.run import Run
from ablation.store.restoring import maker_of
from ablation.training.provenance import differences


def left_out_notes(run: Run) -> list[str]:
    """Name the trials that are left out, the models that are missing, and the pairs that are not compared."""
    notes = [
        *lost_images_notes(run),
        *_other_models(run),
        *earlier_code_notes(run),
        *_unsaved_models(run),
        *_different_environments(run),
    ]
    return notes if completed_results(run.results).empty else [*notes, *_incomplete_pairs(run)]


def lost_images_notes(run: Run) -> list[str]:
    """Say that comparisons are not those that were declared, because the images are lost."""
    if run.has_dataset or not run.study.compare.includes_images or run.study.draws_test_images:
        return []
    return [
        f"{run.store.dataset_file.name} is missing or damaged, so that intervals hold for other seeds only; "
        f"the same `{maker_of(run.folder)}` command restores it."
    ]


def _other_models(run: Run) -> list[str]:
    """Name the trials that are left out because their model is not that of the newest trials."""
    names: dict[str, list[str]] = {}
    for trial in run.trials:
        if reason := run.other_models.get(trial.id):
            names.setdefault(reason, []).append(f"{trial.variant} seed {trial.seed}")
    return [f"Left out of all results: {', '.join(trials)}: {why}." for why, trials in names.items()]


def trained_by_earlier_code(run: Run) -> dict[str, str]:
    """Return why trials are pending although trials of the same settings were trained, by trial id."""
    pending = [trial for trial in run.trials if trial.id not in run.trial_results]
    return earlier_code(pending, run.store, run.store.other_settings(run.trials)) if pending else {}


def refuse_outdated(run: Run) -> None:
    """Refuse to draw, write or verify what a run says if none of its trials counts any more.

    Raises:
        RunError: All of its trials were trained by other code.
    """
    reasons = {} if run.completed_trials else trained_by_earlier_code(run)
    if reasons:
        raise RunError(
            f"{run.folder}: no trial counts any more, because {next(iter(reasons.values()))}. Tables, "
            "figures and report are left as they are; the same `ablation run` command trains the trials "
            "again."
        )


def earlier_code_notes(run: Run) -> list[str]:
    """Name the trials that are pending although they were trained, by other code."""
    names: dict[str, list[str]] = {}
    reasons = trained_by_earlier_code(run)
    for trial in run.trials:
        if reason := reasons.get(trial.id):
            names.setdefault(reason, []).append(f"{trial.variant} seed {trial.seed}")
    return [
        f"Pending, although trained before: {', '.join(trials)}, because {why}. The same `ablation run` "
        "command trains them again; the earlier results are kept and not used."
        for why, trials in names.items()
    ]


def _unsaved_models(run: Run) -> list[str]:
    """Name the trials whose model Keras could not save."""
    names: dict[str, list[str]] = {}
    for trial in run.trials:
        if (result := run.trial_results.get(trial.id)) and result.unsaved:
            names.setdefault(result.unsaved.rstrip("."), []).append(f"{trial.variant} seed {trial.seed}")
    return [
        f"Keras could not save the trained models of {', '.join(trials)}: {reason}. Their results are kept."
        for reason, trials in names.items()
    ]


def _different_environments(run: Run) -> list[str]:
    environments = differences(
        r.provenance for r in run.trial_results.values() if r.status in ("completed", "diverged")
    )
    notes = [
        f"Trials ran in different environments: {key} is {_counted(values)}. Pairs whose trials ran in the "
        "same environment are compared, and their differences are pooled; a pair of trials from two "
        "environments is left out."
        for key, values in environments.items()
    ]
    completed = set(completed_results(run.results)["variant"])
    missing = completed - set(comparable(run.results, run.study.baseline)["variant"])
    if missing:
        names = ", ".join(v.name for v in run.study.variants if v.name in missing)
        notes.append(
            f"{names}: no trial ran in the environment of {run.study.baseline}'s trial of its seed, so the "
            "tables and figures of predictions (calibration, confusion, accuracy per class) leave it out."
        )
    return notes


def _counted(values: dict[str, int]) -> str:
    parts = [f"'{value}' in {counted(n, 'trial')}" for value, n in values.items()]
    return " and ".join(parts)


def _incomplete_pairs(run: Run) -> list[str]:
    """Name the variants that are compared on fewer pairs than planned, with the reason for each seed.

    A metric that is not a number is a note of its own, and a reason here only beside others.
    """
    study, measured = run.study, Measurements(run.results, run.compare.metric)
    split = set(split_pairs(run.results, study.baseline))
    completed = completed_results(run.results)
    has_completed = set(zip(completed["variant"], completed["seed"], strict=True))
    of_another_model = {(t.variant, t.seed) for t in run.trials if t.id in run.other_models}
    not_finite = f"without a finite {run.compare.metric}"
    notes = []
    for variant in study.variants:
        name, planned = variant.name, study.seeds_of(variant.name)
        missing = sorted(set(planned) - set(measured.seeds([name, study.baseline])))
        reasons: dict[str, list[int]] = {}
        for seed in missing:
            reason = "completed in two environments" if (name, seed) in split else not_finite
            if not {(name, seed), (study.baseline, seed)} <= has_completed:
                reason = "not completed in both variants"
                if {(name, seed), (study.baseline, seed)} & of_another_model:
                    reason = "left out because of its model"
            reasons.setdefault(reason, []).append(seed)
        if name != study.baseline and reasons.keys() - {not_finite}:
            left_out = "; ".join(f"{_seeds(seeds)} ({reason})" for reason, seeds in reasons.items())
            notes.append(
                f"{name} is compared with {study.baseline} on {len(planned) - len(missing)} of "
                f"{len(planned)} pairs, without {left_out}."
            )
    return notes


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
