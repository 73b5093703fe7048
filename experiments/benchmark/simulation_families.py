"""Families of questions: declared together, looked at while a run goes on, of all pairs, on many machines."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from simulation_rows import SPREAD, Row, at_least, at_most, differences, factorial, no_promise, share

from ablation.analysis.estimates import Estimate, Measurements
from ablation.analysis.failed_seeds import failed_seeds
from ablation.analysis.inference import judge, judge_so_far
from ablation.analysis.questions import study_questions
from ablation.analysis.ranking import ranking_table
from ablation.grid.compare_settings import CompareSettings

_WRONG = ["better", "worse"]


def declared(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """With no effect at all: any verdict of better or worse in any table, in factorial studies of 5 seeds."""
    for factors, questions in itertools.product((2, 3), ("variants", "effects", "both")):
        compare = CompareSettings(questions=questions)
        asked = study_questions(factorial(factors, 5, compare), compare)
        names = [str(k) for k in range(len(asked))]
        identities = {name: q.identity for name, q in zip(names, asked, strict=True)}
        exploratory = {name for name, q in zip(names, asked, strict=True) if not q.is_declared}
        cells = [f"{k:0{factors}b}" for k in range(2**factors)]
        weights = np.array([[q.weights.get(cell, 0.0) for cell in cells] for q in asked])
        hits = []
        for _ in range(studies // 4):
            values = generator.normal(0, SPREAD, (5, len(cells))) @ weights.T
            drawn = {name: values[:, k] for k, name in enumerate(names)}
            verdicts = judge(drawn, compare, exploratory, identities)["verdict"]
            hits.append(bool(verdicts.isin(_WRONG).any()))
        name = f"no effect, 2^{factors} variants, 5 seeds, questions: {questions}: any false call"
        yield share(name, 0.05, hits, at_most(0.05))


def while_running(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """With no effect: any false verdict shown after any of 30 trials, of 5 variants and a baseline."""
    compare = CompareSettings(margin=SPREAD / 10)
    for order in ("seed by seed", "variant by variant"):
        shown, final = [], []
        for _ in range(studies // 8):
            values = generator.normal(0, SPREAD, (6, 5))
            trials = list(itertools.product(range(6), range(5)))
            if order == "seed by seed":
                trials.sort(key=lambda trial: trial[1])
            interim = [_any_wrong(values, set(trials[:k]), compare) for k in range(6, 30)]
            final.append(_any_wrong(values, set(trials), compare))
            shown.append(any(interim) or final[-1])
        name = f"no effect, 30 trials {order}: any false verdict while trials are pending, or at the end"
        yield share(name, 0.055, shown, at_most(0.055))
        yield share("  at the end", 0.05, final, at_most(0.05))


def _any_wrong(values: np.ndarray, done: set[tuple[int, int]], compare: CompareSettings) -> bool:
    family, open_ = {}, set()
    for variant in range(1, 6):
        seeds = [seed for seed in range(5) if {(0, seed), (variant, seed)} <= done]
        family[str(variant)] = Estimate(values[variant, seeds] - values[0, seeds])
        open_ |= set() if len(seeds) == 5 else {str(variant)}
    return bool(judge_so_far(family, open_, compare)["verdict"].isin(_WRONG).any())


def equivalence(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """All variants exactly at the margin: any of them called equivalent."""
    compare = CompareSettings(margin=SPREAD)
    for variants in (1, 3, 7, 15):
        hits = []
        for _ in range(studies // 2):
            verdicts = judge(differences(generator, [SPREAD] * variants, 10), compare)["verdict"]
            hits.append(bool((verdicts == "equivalent").any()))
        name = f"{variants} variants at the margin, 10 seeds: any called equivalent"
        yield share(name, 0.05, hits, at_most(0.05))
    hits = [
        judge(differences(generator, [0.0], 20), compare)["verdict"].iloc[0] == "equivalent"
        for _ in range(studies)
    ]
    yield share("no difference called equivalent, 20 seeds", 0.8, hits, at_least(0.8))


def all_pairs(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """Every pair of variants in one family: false calls, and ranks that hold the true one."""
    compare = CompareSettings(against="all")
    for variants, step in ((4, 0.0), (7, 0.0), (4, 1.5 * SPREAD), (7, 1.5 * SPREAD)):
        hits = []
        names = [f"v{k}" for k in range(variants)]
        for _ in range(studies // 8):
            values = dict(zip(names, generator.normal(0, SPREAD, (variants, 5)), strict=True))
            values = {name: series + step * k for k, (name, series) in enumerate(values.items())}
            table = _pairs(values, compare)
            if step:
                ranks = ranking_table(_results(values), table, compare).set_index("variant")
                true = np.array([variants - k for k in range(variants)])
                low, high = (ranks.loc[names, column].to_numpy() for column in ("rank_low", "rank_high"))
                hits.append(bool((low <= true).all() and (high >= true).all()))
            else:
                hits.append(bool(table["verdict"].isin(_WRONG).any()))
        if step:
            name = f"{variants} variants a step of 1.5 deviations apart, 5 seeds: all ranks hold the true one"
            yield share(name, 0.95, hits, at_least(0.95))
        else:
            name = f"no effect, all pairs of {variants} variants, 5 seeds: any false call"
            yield share(name, 0.05, hits, at_most(0.05))


def _pairs(values: Mapping[str, np.ndarray], compare: CompareSettings) -> pd.DataFrame:
    pairs = list(itertools.combinations(values, 2))
    drawn = {f"{second}-{first}": values[second] - values[first] for first, second in pairs}
    judged = judge(drawn, compare).reset_index(drop=True)
    return judged.assign(variant=[second for _, second in pairs], baseline=[first for first, _ in pairs])


def _results(values: Mapping[str, np.ndarray]) -> pd.DataFrame:
    rows = [
        (name, seed, "completed", "here", value)
        for name, series in values.items() for seed, value in enumerate(series)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["variant", "seed", "status", "provenance", "test_accuracy"])


def machines(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """30 pairs on 11 kinds of machine; then machines that change the difference itself, not promised."""
    for varies in (0.0, SPREAD):
        hits = []
        for _ in range(studies // 8):
            machine = generator.integers(0, 11, 30)
            level, interaction = generator.normal(0, 5 * SPREAD, 11), generator.normal(0, varies or 1e-9, 11)
            plain = level[machine] + generator.normal(0, SPREAD, 30)
            other = level[machine] + interaction[machine] + generator.normal(0, SPREAD, 30)
            table = _results({"plain": plain, "other": other})
            table["provenance"] = [f"machine {k}" for k in (*machine, *machine)]
            estimate: Estimate = Measurements(table, "test_accuracy").estimate({"other": 1.0, "plain": -1.0})
            assert estimate.n == 30
            verdict = judge({"other": estimate}, CompareSettings())["verdict"].iloc[0]
            hits.append(verdict in _WRONG)
        if varies:
            yield no_promise("  the same, if machines change the difference as much as seeds do", hits)
        else:
            name = "no effect, 30 pairs on 11 kinds of machine, pooled: called better or worse"
            yield share(name, 0.05, hits, at_most(0.05))


def skewed(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """A tight baseline and variants whose seeds are skewed to the left: false calls, which nothing bounds."""
    for shape, looks, seeds in itertools.product(("exponential", "lognormal"), ("once", "any"), (5, 10, 30)):
        compare = CompareSettings(looks=looks, correction="none")
        hits = []
        for _ in range(studies // 4):
            drawn = -SPREAD * _standardised(generator, shape, seeds)
            looked = range(3, seeds + 1) if looks == "any" else [seeds]
            verdicts = [judge({"v": drawn[:n]}, compare)["verdict"].iloc[0] for n in looked]
            hits.append(any(verdict in _WRONG for verdict in verdicts))
        yield no_promise(f"skewed ({shape}) differences of mean 0, {seeds} seeds, looks: {looks}", hits)


def _standardised(generator: np.random.Generator, shape: str, seeds: int) -> np.ndarray:
    if shape == "exponential":
        return generator.exponential(1.0, seeds) - 1
    drawn = generator.lognormal(0, 1, seeds)
    return (drawn - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)


def collapsed(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """5% of a variant's seeds collapse, and otherwise it is equal; and seeds that never collapse."""
    compare = CompareSettings(margin=SPREAD)
    for seeds in (5, 10):
        equivalent, named, alarms = [], [], []
        for _ in range(studies // 20):
            values = {name: 0.6 + generator.normal(0, SPREAD / 2, seeds) for name in ("plain", "b", "c", "d")}
            table = _results(values)
            alarms.append(bool(failed_seeds(table, 0.1, 1000).any()))
            lost = generator.random(seeds) < 0.05
            values["b"] = np.where(lost, 0.1, values["b"])
            table = _results(values)
            found = table[failed_seeds(table, 0.1, 1000)]
            if lost.any():
                named.append(set(found["seed"]) == set(np.flatnonzero(lost)))
            verdict = judge({"b": values["b"] - values["plain"]}, compare)["verdict"].iloc[0]
            equivalent.append(verdict == "equivalent")
        name = f"normal seeds, 4 variants, {seeds} seeds: any said to have collapsed"
        yield share(name, 0.01, alarms, at_most(0.01))
        if named:
            name = f"  5% of the seeds of a variant collapse, {seeds} seeds: just these are named"
            yield share(name, 1.0, named, at_least(1.0))
        yield no_promise("  the variant, otherwise equal, is called equivalent", equivalent)
