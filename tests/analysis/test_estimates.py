"""Seeds and test images as crossed random factors: against an independent analysis of variance."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from studies import results_of, study_of

from ablation.analysis.answers import study_answers
from ablation.analysis.estimates import Estimate, Measurements, image_variance, mean_squares
from ablation.analysis.inference import ANYTIME, STUDENT, Method, judge
from ablation.grid.compare_settings import CompareSettings


def correct(generator: np.random.Generator, seeds: int, images: int, gain: float) -> np.ndarray:
    """Draw which images are classified correctly: images differ, seeds differ, and the rest is a coin."""
    of_images = generator.normal(0, 1.5, images)
    of_seeds = generator.normal(gain, 0.2, (seeds, 1))
    return generator.random((seeds, images)) < 1 / (1 + np.exp(-(of_images + of_seeds)))


def test_mean_squares_are_those_of_a_two_way_analysis_of_variance() -> None:
    values = np.random.default_rng(0).normal(size=(4, 7)) + np.arange(7) * 0.3
    long = pd.DataFrame([{"seed": s, "image": i, "y": values[s, i]} for s in range(4) for i in range(7)])
    table = anova_lm(ols("y ~ C(seed) + C(image)", long).fit())
    assert mean_squares(values) == pytest.approx(tuple(table["mean_sq"]), rel=1e-9)


def test_the_interval_over_seeds_and_images_by_hand() -> None:
    generator = np.random.default_rng(1)
    right = {name: correct(generator, 5, 400, gain) for name, gain in (("plain", 0.5), ("a", 0.9))}
    table = results_of({name: list(values.mean(axis=1)) for name, values in right.items()})
    by_seed = {name: dict(enumerate(values)) for name, values in right.items()}
    row = study_answers(table, study_of(["plain", "a"]), correct=by_seed).comparisons.iloc[0]
    differences = right["a"].astype(float) - right["plain"]
    of_seeds, of_images, of_rest = mean_squares(differences)
    parts = of_seeds / 2000, max(0.0, of_images - of_rest) / 2000
    half = math.sqrt(stats.t.ppf(0.975, 4) ** 2 * parts[0] + stats.norm.ppf(0.975) ** 2 * parts[1])
    mean = differences.mean()
    assert (row["low"], row["high"]) == pytest.approx((mean - half, mean + half), abs=1e-12)
    assert row["se_images"] == pytest.approx(math.sqrt(parts[1]))
    assert row["holds_for"] == "seeds and images"
    alone = study_answers(
        table, study_of(["plain", "a"], CompareSettings(holds_for=("seeds",))), correct=by_seed
    )
    assert alone.comparisons.iloc[0]["holds_for"] == "seeds"


def test_images_that_all_seeds_classify_independently_add_nothing() -> None:
    values = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert image_variance(values) == 0.0
    differences = np.array([0.1, 0.2, 0.4])
    with_images, without = (
        judge({"a": estimate}, CompareSettings()).iloc[0]
        for estimate in (Estimate(differences, 0.0, 100), Estimate(differences))
    )
    assert (with_images["low"], with_images["p"]) == (without["low"], without["p"])


@settings(deadline=None)
@example(0.125, 2, 1e-4, 0.0625, ANYTIME)
@given(
    st.floats(1e-4, 0.2), st.integers(2, 60), st.floats(1e-4, 0.1), st.floats(1e-6, 0.1),
    st.sampled_from([STUDENT, ANYTIME]),
)  # fmt: skip
def test_p_is_the_level_at_which_the_interval_ends_at_0(
    mean: float, n: int, seed_error: float, image_error: float, method: Method
) -> None:
    p = method.p_value(mean, n, seed_error, image_error)
    assert 0 < p <= 1
    if 1e-290 < p < 1:
        # from both sides, for the width of the anytime-valid interval grows without bound where it ends
        inner, outer = (
            method.half_width(n, seed_error, image_error, p * (1 + side)) for side in (1e-12, -1e-12)
        )
        assert inner <= mean <= outer
    assert p >= method.p(mean / seed_error, n) - 1e-12  # images never make an interval narrower


def test_a_metric_without_values_per_image_holds_for_seeds_only() -> None:
    table = results_of({"plain": [0.5, 0.6, 0.7], "a": [0.6, 0.65, 0.8]}, "val_accuracy")
    compare = CompareSettings(metric="val_accuracy")
    assert not compare.includes_images
    row = study_answers(table, study_of(["plain", "a"], compare), correct={"plain": {}, "a": {}})
    assert row.comparisons.iloc[0]["holds_for"] == "seeds"


def test_a_trial_without_predictions_leaves_the_interval_over_seeds() -> None:
    table = results_of({"plain": [0.5, 0.6, 0.7], "a": [0.6, 0.65, 0.8]})
    some = {"plain": {0: np.ones(4, bool)}, "a": {s: np.ones(4, bool) for s in range(3)}}
    row = study_answers(table, study_of(["plain", "a"]), correct=some).comparisons.iloc[0]
    assert (row["holds_for"], row["n"], row["se_images"]) == ("seeds", 3, 0)


def test_a_contrast_needs_all_of_its_variants_in_one_environment() -> None:
    table = results_of({"a": [1.0, 2.0, None], "b": [2.0, 4.0, 1.0], "c": [1.0, 1.0, 1.0]})
    table["provenance"] = ["m0", "m1", "m0", "m0", "m1", "m0", "m0", "m0", "m0"]
    measured = Measurements(table, "test_accuracy")
    assert measured.seeds(["a", "b"]) == [0, 1]
    assert measured.seeds(["a", "b", "c"]) == [0]
    assert measured.seeds(["a", "nowhere"]) == []
    assert measured.estimate({"b": 1.0, "a": -1.0}).differences.tolist() == [1.0, 2.0]
    assert measured.estimate({"b": 1.0, "a": -1.0}, without={("a", 1), ("c", 0)}).differences.tolist() == [
        1.0
    ]
