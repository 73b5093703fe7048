"""The variation over seeds: one line per seed through the variants, and the variance components."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ablation.analysis.completed_trials import completed_results
from ablation.figures.palette import VariantStyle, variant_styles
from ablation.figures.style import (
    FAINT,
    Drawing,
    beside,
    new_figure,
    percent_axis,
    seeds_phrase,
    variant_rows,
)
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# Distinguishable in greyscale, too.
_PARTS = {"seeds": "#3f3f3f", "images": "#9a9a9a", "rest": "#dddddd"}
_WORDS = {"seeds": "seeds", "images": "test images", "rest": "interaction"}


def seed_data(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the metric of the completed trials, one row per variant and one column per seed."""
    completed = completed_results(results)
    table = completed.pivot(index="variant", columns="seed", values=metric).astype(float)
    return table.reindex(completed["variant"].unique())


def noise_data(noise: pd.DataFrame) -> pd.DataFrame:
    """Return the variance components and the standard error of each variant's difference from the baseline.

    Returns:
        One row per variant (the index): ``seeds``, ``images`` and ``rest``, shares of the variance that add
        up to 1, and ``error``, the standard error of the difference.
    """
    differences = noise[noise["against"] != ""].set_index("variant")
    squares = differences[["se_seeds", "se_images", "se_rest"]].astype(float) ** 2
    total = squares.sum(axis=1)
    shares = squares.div(total.where(total > 0), axis=0).set_axis(list(_PARTS), axis=1)
    return shares.assign(error=np.sqrt(total))


def drawings(run: Run) -> list[Drawing]:
    """Draw the trials seed by seed, and beside them the variance components of the differences.

    There are no components, and no panel for them, if each seed has test images of its own.
    """
    compare, has_components = run.compare, not run.study.draws_test_images
    seeds = seed_data(run.results, compare.metric)
    styles = variant_styles([v.name for v in run.study.variants], run.study.baseline)
    figure = new_figure(10.5 if has_components else 6.5, max(2.8, 1.4 + 0.36 * len(seeds)))
    ratios = [1.3, 1] if has_components else [1]
    left, *others = figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios, squeeze=False)[0]
    draw_seeds(left, seeds, styles)
    metric = compare.metric_in_words
    left.set(xlabel=metric, title="One line per seed, one mark per trial")
    if compare.in_points:
        percent_axis(left.xaxis)
    for right in others:
        draw_noise(right, noise_data(run.noise), list(seeds.index))
    trials = f"{metric} of every trial, {seeds_phrase(seeds.notna().sum(axis=1))}"
    parallel = "a line joins the trials of one seed, and pairing helps if these lines are parallel"
    caption = (
        f"Left: {trials}; {parallel}. Right: the variance components of each variant's "
        f"difference from {run.study.baseline} in test accuracy, as shares of the variance: more seeds would "
        "reduce the first, more test images the second, and either would reduce their interaction. Beside "
        "each bar: the standard error in percentage points (pp). There are no intervals, because the figure "
        "shows the trials themselves and shares of a variance."
    )
    if not has_components:
        caption = (
            f"{trials[0].upper()}{trials[1:]}; {parallel}. There are no intervals, because the figure shows "
            "the trials themselves."
        )
    spreads = seeds.std(axis=1)
    alt = f"Standard deviation of {metric} over seeds: " + "; ".join(
        f"{name}: {spread:.3f}" for name, spread in spreads.items()
    )
    return [Drawing("seed_noise", "Variation over seeds", figure, caption, alt)]


def draw_seeds(ax: Axes, seeds: pd.DataFrame, styles: dict[str, VariantStyle]) -> None:
    """Draw one row per variant with one mark per trial, and one line per seed through them."""
    rows = np.arange(len(seeds))
    for seed in seeds:
        ax.plot(seeds[seed], rows, color=FAINT, linewidth=0.7, alpha=max(0.15, min(0.6, 4 / seeds.shape[1])))
    for row, (variant, values) in enumerate(seeds.iterrows()):
        style = styles[str(variant)]
        ax.plot(values, [row] * len(values), style.marker, color=style.colour, markersize=4.5, alpha=0.75)
    variant_rows(ax, [str(v) for v in seeds.index])


def draw_noise(ax: Axes, noise: pd.DataFrame, variants: list[str]) -> None:
    """Draw the components of each difference's variance as a bar, with its standard error beside it."""
    rows = {variant: row for row, variant in enumerate(variants)}
    known = noise[noise.index.isin(variants)].dropna()
    places = [rows[v] for v in known.index]
    left = np.zeros(len(known))
    for part, colour in _PARTS.items():
        ax.barh(places, known[part], left=left, height=0.5, color=colour, linewidth=0, label=_WORDS[part])
        left += known[part].to_numpy()
    for place, error in zip(places, known["error"], strict=True):
        beside(ax, place, f"±{100 * error:.2f} pp")
    percent_axis(ax.xaxis)
    ax.set(xlim=(0, 1), xlabel="share of the variance of the difference")
    ax.set_title("Variance components of the difference")
    empty = next((row for v, row in rows.items() if v not in known.index), -0.3)  # the baseline's
    if len(known):
        beside_rows = ax.get_yaxis_transform()
        ax.legend(
            ncols=3, fontsize=8, loc="center left", bbox_to_anchor=(0, empty), bbox_transform=beside_rows
        )
    ax.tick_params(axis="y", labelleft=False)
