"""The variance shift: how dropout changes the variance of a BatchNorm layer's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ablation.analysis.intervals import mean_intervals
from ablation.figures.palette import VariantStyle, variant_styles
from ablation.figures.style import (
    FAINT,
    Drawing,
    interval_row,
    label,
    seeds_phrase,
    small_multiples,
    variant_rows,
)
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def variance_shift_data(table: pd.DataFrame) -> pd.DataFrame:
    """Return ``variant, layer, metric, mean, low, high, n`` of the ratio over seeds."""
    return mean_intervals(table, ["variant", "layer"], ["ratio"])


def drawings(run: Run) -> list[Drawing]:
    """Draw one panel per BatchNorm layer; nothing if no variant has any."""
    table = run.variance_shift
    if table.empty:
        return []
    data = variance_shift_data(table)
    variants, layers = list(data["variant"].unique()), list(data["layer"].unique())
    styles = variant_styles([v.name for v in run.study.variants], run.study.baseline)
    columns = min(len(layers), 6)
    figure, panels = small_multiples(len(layers), max(1.9, 9 / columns), max(1.7, 1.1 + 0.34 * len(variants)))
    for ax, layer in zip(panels, layers, strict=True):
        draw_layer(ax, data[data["layer"] == layer], table[table["layer"] == layer], variants, styles)
        ax.set_title(label(str(layer).removesuffix("_batch_norm"), 18))
    figure.supxlabel("variance in training mode / variance in inference mode", fontsize=9.5)
    caption = (
        "For the BatchNorm layer after each named layer: the ratio of the variance of its input in training "
        "mode to that in inference mode (log scale). At a ratio of 1, its moving variance is the variance of "
        "its input at inference; dropout before it raises the ratio (Li et al., 2018, arXiv:1801.05134). "
        f"Small dots: one per seed; large marks: the mean over {seeds_phrase(data['n'])}; bars: its 95% "
        "confidence interval (Student's t)."
    )
    means = data.groupby("variant", sort=False)["mean"].max()
    alt = "Largest mean ratio over the layers: " + "; ".join(f"{v}: {m:.2f}" for v, m in means.items())
    return [Drawing("variance_shift", "Variance shift", figure, caption, alt)]


def draw_layer(
    ax: Axes, data: pd.DataFrame, trials: pd.DataFrame, variants: list[str], styles: dict[str, VariantStyle]
) -> None:
    """Draw one layer's ratios, one row per variant."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for row, variant in enumerate(variants):
        of_variant = data[data["variant"] == variant]
        if len(of_variant):
            values = trials.loc[trials["variant"] == variant, "ratio"]
            interval = of_variant.iloc[0][["mean", "low", "high"]]
            interval_row(ax, row, values, interval, styles[variant], f"{interval['mean']:.2f}")
    ax.axvline(1, color=FAINT, linewidth=1)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(LogLocator(base=2, numticks=6))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    variant_rows(ax, variants)
