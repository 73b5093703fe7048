"""The report's section on tuned variants: as given beside each at its own best, and how certain that is."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from ablation.analysis.phrases import conclusion, interval_phrase, method_phrase, points
from ablation.analysis.tuning import AS_GIVEN, standing
from ablation.grid.tuners import method_sentence
from ablation.grid.value_text import counted
from ablation.report.comparison_sections import Pictures
from ablation.report.comparison_tables import value_text
from ablation.report.document import Cell, Finding, Section, Table, code, with_code
from ablation.report.tables import in_unit, verdict_cell
from ablation.report.trial_links import TrialLinks
from ablation.results.run import Run

_MOST_CHANGED = 3  # verdicts that are given in the answer; the section has all of them
_CLOSE = 0.1  # of the range of a setting: choices that are no farther apart agree
_NOT_FINISHED = (
    "The grid declares `tune:`, and tuning is not finished. The same `ablation run` command, without --only "
    "and --shard, continues it."
)
_NOTHING_CHANGES = Finding("No verdict changes if every variant is tuned with the same budget.")
_WORDS = {1: "ahead", -1: "behind", 0: "level"}


def tuning_section(run: Run, pictures: Pictures, links: TrialLinks) -> Section | None:
    """Return the section on the tuned variants; None if the study does not tune its variants."""
    if not run.study.tune:
        return None
    if not run.tuning.comparisons:
        return Section("tuning", "Each variant at its own best", [with_code(_NOT_FINISHED)])
    tables = [_both_table(run, links), _choices_table(run)]
    if len(run.tuning.budgets) > 1:
        tables.append(_budgets_table(run))
    notes = [
        "The interval of a tuned variant holds for the settings that the first search chose. It does not "
        "contain the variation of that choice, which the second search shows: the two agree where every "
        "choice is the same, and every number is at most "
        f"{_CLOSE:.0%} of its range away (on a logarithmic scale, if it was searched on one).",
        "At a smaller budget, the choices that the first search had made by then were compared on the test "
        "images, with the same seeds: a row says what the verdict would have been if this had been the whole "
        "budget. These rows are exploratory, because they are not corrected for the number of budgets. The "
        "order by the best score so far is exploratory, too: its scores are those by which the search chose, "
        "from few seeds, on the validation images.",
        f"The tuned variants have a report of their own, {code('tuned/report.html')}; their trials are in "
        f"{code('tuned/')}.",
    ]
    return Section(
        "tuning", "Each variant at its own best", [_method(run), *_asked(run)], pictures.get("tuning", []),
        tables, [*notes, *map(with_code, run.tuning.notes)], _standings(run), findings=tuning_findings(run),
    )  # fmt: skip


def tuning_answer(run: Run) -> list[Finding]:
    """Say which verdicts change if every variant is tuned, with their intervals; none without tuning."""
    if not run.study.tune or not run.tuning.comparisons:
        return []
    changed = _changed_verdicts(run)
    if more := max(0, len(changed) - _MOST_CHANGED):
        verb = "verdict changes" if more == 1 else "verdicts change"
        changed[_MOST_CHANGED:] = [Finding(f"{more} more {verb} if every variant is tuned.")]
    return changed or [_NOTHING_CHANGES]


def tuning_findings(run: Run) -> list[Finding]:
    """Say which verdicts change if every variant is tuned, and what they are then."""
    if not run.study.tune or not run.tuning.comparisons:
        return []
    return [*(_changed_verdicts(run) or [_NOTHING_CHANGES]), *_not_improved(run)]


def _changed_verdicts(run: Run) -> list[Finding]:
    """Return a sentence for each verdict that changes if every variant is tuned."""
    given, other = _rows(run, AS_GIVEN), run.tuning.comparisons[run.tuning.whole_budget]
    findings = []
    for row in other.baseline_comparisons.to_dict("records"):
        before, after = str(given.loc[row["variant"], "verdict"]), str(row["verdict"])
        if before != after:
            was = f"As given, it was {before}." if before else "As given, it had no verdict."
            findings.append(Finding(f"With each variant tuned: {conclusion(row, run.compare)} {was}", after))
    return findings


def _not_improved(run: Run) -> list[Finding]:
    """Say of which variants the search did not find settings that are at least as good as those given."""
    given, tuned = _rows(run, AS_GIVEN), _rows(run, run.tuning.whole_budget)
    sign = 1 if run.compare.higher_is_better else -1
    worse = [n for n in tuned.index if sign * (tuned.loc[n, "mean"] - given.loc[n, "mean"]) < 0]
    if not worse:
        return []
    of_each = ", ".join(
        f"{name} ({_mean(tuned.loc[name].to_dict(), run)} after {_mean(given.loc[name].to_dict(), run)})"
        for name in worse
    )
    return [
        Finding(
            f"Tuned, {of_each} {'has' if len(worse) == 1 else 'have'} a worse mean "
            f"{run.compare.metric_in_words} than as given. If that is more than the variation between seeds, "
            "this budget was too small to find settings as good as those given. More trials, or more seeds "
            "per proposal, make the choice more certain."
        )
    ]


def _method(run: Run) -> str:
    tune = run.study.tune
    assert tune
    budget = counted(run.tuning.whole_budget, "proposal")
    choices = [name for name, parameter in tune.space.items() if parameter.range is None]
    return (
        "A variant that is judged at settings that suit another variant is judged unfairly. So every variant "
        f"was tuned, too, with the same budget: {budget} of the {tune.proposer_name}, each trained with "
        f"{counted(tune.seeds, 'seed')}, and scored by the {tune.objective_name} after the last epoch. The "
        "best one was then trained with seeds that neither the study nor a search has used, and compared "
        f"with {run.study.baseline} at its own best ({method_phrase(run.compare)}). A second search, with "
        "another seed for the proposals and other seeds of training, shows how certain the choice is. Only "
        "the comparisons, as given and tuned, read the test images; each of the two is a family of its own. "
        f"{method_sentence(tune.tuner, choices=', '.join(choices))}"
    )


def _asked(run: Run) -> list[str]:
    """Say what was searched."""
    assert run.study.tune
    spaces = []
    for name, parameter in run.study.tune.space.items():
        if parameter.range is None:
            spaces.append(f"{name}: one of {len(parameter.choice or ())} choices")
            continue
        scale = ", logarithmic" if parameter.log else ""
        step = f", step {parameter.step:g}" if parameter.step else ""
        spaces.append(f"{name}: {parameter.range[0]:g} to {parameter.range[1]:g}{scale}{step}")
    return [f"The space: {'; '.join(spaces)}."]


def _rows(run: Run, budget: int) -> pd.DataFrame:
    """Return the rows of ``tuned.csv`` for a budget, by variant."""
    table = run.tuned
    return table[table["budget"] == budget].set_index("variant", drop=False)


def _both_table(run: Run, links: TrialLinks) -> Table:
    """Return as given beside tuned."""
    given, tuned = _rows(run, AS_GIVEN), _rows(run, run.tuning.whole_budget)
    rows = []
    for variant in run.study.variants:
        cells = [Cell(variant.name, kind="row")]
        for table, trials, pairs in (
            (given, links.of(variant.name), links.pairs(variant.name)),
            (tuned, (), ()),
        ):
            row = table.loc[variant.name].to_dict()
            cells.append(Cell(_mean(row, run), "", row["mean"], trials))
            cells += _compared(row, run, pairs, variant.name == run.study.baseline)
        rows.append(cells)
    metric = run.compare.metric_in_words
    headings = ["Variant"]
    for when in ("as given", "tuned"):
        headings += [
            f"{metric.capitalize()}, {when}",
            in_unit(f"Difference, {when}", run),
            f"Verdict, {when}",
        ]
    names = [variant.name for variant in run.study.variants]
    return Table(headings, rows, "As given, and each tuned", names.index(run.study.baseline), sortable=True)


def _compared(row: dict[Any, Any], run: Run, pairs: tuple[int, ...], is_baseline: bool) -> list[Cell]:
    if is_baseline:
        return [Cell("–"), Cell("")]
    interval = interval_phrase(row, run.compare)
    return [
        Cell(points(row["difference"], run.compare), interval, row["difference"], pairs),
        verdict_cell(row),
    ]


def _mean(row: dict[Any, Any], run: Run) -> str:
    return "–" if math.isnan(row["mean"]) else value_text(row["mean"], run)


def _score(value: float, run: Run) -> str:
    assert run.study.tune
    text = f"{value:.1%}" if run.study.tune.in_points else f"{value:.4f}"
    return f"{run.study.tune.objective_name} {text}"


def _choices_table(run: Run) -> Table:
    """Return what each search chose, and whether the two agree."""
    last, rows = run.tuning.whole_budget, []
    first, second = (run.tuning.choices(search, last) for search in (1, 2))
    for row in _rows(run, last).to_dict("records"):
        name = str(row["variant"])
        far = row["distance"]
        agree = "–" if math.isnan(far) else "yes" if far <= _CLOSE else "no"
        rows.append([
            Cell(name, kind="row"),
            Cell(_short(first[name].values), _score(row["searched"], run)),
            Cell(_short(second[name].values), _score(row["second_searched"], run)),
            Cell("–" if math.isnan(far) else f"{far:.0%}", "", far),
            Cell(agree),
        ])  # fmt: skip
    headings = ["Variant", "First search, compared above", "Second search", "Apart", "Agree"]
    return Table(headings, rows, "What the two searches chose")


def _short(values: Any) -> str:
    shown = (f"{k} = {v:.4g}" if isinstance(v, float) else f"{k} = {v}" for k, v in values.items())
    return ", ".join(shown) or "as given: no setting of the space has an effect on it"


def _budgets_table(run: Run) -> Table:
    """Return the comparison at each budget, as given included."""
    rows = []
    for budget in (AS_GIVEN, *run.tuning.budgets):
        for row in _rows(run, budget).to_dict("records"):
            if row["variant"] == run.study.baseline:
                continue
            exploratory = "exploratory" if row["exploratory"] else ""
            rows.append([
                Cell(str(row["variant"]), kind="row"),
                Cell(str(budget) if budget else "as given", exploratory, budget),
                *_compared(row, run, (), is_baseline=False),
            ])  # fmt: skip
    headings = ["Variant", "Proposals", in_unit("Difference", run), "Verdict"]
    return Table(headings, rows, "At which budget a verdict changes", sortable=True)


def _standings(run: Run) -> list[str]:
    """Say at which budget the order of a variant and the baseline changes, on the scores of the search."""
    assert run.study.tune
    lines = []
    for variant in run.study.variants:
        if variant.name == run.study.baseline:
            continue
        of_variant = run.proposals[run.proposals["variant"] == variant.name]
        said = [
            f"in the {'first' if search == 1 else 'second'} search, {_course(rows['lead'], run)}"
            for search, rows in of_variant.groupby("search")
        ]
        measure = f"the best {run.study.tune.objective_name} so far (exploratory)"
        lines.append(f"{variant.name} against {run.study.baseline}, by {measure}: {'; '.join(said)}.")
    return lines


def _course(leads: pd.Series, run: Run) -> str:
    """Return where a variant stands over the budget, like ``behind after 1 to 3, ahead from 4 on``."""
    assert run.study.tune
    runs = standing(leads.tolist(), run.study.tune.maximise)
    if not runs:
        return "neither has a score"
    if len(runs) == 1:
        return f"{_WORDS[runs[0][2]]} at every budget"
    parts = []
    for first, last, sign in runs:
        until = f"from {first} on" if last == len(leads) else f"after {first}"
        until = f"after {first} to {last}" if last > first and last < len(leads) else until
        parts.append(f"{_WORDS[sign]} {until}")
    return ", ".join(parts)
