"""A search's report: what was confirmed, how the search had scored it, and what it tried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ablation.analysis.completed_trials import completed_results, not_completed_notes
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
from ablation.errors import writing
from ablation.figures.style import Picture
from ablation.files import write_atomically
from ablation.grid.tuners import method_sentence
from ablation.grid.value_text import counted, setting_text
from ablation.report.document import Cell, Finding, Report, Section, Table, code, plain
from ablation.report.render import drawing_software, render_html
from ablation.report.tables import in_unit
from ablation.results.notes import run_notes
from ablation.results.run import Run
from ablation.search.ablate import GRID
from ablation.search.figures import draw_search_figures
from ablation.search.results import SearchRun
from ablation.search.tables import winner
from ablation.store.run_folder import figures_folder

_SAME_SCORES = "given the same scores, which are identical to the bit on the same kind of processor"
_REPEATABLE = {"random": "whatever the scores", "grid": "whatever the scores"}


def write_search_report(search_run: SearchRun, folder: Path | None = None) -> Path:
    """Write ``search.csv``, ``importance.csv``, ``confirmation.csv``, the figures and ``report.html``.

    Args:
        search_run: The search.
        folder: The folder to write tables and report to; by default the search's folder.

    Raises:
        RunError: The folder cannot be written to.
    """
    target = folder or search_run.folder
    tables = {
        "search": search_run.table,
        "importance": search_run.importance,
        "confirmation": search_run.confirmation,
    }
    with writing(target):
        target.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            write_atomically(target / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
        pictures = draw_search_figures(search_run, figures_folder(search_run.folder))
        page = render_html(search_report(search_run, pictures), drawing_software())
        return write_atomically(target / "report.html", page)


def search_report(search_run: SearchRun, pictures: Sequence[Picture]) -> Report:
    """Return a search's report."""
    search, run = search_run.search, search_run.confirmed
    settings, figures = search.settings, {picture.name: picture for picture in pictures}
    proposals, of_each = counted(len(search_run.table), "proposal"), counted(len(settings.seeds), "seed")
    tried = f"{proposals} × {of_each} by the {settings.proposer_name}"
    fresh = counted(len(run.study.seeds), "fresh seed")
    seeds = f"the best {len(search_run.confirmation)} confirmed with {fresh}"
    trials = [trial.id for side in (search_run.explored, run) for trial in side.trials]
    left_out = not_completed_notes(search_run.explored.results, "The search")
    return Report(
        name=f"{search.study.name} search",
        question=f"Which settings are best for {search.study.name}, and is that confirmed with fresh seeds?",
        lead=f"{search.study.name} · {tried}, {seeds}",
        facts=f"{run.dataset.describe()}. Baseline: {search.baseline.name}.",
        warnings=[Finding(note) for note in (*left_out, *run_notes(run))],
        findings=_findings(search_run),
        picture=figures.get("trials"),
        sections=[
            _confirmed(search_run),
            *_winner_ablated(search_run),
            Section(
                "trials-tried", "Proposals", (),
                [figures[name] for name in ("budget", "parallel_coordinates") if name in figures],
                [_tried(search_run)], _how_tried(search_run),
            ),
            _important(search_run, [figures[name] for name in ("importance",) if name in figures]),
            _reproduction(search_run),
        ],
        trials=trials,
        drawn=tuple(range(len(search_run.explored.trials))),
    )  # fmt: skip


_TRIED = (
    "{metric} after the last epoch: the mean over the seeds and their standard deviation; no best epoch is "
    "picked. A proposal with a trial that failed or diverged has no score, because a mean over the remaining "
    "trials would flatter it; the failure is reported to what makes the proposals, and the search continues."
)
_PRUNED = (
    "A pruned proposal was stopped before its last epoch, because others were better after as many epochs; "
    "its score is that of its last epoch, and it has no rank. A proposal that is not pruned goes on as a "
    "further proposal with the same settings and more epochs."
)


def _how_tried(search_run: SearchRun) -> list[str]:
    """Say who made the proposals, how they were scored, and which were stopped early."""
    settings = search_run.search.settings
    choices = [name for name, parameter in settings.space.items() if parameter.range is None]
    method = method_sentence(settings.tuner, settings.pruner, ", ".join(choices))
    pruned = counted(int((search_run.table["status"] == "pruned").sum()), "proposal")
    last = [f"{_PRUNED} Pruned: {pruned}."] if settings.has_rungs else []
    return [method, _TRIED.format(metric=_metric(search_run)), *last]


def _metric(search_run: SearchRun) -> str:
    return search_run.search.settings.objective_name.capitalize()


def _score(search_run: SearchRun, value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{100 * value:.1f}%" if search_run.search.settings.in_points else f"{value:.4f}"


def _optimism(search_run: SearchRun, value: float) -> str:
    return signed_points(value) if search_run.search.settings.in_points else minus(f"{value:+.4f}")


def _findings(search_run: SearchRun) -> list[Finding]:
    run, places = search_run.confirmed, _places(search_run)
    best = winner(search_run.confirmation, search_run.search.settings.maximise)
    if best is None:
        return [Finding("No proposal is confirmed: no trial with fresh seeds completed.")]
    rows = search_run.confirmation.to_dict("records")
    row = next(row for row in rows if row["trial"] == best)
    optimism = _optimism(search_run, row["optimism"]) + " points" * search_run.search.settings.in_points
    metric, n = _metric(search_run).lower(), int((completed_results(run.results)["variant"] == best).sum())
    most = "highest" if search_run.search.settings.maximise else "lowest"
    value = _score(search_run, row["confirmed"])
    has = f"a mean {metric} of {value}"
    if len(rows) > 1:
        has = f"the {most} mean {metric} of the confirmed proposals: {value}"
    sentences = [
        Finding(
            f"With fresh seeds, {best} has {has} (n = {counted(n, 'seed')}). In the search, its score was "
            f"{_score(search_run, row['searched'])}, an optimism of {optimism}.{_standing(run)}",
            trials=tuple(places[best]),
        )
    ]
    for compared in run.baseline_comparisons.to_dict("records"):
        trials = (*places[str(compared["variant"])], *places[run.study.baseline])
        sentence = conclusion(compared, run.compare)
        sentences.append(Finding(sentence, str(compared["verdict"]), tuple(sorted(trials))))
    return sentences


def _standing(run: Run) -> str:
    """Say why the confirmed means are no ranking, and which comparisons are decided; empty for one."""
    verdicts = run.baseline_comparisons.set_index("variant")["verdict"]
    if len(verdicts) < 2:
        return ""
    decided = [str(name) for name, verdict in verdicts.items() if verdict not in ("", "unresolved")]
    which = f"of these comparisons, only {'that' if len(decided) == 1 else 'those'} of {', '.join(decided)}"
    if len(decided) in (0, len(verdicts)):
        which = f"{'all' if decided else 'none'} of these comparisons"
    verb = "are" if len(decided) > 1 else "is"
    return (
        f" This is not a ranking: in {run.compare.metric_in_words}, the proposals were compared with "
        f"{run.study.baseline} only, not with each other, and {which} {verb} decided."
    )


def _places(search_run: SearchRun) -> dict[str, list[int]]:
    """Return the places of the confirmation's trials in the report's list of trials."""
    offset, places = len(search_run.explored.trials), dict[str, list[int]]()
    for k, trial in enumerate(search_run.confirmed.trials):
        places.setdefault(trial.variant, []).append(offset + k)
    return places


def _confirmed(search_run: SearchRun) -> Section:
    run, places = search_run.confirmed, _places(search_run)
    rows = []
    for row in search_run.confirmation.to_dict("records"):
        trials = tuple(places[row["trial"]])
        rows.append([
            Cell(row["trial"], _settings(search_run, row["trial"]), kind="row"),
            Cell(_score(search_run, row["searched"]), "", row["searched"]),
            Cell(_score(search_run, row["confirmed"]), "", row["confirmed"], trials),
            Cell(_optimism(search_run, row["optimism"]), "", row["optimism"], trials),
            Cell(points(row["difference"], run.compare), interval_phrase(row, run.compare), row["difference"],
                 tuple(sorted((*trials, *places[run.study.baseline])))),
            Cell(f"{MARKS.get(row['verdict'], '')} {verdict_phrase(row)}".strip(), kind=str(row["verdict"])),
        ])  # fmt: skip
    metric = run.compare.metric_in_words
    text = (
        f"The best proposals were trained again with {counted(len(run.study.seeds), 'seed')} that the search "
        f"never used, and compared with {run.study.baseline} in {metric}, as the grid declares: "
        f"{method_phrase(run.compare)}. Only the confirmation read the test set. Optimism: by how much the "
        "search's score was better than the score with fresh seeds. It arises because the "
        "search chose by its own scores."
    )
    headings = [
        "Proposal",
        "In the search",
        "With fresh seeds",
        f"Optimism{', points' if search_run.search.settings.in_points else ''}",
        in_unit(f"Difference in {metric}", run),
        "Verdict",
    ]
    note = f"The confirmation is a separate run with its own report, {code('confirmation/report.html')}."
    return Section("confirmed", "Confirmation", [text], (), [Table(headings, rows, sortable=True)], [note])


def _settings(search_run: SearchRun, trial: str) -> str:
    values = next(proposal.values for proposal in search_run.proposals if proposal.name == trial)
    searched = search_run.search.settings.space
    return ", ".join(f"{name} = {_value(value)}" for name, value in values.items() if name in searched)


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else setting_text(value)


def _winner_ablated(search_run: SearchRun) -> list[Section]:
    """Return a section with the effect of each change of the winner, if that was asked for."""
    run = search_run.ablated
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
        for row in run.baseline_comparisons.to_dict("records")
    ]
    text = (
        f"An ablation of the winner, compared with {run.study.baseline}, again with fresh seeds. A variant "
        "that is worse without a change shows that the change is worth something; a variant that is "
        "equivalent without it shows that it is not."
    )
    metric = in_unit(f"Difference in {run.compare.metric.replace('_', ' ')}", run)
    note = f"Its grid is {code(GRID)}, and its report is {code('ablation/report.html')}."
    table = Table(["Variant", metric, "Verdict"], rows, sortable=True)
    return [Section("ablation", "Ablation of the winner", [text], (), [table], [note])]


def _tried(search_run: SearchRun) -> Table:
    names = list(search_run.search.settings.space)
    size = len(search_run.search.settings.seeds)
    rows = []
    for k, row in enumerate(search_run.table.to_dict("records")):
        first = (1 + k) * size  # the baseline is the first variant
        trials = tuple(range(first, first + size))
        deviation = "" if math.isnan(row["deviation"]) else f"± {_score(search_run, row['deviation'])}"
        values = {name: row[name] for name in names if row[name] is not None and not _is_nan(row[name])}
        rows.append([
            Cell(row["trial"], kind="row"),
            Cell(_score(search_run, row["objective"]), deviation, row["objective"], trials),
            Cell("–" if math.isnan(row["rank"]) else f"{row['rank']:.0f}", "", row["rank"]),
            *(Cell(_value(values[name]) if name in values else "–") for name in names),
            Cell(str(row["epochs"])), Cell(row["status"]),
        ])  # fmt: skip
    return Table(["Proposal", _metric(search_run), "Rank", *names, "Epochs", "Status"], rows, sortable=True)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _important(search_run: SearchRun, pictures: Sequence[Picture]) -> Section:
    explained = search_run.importance["explained"].iloc[0]
    if pictures:
        text = (
            "Permutation importance: how much worse a random forest predicts the objective from the settings "
            "once the values of one setting are shuffled."
        )
    elif pd.isna(explained):
        text = "There are too few proposals to estimate which settings matter."
    else:
        text = (
            "The objective cannot be predicted from the settings of these proposals, so the importance of "
            "the settings cannot be estimated."
        )
    return Section("importance", "Importance of the settings", [text], pictures)


def _reproduction(search_run: SearchRun) -> Section:
    settings = search_run.search.settings
    text = [
        "The same command resumes the search wherever it was stopped, and gives the same result: the "
        f"proposals are repeated, {_REPEATABLE.get(settings.tuner, _SAME_SCORES)}, and a finished trial is "
        f"never trained again. The trials are in {code('search/')} and {code('confirmation/')}, the search "
        f"in {code('search.json')}.",
    ]
    values = settings.model_dump(mode="json", exclude={"space", "confirm"}, exclude_none=True)
    rows = [[Cell(key, kind="row"), *plain(setting_text(value))] for key, value in values.items()]
    for name, parameter in settings.space.items():
        declared = parameter.model_dump(mode="json", exclude_defaults=True)
        description = ", ".join(f"{key} {setting_text(value)}" for key, value in declared.items())
        rows.append([Cell(name, kind="row"), *plain(description)])
    return Section("reproduce", "Reproducibility", text, tables=[Table(["Setting", "Value"], rows)])
