"""How many seeds: against statsmodels, another integral, and drawn studies of that size."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import chdtr
from statsmodels.stats.power import TTestPower
from studies import study_of

from ablation import Run, Study
from ablation.analysis.inference import METHODS, judge
from ablation.analysis.sample_size import (
    POWER,
    SEEDS_COLUMNS,
    images_suffice,
    power_of,
    seeds_needed,
    seeds_table,
    verdict_chances,
)
from ablation.grid.compare_settings import CompareSettings


@pytest.mark.parametrize("effect", [0.3, 0.8, 1.5])
@pytest.mark.parametrize("n", [4, 10, 40])
def test_power_is_that_of_statsmodels(effect: float, n: int) -> None:
    expected = TTestPower().power(effect, n, 0.05, alternative="two-sided")
    expected = 1.0 if np.isnan(expected) else expected  # SciPy's lower tail has holes where power is 1
    assert power_of(n, effect, 0.05, CompareSettings()) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("looks", ["once", "any"])
def test_so_many_seeds_have_the_power_and_one_fewer_has_not(looks: str) -> None:
    compare = CompareSettings(margin=0.01, looks=looks)  # type: ignore[arg-type]
    for deviation in (0.004, 0.01, 0.03):
        n = seeds_needed(deviation, 0.025, compare)
        assert power_of(n, 0.01 / deviation, 0.025, compare) >= POWER
        assert n == 3 or power_of(n - 1, 0.01 / deviation, 0.025, compare) < POWER


def test_drawn_studies_of_that_size_find_the_difference_as_often() -> None:
    compare, deviation = CompareSettings(margin=0.01), 0.015
    n = seeds_needed(deviation, 0.05, compare)
    draws = np.random.default_rng(0).normal(compare.margin, deviation, (4000, n))
    t = draws.mean(axis=1) / draws.std(axis=1, ddof=1) * np.sqrt(n)
    found = np.mean(np.abs(t) >= METHODS["once"].critical(n, 0.05))
    assert found == pytest.approx(power_of(n, 0.01 / deviation, 0.05, compare), abs=0.02)


def test_a_run_is_a_pilot(finished_run: Run) -> None:
    table = finished_run.seeds_needed
    assert list(table.columns) == SEEDS_COLUMNS
    row = table[table["question"] == "+Dropout"].iloc[0]
    assert row["n"] == 2
    assert row["level"] == pytest.approx(0.05 / len(table))
    assert row["seeds_low"] <= row["seeds"] <= row["seeds_high"]
    assert row["hours"] > 0


def test_a_pilot_that_never_varies_needs_the_fewest() -> None:
    assert seeds_needed(0.0, 0.05, CompareSettings()) == 3


@pytest.mark.parametrize(("deviation", "n"), [(0.0182, 28), (0.0184, 29)])
def test_seeds_where_scipys_noncentral_t_has_a_hole(deviation: float, n: int) -> None:
    """At 5,000 pairs, the noncentrality is 38.4 here, where `scipy.special.nctdtr` is NaN."""
    assert seeds_needed(deviation, 0.05, CompareSettings(margin=0.01)) == n


def integrated(n: int, effect: float, margin: float, level: float, looks: str) -> tuple[float, float]:
    """The chances of `equivalent` and of `better or worse`, integrated over the mean, not the deviation."""
    critical, degrees = METHODS[looks].critical(n, level), n - 1
    if math.isinf(critical):
        return 0.0, 0.0
    shift, bound = effect * math.sqrt(n), margin * math.sqrt(n)

    def deviation_below(standard_errors: float) -> float:
        return float(chdtr(degrees, degrees * (max(0.0, standard_errors) / critical) ** 2))

    def equivalent(z: float) -> float:
        return normal(z - shift) * deviation_below(bound - abs(z))

    def decided(z: float) -> float:
        return normal(z - shift) * max(0.0, deviation_below(abs(z)) - deviation_below(bound - abs(z)))

    spread = critical / math.sqrt(2 * degrees)  # of the half-width of the interval
    bends = [abs(bound - critical - k * spread) for k in (-9, -3, 0, 3, 9)]
    bends += [critical + k * spread for k in (-9, -3, 0, 3, 9)]
    points = [
        shift - 3,
        shift,
        shift + 3,
        0.0,
        *(sign * at for at in [bound, bound / 2, *bends] for sign in (-1, 1)),
    ]
    edges = np.unique([shift - 9, *np.clip(points, shift - 9, shift + 9), shift + 9])
    return tuple(
        sum(quad(f, a, b, epsabs=1e-10, epsrel=1e-9, limit=200)[0] for a, b in pairwise(edges))
        for f in (equivalent, decided)
    )  # type: ignore[return-value]


def normal(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("looks", ["once", "any"])
@pytest.mark.parametrize("level", [1e-4, 0.00625, 0.05, 0.2])
def test_power_agrees_with_another_integral_and_grows(looks: str, level: float) -> None:
    compare = CompareSettings(looks=looks)  # type: ignore[arg-type]
    for effect in np.geomspace(1e-3, 1e3, 19):
        powers = []
        for n in (3, 4, 5, 7, 10, 14, 30, 100, 1000, 5000, 10_000):
            powers.append(power_of(n, effect, level, compare))
            assert 0 <= powers[-1] <= 1
            assert powers[-1] == pytest.approx(integrated(n, effect, 0.0, level, looks)[1], abs=1e-8)
        steps = np.diff(powers)[np.array(powers[:-1]) > (0 if looks == "once" else 0.2)]
        assert (steps > -1e-12).all()


@pytest.mark.parametrize("effect", [0.015, 0.04, 0.3, 0.383, 1.0, 20.0])
def test_power_grows_with_every_pair(effect: float) -> None:
    """Also where SciPy's noncentral t is NaN; the anytime-valid test's falls only where it is low."""
    for looks, level, lowest in (("once", 0.05, 0.0), ("any", 0.05, 0.01), ("any", 0.49, 0.2)):
        compare = CompareSettings(looks=looks)  # type: ignore[arg-type]
        numbers = [*range(3, 120), *range(120, 10_000, 97)]
        powers = np.array([power_of(n, effect, level, compare) for n in numbers])
        assert (np.diff(powers)[powers[:-1] >= lowest] > -1e-12).all()


@pytest.mark.parametrize("looks", ["once", "any"])
@pytest.mark.parametrize("margin", [0.01, 0.3, 1.0, 5.0])
def test_chances_of_verdicts_agree_with_another_integral(looks: str, margin: float) -> None:
    compare = CompareSettings(looks=looks)  # type: ignore[arg-type]
    for level in (1e-3, 0.05):
        for effect in (0.0, margin / 2, margin, 3 * margin):
            for n in (3, 5, 14, 100, 3000):
                chances = verdict_chances(n, effect, margin, level, compare)
                expected = integrated(n, effect, margin, level, looks)
                assert chances[:2] == pytest.approx(expected, abs=1e-8), (level, effect, n)
                assert chances == verdict_chances(n, -effect, margin, level, compare)
                assert sum(chances) == pytest.approx(1, abs=1e-12)
                assert min(chances) >= 0


@pytest.mark.parametrize("looks", ["once", "any"])
@pytest.mark.parametrize(
    ("effect", "margin", "n"), [(0.0, 0.8, 15), (0.8, 0.8, 15), (0.0, 2.0, 6), (2.0, 2.0, 6)]
)
def test_drawn_studies_get_each_verdict_as_often(looks: str, effect: float, margin: float, n: int) -> None:
    compare = CompareSettings(margin=margin, looks=looks, correction="none")  # type: ignore[arg-type]
    draws = np.random.default_rng(0).normal(effect, 1.0, (4000, n))
    verdicts = judge({str(k): row for k, row in enumerate(draws)}, compare)["verdict"]
    decided = verdicts.replace({"better": "better_or_worse", "worse": "better_or_worse"})
    for verdict, chance in verdict_chances(n, effect, margin, 0.05, compare)._asdict().items():
        error = math.sqrt(chance * (1 - chance) / 4000)
        assert np.mean(decided == verdict) == pytest.approx(chance, abs=4 * error + 1e-9), verdict


def planned(variants: int, compare: CompareSettings) -> Study:
    return study_of(["plain", *(f"v{k}" for k in range(variants))], compare)


def pilot(differences: list[list[float]]) -> pd.DataFrame:
    rows = [
        {"variant": name, "seed": seed, "status": "completed", "provenance": "here", "test_accuracy": value, "seconds": 60.0}
        for name, values in {"plain": [0.0] * 9, **{f"v{k}": v for k, v in enumerate(differences)}}.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows)


LISTS = st.lists(st.floats(-0.5, 0.5, allow_subnormal=False), min_size=1, max_size=9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(LISTS, min_size=1, max_size=4),
    st.floats(1e-5, 10),
    st.floats(1e-4, 0.49),
    st.sampled_from(["holm", "none"]),
    st.sampled_from(["once", "any"]),
)
@example([[-0.02, 0.0, 0.02]], 0.02, 0.05, "holm", "once")  # these had the low end above the high end
@example([[-0.014, 0.01, 0.0, 0.004, -0.012]], 0.01, 0.05, "holm", "any")
def test_the_number_of_seeds_lies_in_its_interval(
    differences: list[list[float]], margin: float, alpha: float, correction: str, looks: str
) -> None:
    compare = CompareSettings(margin=margin, alpha=alpha, correction=correction, looks=looks)  # type: ignore[arg-type]
    table = seeds_table(pilot(differences), planned(len(differences), compare))
    assert len(table) == len(differences)
    for row in table[table["n"] > 1].to_dict("records"):
        assert 3 <= row["seeds_low"] <= row["seeds"] <= row["seeds_high"]
        assert all(n <= 10_000 or math.isinf(n) for n in (row["seeds_low"], row["seeds"], row["seeds_high"]))
        for truth in ("zero", "margin"):
            chances = [
                row[f"{verdict}_if_{truth}"] for verdict in ("equivalent", "better_or_worse", "unresolved")
            ]
            assert all(map(math.isnan, chances)) or sum(chances) == pytest.approx(1, abs=1e-12)
    assert table[table["n"] == 1][SEEDS_COLUMNS[6:]].isna().all().all()


def test_a_constant_pilot_has_no_chances_of_verdicts() -> None:
    row = seeds_table(pilot([[0.1] * 5]), planned(1, CompareSettings())).iloc[0]
    assert (row["seeds_low"], row["seeds"], row["seeds_high"]) == (3, 3, 3)
    assert row.loc["equivalent_if_zero":].isna().all()


@pytest.mark.parametrize("looks", ["once", "any"])
def test_chances_with_an_image_part_are_those_of_drawn_studies(looks: str) -> None:
    compare = CompareSettings(looks=looks, margin=0.5, correction="none")  # type: ignore[arg-type]
    generator, seeds, image_error = np.random.default_rng(0), 12, 0.2
    method = METHODS[looks]
    for truth in (0.0, 0.5):
        draws = generator.normal(truth, 1, (20_000, seeds))
        means = draws.mean(axis=1) + generator.normal(0, image_error, len(draws))
        errors = draws.std(axis=1, ddof=1) / math.sqrt(seeds)
        half = np.array([method.half_width(seeds, error, image_error, 0.05) for error in errors])
        equivalent = (means - half > -0.5) & (means + half < 0.5)
        decided = (np.abs(means) > half) & ~equivalent
        chances = verdict_chances(seeds, truth, 0.5, 0.05, compare, image_error)
        assert chances.equivalent == pytest.approx(equivalent.mean(), abs=0.012)
        assert chances.better_or_worse == pytest.approx(decided.mean(), abs=0.012)


def test_where_images_are_too_few_no_number_of_seeds_is_enough() -> None:
    compare = CompareSettings(margin=0.01, holds_for=("seeds", "images"))
    assert seeds_needed(0.01, 0.05, compare, image_error=0.004) == math.inf
    assert not images_suffice(0.01 / 0.004, 0.05, compare)
    with_images = seeds_needed(0.01, 0.05, compare, image_error=0.002)
    assert seeds_needed(0.01, 0.05, compare) < with_images < math.inf
    assert power_of(int(with_images), 1.0, 0.05, compare, 0.2) >= POWER
    assert power_of(int(with_images) - 1, 1.0, 0.05, compare, 0.2) < POWER


def test_what_ten_thousand_seeds_do_not_show_is_not_said_to_need_ten_thousand() -> None:
    assert seeds_needed(1.0, 0.05, CompareSettings(margin=0.01)) == math.inf
    assert seeds_needed(0.0, 0.05, CompareSettings(margin=0.02), image_error=0.003) == 3
    assert verdict_chances(5, 0.0, 1.0, 0.05, CompareSettings(), image_error=1e8).unresolved == pytest.approx(
        1, abs=0.06
    )
