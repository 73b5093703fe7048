"""Figures can be read: colours that a projector shows and everyone tells apart, and labels that do not touch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from invented_runs import invented_run
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from ablation import Run, Study
from ablation.figures import gap_parts, learning_curves, overfitting_gap
from ablation.figures.catalogue import FIGURES
from ablation.figures.palette import BASELINE_HUE, HUES, variant_styles
from ablation.figures.style import in_two_lines, look
from ablation.report.sections import study_report

# Colours as readers see them who lack one kind of cone: Machado, Oliveira and Fernandes (2009), at full severity.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": np.array([
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]
    ]),
    "deuteranopia": np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]
    ]),
    "tritanopia": np.array([
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]
    ]),
}  # fmt: skip
TO_XYZ = np.array([
    [0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]
])  # fmt: skip
FEWEST_APART = 12  # CIE 1976 units; of seaborn's palette, the closest two are 11.7 apart


def linear(colour: str) -> NDArray[np.float64]:
    """Return the linear light of a colour, (3,)."""
    share = np.array(to_rgb(colour))
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the CIE L*a*b* coordinates of linear light, (3,)."""
    xyz = TO_XYZ @ np.clip(light, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast_to_white(colour: str) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    return float(1.05 / (linear(colour) @ TO_XYZ[1] + 0.05))


def test_every_colour_of_a_variant_has_a_contrast_of_three_to_white() -> None:
    styles = variant_styles([f"v{k}" for k in range(9)], "v0")
    assert len({style.colour for style in styles.values()}) == 9
    assert {
        colour: contrast_to_white(colour) for colour in (BASELINE_HUE, *HUES) if contrast_to_white(colour) < 3
    } == {}


@pytest.mark.parametrize("sight", SIGHTS)
def test_any_two_colours_are_told_apart(sight: str) -> None:
    seen = {colour: lab(SIGHTS[sight] @ linear(colour)) for colour in (BASELINE_HUE, *HUES)}
    apart = {pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]])) for pair in combinations(seen, 2)}
    assert {pair: distance for pair, distance in apart.items() if distance < FEWEST_APART} == {}


# Labels


def run_of(folder: Path, names: list[str], seeds: int = 3, epochs: int = 4) -> Run:
    variants = "\n".join(
        f"  '{name}': {{learning_rate: {0.001 * (k + 2):.3f}}}" for k, name in enumerate(names)
    )
    grid = folder / "grid.yaml"
    grid.write_text(
        "study: legible\ndataset: {name: digits, train_size: 120, validation_size: 70, test_size: 200}\n"
        f"model: {{family: dense, dense: [8]}}\ntraining: {{epochs: {epochs}, batch_size: 8}}\n"
        f"seeds: {seeds}\nvariants:\n{variants}\n",
        "utf-8",
    )
    accuracies = {name: 0.5 + 0.07 * (k % 6) for k, name in enumerate(["plain", *names])}
    return invented_run(Study.from_yaml(grid), folder / "run", accuracies)


def texts(figure: Figure) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield the texts of a figure with the corners of their boxes, in points: left, bottom, right, top."""
    figure.draw_without_rendering()
    out_of_view = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            out_of_view |= {id(label) for tick in ticks for label in (tick.label1, tick.label2)}
    for text in figure.findobj(Text):
        is_shown = text.get_visible() and (text.axes is None or text.axes.get_visible())
        box = Text.get_window_extent(text)  # without the line of an annotation
        if is_shown and text.get_text().strip() and box.width > 0 and id(text) not in out_of_view:
            yield text.get_text(), box.extents * 72 / figure.dpi


def touching(figure: Figure, distance: float = 1.0) -> list[tuple[str, str]]:
    """Return the pairs of texts that overlap, or lie within a distance in points above each other."""
    found = list(texts(figure))
    pairs = []
    for (one, a), (other, b) in combinations(found, 2):
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        if width > 0.5 and height > -distance and not np.allclose(a, b):
            pairs.append((one, other))
    return pairs


@pytest.mark.parametrize("epochs", [1, 4])
def test_numbers_of_neighbouring_rows_do_not_touch(tmp_path: Path, epochs: int) -> None:
    run = run_of(tmp_path, [f"variant {k}" for k in range(1, 9)], epochs=epochs)
    with look():
        (drawing,) = gap_parts.drawings(run)
        assert touching(drawing.figure) == []


def test_marks_at_the_ends_of_the_axis_are_whole_with_one_seed(tmp_path: Path) -> None:
    (drawing,) = gap_parts.drawings(run_of(tmp_path, ["+Dropout"], seeds=1, epochs=1))
    ax = next(ax for ax in drawing.figure.axes if ax.get_xlabel() == "gap (percentage points)")
    marks = [float(x) for line in ax.lines if line.get_markersize() == 7.5 for x in line.get_xdata()]
    low, high = ax.get_xlim()
    assert low < min(marks)
    assert max(marks) < high


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["two", "eight", "thirty", "long", "one epoch", "one seed"])
def test_no_labels_of_any_figure_touch(tmp_path: Path, kind: str) -> None:
    names = {
        "two": ["+Dropout"],
        "eight": [f"variant {k}" for k in range(1, 8)],
        "thirty": [f"variant {k}" for k in range(1, 30)],
        "long": [
            f"+Dropout 0.{k} and a name that goes on +BatchNorm after each layer {k}" for k in range(1, 8)
        ],
    }.get(kind, ["+Dropout", "wider"])
    run = run_of(tmp_path, names, 1 if kind == "one seed" else 3, 1 if kind == "one epoch" else 4)
    found = {}
    for name, drawings in FIGURES.items():
        with look():
            for drawing in drawings(run)[:1]:
                found[name] = touching(drawing.figure, 0)
    assert {name: pairs for name, pairs in found.items() if pairs} == {}


def test_a_name_in_two_lines_has_two_short_ones() -> None:
    name = "+Dropout +BatchNorm width=2 depth=2"
    lines = in_two_lines(name, 16).split("\n")
    assert len(lines) == 2
    assert max(map(len, lines)) <= 16
    assert in_two_lines("plain", 16) == "plain"
    assert in_two_lines("12 convolutions", 12) == "12\nconvolutions"
    assert in_two_lines("batch_norm_first", 12) == "batch_\nnorm_first"
    assert in_two_lines("dropout_first", 12) == "dropout_\nfirst"
    assert in_two_lines("a_name_longer_than_two_lines_hold", 12).count("\n") == 1


def test_curves_of_one_epoch_are_marks_with_their_intervals(tmp_path: Path) -> None:
    run = run_of(tmp_path, ["+Dropout"], epochs=1)
    with look():
        for module in (learning_curves, gap_parts, overfitting_gap):
            (drawing,) = module.drawings(run)
            drawing.figure.draw_without_rendering()
            over_epochs = [
                ax for ax in drawing.figure.axes if ax.get_xlabel() == "epoch" and ax.get_visible()
            ]
            assert over_epochs
            for ax in over_epochs:
                marks = [line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
                assert len(marks) >= 2, (
                    module.__name__
                )  # training and validation, logged and true, or the variants
                assert len(ax.collections) >= len(marks)  # each with its interval


def test_confusion_matrices_of_many_variants_are_chosen(tmp_path: Path) -> None:
    run = run_of(tmp_path, [f"variant {k}" for k in range(1, 8)])
    pictures = run.draw_figures(["confusion"], tmp_path / "figures")
    section = next(s for s in study_report(run, pictures).sections if s.id == "confusion")
    means = run.results.groupby("variant")["test_accuracy"].mean()
    best, worst = str(means.idxmax()), str(means.idxmin())
    titles = [picture.title for picture in section.pictures]
    assert titles == list(dict.fromkeys(f"Confusion: {name}" for name in ("plain", best, worst)))
    assert len(section.pictures) + len(section.further) == 8
    assert section.text[0].startswith("Shown are the matrices of plain (the baseline")
    assert section.text[0].endswith(f"The other {len(section.further)} follow as further figures.")
