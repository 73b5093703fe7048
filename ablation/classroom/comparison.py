"""What is checked between hand-ins: one study, one set of images, one model, and nothing handed in twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ablation.files import read_json
from ablation.grid.study import Study
from ablation.grid.study_diff import study_changes, study_digest
from ablation.grid.value_text import counted
from ablation.results.run import Run

Reasons = dict[str, str]
"""Why hand-ins are set aside, by their names."""


def other_studies(runs: Mapping[str, Run]) -> Reasons:
    """Return why hand-ins are not of the study, or on the images, that most hand-ins are of.

    Where two studies have as many, the one that was handed in first counts.

    Args:
        runs: The hand-ins, by name, in order.
    """
    studies = {name: _study_of(run) for name, run in runs.items()}
    common = _most_frequent(studies.values())
    first = next(name for name, study in studies.items() if study == common)
    reasons = {}
    for name, run in runs.items():
        if studies[name] == common:
            continue
        if studies[name][0] != common[0]:
            line, *more = study_changes(_without_seeds(runs[first].study), _without_seeds(run.study))
            further = f", and {counted(len(more), 'further difference')}" if more else ""
            reasons[name] = f"it is another study than that of {first}: {line}{further}."
        else:
            reasons[name] = f"its images are not those of {first}, although the study is the same."
    return reasons


def other_models(runs: Mapping[str, Run]) -> Reasons:
    """Return why hand-ins are of models that differ from those that most hand-ins are of.

    A file that a user's code reads may have been changed, and code may build another model for a reason that
    is in no file. Structures are compared within one version of Keras, which describes them.
    """
    seen: dict[tuple[str, str], dict[str, str]] = {}
    for name, run in runs.items():
        for trial in run.trials:
            result = run.trial_results[trial.id]
            keras = result.provenance.get("keras", "")
            seen.setdefault(("the model of " + trial.variant, keras), {})[name] = (
                f"{result.structure} {result.parameters} {result.multiply_adds}"
            )
            for file, digest in result.files.items():
                if not PurePath(file).is_absolute() and ":" not in file:  # of another machine
                    seen.setdefault((file, ""), {})[name] = digest
    reasons: Reasons = {}
    for (what, _), by_name in seen.items():
        common = _most_frequent(by_name.values())
        for name, digest in by_name.items():
            if digest != common:
                reasons.setdefault(name, f"{what} is not that of most hand-ins.")
    return reasons


def repeated(runs: Mapping[str, Run]) -> Reasons:
    """Return why hand-ins bring what an earlier one has brought: the same files, seeds or predictions."""
    reasons: Reasons = {}
    of_seed: dict[int, str] = {}
    of_predictions: dict[tuple[str, ...], str] = {}
    prints = {name: _fingerprints(run) for name, run in runs.items()}
    for name, run in runs.items():
        shared = [seed for seed in run.study.seeds if seed in of_seed]
        guesses = tuple(sorted(_predictions(run)))
        if shared and prints[name] <= prints[other := of_seed[shared[0]]]:
            reasons[name] = f"it is a copy of what {other} handed in, file by file."
        elif shared:
            other = of_seed[shared[0]]
            reasons[name] = f"it has the seed {shared[0]}, which is that of {other}; {other} is kept."
        elif guesses and guesses in of_predictions:
            other = of_predictions[guesses]
            reasons[name] = f"its predictions are those of {other}, although the seeds are others."
        else:
            of_seed |= dict.fromkeys(run.study.seeds, name)
            of_predictions.setdefault(guesses, name)
    return reasons


def _study_of(run: Run) -> tuple[str, str]:
    return study_digest(_without_seeds(run.study)), run.trials[0].dataset_digest


def _without_seeds(study: Study) -> Study:
    return study.model_copy(update={"seeds": (0,)})


def _most_frequent(values: Iterable[Any]) -> Any:
    return Counter(values).most_common(1)[0][0]  # the first of equally frequent ones


def _fingerprints(run: Run) -> set[str]:
    return {run.store.fingerprint(trial) for trial in run.trials}


def _predictions(run: Run) -> Sequence[str]:
    """Return the checksums of the predictions of all completed trials."""
    records = [run.store.place(trial) / "trial.json" for trial in run.completed_trials]
    files = [read_json(record)["files"] for record in records]
    return [of_trial["test_probabilities.npy"] for of_trial in files if "test_probabilities.npy" in of_trial]
