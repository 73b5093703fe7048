"""The tables of the ready studies, computed anew from their trials with SciPy and nothing of this package."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray
from scipy import optimize, stats

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
STUDIES = sorted(folder.name for folder in (EXPERIMENTS / "reference").iterdir())
WITH_DOSES = sorted(file.parent.name for file in EXPERIMENTS.glob("reference/*/dose_response.csv"))
GRIDS = {"digits": "grid"}  # the studies whose grid has another name
ALPHA = 0.05

Values = NDArray[np.float64]
"""For each seed and test image, whether it was classified correctly: (seeds, images).

Where predictions were not kept, there is one column with the accuracy of all images.
"""


def grid_of(study: str) -> dict[str, Any]:
    """Return the grid of a study; each declares alpha 0.05 and Holm's correction of test accuracy."""
    grid = yaml.safe_load((EXPERIMENTS / f"{GRIDS.get(study, study)}.yaml").read_text("utf-8"))
    declared = {key: grid["compare"][key] for key in ("metric", "alpha", "correction")}
    assert declared == {"metric": "test_accuracy", "alpha": ALPHA, "correction": "holm"}
    return dict(grid)


def results_of(study: str) -> pd.DataFrame:
    return pd.read_csv(EXPERIMENTS / "reference" / study / "results.csv", dtype={"train_size": str})


def values_of(study: str) -> dict[str, Values]:
    """Return what each variant's trials classified correctly, from the files of the study."""
    results, kept = results_of(study), EXPERIMENTS / "reference" / study / "correct.npz"
    values = {}
    for variant, rows in results.sort_values("seed").groupby("variant", sort=False):
        accuracy = rows["test_accuracy"].to_numpy()[:, None]
        if kept.is_file():
            with np.load(kept) as packed:
                images = int(packed["images"])
                of_trials = [np.unpackbits(packed[name], count=images) for name in rows["trial_id"]]
            values[str(variant)] = np.array(of_trials, np.float64)
            assert values[str(variant)].mean(axis=1) == pytest.approx(accuracy[:, 0], abs=1e-6)
        else:
            values[str(variant)] = accuracy
    return values


def half_width(values: Values, level: float) -> float:
    """Return half of the interval of a mean over seeds and, with more than one column, over images."""
    seeds, images = values.shape
    of_seeds = float(stats.t.ppf(1 - level / 2, seeds - 1) * values.mean(axis=1).std(ddof=1) / seeds**0.5)
    if images == 1:
        return of_seeds
    fitted = values.mean(axis=1, keepdims=True) + values.mean(axis=0) - values.mean()
    rest = ((values - fitted) ** 2).sum() / ((seeds - 1) * (images - 1))
    between = seeds * values.mean(axis=0).var(ddof=1)
    of_images = float(stats.norm.ppf(1 - level / 2) * max(0.0, (between - rest) / values.size) ** 0.5)
    return math.hypot(of_seeds, of_images)


def p_value(values: Values) -> float:
    """Return the level at which the interval ends at 0."""
    mean = abs(values.mean())
    if mean < 1e-12:  # every interval holds 0
        return 1.0
    log_p = optimize.brentq(lambda log: half_width(values, math.exp(log)) - mean, -60, -1e-12, xtol=1e-13)
    return math.exp(float(log_p))


def judged(family: dict[str, Values], margin: float) -> dict[str, tuple[float, float, float, float, str]]:
    """Return the interval, p, Holm's p and the verdict of each difference of a family."""
    p = {name: p_value(values) for name, values in family.items()}
    holm, highest = {}, 0.0
    for rank, name in enumerate(sorted(p, key=p.__getitem__)):
        highest = max(highest, min(1.0, (len(p) - rank) * p[name]))
        holm[name] = highest
    rows = {}
    for name, values in family.items():
        rank = sorted(p, key=p.__getitem__).index(name)
        mean = values.mean()
        strict, stepwise = (half_width(values, ALPHA / m) for m in (len(p), len(p) - rank))
        if mean - strict > -margin and mean + strict < margin:
            half, verdict = strict, "equivalent"
        elif holm[name] <= ALPHA:
            half, verdict = stepwise, "better" if mean > 0 else "worse"
        else:
            half, verdict = strict, "unresolved"
        rows[name] = (mean - half, mean + half, p[name], holm[name], verdict)
    return rows


def declared_family(study: str) -> dict[str, Values]:
    """Return the differences that the study declared: its comparisons, its effects, or both."""
    grid = grid_of(study)
    questions = grid["compare"].get("questions", "variants")
    family = {} if questions == "effects" else compared(study)
    if questions != "variants":
        effects = contrasts(cells_of(study), list(grid["factors"]))
        family |= {
            f"{kind}: {effect} {label}": of
            for kind, effect, label, of in effects
            if kind in ("main effect", "interaction")
        }
    return family


def compared(study: str) -> dict[str, Values]:
    """Return the differences of the variants from the baseline."""
    values, baseline = values_of(study), grid_of(study)["baseline"]
    return {name: of - values[baseline] for name, of in values.items() if name != baseline}


@pytest.mark.parametrize("study", STUDIES)
def test_comparisons_are_those_of_scipy(study: str) -> None:
    table = pd.read_csv(EXPERIMENTS / "reference" / study / "comparisons.csv").set_index("variant")
    family, margin = declared_family(study), float(grid_of(study)["compare"]["margin"].rstrip("p")) / 100
    expected_rows = judged(family, margin)
    differences = compared(study)
    assert set(table.index) == set(results_of(study)["variant"]) - {grid_of(study)["baseline"]}
    for name, row in table.iterrows():
        values = differences[str(name)]
        by_seed = values.mean(axis=1)
        if name in family:
            *expected, verdict = expected_rows[str(name)]
            found = (row["low"], row["high"], row["p"], row["p_adjusted"])
            assert found == pytest.approx(expected, abs=1e-7)
            assert row["verdict"] == verdict
        else:
            mean, half = values.mean(), half_width(values, ALPHA)
            found = (row["low"], row["high"], row["p"])
            assert found == pytest.approx((mean - half, mean + half, p_value(values)), abs=1e-7)
            assert row["reason"] == "exploratory"
            assert math.isnan(row["verdict"])
            assert math.isnan(row["p_adjusted"])
        assert row["difference"] == pytest.approx(by_seed.mean(), abs=1e-7)
        assert row["median"] == pytest.approx(np.median(by_seed), abs=1e-7)
        above = int((by_seed > 1e-9).sum())
        assert row["above_zero"] == above
        assert row["holds_for"] == ("seeds" if values.shape[1] == 1 else "seeds and images")
        assert row["p_sign"] == pytest.approx(stats.binomtest(above, len(values)).pvalue, abs=1e-9)
        assert row["p_normal"] == pytest.approx(stats.shapiro(by_seed).pvalue, abs=1e-4)


def cells_of(study: str) -> dict[tuple[str, ...], Values]:
    """Return the values of the crossed variants by the labels of their levels."""
    results, grid, values = results_of(study), grid_of(study), values_of(study)
    crossed = results[~results["variant"].isin(list(grid.get("variants", {})))]
    by_cell = crossed.groupby(list(grid["factors"]), sort=False)["variant"].first()
    return {
        tuple(_text(level) for level in (cell if isinstance(cell, tuple) else (cell,))): values[str(variant)]
        for cell, variant in by_cell.items()
    }


def contrasts(
    cells: dict[tuple[str, ...], Values], factors: list[str]
) -> Iterator[tuple[str, str, str, Values]]:
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
def test_effects_are_those_of_scipy_and_only_what_is_declared_has_verdicts(study: str) -> None:
    table = pd.read_csv(EXPERIMENTS / "reference" / study / "effects.csv", dtype={"levels": str})
    grid = grid_of(study)
    family, margin = declared_family(study), float(grid["compare"]["margin"].rstrip("p")) / 100
    verdicts = judged(family, margin)
    expected = {
        (kind, effect, _plain(label)): values
        for kind, effect, label, values in contrasts(cells_of(study), list(grid["factors"]))
    }
    assert len(table) == len(expected)
    for row in table.to_dict("records"):
        values = expected[row["kind"], row["effect"], _plain(row["levels"])]
        assert row["difference"] == pytest.approx(values.mean(), abs=1e-7)
        assert row["p"] == pytest.approx(p_value(values), abs=1e-7)
        same = [name for name, of in family.items() if np.allclose(abs(of), abs(values), atol=1e-9)]
        assert bool(row["declared"]) == bool(same)
        if same:
            low, high, _, _, verdict = verdicts[same[0]]
            sides = sorted([abs(row["low"]), abs(row["high"])])
            assert sides == pytest.approx(sorted([abs(low), abs(high)]), abs=1e-7)
            assert (row["verdict"] in ("equivalent", "unresolved")) == (
                verdict in ("equivalent", "unresolved")
            )
        else:
            half = half_width(values, ALPHA)
            mean = values.mean()
            assert (row["low"], row["high"]) == pytest.approx((mean - half, mean + half), abs=1e-7)
            assert row["reason"] == "exploratory"
            assert math.isnan(row["verdict"])


@pytest.mark.parametrize("study", WITH_DOSES)
def test_dose_response_curves_are_those_of_scipy(study: str) -> None:
    results = results_of(study)
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
