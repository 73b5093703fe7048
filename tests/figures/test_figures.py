"""What a figure shows is computed apart from how it is drawn, and agrees with plain pandas."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from ablation import Run, Study
from ablation.analysis.trial_tables import _on_front
from ablation.data.datasets import Dataset
from ablation.data.predictions import Predictions
from ablation.errors import RunError
from ablation.figures import parallel_drawing
from ablation.figures.catalogue import FIGURES
from ablation.figures.confusion import confusion_matrix
from ablation.figures.confusion_differences import difference_matrix
from ablation.figures.cost import cost_data, draw_cost
from ablation.figures.disagreements import disagreement_data
from ablation.figures.disagreements import drawings as disagreements
from ablation.figures.forest import difference_data
from ablation.figures.gap_parts import gap_parts_data
from ablation.figures.image_panels import channels_note, show_image
from ablation.figures.interaction import interaction_data
from ablation.figures.learning_curves import learning_curves_data
from ablation.figures.overfitting_gap import gap_data
from ablation.figures.palette import variant_styles
from ablation.figures.per_class import per_class_data
from ablation.figures.predictions import SamplePredictions, draw_samples, sample_data
from ablation.figures.seed_noise import noise_data, seed_data
from ablation.figures.style import Drawing, DrawnPictures, Picture, label, new_figure, spread
from ablation.figures.variance_shift import variance_shift_data


def test_all_figures_are_drawn_as_png_and_svg(finished_run: Run, tmp_path: Path) -> None:
    pictures = finished_run.draw_figures(folder=tmp_path)
    assert [p.name for p in pictures] == [
        "forest", "interaction", "overfitting_gap", "gap_parts", "learning_curves", "per_class",
        "confusion_01_plain", "confusion_02_+Dropout", "confusion_03_+BatchNorm", "confusion_04_+both",
        "confusion_differences", "predictions", "disagreements", "calibration", "cost", "seed_noise",
        "variance_shift",
    ]  # fmt: skip
    for picture in pictures:
        assert picture.png.read_bytes().startswith(b"\x89PNG")
        assert "<svg" in picture.svg.read_text("utf-8")
        assert "60 training, 40 validation and 50 test images" in picture.images
        assert (
            "validation and 50 test images" not in picture.caption
        )  # which a page of many pictures says once
        assert picture.alt
    captions = (tmp_path / "captions.md").read_text("utf-8")
    assert all(picture.whole_caption in captions for picture in pictures)


@pytest.mark.parametrize("second_process", ["works", "fails"])
def test_a_second_process_draws_some_of_a_large_runs_figures(
    second_process: str,
    finished_run: Run,
    pictures: list[Picture],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ablation.figures.drawing.available_cores", lambda: 2)
    drawn_here: list[str] = []
    draw, others = parallel_drawing.draw, threading.Event()

    def draw_here(run: Run, names: list[str], to: Path) -> DrawnPictures:
        if second_process == "works" and not drawn_here:  # what else there is is left to the second process
            others.wait(300)
        drawn_here.extend(names)
        return draw(run, names, to)

    monkeypatch.setattr(parallel_drawing, "draw", draw_here)
    ended = parallel_drawing._SecondProcess.draw_from
    monkeypatch.setattr(parallel_drawing._SecondProcess, "draw_from", lambda *of: (ended(*of), others.set()))
    if second_process == "fails":
        monkeypatch.setattr("ablation.figures.parallel_drawing.sys.executable", "false")
    drawn = finished_run.draw_figures(folder=tmp_path)
    assert len(drawn_here) == (1 if second_process == "works" else len(FIGURES))
    assert [p.name for p in drawn] == [p.name for p in pictures]
    for ours, theirs in zip(drawn, pictures, strict=True):
        assert (ours.caption, ours.alt, ours.figure, ours.folder) == (
            theirs.caption,
            theirs.alt,
            theirs.figure,
            tmp_path,
        )
        assert ours.png.read_bytes() == theirs.png.read_bytes()
        assert ours.svg.read_bytes() == theirs.svg.read_bytes()


def test_drawing_again_gives_the_same_files_and_removes_those_of_variants_gone(
    finished_run: Run, tmp_path: Path
) -> None:
    (tmp_path / "confusion_09_gone.png").touch()
    (tmp_path / "confusion_differences.png").touch()
    first = {p.name: p.svg.read_bytes() for p in finished_run.draw_figures(["confusion"], tmp_path)}
    second = {p.name: p.svg.read_bytes() for p in finished_run.draw_figures(["confusion"], tmp_path)}
    assert first == second
    assert not (tmp_path / "confusion_09_gone.png").exists()
    assert (tmp_path / "confusion_differences.png").exists()  # another figure


def test_drawing_some_figures_renews_their_captions_only(finished_run: Run, tmp_path: Path) -> None:
    finished_run.draw_figures(["confusion", "cost"], tmp_path)
    file = tmp_path / "captions.md"
    whole, changed = file.read_text("utf-8"), file.stat().st_mtime_ns
    (confusion,) = finished_run.draw_figures(["confusion"], tmp_path)[:1]
    assert file.read_text("utf-8") == whole
    file.write_text(whole.replace(confusion.caption, "Stale."), "utf-8")
    finished_run.draw_figures(["cost"], tmp_path)
    assert "Stale." in file.read_text("utf-8")
    finished_run.draw_figures(["confusion"], tmp_path)
    assert file.read_text("utf-8") == whole
    assert changed <= file.stat().st_mtime_ns < (tmp_path / f"{confusion.name}.png").stat().st_mtime_ns


def test_an_unknown_figure_is_told(finished_run: Run) -> None:
    with pytest.raises(RunError, match="there is no figure named 'confusoin'. Did you mean 'confusion'"):
        finished_run.draw_figures(["confusoin"])
    assert "confusion" in FIGURES


def test_a_figure_that_the_study_has_no_data_for_is_told(finished_run: Run, tmp_path: Path) -> None:
    run = Run(finished_run.folder)
    run.study = run.study.model_copy(update={"factors": {}})
    with pytest.raises(RunError, match="this study has nothing to draw for the figure 'interaction'"):
        run.draw_figures(["interaction"], tmp_path)


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


def test_interactions_are_means_at_pairs_of_levels(finished_run: Run) -> None:
    data = interaction_data(finished_run.results, finished_run.study, "test_accuracy")
    assert data[["across", "along"]].drop_duplicates().to_numpy().tolist() == [["dropout", "batch_norm"]]
    means = finished_run.results.groupby(["dropout", "batch_norm"])["test_accuracy"].mean()
    for row in data.itertuples(index=False):
        assert row.mean == pytest.approx(means.loc[row.across_level, row.along_level])
    assert data["n"].tolist() == [2] * 4


def test_an_interaction_averages_over_the_other_factors_and_needs_all_of_them(write_grid: Any) -> None:
    text = (
        "{study: three, dataset: {name: digits}, factors: {dropout: [0, 0.1], width: [1, 2], depth: [1, 2]}}"
    )
    study = Study.from_yaml(write_grid(text))
    rows = [
        {"variant": v.name, "seed": 0, "status": "completed", "provenance": "", "test_accuracy": 0.1 * k}
        for k, v in enumerate(study.variants)
    ]
    table = pd.DataFrame(rows)
    data = interaction_data(table, study, "test_accuracy")
    assert len(data) == 3 * 4
    cell = {v.name for v in study.variants if v.levels["dropout"] == "0.1" and v.levels["width"] == "2"}
    expected = table.loc[table["variant"].isin(cell), "test_accuracy"].mean()
    found = data.query(
        "across == 'dropout' and across_level == '0.1' and along == 'width' and along_level == '2'"
    )
    assert found["mean"].tolist() == pytest.approx([expected])
    partial = interaction_data(table[table["variant"] != "plain"], study, "test_accuracy")
    assert len(partial) == 3 * 3  # the cells that lack a variant are left out


def test_the_noise_is_told_in_shares(finished_run: Run) -> None:
    data = noise_data(finished_run.noise)
    assert data.index.tolist() == ["+Dropout", "+BatchNorm", "+both"]
    shares = data.loc[data["error"] > 0, ["seeds", "images", "rest"]]
    assert len(shares) >= 2  # one without noise has none to share
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    row = finished_run.noise.query("variant == '+both' and against == 'plain'").iloc[0]
    error = np.sqrt(row["se_seeds"] ** 2 + row["se_images"] ** 2 + row["se_rest"] ** 2)
    assert data.loc["+both", "error"] == pytest.approx(error)
    seeds = seed_data(finished_run.results, "test_accuracy")
    by_seed = finished_run.results.set_index(["variant", "seed"])["test_accuracy"]
    assert seeds.loc["+both", 1] == by_seed["+both", 1]
    assert seeds.index.tolist() == finished_run.results["variant"].unique().tolist()


def test_the_pareto_front_is_that_of_a_case_by_hand() -> None:
    cost, gain = np.array([1.0, 2, 2, 3, np.nan]), np.array([0.5, 0.7, 0.6, 0.7, 0.9])
    assert _on_front(cost, gain).tolist() == [True, True, False, False, False]


def test_costs_are_means_and_known_numbers(finished_run: Run) -> None:
    table = finished_run.cost.set_index("variant")
    results = finished_run.results
    assert table.loc["+both", "seconds"] == pytest.approx(
        results.query("variant == '+both'")["seconds"].mean()
    )
    assert table.loc["plain", "multiply_adds"] == 8 * 8 * 9 * 4 + 4 * 4 * 9 * 4 * 6 + 2 * 2 * 6 * 8 + 8 * 10
    assert (table["memory"] > 100).all()  # TensorFlow alone holds more
    data = cost_data(finished_run.cost, "parameters")
    assert data["cost"].is_monotonic_increasing


def test_fractions_of_a_second_are_no_minutes() -> None:
    """An engineer's 600m is 0.6."""
    figure = Figure()
    data = pd.DataFrame({
        "variant": ["plain", "+Dropout"], "cost": [0.6, 0.7], "front": [True, False],
        "accuracy": [0.8, 0.7], "low": [0.7, 0.6], "high": [0.9, 0.8],
    })  # fmt: skip
    ax = figure.subplots()
    draw_cost(ax, data, variant_styles(["plain", "+Dropout"], "plain"))
    figure.canvas.draw()
    ticks = [tick.get_text() for tick in ax.get_xticklabels()]
    assert "0.6" in ticks
    assert not any("m" in tick for tick in ticks)


def test_a_title_is_not_covered_by_a_panel_without_an_image(finished_run: Run) -> None:
    (drawing,) = disagreements(finished_run)
    assert not any(ax.patch.get_visible() for ax in drawing.figure.axes)


def test_rows_of_predictions_with_long_names_that_begin_and_end_alike_are_told_apart(
    tiny_dataset: Dataset,
) -> None:
    part = tiny_dataset.test
    names = [f"very wide, {activation}, dropout 0.3" for activation in ("ReLU", "GELU", "tanh")]
    probabilities = np.eye(len(tiny_dataset.class_names))[part.labels]
    data = SamplePredictions(
        np.arange(2), {name: Predictions.of(probabilities, False).take(np.arange(2)) for name in names}
    )
    labels = [text.get_text() for text in draw_samples(data, tiny_dataset, part).axes[-1].get_yticklabels()]
    assert labels == [
        "very wide, ReLU,\ndropout 0.3",
        "very wide, GELU,\ndropout 0.3",
        "very wide, tanh,\ndropout 0.3",
    ]


def test_the_two_sides_of_the_disagreements_are_further_apart_than_images_of_one_side(
    finished_run: Run,
) -> None:
    (drawing,) = disagreements(finished_run)
    columns = sorted({(round(box.x0, 4), round(box.x1, 4)) for box in boxes(drawing)})
    gaps = [right[0] - left[1] for left, right in pairwise(columns)]
    assert len(gaps) == 9
    assert gaps[4] > 3 * max(gaps[:4] + gaps[5:])


def boxes(drawing: Drawing) -> list[Bbox]:
    return [ax.get_position(original=True) for ax in drawing.figure.axes]


def test_variance_shift_is_a_mean_over_seeds(finished_run: Run) -> None:
    data = variance_shift_data(finished_run.variance_shift)
    row = data.iloc[0]
    own = finished_run.variance_shift.query("variant == @row.variant and layer == @row.layer")
    assert row["mean"] == pytest.approx(own["ratio"].mean())
    assert data["n"].unique().tolist() == [2]


def test_classes_are_laid_out_as_in_the_table(finished_run: Run) -> None:
    accuracy, difference, q = per_class_data(finished_run.per_class)
    row = finished_run.per_class.query("variant == '+both' and `class` == '3'").iloc[0]
    assert accuracy.loc["+both", "3"] == row["accuracy"]
    assert difference.loc["+both", "3"] == row["difference"]
    assert difference.loc["plain"].isna().all()
    assert q.isna().all(axis=None)
    matrix, told = difference_matrix(finished_run.confusion_differences, "+both", accuracy.columns)
    assert np.isnan(np.diag(matrix)).all()
    assert not told.any()
    own, names = confusion_matrix(finished_run.confusion, "+both")
    plain, _ = confusion_matrix(finished_run.confusion, "plain")
    off = ~np.eye(len(names), dtype=bool)
    np.testing.assert_allclose(matrix[off], (own - plain)[off])


def test_disagreements_are_the_images_on_which_most_pairs_differ() -> None:
    labels = np.zeros(6, np.int64)

    def predictions(*wrong: int) -> Predictions:
        classes = np.zeros(6, np.int32)
        classes[list(wrong)] = 2
        return Predictions(classes, np.ones(6, np.float32))

    own = {0: predictions(5), 1: predictions(5, 4)}
    baseline = {0: predictions(1, 2), 1: predictions(1), 9: predictions(3)}
    better, worse = disagreement_data(own, baseline, labels)
    assert [(d.index, d.right, d.predicted_as) for d in better] == [(1, (2, 0), 2), (2, (2, 1), 2)]
    assert [(d.index, d.right) for d in worse] == [(5, (0, 2)), (4, (1, 2))]


def test_samples_are_half_random_and_half_disputed() -> None:
    agreed, disputed = np.eye(3)[[0] * 50], np.eye(3)[[0] * 45 + [1] * 5]
    predicted = {"a": Predictions.of(agreed), "b": Predictions.of(disputed)}
    data = sample_data(predicted, np.random.default_rng(0), shown=10)
    assert len(set(data.indices.tolist())) == 10
    assert {45, 46, 47, 48, 49} <= set(data.indices.tolist())


def test_names_that_matplotlib_would_read_as_formulas_are_drawn_as_they_are() -> None:
    assert label("$x$") == r"\$x\$"
    for name in ("$x$", "a \\ b", "a\\$b$", "\\\\"):
        assert Text()._preprocess_math(label(name)) == (name, False)
    assert len(label("a" * 50)) == 36
    assert label("+Dropout 0.1 and a long name +BatchNorm", 20) == "+Dropout 0…BatchNorm"


def test_labels_are_spread_and_keep_their_order() -> None:
    placed = spread([1.0, 1.1, 5.0], 1.0)
    assert placed[1] - placed[0] >= 0.99
    assert placed[2] == 5.0


def test_thirty_variants_look_different() -> None:
    styles = variant_styles([f"v{k}" for k in range(30)], "v0")
    assert len({(str(style.colour), style.marker) for style in styles.values()}) == 30


@pytest.mark.slow
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
    run.__dict__["predictions"] = dict.fromkeys(names, finished_run.predictions["plain"])
    drawn = ["forest", "overfitting_gap", "gap_parts", "learning_curves", "cost", "seed_noise", "per_class"]
    run.draw_figures([*drawn, "confusion_differences", "disagreements", "calibration"], tmp_path / "figures")
    run.__dict__["confusion"] = run.confusion[run.confusion["variant"].isin(names[-4:])]
    run.draw_figures(["confusion"], tmp_path / "figures")
    assert not [file for file in tmp_path.parent.iterdir() if file.name.startswith(("up", "confusion"))]
    assert len(list((tmp_path / "figures").glob("confusion_[0-9]*.png"))) == 4


@pytest.mark.parametrize(
    ("channels", "shown", "note"),
    [
        (1, [10], ""),
        (2, [10, 20, 0], " The two channels are shown as red and green."),
        (3, [10, 20, 30], ""),
        (4, [10, 20, 30], " The first three of the 4 channels are shown as red, green and blue."),
        (5, [10, 20, 30], " The first three of the 5 channels are shown as red, green and blue."),
    ],
)
@pytest.mark.parametrize("scale", [1, 255])
def test_images_of_any_number_of_channels_are_shown(
    channels: int, shown: list[int], note: str, scale: int
) -> None:
    image = np.full((4, 5, channels), [10, 20, 30, 40, 50][:channels], np.uint8)
    ax = new_figure(2, 2).subplots()
    show_image(ax, image if scale == 1 else (image / 255).astype(np.float32))
    drawn = np.asarray(ax.images[0].get_array())[0, 0]
    np.testing.assert_allclose(np.atleast_1d(drawn) * scale, shown, rtol=1e-6)
    assert channels_note(channels) == note
