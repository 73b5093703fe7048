"""Whether a model is as sure as it is right."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablation.analysis.calibration import BINS
from ablation.figures.style import (
    FAINT,
    Drawing,
    VariantStyle,
    panel_title,
    percent_axis,
    seeds_phrase,
    small_multiples,
    variant_styles,
)
from ablation.results.run import Run


def drawings(run: Run) -> list[Drawing]:
    """Draw a reliability diagram a variant."""
    table = run.calibration
    variants = list(table["variant"].unique())
    if not variants:
        return []
    errors = run.calibration_error.groupby("variant", sort=False)["calibration_error"].mean()
    styles = variant_styles([v.name for v in run.study.variants], run.study.baseline)
    figure, panels = small_multiples(len(variants), 2.6 if len(variants) < 6 else 2.2, 2.7)
    for ax, variant in zip(panels, variants, strict=True):
        draw_reliability(ax, table[table["variant"] == variant], styles[variant])
        panel_title(ax, variant)
        ax.text(0.04, 0.95, f"error {errors[variant]:.1%}", transform=ax.transAxes, va="top", fontsize=8.5)
    several = run.dataset.is_multi_label
    told = "what is told of a label" if several else "the predicted class"
    figure.supxlabel(f"confidence: probability of {told}", fontsize=9.5)
    figure.supylabel("share that is right", fontsize=9.5)
    seeds = run.calibration_error.groupby("variant", sort=False).size()
    counted = "labels, those of all images together," if several else "images"
    caption = (
        f"Reliability of the predictions on the test images: in each of {BINS} bins of confidence, the "
        f"share of {counted} that are told right; on the diagonal a model is as sure as it is right, below "
        f"it, too sure. Mean over {seeds_phrase(seeds)}; bars: its 95% confidence interval (Student's t); "
        f"the area of a mark grows with the number of {'labels' if several else 'images'} in its bin. Error: "
        f"the expected calibration error, a mean over the seeds. {run.dataset.describe()}."
    )
    alt = "Expected calibration error: " + "; ".join(f"{v}: {errors[v]:.1%}" for v in variants)
    return [Drawing("calibration", "Calibration", figure, caption, alt)]


def draw_reliability(ax: Axes, data: pd.DataFrame, style: VariantStyle) -> None:
    """Draw a variant's rows of the calibration table."""
    ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    x, colour = data["confidence"], style.colour
    ax.vlines(x, data["low"], data["high"], color=colour, linewidth=1.5)
    ax.plot(x, data["accuracy"], color=colour, linewidth=1, alpha=0.6)
    sizes = 8 + 150 * data["images"] / data["images"].sum()
    ax.scatter(x, data["accuracy"], s=sizes, marker=style.marker, color=colour, zorder=3)
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks([0, 0.5, 1])
        percent_axis(axis)
    labels = ax.get_xticklabels()  # none where the panel below has them
    if labels:  # those of the next panel stand close
        labels[0].set_horizontalalignment("left")
        labels[-1].set_horizontalalignment("right")
