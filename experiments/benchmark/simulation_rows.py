"""A row of the simulation's table, and what a promise is held to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ablation import Study, Variant
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.settings import CnnSettings, TrainingSettings

Row = tuple[str, float, float, float, bool]  # what, promised, found, its standard error, whether it holds
SPREAD = 0.01  # the standard deviation of a seed's difference


def print_rows(rows: Iterable[Row]) -> None:
    """Print rows as they come; end with exit code 1 if a promise is not kept."""
    kept = True
    for what, promised, found, error, holds in rows:
        bound = f"{'–':>9}" if math.isnan(promised) else f"{promised:9.3f}"
        print(f"{what:100} {bound} {found:7.3f} {error:6.3f} {'' if holds else 'NOT KEPT'}", flush=True)
        kept = kept and holds
    raise SystemExit(int(not kept))


def differences(generator: np.random.Generator, effects: list[float], seeds: int) -> dict[str, np.ndarray]:
    """Draw each variant's differences from the same baseline: correlated, for they share it."""
    baseline = generator.normal(0, SPREAD / math.sqrt(2), seeds)
    own = generator.normal(effects, SPREAD / math.sqrt(2), (seeds, len(effects)))
    return {f"v{k}": own[:, k] - baseline for k in range(len(effects))}


def factorial(factors: int, seeds: int, compare: CompareSettings) -> Study:
    """Return a study that crosses factors of two levels."""
    cells = [tuple(map(str, map(int, f"{k:0{factors}b}"))) for k in range(2**factors)]
    names = ("dropout", "batch_norm", "width", "depth")[:factors]
    variants = tuple(
        Variant(name="".join(cell), model=CnnSettings(), training=TrainingSettings(),
                levels=dict(zip(names, cell, strict=True)), crossed=True)
        for cell in cells
    )  # fmt: skip
    return Study(
        name="crossed", dataset=DatasetSettings(), variants=variants, baseline="0" * factors,
        factors=dict.fromkeys(names, ("0", "1")), seeds=tuple(range(seeds)), compare=compare,
    )  # fmt: skip


def share(name: str, promised: float, hits: Sequence[bool], holds: Callable[[float, float], bool]) -> Row:
    """Return a row of the table; a promise of NaN is none."""
    found = float(np.mean(hits))
    expected = found if math.isnan(promised) else promised
    error = math.sqrt(max(found * (1 - found), expected * (1 - expected)) / len(hits))
    return name, promised, found, error, math.isnan(promised) or holds(found, error)


def at_most(promised: float) -> Callable[[float, float], bool]:
    """Hold a rate to its bound."""
    return lambda found, error: found <= promised + 3 * error


def at_least(promised: float) -> Callable[[float, float], bool]:
    """Hold a rate to its bound."""
    return lambda found, error: found >= promised - 3 * error


def near(promised: float, tolerance: float) -> Callable[[float, float], bool]:
    """Hold a rate to its promise, from both sides."""
    return lambda found, error: abs(found - promised) <= tolerance + 3 * error


def no_promise(name: str, hits: Sequence[bool]) -> Row:
    """Return a row of something that is measured and not promised."""
    return share(name, math.nan, hits, lambda *_: True)
