"""What a figure shows is computed apart from how it is drawn, and agrees with plain pandas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ablation.errors import RunError
from ablation.figures import FIGURES
from ablation.figures.comparison import difference_data
from ablation.figures.confusion import confusion_matrix
from ablation.figures.gap_parts import gap_parts_data
from ablation.figures.learning_curves import learning_curves_data
from ablation.figures.overfitting_gap import gap_data
from ablation.figures.predictions import sample_data
from ablation.figures.style import label, spread, variant_styles
from ablation.run import Run


def test_all_figures_are_drawn_as_png_and_svg(finished_run: Run, tmp_path: Path) -> None:
    pictures = finished_run.draw_figures(folder=tmp_path)
    assert [p.name for p in pictures] == [
        "comparison", "overfitting_gap", "gap_parts", "learning_curves",
        "confusion_01_plain", "confusion_02_+Dropout", "confusion_03_+BatchNorm", "confusion_04_+both",
        "predictions",
    ]  # fmt: skip
    for picture in pictures:
        assert picture.png.read_bytes().startswith(b"\x89PNG")
        assert "<svg" in picture.svg.read_text("utf-8")
        assert "60 training, 40 validation and 50 test images" in picture.caption
        assert picture.alt
    captions = (tmp_path / "captions.md").read_text("utf-8")
    assert all(picture.caption in captions for picture in pictures)


def test_drawing_again_gives_the_same_files_and_removes_those_of_variants_gone(
    finished_run: Run, tmp_path: Path
) -> None:
    (tmp_path / "confusion_09_gone.png").touch()
    first = {p.name: p.svg.read_bytes() for p in finished_run.draw_figures(["confusion"], tmp_path)}
    second = {p.name: p.svg.read_bytes() for p in finished_run.draw_figures(["confusion"], tmp_path)}
    assert first == second
    assert not (tmp_path / "confusion_09_gone.png").exists()


def test_an_unknown_figure_is_told(finished_run: Run) -> None:
    with pytest.raises(RunError, match="there is no figure named 'confusoin'. Did you mean 'confusion'"):
        finished_run.draw_figures(["confusoin"])
    assert "confusion" in FIGURES


def test_the_gap_is_training_minus_validation_in_inference_mode(finished_run: Run) -> None:
    curves, final, trials = gap_data(finished_run.history)
    results = finished_run.results
    expected = results.groupby("variant", sort=False)["gap_accuracy"].mean()
    assert final.set_index("variant")["mean"].to_dict() == pytest.approx(expected.to_dict())
    assert trials["gap"].tolist() == pytest.approx(results["gap_accuracy"].tolist())
    assert len(curves) == 4 * 2


def test_the_parts_of_the_gap_are_means_that_add_up(finished_run: Run) -> None:
    curves, final = gap_parts_data(finished_run.history)
    assert len(curves) == 4 * 2 * 4
    means = final.pivot(index="variant", columns="metric", values="mean")
    total = means["running_average_lag"] + means["dropout_active_bias"] + means["true_gap"]
    np.testing.assert_allclose(means["logged_gap"], total)
    last = finished_run.history.query("variant == '+both' and epoch == 2")
    logged = (last["accuracy"] - last["val_accuracy"]).mean()
    assert means.loc["+both", "logged_gap"] == pytest.approx(logged)
    gap = finished_run.results.query("variant == '+both'")["gap_accuracy"].mean()
    assert means.loc["+both", "true_gap"] == pytest.approx(gap)
    assert means.loc["plain", "dropout_active_bias"] == 0  # without dropout and BatchNorm both modes are one


def test_learning_curves_are_means_over_seeds(finished_run: Run) -> None:
    data = learning_curves_data(finished_run.history)
    row = data.query("variant == '+both' and epoch == 2 and metric == 'val_loss'").iloc[0]
    history = finished_run.history.query("variant == '+both' and epoch == 2")
    assert row["mean"] == pytest.approx(history["val_loss"].mean())
    assert row["n"] == 2


def test_differences_are_paired_by_seed(finished_run: Run) -> None:
    data = difference_data(finished_run.results, "plain", "test_accuracy")
    by_variant = finished_run.results.pivot(index="seed", columns="variant", values="test_accuracy")
    for row in data.itertuples(index=False):
        assert row.difference == by_variant.loc[row.seed, row.variant] - by_variant.loc[row.seed, "plain"]
    assert len(data) == 6


def test_confusion_counts_every_test_image_of_every_seed(finished_run: Run) -> None:
    confusion = finished_run.confusion
    assert confusion.groupby("variant")["count"].sum().unique().tolist() == [50 * 2]
    matrix, names = confusion_matrix(confusion, "plain")
    assert names == [str(digit) for digit in range(10)]
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    plain = confusion.query("variant == 'plain'")
    right = plain.loc[plain["true"] == plain["predicted"], "count"].sum() / plain["count"].sum()
    accuracy = finished_run.results.query("variant == 'plain'")["test_accuracy"].mean()
    assert right == pytest.approx(accuracy)


def test_samples_are_half_random_and_half_disputed() -> None:
    agreed, disputed = np.eye(3)[[0] * 50], np.eye(3)[[0] * 45 + [1] * 5]
    data = sample_data({"a": agreed, "b": disputed}, np.random.default_rng(0), shown=10)
    assert len(set(data.indices.tolist())) == 10
    assert {45, 46, 47, 48, 49} <= set(data.indices.tolist())


def test_names_that_matplotlib_would_read_as_formulas_are_drawn_as_they_are() -> None:
    assert label("$x$") == r"\$x\$"
    assert len(label("a" * 50)) == 26


def test_labels_are_spread_and_keep_their_order() -> None:
    placed = spread([1.0, 1.1, 5.0], 1.0)
    assert placed[1] - placed[0] >= 0.99
    assert placed[2] == 5.0


def test_thirty_variants_look_different() -> None:
    styles = variant_styles([f"v{k}" for k in range(30)], "v0")
    assert len({(str(style.colour), style.marker) for style in styles.values()}) == 30


@pytest.mark.filterwarnings("ignore:Glyph")
def test_a_run_of_thirty_hostile_variants_is_drawn_and_reported(finished_run: Run, tmp_path: Path) -> None:
    """Derived from a finished run: the tables of one variant under thirty names, some of them nasty."""
    names = [f"variant {k}" for k in range(26)] + [
        "<script>alert(1)</script>",
        "$\\frac{",
        "../../up",
        "a|b\nc 🎉",
    ]
    run = Run(finished_run.folder)
    plain = run.study.variants[0]
    variants = tuple(plain.model_copy(update={"name": name, "levels": {}}) for name in names)
    run.study = run.study.model_copy(update={"variants": variants, "baseline": names[0], "factors": {}})
    run.folder = tmp_path

    def renamed(table: pd.DataFrame) -> pd.DataFrame:
        own = table[table["variant"] == "plain"]
        return pd.concat([own.assign(variant=name) for name in names], ignore_index=True)

    for name in ("results", "history", "confusion"):
        run.__dict__[name] = renamed(getattr(finished_run, name))
    run.draw_figures(["comparison", "overfitting_gap", "gap_parts", "learning_curves"], tmp_path / "figures")
    run.__dict__["confusion"] = run.confusion[run.confusion["variant"].isin(names[-4:])]
    run.draw_figures(["confusion"], tmp_path / "figures")
    assert not [file for file in tmp_path.parent.iterdir() if file.name.startswith(("up", "confusion"))]
    assert len(list((tmp_path / "figures").glob("confusion_*.png"))) == 4
