"""The report: what was compared, what came out, and how it was measured, as HTML and as Markdown."""

from __future__ import annotations

import base64
import html
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jinja2
import pandas as pd

from ablation.figures import Picture
from ablation.grid import Variant
from ablation.pairing import pairing_verdict
from ablation.registration import digest
from ablation.report_tables import (
    TextTable,
    comparisons_text,
    effects_text,
    inflation_text,
    noise_text,
    pairing_gain_text,
    pairing_text,
    variance_shift_text,
)
from ablation.statistics import mean_intervals
from ablation.validation import show
from ablation.wording import (
    conclusion,
    effect_conclusion,
    interval_phrase,
    method_phrase,
    minus,
    not_estimated,
    points,
    verdict_phrase,
)

if TYPE_CHECKING:
    from ablation.run import Run

_MEASURES = ["train_accuracy", "val_accuracy", "test_accuracy", "gap_accuracy"]


@dataclass(frozen=True)
class VariantRow:
    """A variant's row of the report's table, every number as it is shown."""

    name: str
    changes: str
    is_baseline: bool
    completed: str
    train: str
    val: str
    gap: str
    test: str
    test_interval: str
    difference: str
    difference_interval: str
    verdict: str
    parameters: str
    seconds: str


@dataclass(frozen=True)
class Trouble:
    """A trial that did not complete."""

    trial_id: str
    status: str
    cause: str


@dataclass(frozen=True)
class ReportContent:
    """All that the templates show."""

    name: str
    question: str
    dataset: str
    baseline: str
    seeds: str
    findings: list[str]
    rows: list[VariantRow]
    troubles: list[Trouble]
    pending: int
    notes: list[str]
    method: str
    metric: str
    declared: str
    changes: list[str] | None
    comparisons: TextTable
    effects: list[TextTable]
    not_estimated: str
    noise: TextTable
    inflation: TextTable
    pairing_verdict: str
    pairing: TextTable
    pairing_gain: TextTable
    variance_shift: TextTable
    settings: list[tuple[str, str]]
    environment: list[tuple[str, str]]


def write_report(run: Run, pictures: Sequence[Picture]) -> Path:
    """Write ``report.html``, pictures inside, and ``report.md``; return the former's path."""
    content = report_content(run)
    templates = _templates()
    page = templates.get_template("report.html").render(report=content, pictures=pictures)
    relative = {p.name: _relative_url(p.png, run.folder) for p in pictures}
    text = templates.get_template("report.md").render(report=content, pictures=pictures, files=relative)
    run.store.write_text("report.md", re.sub(r"\n{3,}", "\n\n", text))
    return run.store.write_text("report.html", page)


def report_content(run: Run) -> ReportContent:
    """Gather what the report says; every number comes from the run's tables."""
    results = run.results
    unfinished = results[~results["status"].isin(["completed", "pending"])]
    seeds = run.study.seeds
    return ReportContent(
        name=run.study.name,
        question=run.study.question,
        dataset=run.dataset.describe(),
        baseline=run.study.baseline,
        seeds=f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''} ({', '.join(map(str, seeds))})",
        findings=_findings(run),
        rows=_rows(run),
        troubles=[
            Trouble(str(r["trial_id"]), str(r["status"]), str(r["cause"]))
            for r in unfinished.to_dict("records")
        ],
        pending=int((results["status"] == "pending").sum()),
        notes=run.notes,
        method=method_phrase(run.study.compare),
        metric=run.study.compare.metric.replace("_", " "),
        declared=digest(run.study),
        changes=run.changes,
        comparisons=comparisons_text(run),
        effects=effects_text(run),
        not_estimated=not_estimated(run.effects) if (run.effects["n"] == 0).any() else "",
        noise=noise_text(run),
        inflation=inflation_text(run),
        pairing_verdict=pairing_verdict(run.pairing),
        pairing=pairing_text(run),
        pairing_gain=pairing_gain_text(run),
        variance_shift=variance_shift_text(run),
        settings=_shared_settings(run),
        environment=_environment(run),
    )


def _findings(run: Run) -> list[str]:
    """Say in words what the overfitting gap and the comparison show, with n and interval."""
    completed = run.results[run.results["status"] == "completed"]
    summary = mean_intervals(completed, ["variant"], _MEASURES).set_index(["variant", "metric"])
    sentences = []
    baseline = run.study.baseline
    if (baseline, "gap_accuracy") in summary.index:
        train, val, gap = (
            summary.loc[(baseline, m), "mean"] for m in ("train_accuracy", "val_accuracy", "gap_accuracy")
        )
        last = all(v.training.evaluate == "last" for v in run.study.variants)
        verb = "ends at" if last else "has at its best epoch"
        sentences.append(
            f"{baseline} {verb} {train:.1%} training and {val:.1%} validation accuracy, an overfitting gap "
            f"of {100 * gap:.1f} percentage points."
        )
    for row in run.comparisons.to_dict("records"):
        if row["n"]:
            gap = summary.loc[(row["variant"], "gap_accuracy"), "mean"]
            sentences.append(f"{conclusion(row, run.study.compare)} Its gap is {100 * gap:.1f} points.")
    if len(run.study.factors) > 1:
        effects = run.effects[run.effects["kind"].isin(["main effect", "interaction"])].dropna(subset=["low"])
        sentences += [effect_conclusion(row, run.study.compare) for row in effects.to_dict("records")]
    return sentences


def _rows(run: Run) -> list[VariantRow]:
    results = run.results
    completed = results[results["status"] == "completed"]
    summary = mean_intervals(completed, ["variant"], _MEASURES).set_index(["variant", "metric"])
    compare = run.study.compare
    comparisons = {row["variant"]: row for row in run.comparisons.to_dict("records")}
    plain = next(v for v in run.study.variants if v.name == run.study.baseline)
    rows = []
    for variant in run.study.variants:
        own = results[results["variant"] == variant.name]
        done = own[own["status"] == "completed"]
        means = {m: summary["mean"].get((variant.name, m), math.nan) for m in _MEASURES}
        test = summary.loc[(variant.name, "test_accuracy")] if len(done) else None
        compared = comparisons.get(variant.name)
        rows.append(
            VariantRow(
                name=variant.name,
                changes=_changes(variant, plain),
                is_baseline=variant.name == run.study.baseline,
                completed=f"{len(done)} of {len(own)}",
                train=_percent(means["train_accuracy"]),
                val=_percent(means["val_accuracy"]),
                gap=_signed(means["gap_accuracy"]),
                test=_percent(means["test_accuracy"]),
                test_interval=_interval(test, _percent),
                difference=points(compared["difference"], compare) if compared else "",
                difference_interval=interval_phrase(compared, compare) if compared else "",
                verdict=verdict_phrase(compared) if compared else "",
                parameters=f"{int(done['parameters'].iloc[0]):,}" if len(done) else "–",
                seconds=f"{done['seconds'].mean():.0f}" if len(done) else "–",
            )
        )
    return rows


def _changes(variant: Variant, baseline: Variant) -> str:
    """Name the settings in which a variant differs from the baseline."""
    own, other = _flat(variant), _flat(baseline)
    return ", ".join(f"{k} = {_setting(own[k])}" for k in own if k not in other or own[k] != other[k])


def _flat(variant: Variant) -> dict[str, Any]:
    return variant.model.model_dump(mode="json") | variant.training.model_dump(mode="json")


def _shared_settings(run: Run) -> list[tuple[str, str]]:
    """The settings that all variants have in common, for a reader who wants to do it again."""
    flat = [_flat(variant) for variant in run.study.variants]
    shared = {k: v for k, v in flat[0].items() if all(k in other and other[k] == v for other in flat)}
    data = run.study.dataset.model_dump(mode="json", exclude_none=True, exclude={"path"})
    shown = {f"dataset {key}": value for key, value in data.items()} | shared
    shown["streams that follow the seed"] = run.study.vary
    return [(key.replace("_", " "), _setting(value)) for key, value in shown.items()]


def _setting(value: Any) -> str:
    """Return a setting's value as a reader would write it."""
    if value is None or value == () or value == []:
        return "none"
    if isinstance(value, float) and value.is_integer():
        return f"{int(value):,}"
    if isinstance(value, list | tuple):
        return ", ".join(show(part) for part in value)
    return show(value)


def _environment(run: Run) -> list[tuple[str, str]]:
    """Each key of the trials' provenance with its value, or all its values where they differ."""
    found: dict[str, list[str]] = {}
    for result in run.trial_results.values():
        for key, value in result.provenance.items():
            if value not in found.setdefault(key, []):
                found[key].append(value)
    return [(key, " | ".join(values)) for key, values in found.items()]


def _interval(row: pd.Series[Any] | None, form: Any) -> str:
    if row is None or math.isnan(row["low"]):
        return ""
    return f"{form(row['low'])} to {form(row['high'])}"


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f}%"


def _signed(share: float) -> str:
    """A difference of shares in percentage points, with a true minus sign."""
    return "–" if math.isnan(share) else minus(f"{100 * share:+.1f}")


def _relative_url(file: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(file.absolute(), folder.absolute())).as_posix())


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ablation", "templates"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["match"] = str.startswith
    environment.filters["data_url"] = _data_url
    environment.filters["md"] = _markdown_text
    return environment


def _data_url(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.png.read_bytes()).decode("ascii")


def _markdown_text(text: str) -> str:
    """Escape what Markdown or HTML would read as markup."""
    return re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", html.escape(str(text), quote=False)).replace("\n", " ")
