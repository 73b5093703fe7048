"""Who proposes settings: the oracles of keras-tuner, and the samplers and pruners of Optuna."""

from __future__ import annotations

from typing import Literal, NamedTuple

BudgetedTuner = Literal["random", "grid", "bayesian", "tpe", "cma_es"]
"""The tuners that make a number of proposals that is known beforehand."""
Tuner = Literal["random", "grid", "bayesian", "hyperband", "tpe", "cma_es"]
Pruner = Literal["median", "successive_halving", "hyperband"]


class Method(NamedTuple):
    """A published method: its name, its reference as a reader sees it, and the key of its BibTeX entry."""

    name: str
    reference: str
    key: str = ""


SAMPLERS = {
    "tpe": Method("TPE", "Bergstra et al., 2011", "bergstra2011algorithms"),
    "cma_es": Method("CMA-ES", "Hansen and Ostermeier, 2001", "hansen2001completely"),
}
"""Optuna's samplers, by the name of the tuner; all other tuners are oracles of keras-tuner."""
_HYPERBAND = Method("Hyperband", "Li et al., 2018")
_PRUNERS = {
    "median": Method("median", "Golovin et al., 2017"),
    "successive_halving": Method("successive-halving", "Jamieson and Talwalkar, 2016"),
    "hyperband": _HYPERBAND,
}


def proposer_name(tuner: str, pruner: str | None = None) -> str:
    """Return what proposes, for example ``random oracle`` or ``TPE sampler with the median pruner``."""
    name = f"{SAMPLERS[tuner].name} sampler" if tuner in SAMPLERS else f"{tuner} oracle"
    return f"{name} with the {_PRUNERS[pruner].name} pruner" if pruner else name


def method_sentence(tuner: str, pruner: str | None = None, choices: str = "") -> str:
    """Say by which software and method proposals are made and pruned.

    Args:
        tuner: The tuner.
        pruner: The pruner, if there is one.
        choices: The searched settings that are no ranges of numbers, as text.
    """
    if tuner not in SAMPLERS:
        reference = f" ({_HYPERBAND.reference})" if tuner == "hyperband" else ""
        return f"keras-tuner's {tuner} oracle{reference} made the proposals."
    sampler = SAMPLERS[tuner]
    text = f"Optuna's {sampler.name} sampler ({sampler.reference}) made the proposals"
    if pruner:
        text += f", and its {_PRUNERS[pruner].name} pruner ({_PRUNERS[pruner].reference}) stopped some early"
    if tuner == "cma_es" and choices:
        text += f". CMA-ES adapts ranges of numbers only; it draws {choices} at random"
    return f"{text}."
