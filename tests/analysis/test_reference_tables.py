"""The tables of the ready studies, computed anew from their trials with SciPy and nothing of this package."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray
from scipy import stats

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
STUDIES = sorted(folder.name for folder in (EXPERIMENTS / "reference").iterdir())
WITH_DOSES = sorted(file.parent.name for file in EXPERIMENTS.glob("reference/*/dose_response.csv"))
ALPHA, MARGIN = 0.05, 0.01


def trials(study: str) -> tuple[pd.DataFrame, str, list[str]]:
    """Return the results, the baseline and the factors of a study, from its files."""
    results = pd.read_csv(EXPERIMENTS / "reference" / study / "results.csv", dtype={"train_size": str})
    grid = yaml.safe_load((EXPERIMENTS / f"{study}.yaml").read_text("utf-8"))
    assert grid["compare"] == {
        "metric": "test_accuracy",
        "margin": "1pp",
        "alpha": 0.05,
        "correction": "holm",
    }
    return results, grid.get("baseline", results["variant"].iloc[0]), list(grid["factors"])


def accuracies(results: pd.DataFrame, variant: str) -> NDArray[np.float64]:
    return results[results["variant"] == variant].sort_values("seed")["test_accuracy"].to_numpy()


def judged(family: dict[str, NDArray[np.float64]]) -> dict[str, tuple[float, float, float, float, str]]:
    """Return the interval, p, Holm's p and the verdict of each difference of a family."""
    p = {name: float(stats.ttest_1samp(values, 0).pvalue) for name, values in family.items()}
    holm, highest = {}, 0.0
    for rank, name in enumerate(sorted(p, key=p.__getitem__)):
        highest = max(highest, min(1.0, (len(p) - rank) * p[name]))
        holm[name] = highest
    rows = {}
    for name, values in family.items():
        rank = sorted(p, key=p.__getitem__).index(name)
        test = stats.ttest_1samp(values, 0)
        strict = test.confidence_interval(1 - ALPHA / len(p))
        stepwise = test.confidence_interval(1 - ALPHA / (len(p) - rank))
        if strict.low > -MARGIN and strict.high < MARGIN:
            interval, verdict = strict, "equivalent"
        elif holm[name] <= ALPHA:
            interval, verdict = stepwise, "better" if values.mean() > 0 else "worse"
        else:
            interval, verdict = strict, "unresolved"
        rows[name] = (interval.low, interval.high, p[name], holm[name], verdict)
    return rows


@pytest.mark.parametrize("study", STUDIES)
def test_comparisons_are_those_of_scipy(study: str) -> None:
    results, baseline, _ = trials(study)
    table = pd.read_csv(EXPERIMENTS / "reference" / study / "comparisons.csv").set_index("variant")
    of_baseline = accuracies(results, baseline)
    family = {name: accuracies(results, name) - of_baseline for name in table.index}
    assert set(family) == set(results["variant"]) - {baseline}
    for name, expected in judged(family).items():
        row = table.loc[name]
        found = (row["low"], row["high"], row["p"], row["p_adjusted"])
        assert found == pytest.approx(expected[:4], abs=1e-9)
        assert row["verdict"] == expected[4]
        assert row["difference"] == pytest.approx(family[name].mean(), abs=1e-9)
        assert row["median"] == pytest.approx(np.median(family[name]), abs=1e-9)
        above = int((family[name] > 0).sum())
        assert (row["above_zero"], row["holds_for"]) == (above, "seeds")
        assert row["p_sign"] == pytest.approx(stats.binomtest(above, len(family[name])).pvalue, abs=1e-9)
        assert row["p_normal"] == pytest.approx(stats.shapiro(family[name]).pvalue, abs=1e-9)


def contrasts(
    cells: dict[tuple[str, ...], NDArray[np.float64]], factors: list[str]
) -> Iterator[tuple[str, str, str, NDArray[np.float64]]]:
    """Yield each effect's values over the seeds: averages and differences of differences, taken literally."""
    levels = [list(dict.fromkeys(cell[k] for cell in cells)) for k in range(len(factors))]
    places = range(len(factors))
    for size in range(1, len(factors) + 1):
        for chosen in itertools.combinations(places, size):
            for picked in itertools.product(*(levels[k][1:] for k in chosen)):
                others = [levels[k] if k not in chosen else [""] for k in places]
                settings = list(itertools.product(*others))
                total = np.zeros_like(next(iter(cells.values())))
                for setting in settings:
                    for on in itertools.product((0, 1), repeat=size):
                        cell = list(setting)
                        for k, level, is_on in zip(chosen, picked, on, strict=True):
                            cell[k] = level if is_on else levels[k][0]
                        total = total + (-1) ** (size - sum(on)) * cells[tuple(cell)]
                kind = "main effect" if size == 1 else "interaction"
                names = " × ".join(factors[k] for k in chosen)
                yield kind, names, " × ".join(picked), total / len(settings)
    for k in places:
        others = [levels[j] if j != k else [""] for j in places]
        for setting in itertools.product(*others):
            where = ", ".join(f"{factors[j]}={setting[j]}" for j in places if j != k)
            first = cells[(*setting[:k], levels[k][0], *setting[k + 1 :])]
            for level in levels[k][1:]:
                yield (
                    "effect where", factors[k], f"{level} where {where}",
                    cells[(*setting[:k], level, *setting[k + 1 :])] - first,
                )  # fmt: skip
    if all(len(of) == 2 for of in levels):
        orders = list(itertools.permutations(places))
        for k in places:
            total = np.zeros_like(next(iter(cells.values())))
            for order in orders:
                before = order[: order.index(k)]
                cell = [levels[j][int(j in before)] for j in places]
                total = total - cells[tuple(cell)]
                cell[k] = levels[k][1]
                total = total + cells[tuple(cell)]
            yield "Shapley share", factors[k], levels[k][1], total / len(orders)


@pytest.mark.parametrize("study", STUDIES)
def test_effects_are_those_of_scipy_and_only_comparisons_among_them_have_verdicts(study: str) -> None:
    results, baseline, factors = trials(study)
    table = pd.read_csv(EXPERIMENTS / "reference" / study / "effects.csv", dtype={"levels": str})
    compared = pd.read_csv(EXPERIMENTS / "reference" / study / "comparisons.csv", keep_default_na=False)
    named = yaml.safe_load((EXPERIMENTS / f"{study}.yaml").read_text("utf-8")).get("variants", {})
    crossed = results[~results["variant"].isin(list(named))]  # the others are crossed
    by_cell = crossed.groupby(factors, sort=False)["variant"].first()
    cells = {
        (cell if isinstance(cell, tuple) else (cell,)): accuracies(results, variant)
        for cell, variant in by_cell.items()
    }
    text = {tuple(_text(level) for level in cell): values for cell, values in cells.items()}
    expected = {(kind, effect, _plain(label)): v for kind, effect, label, v in contrasts(text, factors)}
    assert len(table) == len(expected)
    for row in table.to_dict("records"):
        values = expected[row["kind"], row["effect"], _plain(row["levels"])]
        assert row["difference"] == pytest.approx(values.mean(), abs=1e-9)
        assert row["p"] == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=1e-9)
        if row["declared"]:
            same = compared[
                np.isclose(compared["difference"].astype(float).abs(), abs(values.mean()), atol=1e-12)
                & np.isclose(compared["p"].astype(float), row["p"], atol=1e-12)
            ].iloc[0]
            sides = sorted([abs(row["low"]), abs(row["high"])])
            assert sides == pytest.approx(
                sorted([abs(float(same["low"])), abs(float(same["high"]))]), abs=1e-9
            )
            assert row["kind"] == "effect where"
            assert (row["verdict"] == "unresolved") == (same["verdict"] == "unresolved")
        else:
            interval = stats.ttest_1samp(values, 0).confidence_interval(1 - ALPHA)
            assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high), abs=1e-9)
            assert row["reason"] == "exploratory"
            assert isinstance(row["verdict"], float)
            assert math.isnan(row["verdict"])
    assert baseline in set(results["variant"])


@pytest.mark.parametrize("study", WITH_DOSES)
def test_dose_response_curves_are_those_of_scipy(study: str) -> None:
    results, _, _ = trials(study)
    table = pd.read_csv(EXPERIMENTS / "reference" / study / "dose_response.csv", keep_default_na=False)
    for (factor, where), curve in table.groupby(["factor", "where"], sort=False):
        chosen = results
        for setting in [] if where.startswith("averaged over ") else where.split(", "):
            name, label = setting.split("=")
            chosen = chosen[[_plain(_text(level)) == _plain(label) for level in chosen[name]]]
        dose = chosen[factor].astype(float)
        by_seed = chosen.assign(dose=dose).groupby(["seed", "dose"])["test_accuracy"].mean().unstack()
        values, count = by_seed.to_numpy(), len(by_seed.columns)
        assert list(by_seed.columns) == list(curve["dose"].astype(float))
        for k, row in enumerate(curve.to_dict("records")):
            interval = stats.ttest_1samp(values[:, k], 0).confidence_interval(1 - ALPHA / count)
            found = (row["mean"], row["low"], row["high"])
            assert found == pytest.approx((values[:, k].mean(), *interval), abs=1e-9)
            others = [values[:, j] for j in range(count) if j != k]
            p = [stats.ttest_rel(other, values[:, k], alternative="greater").pvalue for other in others]
            assert row["could_be_best"] == (min(p) >= ALPHA / (count - 1))
        x = np.array(by_seed.columns)
        summaries = ([np.polyfit(x, row, degree)[0] for row in values] for degree in (1, 2))
        p = [stats.ttest_1samp(summary, 0).pvalue for summary in summaries]
        assert curve["p"].iloc[0] == pytest.approx(min(1, 2 * min(p)), abs=1e-6)


def _text(level: object) -> str:
    return str(level).lower() if isinstance(level, bool) else str(level)


def _plain(label: str) -> str:
    """Return a label without the spelling of its numbers, which CSV files and YAML write differently."""
    return label.replace("0.0 ", "0 ").removesuffix(".0").replace("=0.0", "=0")
