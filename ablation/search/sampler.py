"""Proposals of what to try next: Optuna's samplers propose settings, and its pruners stop some early."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ablation.grid.search_space import Parameter, in_order
from ablation.grid.value_text import yaml_text
from ablation.search.proposal import Proposal, proposal_name
from ablation.search.settings import Search, SearchSettings

_RANDOM_DRAWS = 200  # in search of settings that are new, before the space counts as exhausted


class _Started(NamedTuple):
    """A trial of Optuna, the settings that it proposes, the rung that it is on, and its last proposal."""

    trial: Any
    values: dict[str, Any]
    rung: int = 0
    name: str | None = None


class SamplerProposer:
    """A sampler of Optuna, asked in rounds; see `ablation.search.proposal.Proposer`.

    A round has as many proposals as the search's ``parallel`` says. With a pruner, a proposal is first
    trained for the epochs of the lowest rung. If it is not pruned, it goes on in the next round as a further
    proposal; new settings take the places that are left. No settings are proposed twice: where the sampler
    repeats itself, they are drawn at random.

    Args:
        search: The search.
    """

    def __init__(self, search: Search) -> None:
        settings = search.settings
        self.space = settings.space
        self._parallel, self._left = settings.parallel, settings.most_trials or 0
        self._factor, epochs = settings.factor, search.baseline.training.epochs
        self._rungs = rungs(epochs, settings.factor) if settings.pruner else [None]
        # The intersection of all proposals is what CMA-ES adapts, so that a range is never left out.
        self._suggests_all_ranges = settings.tuner == "cma_es"
        with _quiet():
            self._study, self._samplers = _study(settings, len(self._rungs))
        self._tried: set[str] = set()
        self._made = 0
        self._going_on: list[_Started] = []
        self._open: dict[str, _Started] = {}

    def rounds(self) -> Iterator[list[Proposal]]:
        """Yield the proposals of each round; `tell` must be called for each before the next round."""
        while proposals := self._round():
            yield proposals

    def tell(self, proposal: Proposal, score: float | None) -> None:
        """Tell the sampler the score of a proposal; None if it failed, which does not end the search."""
        from optuna.trial import TrialState

        started = self._open.pop(proposal.name)
        if score is None or not math.isfinite(score):
            self._study.tell(started.trial, state=TrialState.FAIL)
        elif started.rung == len(self._rungs) - 1:
            self._study.tell(started.trial, score)
        else:
            started.trial.report(score, self._factor**started.rung)
            if started.trial.should_prune():
                self._study.tell(started.trial, state=TrialState.PRUNED)
            else:
                self._going_on.append(started._replace(rung=started.rung + 1, name=proposal.name))

    def _round(self) -> list[Proposal]:
        started, self._going_on = self._going_on, []
        with _quiet():
            while len(started) < self._parallel and self._left and (new := self._new()):
                started.append(new)
                self._left -= 1
        return [self._proposal(one) for one in started]

    def _proposal(self, started: _Started) -> Proposal:
        name = proposal_name(self._made)
        self._made += 1
        self._open[name] = started
        return Proposal(
            name=name, values=started.values, epochs=self._rungs[started.rung], goes_on_from=started.name
        )

    def _new(self) -> _Started | None:
        """Return settings that were not proposed before; None if the space seems to be exhausted."""
        from optuna.trial import TrialState

        sampler, random = self._samplers
        for place in range(1 + _RANDOM_DRAWS):
            self._study.sampler = random if place else sampler
            trial = self._study.ask()
            values = self._suggest(trial)
            if (text := yaml_text(values)) not in self._tried:
                self._tried.add(text)
                self._study.sampler = sampler
                return _Started(trial, values)
            self._study.tell(trial, state=TrialState.FAIL)
        self._left = 0
        return None

    def _suggest(self, trial: Any) -> dict[str, Any]:
        """Return the settings that a trial of Optuna proposes, without those that are not active."""
        values: dict[str, Any] = {}
        for name in in_order(self.space):
            parameter = self.space[name]
            active = all(k in values and values[k] == value for k, value in parameter.when.items())
            if active or (self._suggests_all_ranges and parameter.range is not None):
                value = _value(trial, name, parameter)
                values |= {name: value} if active else {}
        return {name: values[name] for name in self.space if name in values}


def rungs(epochs: int, factor: int) -> list[int]:
    """Return after how many epochs proposals are compared, ascending; the last is the whole training.

    They are those of keras-tuner's Hyperband.

    Args:
        epochs: The number of epochs of the whole training.
        factor: The factor between the epochs of a rung and of the next one.
    """
    shares = [1]
    while shares[-1] * factor <= epochs:
        shares.append(shares[-1] * factor)
    return [math.ceil(epochs / share) for share in reversed(shares)]


def _value(trial: Any, name: str, parameter: Parameter) -> Any:
    """Let a trial of Optuna suggest a value. Choices and ranges with a step are suggested by their place."""
    if parameter.choice is not None:
        return parameter.choice[trial.suggest_categorical(name, range(len(parameter.choice)))]
    assert parameter.range is not None
    low, high = parameter.range
    if parameter.step:
        values = parameter.stepped
        return values[trial.suggest_int(name, 0, len(values) - 1)]
    if parameter.is_whole:
        return int(trial.suggest_int(name, int(low), int(high), log=parameter.log))
    return float(trial.suggest_float(name, float(low), float(high), log=parameter.log))


def _study(settings: SearchSettings, rung_count: int) -> tuple[Any, tuple[Any, Any]]:
    """Return a study of Optuna in memory; its sampler, and one that draws at random."""
    import optuna

    study = optuna.create_study(
        study_name="search",  # Hyperband's brackets follow from it, and the default is random
        direction="maximize" if settings.maximise else "minimize",
        sampler=_sampler(settings),
        pruner=_pruner(settings, rung_count),
    )
    return study, (study.sampler, optuna.samplers.RandomSampler(seed=settings.seed))


def _sampler(settings: SearchSettings) -> Any:
    """Return the sampler. Optuna 5 has these arguments of TPE as defaults, earlier versions had not."""
    from optuna import samplers

    if settings.tuner == "tpe":
        return samplers.TPESampler(seed=settings.seed, multivariate=True, constant_liar=True)
    return samplers.CmaEsSampler(seed=settings.seed, warn_independent_sampling=False)


def _pruner(settings: SearchSettings, rung_count: int) -> Any:
    """Return the pruner, for which the rungs are at the steps 1, factor, factor squared and so on."""
    from optuna import pruners

    match settings.pruner:
        case None:
            return pruners.NopPruner()
        case "median":
            return pruners.MedianPruner()
        case "successive_halving":
            return pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=settings.factor)
        case _:
            # One more than the last step, or rounding takes a bracket: log(243) / log(3) is below 5.
            last = settings.factor ** (rung_count - 1) + 1
            return pruners.HyperbandPruner(1, last, settings.factor)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna: what it says of a study in memory, and of options that it calls experimental."""
    from optuna import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
