"""Reliability diagrams: whether a model's confidence matches its accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ablation.analysis.calibration import BINS
from ablation.figures.palette import VariantStyle, variant_styles
from ablation.figures.style import FAINT, Drawing, panel_title, seeds_phrase, small_multiples
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def drawings(run: Run) -> list[Drawing]:
    """Draw one reliability diagram per variant."""
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
        ax.text(0.04, 0.95, f"ECE {errors[variant]:.1%}", transform=ax.transAxes, va="top", fontsize=8.5)
    is_multi_label = run.dataset.is_multi_label
    predicted = "a label's predicted value" if is_multi_label else "the predicted class"
    figure.supxlabel(f"confidence: probability of {predicted}", fontsize=9.5)
    figure.supylabel("label accuracy" if is_multi_label else "accuracy", fontsize=9.5)
    seeds = run.calibration_error.groupby("variant", sort=False).size()
    cases = "labels, over all images together," if is_multi_label else "images"
    caption = (
        f"Reliability diagrams on the test images: in each of {BINS} bins of confidence, the share of "
        f"{cases} that are predicted correctly. On the diagonal, confidence equals accuracy; below it, a "
        f"model is overconfident. Mean over {seeds_phrase(seeds)}; bars: its 95% confidence interval "
        "(Student's t); the area of a mark grows with the number of "
        f"{'labels' if is_multi_label else 'images'} in its bin. ECE: expected calibration error, averaged "
        "over the seeds."
    )
    alt = "Expected calibration error: " + "; ".join(f"{v}: {errors[v]:.1%}" for v in variants)
    return [Drawing("calibration", "Calibration", figure, caption, alt)]


def draw_reliability(ax: Axes, data: pd.DataFrame, style: VariantStyle) -> None:
    """Draw the reliability diagram of one variant.

    Args:
        ax: The panel to draw in.
        data: The rows of the calibration table of the variant.
        style: The variant's colour and marker.
    """
    ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    x, colour = data["confidence"], style.colour
    ax.vlines(x, data["low"], data["high"], color=colour, linewidth=1.5)
    ax.plot(x, data["accuracy"], color=colour, linewidth=1, alpha=0.6)
    sizes = 8 + 150 * data["images"] / data["images"].sum()
    ax.scatter(x, data["accuracy"], s=sizes, marker=style.marker, color=colour, zorder=3)
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks([0, 0.5, 1], ["0%", "50%", "100%"])
    labels = ax.get_xticklabels()  # none where the panel below has them
    if labels:  # those of the next panel are close
        labels[0].set_horizontalalignment("left")
        labels[-1].set_horizontalalignment("right")
