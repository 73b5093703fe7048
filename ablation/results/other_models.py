"""Trials that were trained with another model than their settings say of the newest trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ablation.grid.trial import Trial, TrialResult


def other_models(
    trials: Sequence[Trial], results: Mapping[str, TrialResult], ended_at: Callable[[Trial], float]
) -> dict[str, str]:
    """Return why trials must not be pooled with the newest ones, by trial id.

    A file that the user's code reads may have changed since a trial was trained, and code may build another
    model for a reason that is in no file. The newest trial is taken to be the one that is meant. Structures
    are compared only within one version of Keras, because another version may describe them differently.

    Args:
        trials: The trials of a study.
        results: Their results, by trial id.
        ended_at: Returns when a trial ended.
    """
    built = [trial for trial in trials if trial.id in results and results[trial.id].structure]
    if _are_alike(built, results):
        return {}
    ended = sorted(built, key=ended_at)
    files: dict[str, str] = {}
    newest: dict[tuple[str, str], Trial] = {}
    for trial in ended:
        files |= results[trial.id].files
        newest[_model_of(trial, results)] = trial
    reasons = {}
    for trial in ended:
        result, reference = results[trial.id], newest[_model_of(trial, results)]
        outdated = [name for name, digest in result.files.items() if files[name] != digest]
        if outdated:
            reasons[trial.id] = (
                f"its model was built from an earlier version of {', '.join(outdated)}; the same "
                "`ablation run` command trains it again"
            )
        elif result.structure != results[reference.id].structure:
            reasons[trial.id] = (
                f"its model has a different structure from that of {reference.variant}, seed "
                f"{reference.seed}, the newest trial of the same settings, so that your code depends on more "
                "than its arguments and files, such as an environment variable; delete the folder "
                f"trials/{trial.id} to train it again"
            )
    return reasons


def _are_alike(trials: Sequence[Trial], results: Mapping[str, TrialResult]) -> bool:
    """Return whether no trial differs from another in a file, or from one of its model in the structure."""
    files = {item for trial in trials for item in results[trial.id].files.items()}
    structures = {(*_model_of(trial, results), results[trial.id].structure) for trial in trials}
    models = {_model_of(trial, results) for trial in trials}
    return len(files) == len(dict(files)) and len(structures) == len(models)


def _model_of(trial: Trial, results: Mapping[str, TrialResult]) -> tuple[str, str]:
    """Return what the trials have in common whose models should have the same structure."""
    return trial.variant, results[trial.id].provenance.get("keras", "")
