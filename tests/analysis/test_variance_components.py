"""The noise taken apart: against statsmodels' analysis of variance, and on planted variances."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.contingency_tables import mcnemar

from ablation.analysis.variance_components import MCNEMAR_COLUMNS, NOISE_COLUMNS, mcnemar_table, noise_table


def planted(seeds: int, images: int, seed_spread: float, seed: int = 0) -> dict[int, np.ndarray]:
    """Draw what is right: images of different difficulty, models of different skill."""
    generator = np.random.default_rng(seed)
    difficulty = generator.normal(0, 1, images)
    skill = generator.normal(0, seed_spread, (seeds, 1))
    chance = 1 / (1 + np.exp(-(1 + skill + difficulty)))
    right = generator.random((seeds, images)) < chance
    return dict(enumerate(right))


def test_the_variances_are_those_of_an_analysis_of_variance() -> None:
    right = planted(4, 30, 0.5)
    row = noise_table({"plain": right}, "plain").iloc[0]
    long = pd.DataFrame(
        [(s, i, float(v)) for s, values in right.items() for i, v in enumerate(values)],
        columns=["seed", "image", "right"],
    )
    squares = anova_lm(smf.ols("right ~ C(seed) + C(image)", long).fit())
    mean_square = squares["sum_sq"] / squares["df"]
    assert row["rest_variance"] == pytest.approx(mean_square["Residual"], abs=1e-9)
    assert row["seed_variance"] == pytest.approx(
        (mean_square["C(seed)"] - mean_square["Residual"]) / 30, abs=1e-9
    )
    assert row["image_variance"] == pytest.approx(
        (mean_square["C(image)"] - mean_square["Residual"]) / 4, abs=1e-9
    )
    assert row["variance"] == pytest.approx(np.var([v.mean() for v in right.values()], ddof=1))


def test_a_table_by_hand() -> None:
    """Two seeds, two images, right: 1 1 / 0 1; means 1 and 0.5 by seed, 0.5 and 1 by image, 0.75 in all."""
    right = {"plain": {0: np.array([True, True]), 1: np.array([False, True])}}
    row = noise_table(right, "plain").iloc[0]
    # every residual is 0.25, so the rest is 0.25; the seeds' mean square is 2 x 0.125 = 0.25
    assert (row["accuracy"], row["variance"]) == (0.75, 0.125)
    assert (row["seed_variance"], row["image_variance"]) == (0.0, 0.0)
    assert row["rest_variance"] == pytest.approx(0.25)


@pytest.mark.parametrize(("spread", "more"), [(0.0, "test images"), (1.5, "seeds")])
def test_it_says_what_would_help(spread: float, more: str) -> None:
    row = noise_table({"plain": planted(8, 400, spread)}, "plain").iloc[0]
    assert row["more"] == more


def test_models_that_differ_on_no_image_of_the_population_have_no_seed_variance() -> None:
    """Jordan (2023): the accuracies differ by seed all the same, by the images that were drawn."""
    found = [
        noise_table({"plain": planted(6, 100, 0.0, seed)}, "plain").iloc[0][["variance", "seed_variance"]]
        for seed in range(300)
    ]
    variance, seed_variance = np.array(found, float).mean(axis=0)
    assert variance > 1e-3
    assert abs(seed_variance) < 0.05 * variance


def test_differences_are_taken_seed_by_seed() -> None:
    plain, other = planted(4, 50, 1.0), planted(5, 50, 1.0, 1)
    table = noise_table({"plain": plain, "a": other}, "plain")
    assert list(table.columns) == NOISE_COLUMNS
    row = table[table["against"] == "plain"].iloc[0]
    assert row["n"] == 4
    assert row["accuracy"] == pytest.approx(np.mean([other[s].mean() - plain[s].mean() for s in range(4)]))


def test_one_seed_tells_nothing_of_noise() -> None:
    assert noise_table({"plain": planted(1, 50, 1.0)}, "plain").empty


def test_mcnemar_is_the_exact_binomial_test() -> None:
    plain = {0: np.array([True] * 10 + [False] * 10), 1: np.array([True] * 20)}
    other = {0: np.array([True] * 8 + [False] * 3 + [True] * 9), 1: np.array([True] * 20), 2: plain[0]}
    table = mcnemar_table({"plain": plain, "a": other}, "plain")
    assert list(table.columns) == MCNEMAR_COLUMNS
    first, second = table.to_dict("records")
    assert (first["only_variant_right"], first["only_baseline_right"]) == (9, 2)
    assert first["p"] == pytest.approx(stats.binomtest(2, 11, 0.5).pvalue, abs=1e-12)
    assert second["p"] == 1.0


@pytest.mark.parametrize(("gained", "lost"), [(1, 0), (0, 5), (10, 2), (7, 7), (25, 15), (900, 800)])
def test_mcnemar_is_counted_exactly_and_is_that_of_statsmodels(gained: int, lost: int) -> None:
    """Counted in whole numbers, for 10 and 2: 2 (1 + 12 + 66) / 2^12."""
    n = gained + lost
    counted = min(1.0, 2 * sum(comb(n, k) for k in range(min(gained, lost) + 1)) / 2**n)
    variant, plain = np.repeat([[True, False], [False, True]], [gained, lost], axis=0).T
    (found,) = mcnemar_table({"plain": {0: plain}, "a": {0: variant}}, "plain")["p"]
    assert found == pytest.approx(counted, rel=1e-13)
    assert found == pytest.approx(mcnemar([[0, gained], [lost, 0]], exact=True).pvalue, rel=1e-15, abs=1e-15)


@pytest.mark.parametrize(("n", "level"), [(3, 0.05 / 7), (5, 0.05), (10, 0.05 / 3)])
def test_the_advice_is_what_narrows_the_interval_more(n: int, level: float) -> None:
    """Against intervals of twice as many seeds, and of twice as many images with the same components."""
    advised = set()
    for seed in range(30):
        generator = np.random.default_rng(seed)
        taste, luck = generator.normal(0, 1, 150), generator.normal(0, generator.choice([0.05, 0.6]), (n, 1))
        right = {"plain": generator.random((n, 150)) < 0.6,
                 "a": generator.random((n, 150)) < 1 / (1 + np.exp(-(0.4 + taste + luck)))}  # fmt: skip
        table = noise_table({k: dict(enumerate(v)) for k, v in right.items()}, "plain", True, level)
        row = table[table["against"] == "plain"].iloc[0]
        t = {count: stats.t.ppf(1 - level / 2, count - 1) for count in (n, 2 * n)}
        z2_images = (stats.norm.ppf(1 - level / 2) * row["se_images"]) ** 2
        by_seeds = np.sqrt(t[2 * n] ** 2 * row["variance"] / (2 * n) + z2_images)
        between = max(0.0, row["variance"] - max(0.0, row["rest_variance"]) / 150 / 2)
        by_images = np.sqrt(t[n] ** 2 * between / n + z2_images / 2)
        if abs(by_seeds - by_images) > 0.06 * by_seeds:
            assert row["more"] == ("seeds" if by_seeds < by_images else "test images")
            advised.add(row["more"])
    assert "seeds" in advised


def test_only_seeds_are_advised_where_intervals_hold_for_seeds_only() -> None:
    """Doubling the images then changes no interval, however large their variance component is."""
    generator = np.random.default_rng(0)
    taste = generator.random(200) < 0.5  # all seeds agree which images the variant classifies better
    right = {
        name: {seed: np.where(generator.random(200) < 0.05, ~taste, taste) ^ flip for seed in range(4)}
        for name, flip in (("plain", False), ("a", True))
    }
    of_difference = noise_table(right, "plain").set_index("against").loc["plain"]
    assert of_difference["more"] == "test images"
    assert set(noise_table(right, "plain", for_images=False)["more"]) == {"seeds"}
