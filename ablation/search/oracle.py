"""Proposals of what to try next: keras-tuner's oracles propose settings and receive their scores."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ablation.grid.search_space import Parameter, in_order
from ablation.grid.settings import HyperModelSettings
from ablation.grid.value_text import yaml_text
from ablation.models.hypermodel import load_hypermodel
from ablation.search.hypermodel import complete, declared_hyperparameters, open_parameters
from ablation.search.proposal import Proposal, proposal_name
from ablation.search.settings import Search
from ablation.tensorflow_setup import quiet_stderr


class OracleProposer:
    """An oracle of keras-tuner, asked in rounds; see `ablation.search.proposal.Proposer`.

    In a round, ``random`` and ``grid`` propose everything, ``bayesian`` proposes as many settings as the
    search says, and ``hyperband`` proposes one rung of all its brackets.

    Args:
        search: The search.
        folder: The folder where keras-tuner writes its own state, which is never read.
    """

    def __init__(self, search: Search, folder: Path) -> None:
        self._space = search.settings.space
        self._tuner = search.settings.tuner
        self._worst = -1e12 if search.settings.maximise else 1e12
        self._per_round = search.settings.parallel if search.settings.tuner == "bayesian" else None
        self._hypermodel = _hypermodel(search)
        self._oracle = _oracle(search, self._hypermodel)
        self._oracle.verbose = 0
        _keep_state_in(folder, self._oracle)
        self._open: dict[str, Any] = {}

    @property
    def space(self) -> dict[str, Parameter]:
        """The parameters that are searched; a HyperModel's grow as proposals meet further ones."""
        return open_parameters(self._oracle.get_space()) if self._hypermodel else self._space

    def rounds(self) -> Iterator[list[Proposal]]:
        """Yield the proposals of each round; `tell` must be called for each before the next round."""
        while proposals := self._round():
            yield proposals

    def tell(self, proposal: Proposal, score: float | None) -> None:
        """Tell the oracle the score of a proposal; None if it failed, which does not end the search."""
        trial = self._open.pop(proposal.name)
        if trial.status != "RUNNING":  # a trial of a grid has ended already, because its score has no effect
            return
        if self._tuner == "hyperband" and (score is None or not math.isfinite(score)):
            score = self._worst  # a rung waits for all of its trials, so that a failed one must rank last
        self._end(trial, score)

    def _end(self, trial: Any, score: float | None) -> None:
        if score is None or not math.isfinite(score):
            trial.status = "INVALID"
        else:
            self._oracle.update_trial(trial.trial_id, {self._oracle.objective.name: score})
            trial.status = "COMPLETED"
        self._oracle.end_trial(trial)

    def _round(self) -> list[Proposal]:
        proposals: list[Proposal] = []
        while self._per_round is None or len(proposals) < self._per_round:
            trial = self._oracle.create_trial(f"tuner{len(proposals)}")
            if trial.status != "RUNNING":
                break
            values = self._values(trial)
            given = trial.hyperparameters.values
            earlier = given.get("tuner/trial_id")
            proposal = Proposal(
                name=proposal_name(int(trial.trial_id)),
                values=values,
                epochs=given.get("tuner/epochs"),
                goes_on_from=proposal_name(int(earlier)) if earlier else None,
            )
            self._open[proposal.name] = trial
            proposals.append(proposal)
            if self._tuner in ("grid", "random"):  # any score does: they propose the same whatever it is
                self._end(trial, self._worst)
        return proposals

    def _values(self, trial: Any) -> dict[str, Any]:
        """Return the settings that a trial of keras-tuner proposes, without those that are not active.

        A HyperModel is built to find out. It may meet hyperparameters that no earlier build has met; these
        are searched from the next proposal on.
        """
        if self._hypermodel:
            with quiet_stderr():
                values = complete(self._hypermodel, trial)
            self._oracle.update_space(trial.hyperparameters)
            return values
        return {
            name: decoded(parameter, trial.hyperparameters.values[name])
            for name, parameter in self._space.items()
            if trial.hyperparameters.is_active(name)
        }


def _keep_state_in(folder: Path, oracle: Any) -> None:
    """Name the folder of an oracle's state, which in keras-tuner's public API only a tuner can do."""
    from keras_tuner.engine.base_tuner import BaseTuner

    BaseTuner(oracle, directory=str(folder), project_name="oracle")


def _oracle(search: Search, hypermodel: Any | None) -> Any:
    import keras_tuner

    settings = search.settings
    common: dict[str, Any] = {
        "objective": keras_tuner.Objective(settings.objective, "max" if settings.maximise else "min"),
        "hyperparameters": (
            declared_hyperparameters(hypermodel)[0] if hypermodel else hyperparameters(settings.space)
        ),
        "allow_new_entries": bool(hypermodel),
        "tune_new_entries": bool(hypermodel),
        "seed": settings.seed + 1,  # keras-tuner replaces 0 by a random seed
        "max_retries_per_trial": 0,
        "max_consecutive_failed_trials": 10**9,  # failed trials never end the search
    }
    match settings.tuner:
        case "random":
            return keras_tuner.oracles.RandomSearchOracle(max_trials=settings.most_trials, **common)
        case "grid":
            return keras_tuner.oracles.GridSearchOracle(max_trials=settings.most_trials, **common)
        case "bayesian":
            return keras_tuner.oracles.BayesianOptimizationOracle(max_trials=settings.most_trials, **common)
        case _:
            return keras_tuner.oracles.HyperbandOracle(
                max_epochs=search.baseline.training.epochs,
                factor=settings.factor,
                hyperband_iterations=settings.iterations,
                **common,
            )


def _hypermodel(search: Search) -> Any | None:
    model = search.baseline.model
    if isinstance(model, HyperModelSettings):
        return load_hypermodel(model.hypermodel, Path(model.folder))[0]
    return None


def hyperparameters(space: dict[str, Parameter]) -> Any:
    """Return the space as keras-tuner's hyperparameters, each registered after those that it depends on."""
    import keras_tuner

    registered = keras_tuner.HyperParameters()
    for name in in_order(space):
        with ExitStack() as scopes:
            for other, value in space[name].when.items():
                scopes.enter_context(registered.conditional_scope(other, [_encoded(space[other], value)]))
            _register(registered, name, space[name])
    return registered


def _register(hyperparameters: Any, name: str, parameter: Parameter) -> None:
    if parameter.choice is not None:
        hyperparameters.Choice(name, [_encoded(parameter, value) for value in parameter.choice])
        return
    assert parameter.range is not None
    low, high = parameter.range
    sampling = "log" if parameter.log else "linear"
    if parameter.is_whole:
        # A step on a log scale is a factor there, so that one without a step is left to keras-tuner.
        step = None if parameter.log and not parameter.step else int(parameter.step or 1)
        hyperparameters.Int(name, int(low), int(high), step=step, sampling=sampling)
    else:
        hyperparameters.Float(name, float(low), float(high), step=parameter.step, sampling=sampling)


def _encoded(parameter: Parameter, value: Any) -> Any:
    """Return a choice in a form that keras-tuner accepts: numbers as they are, anything else as text."""
    choices = parameter.choice or ()
    kinds = {type(choice) for choice in choices}
    return value if kinds in ({int}, {float}, {bool}) else yaml_text(value)


def decoded(parameter: Parameter, value: Any) -> Any:
    """Return a value of keras-tuner as a value of the setting."""
    if parameter.choice is None:
        return value
    return next(choice for choice in parameter.choice if _encoded(parameter, choice) == value)
