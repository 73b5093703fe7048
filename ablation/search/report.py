"""A search's report: what was confirmed, what the search thought of it, and what it tried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ablation.analysis.phrases import (
    MARKS,
    conclusion,
    interval_phrase,
    method_phrase,
    minus,
    points,
    signed_points,
    verdict_phrase,
)
from ablation.figures.style import Picture
from ablation.files import write_atomically
from ablation.grid.value_text import setting_text
from ablation.report.document import Cell, Finding, Report, Section, Table, code, plain
from ablation.report.render import drawing_software, render_html
from ablation.results.notes import run_notes
from ablation.search.ablate import GRID
from ablation.search.figures import draw_search_figures
from ablation.search.results import SearchRun
from ablation.search.tables import winner
from ablation.store.run_folder import figures_folder

_REPEATABLE = {
    "random": "whatever the scores",
    "grid": "whatever the scores",
    "bayesian": "given the same scores, which are the same to the bit on the same kind of processor",
    "hyperband": "given the same scores, which are the same to the bit on the same kind of processor",
}


def write_search_report(found: SearchRun) -> Path:
    """Write ``search.csv``, ``importance.csv``, ``confirmation.csv``, the figures and ``report.html``."""
    tables = {"search": found.table, "importance": found.importance, "confirmation": found.confirmation}
    for name, table in tables.items():
        text = table.to_csv(index=False, lineterminator="\n")
        write_atomically(found.folder / f"{name}.csv", text)
    pictures = draw_search_figures(found, figures_folder(found.folder))
    page = render_html(search_report(found, pictures), drawing_software())
    return write_atomically(found.folder / "report.html", page)


def search_report(found: SearchRun, pictures: Sequence[Picture]) -> Report:
    """Put a search's report together."""
    search, run = found.search, found.confirmed
    settings, figures = search.settings, {picture.name: picture for picture in pictures}
    tried = f"{len(found.table)} proposals × {len(settings.seeds)} seeds by the {settings.tuner} oracle"
    seeds = f"the best {len(found.confirmation)} again with {len(run.study.seeds)} fresh seeds"
    trials = [trial.id for side in (found.explored, run) for trial in side.trials]
    return Report(
        name=f"{search.study.name} search",
        question=f"Which settings are best for {search.study.name}, and do they hold?",
        lead=f"{search.study.name} · {tried}, {seeds}",
        facts=f"{run.dataset.describe()}. Baseline: {search.baseline.name}.",
        warnings=[Finding(note) for note in run_notes(run)],
        findings=_findings(found),
        picture=figures.get("trials"),
        sections=[
            _confirmed(found),
            *_taken_apart(found),
            Section(
                "trials-tried", "What was tried", (),
                [figures[name] for name in ("budget", "parallel_coordinates") if name in figures],
                [_tried(found)], [_TRIED.format(metric=_metric(found))],
            ),
            _important(found, [figures[name] for name in ("importance",) if name in figures]),
            _again(found),
        ],
        trials=trials,
        drawn=tuple(range(len(found.explored.trials))),
    )  # fmt: skip


_TRIED = (
    "{metric} after the last epoch, a mean over the seeds and their standard deviation; no best epoch is "
    "picked. A proposal with a trial that failed or diverged has no score, for a mean of the survivors "
    "would flatter it; the oracle is told so and goes on."
)


def _metric(found: SearchRun) -> str:
    return found.search.settings.objective_name.capitalize()


def _score(found: SearchRun, value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{100 * value:.1f}%" if found.search.settings.maximise else f"{value:.4f}"


def _optimism(found: SearchRun, value: float) -> str:
    return signed_points(value) if found.search.settings.maximise else minus(f"{value:+.4f}")


def _findings(found: SearchRun) -> list[Finding]:
    run, places = found.confirmed, _places(found)
    best = winner(found.confirmation, found.search.settings.maximise)
    rows = found.confirmation.to_dict("records")
    row = next(row for row in rows if row["trial"] == best)
    optimism = _optimism(found, row["optimism"]) + " points" * found.search.settings.maximise
    sentences = [
        Finding(
            f"{best} is the best of those confirmed, by {_metric(found).lower()} with fresh seeds: "
            f"{_score(found, row['confirmed'])}. In the search it had {_score(found, row['searched'])}: "
            f"an optimism of {optimism}.",
            trials=tuple(places[best]),
        )
    ]
    for compared in run.comparisons.to_dict("records"):
        trials = (*places[str(compared["variant"])], *places[run.study.baseline])
        verdict = str(compared["verdict"] or "unresolved")
        sentences.append(Finding(conclusion(compared, run.compare), verdict, tuple(sorted(trials))))
    return sentences


def _places(found: SearchRun) -> dict[str, list[int]]:
    """Return the places of the confirmation's trials in the report's list of trials."""
    offset, places = len(found.explored.trials), dict[str, list[int]]()
    for k, trial in enumerate(found.confirmed.trials):
        places.setdefault(trial.variant, []).append(offset + k)
    return places


def _confirmed(found: SearchRun) -> Section:
    run, places = found.confirmed, _places(found)
    rows = []
    for row in found.confirmation.to_dict("records"):
        trials = tuple(places[row["trial"]])
        rows.append([
            Cell(row["trial"], _settings(found, row["trial"]), kind="row"),
            Cell(_score(found, row["searched"]), "", row["searched"]),
            Cell(_score(found, row["confirmed"]), "", row["confirmed"], trials),
            Cell(_optimism(found, row["optimism"]), "", row["optimism"], trials),
            Cell(points(row["difference"], run.compare), interval_phrase(row, run.compare), row["difference"],
                 tuple(sorted((*trials, *places[run.study.baseline])))),
            Cell(f"{MARKS.get(row['verdict'], '')} {verdict_phrase(row)}".strip(), kind=str(row["verdict"])),
        ])  # fmt: skip
    metric = run.compare.metric.replace("_", " ")
    text = (
        f"The best settings, trained anew with {len(run.study.seeds)} seeds that the search never saw, and "
        f"compared with {run.study.baseline} on {metric}, as the grid declares: "
        f"{method_phrase(run.compare)}. Only here was the test set read. Optimism: by how much the "
        "search's score was better than that of the fresh seeds; it is the price of having chosen."
    )
    headings = [
        "Setting",
        "In the search",
        "With fresh seeds",
        "Optimism",
        f"Difference in {metric}",
        "Verdict",
    ]
    note = f"The confirmation is a run of its own, with its own report: {code('confirmation/report.html')}."
    return Section(
        "confirmed", "What was confirmed", [text], (), [Table(headings, rows, sortable=True)], [note]
    )


def _settings(found: SearchRun, trial: str) -> str:
    values = next(proposal.values for proposal in found.proposals if proposal.name == trial)
    return ", ".join(f"{name} = {_value(value)}" for name, value in values.items())


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else setting_text(value)


def _taken_apart(found: SearchRun) -> list[Section]:
    """Say what each change of the winner is worth, where that was asked."""
    run = found.ablated
    if run is None:
        return []
    rows = [
        [
            Cell(str(row["variant"]), kind="row"),
            Cell(
                points(row["difference"], run.compare), interval_phrase(row, run.compare), row["difference"]
            ),
            Cell(f"{MARKS.get(row['verdict'], '')} {verdict_phrase(row)}".strip(), kind=str(row["verdict"])),
        ]
        for row in run.comparisons.to_dict("records")
    ]
    text = (
        f"The winner taken apart, against {run.study.baseline}, with fresh seeds once more: a variant that "
        "is worse without a change shows that the change is worth something; one that is equivalent, that "
        "it is not."
    )
    metric = f"Difference in {run.compare.metric.replace('_', ' ')}"
    note = f"The grid is {code(GRID)}, the study's own report {code('ablation/report.html')}."
    table = Table(["Variant", metric, "Verdict"], rows, sortable=True)
    return [Section("ablation", "What each change is worth", [text], (), [table], [note])]


def _tried(found: SearchRun) -> Table:
    names = list(found.search.settings.space)
    size, count = len(found.search.settings.seeds), len(found.explored.study.variants[:1])
    rows = []
    for k, row in enumerate(found.table.to_dict("records")):
        first = (count + k) * size
        trials = tuple(range(first, first + size))
        deviation = "" if math.isnan(row["deviation"]) else f"± {_score(found, row['deviation'])}"
        known = {name: row[name] for name in names if row[name] is not None and not _is_nan(row[name])}
        rows.append([
            Cell(row["trial"], kind="row"),
            Cell(_score(found, row["objective"]), deviation, row["objective"], trials),
            Cell("–" if math.isnan(row["rank"]) else f"{row['rank']:.0f}", "", row["rank"]),
            *(Cell(_value(known[name]) if name in known else "–") for name in names),
            Cell(str(row["epochs"])), Cell(row["status"]),
        ])  # fmt: skip
    return Table(["Proposal", _metric(found), "Rank", *names, "Epochs", "Status"], rows, sortable=True)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _important(found: SearchRun, pictures: Sequence[Picture]) -> Section:
    explained = found.importance["explained"].iloc[0]
    if pictures:
        text = "What shuffling a setting costs a forest that predicts the objective from the settings."
    elif pd.isna(explained):
        text = "There are too few proposals to say which settings matter."
    else:
        text = "From these proposals the objective cannot be predicted, so that none can be said to matter."
    return Section("importance", "Which settings matter", [text], pictures)


def _again(found: SearchRun) -> Section:
    settings = found.search.settings
    text = [
        "The same command goes on where it was ended, at any moment, and finds the same: the oracle makes "
        f"its proposals anew, {_REPEATABLE[settings.tuner]}, and what is trained is never trained again. "
        "The trials are "
        f"in {code('search/')} and {code('confirmation/')}, the search in {code('search.json')}.",
    ]
    given = settings.model_dump(mode="json", exclude={"space", "confirm"}, exclude_none=True)
    rows = [[Cell(key, kind="row"), *plain(setting_text(value))] for key, value in given.items()]
    for name, parameter in settings.space.items():
        shown = parameter.model_dump(mode="json", exclude_defaults=True)
        said = ", ".join(f"{key} {setting_text(value)}" for key, value in shown.items())
        rows.append([Cell(name, kind="row"), *plain(said)])
    return Section(
        "reproduce", "How to do it again", text, tables=[Table(["Setting", "Of the search"], rows)]
    )
