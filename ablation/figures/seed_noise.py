"""What the seed does: every seed's line through the variants, and what the noise is made of."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablation.figures.style import (
    FAINT,
    Drawing,
    VariantStyle,
    beside,
    percent_axis,
    seeds_phrase,
    variant_rows,
    variant_styles,
)
from ablation.results.run import Run

# Told apart in greyscale, too.
_PARTS = {"seeds": "#3f3f3f", "images": "#9a9a9a", "rest": "#dddddd"}
_WORDS = {"seeds": "more seeds", "images": "more test images", "rest": "either"}


def seed_data(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the metric of the completed trials, a row a variant, a column a seed."""
    completed = results[results["status"] == "completed"]
    table = completed.pivot(index="variant", columns="seed", values=metric).astype(float)
    return table.reindex(completed["variant"].unique())


def noise_data(noise: pd.DataFrame) -> pd.DataFrame:
    """Return for each variant's difference from the baseline the shares of its variance, and its error.

    Returns:
        ``seeds``, ``images`` and ``rest``, shares that add up to 1, and ``error``, the standard error of the
        difference; the index is the variant.
    """
    differences = noise[noise["against"] != ""].set_index("variant")
    squares = differences[["se_seeds", "se_images", "se_rest"]].astype(float) ** 2
    total = squares.sum(axis=1)
    shares = squares.div(total.where(total > 0), axis=0).set_axis(list(_PARTS), axis=1)
    return shares.assign(error=np.sqrt(total))


def drawings(run: Run) -> list[Drawing]:
    """Draw the seeds, and beside them what the noise of the differences is made of."""
    compare = run.compare
    seeds, noise = seed_data(run.results, compare.metric), noise_data(run.noise)
    styles = variant_styles([v.name for v in run.study.variants], run.study.baseline)
    figure = Figure(figsize=(10.5, max(2.8, 1.4 + 0.36 * len(seeds))), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.3, 1])
    draw_seeds(left, seeds, styles)
    metric = compare.metric.replace("_", " ")
    left.set(xlabel=metric, title="A line a seed, a dot a trial")
    if compare.in_points:
        percent_axis(left.xaxis)
    draw_noise(right, noise, list(seeds.index))
    counts = seeds.notna().sum(axis=1)
    caption = (
        f"Left: {metric} of every trial, {seeds_phrase(counts)}; a line joins the trials of a seed, so "
        "lines that run side by side are what pairing gains from. Right: what the standard error (in "
        f"percentage points) of each variant's difference from {run.study.baseline} in test accuracy is "
        "made of, as shares of its variance: what more seeds, more test images, or either would make "
        "smaller. No intervals: these are the trials themselves, and parts of a variance. "
        f"{run.dataset.describe()}."
    )
    spreads = seeds.std(axis=1)
    alt = f"Standard deviation of {metric} over seeds: " + "; ".join(
        f"{name}: {spread:.3f}" for name, spread in spreads.items()
    )
    return [Drawing("seed_noise", "Noise from seed to seed", figure, caption, alt)]


def draw_seeds(ax: Axes, seeds: pd.DataFrame, styles: dict[str, VariantStyle]) -> None:
    """Draw a row a variant with a dot a trial, and a line a seed through them."""
    rows = np.arange(len(seeds))
    for seed in seeds:
        ax.plot(seeds[seed], rows, color=FAINT, linewidth=0.7, alpha=max(0.15, min(0.6, 4 / seeds.shape[1])))
    for row, (variant, values) in enumerate(seeds.iterrows()):
        style = styles[str(variant)]
        ax.plot(values, [row] * len(values), style.marker, color=style.colour, markersize=4.5, alpha=0.75)
    variant_rows(ax, [str(v) for v in seeds.index])


def draw_noise(ax: Axes, noise: pd.DataFrame, variants: list[str]) -> None:
    """Draw the parts of each difference's variance as a bar, its standard error beside it."""
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
    ax.set_title("What would make it smaller")
    empty = next((row for v, row in rows.items() if v not in known.index), -0.3)  # the baseline's
    if len(known):
        beside_rows = ax.get_yaxis_transform()
        ax.legend(
            ncols=3, fontsize=8, loc="center left", bbox_to_anchor=(0, empty), bbox_transform=beside_rows
        )
    ax.tick_params(axis="y", labelleft=False)
