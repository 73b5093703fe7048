"""The report's smaller tables, every cell as it is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablation.pairing import pairing_by_seed, pairing_gain
from ablation.wording import Row, interval_phrase, minus, p_phrase, points, verdict_phrase

if TYPE_CHECKING:
    from ablation.run import Run

_TITLES = {
    "main effect": "Main effects: a level against the factor's first, averaged over the other factors",
    "interaction": "Interactions: how much more a level does once the other factors are there",
    "effect where": "Simple effects: a level against the first, at one setting of the other factors",
    "Shapley share": "Shapley shares: each component's part of the way from the plain to the full model",
}


@dataclass(frozen=True)
class TextTable:
    """A small table, every cell as it is shown."""

    headings: list[str]
    rows: list[list[str]]
    title: str = ""


def pairing_text(run: Run) -> TextTable:
    """The hashes of what each trial started from, a seed a row."""
    table = pairing_by_seed(run.pairing, run.study.baseline)
    return TextTable(list(map(str, table)), [[str(cell) for cell in row] for row in table.to_numpy()])


def pairing_gain_text(run: Run) -> TextTable:
    """What pairing gained for each variant, beside the number of layers that it shares."""
    layers = run.pairing.dropna(subset=["layers"]).groupby("variant")[["shared_layers", "layers"]].first()
    rows = []
    for row in pairing_gain(run.results, run.study.baseline).itertuples(index=False):
        shared = "{} of {}".format(*layers.loc[row.variant]) if row.variant in layers.index else "–"
        correlation = "–" if math.isnan(row.correlation) else minus(f"{row.correlation:+.2f}")
        saved = "–" if math.isnan(row.variance_saved) else minus(f"{row.variance_saved:.0%}")
        rows.append([row.variant, shared, correlation, saved, str(row.n)])
    return TextTable(["Variant", "Layers shared", "Correlation", "Variance saved", "Pairs"], rows)


def variance_shift_text(run: Run) -> TextTable:
    """The mean ratio for each BatchNorm layer (a row) and variant (a column)."""
    table = run.variance_shift.pivot_table("ratio", "layer", "variant", "mean", sort=False)
    rows = [
        [str(layer), *("–" if math.isnan(v) else f"{v:.2f}" for v in row)]
        for layer, *row in table.itertuples()
    ]
    return TextTable(["Layer", *map(str, table.columns)], rows)


def comparisons_text(run: Run) -> TextTable:
    """Every variant against the baseline."""
    rows = [[str(row["variant"]), *_judged(row, run)] for row in run.comparisons.to_dict("records")]
    headings = ["Variant", "Difference", "Interval", "Confidence", "p, adjusted", "Cohen's d", "Pairs"]
    return TextTable([*headings, "Verdict"], rows)


def effects_text(run: Run) -> list[TextTable]:
    """The effects that can be estimated, a table a kind."""
    headings = ["Factor", "Level", "Difference", "Interval", "Confidence", "p, adjusted", "Cohen's d"]
    return [
        TextTable(
            [*headings, "Seeds", "Verdict"],
            [[row["effect"], row["levels"], *_judged(row, run)] for row in effects.to_dict("records")],
            _TITLES[str(kind)],
        )
        for kind, effects in run.effects[run.effects["n"] > 0].groupby("kind", sort=False)
    ]


def noise_text(run: Run) -> TextTable:
    """What the standard error of each difference from the baseline is made of, in percentage points.

    The last column counts the seeds whose pair of models McNemar's test tells apart, image by image.
    """
    differences = run.noise[run.noise["against"] != ""]
    apart = (run.mcnemar["p"] < run.study.compare.alpha).groupby(run.mcnemar["variant"]).sum()
    rows = [
        [
            str(row["variant"]),
            *(f"{100 * row[part]:.2f}" for part in ("se_seeds", "se_images", "se_rest")),
            str(row["n"]),
            str(row["images"]),
            str(row["more"]),
            f"{apart[row['variant']]} of {row['n']}",
        ]
        for row in differences.to_dict("records")
    ]
    headings = ["Variant", "From seeds", "From images", "From both", "Seeds", "Images"]
    return TextTable([*headings, "What would help more", "Told apart by McNemar"], rows)


def inflation_text(run: Run) -> TextTable:
    """What picking each trial's best epoch would add to its validation score."""
    completed = run.results[run.results["status"] == "completed"]
    means = completed.groupby("variant", sort=False)[["best_epoch_inflation", "best_epoch", "epochs"]].mean()
    rows = [
        [str(name), f"+{100 * inflation:.1f}", f"{best:.0f} of {epochs:.0f}"]
        for name, inflation, best, epochs in means.itertuples()
    ]
    return TextTable(["Variant", "Best epoch adds, points", "Best epoch, mean"], rows)


def _judged(row: Row, run: Run) -> list[str]:
    """Return the columns that comparisons and effects share."""
    compare = run.study.compare
    return [
        points(row["difference"], compare),
        interval_phrase(row, compare),
        "–" if math.isnan(row["confidence"]) else f"{100 * row['confidence']:.1f}%",
        p_phrase(row["p_adjusted"]),
        "–" if math.isnan(row["effect_size"]) else minus(f"{row['effect_size']:+.2f}"),
        str(row["n"]),
        verdict_phrase(row),
    ]
