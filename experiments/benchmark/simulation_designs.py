"""Fractional designs: eight factors in 16 variants, planted effects, and a fold-over that follows a look.

    python experiments/benchmark/simulation_designs.py [--studies 8000]

prints these rows of the simulation alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from simulation_rows import SPREAD, Row, at_least, at_most, no_promise, print_rows, share

from ablation.analysis.aliases import SEPARATED, fractional_contrasts
from ablation.analysis.estimates import Estimate
from ablation.analysis.inference import judge
from ablation.analysis.questions import Question
from ablation.analysis.separated import judge_separated
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.fractional import fractional_design
from ablation.grid.settings import BuilderSettings, TrainingSettings
from ablation.grid.study import Study, Variant
from ablation.workflow.fold_over import fold_over

FACTORS = "abcdefgh"
SEEDS = 5
Effects = Mapping[tuple[str, ...], float]
_WRONG = ("better", "worse")


def fraction(factors: str = FACTORS) -> Study:
    """Return a study of two-level factors in a fractional design, which is only for computing."""
    variants = []
    for cell in fractional_design(len(factors)):
        levels = {name: str(level) for name, level in zip(factors, cell, strict=True)}
        arguments: dict[str, Any] = dict(zip(factors, cell, strict=True))
        model = BuilderSettings.model_construct(arguments=arguments)
        name = "".join(map(str, cell))
        variants.append(
            Variant.model_construct(
                name=name, model=model, training=TrainingSettings(), levels=levels, crossed=True
            )
        )
    compare = CompareSettings(questions="effects", holds_for=("seeds",))
    return Study.model_construct(
        name="s", variants=tuple(variants), factors=dict.fromkeys(factors, ("0", "1")), compare=compare,
        baseline=variants[0].name, design="fractional", fold="", seeds=tuple(range(SEEDS)),
    )  # fmt: skip


class Laboratory:
    """Draws results of a fractional study and judges them, folded over if a verdict is open.

    Args:
        generator: The source of random numbers.
        truth: Main effects and interactions, each normalised as the tables have them.
        deviation: The standard deviation of a variant's results over seeds.
    """

    def __init__(self, generator: np.random.Generator, truth: Effects, deviation: float = SPREAD) -> None:
        self._generator, self._truth, self._deviation = generator, truth, deviation
        self._study = fraction()
        self._questions = {"": _questions(self._study)}

    def effects(self, is_folded: bool = True) -> tuple[pd.DataFrame, str]:
        """Draw one study; return its effects, and the factor on which it was folded over, if it was."""
        luck = self._generator.normal(0, SPREAD, SEEDS)  # of a seed, shared by all variants
        first = self._draw(self._study, luck)
        table = self._judged(self._study, first)
        larger: Study | None = None
        if is_folded:
            run: Any = SimpleNamespace(study=self._study, effects=table)
            larger = fold_over(run)
        if larger is None:
            return table, ""
        added = self._draw(larger.model_copy(update={"variants": larger.variants[16:]}), luck)
        return self._judged(larger, np.vstack([first, added])), larger.fold

    def _draw(self, study: Study, luck: np.ndarray) -> np.ndarray:
        signs = {f: np.array([1 if v.levels[f] == "1" else -1 for v in study.variants]) for f in FACTORS}
        means = np.zeros(len(study.variants))
        for factors, size in self._truth.items():
            means += size / 2 ** len(factors) * np.prod([signs[f] for f in factors], axis=0)
        noise = self._generator.normal(0, self._deviation, (len(study.variants), SEEDS))
        return means[:, None] + luck + noise

    def _judged(self, study: Study, values: np.ndarray) -> pd.DataFrame:
        questions = self._questions.setdefault(study.fold, _questions(study))
        place = {variant.name: k for k, variant in enumerate(study.variants)}
        estimates = {
            str(k): Estimate(sum(w * values[place[name]] for name, w in q.weights.items()))
            for k, q in enumerate(questions)
        }
        exploratory = {str(k) for k, q in enumerate(questions) if not q.is_declared}
        judged = judge(estimates, study.compare, exploratory).reset_index(drop=True)
        judged = judge_separated(judged, questions, list(estimates.values()), (), study.compare)
        named = [(q.kind, q.subject) for q in questions]
        return pd.concat([pd.DataFrame(named, columns=["kind", "effect"]), judged], axis=1)


def _questions(study: Study) -> list[Question]:
    return [
        Question(*contrast[:4], contrast.kind in ("main effect", "interaction"))
        for contrast in fractional_contrasts(study)
    ]


def any_false(table: pd.DataFrame, truth: Effects) -> bool:
    """Return whether a declared or separated effect that is 0 is called better or worse.

    A sum of interactions is 0 if all of them are.
    """
    real = {" × ".join(factors) for factors in truth}
    called = table.loc[table["verdict"].isin(_WRONG), "effect"]
    return any(not real & set(effect.split(" + ")) for effect in called)


def fractional(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """Eight factors in 16 variants, with 5 seeds: false verdicts, and planted effects found."""
    hits = []
    laboratory = Laboratory(generator, {})
    for _ in range(studies // 4):
        hits.append(any_false(laboratory.effects()[0], {}))
    yield share("no effect, 8 factors in 16 variants, 5 seeds: any false verdict", 0.05, hits, at_most(0.05))
    mains: Effects = {("a",): 3 * SPREAD, ("b",): -3 * SPREAD}
    for size in (1.5, 3.0, 6.0):
        truth: Effects = {**mains, ("a", "b"): size * SPREAD}
        laboratory = Laboratory(generator, truth)
        wrong, found, separated = [], [], []
        for _ in range(studies // 8):
            table, fold = laboratory.effects()
            verdicts = table.set_index(["kind", "effect"])["verdict"]
            wrong.append(any_false(table, truth))
            found.append(verdicts["main effect", "a"] == "better" and verdicts["main effect", "b"] == "worse")
            if fold:
                separated.append(verdicts.get((SEPARATED, "a × b"), "") == "better")
        name = f"  two main effects of 3 deviations, an interaction of {size:g}"
        yield share(f"{name}: any false verdict", 0.0533, wrong, at_most(0.0533))
        yield share(f"{name}: both main effects found", 0.8, found, at_least(0.8))
        if separated:
            yield no_promise(f"{name}: the interaction named, once folded over", separated)


def main() -> None:
    """Print the rows of fractional designs alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=8000)
    print_rows(fractional(np.random.default_rng(0), parser.parse_args().studies))


if __name__ == "__main__":
    main()
