"""The live page of a run: one HTML file that shows a `LiveState` and renews itself in the browser."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ablation.analysis.phrases import (
    MARKS,
    conclusion,
    duration,
    effect_conclusion,
    method_phrase,
    percent,
    signed_points,
)
from ablation.analysis.questions import COMPARISON
from ablation.figures.palette import variant_styles
from ablation.grid.value_text import counted
from ablation.report.document import code
from ablation.report.live_charts import Chart, live_charts, swatch
from ablation.report.render import page_template
from ablation.results.live import LiveState, TrialState

_COMMAND = f"{code('ablation run')} command"
_MOST = 16  # rows or sentences of a kind
_TITLES = {
    "starting": "Starting",
    "training": "Training",
    "reporting": "Writing the report",
    "stopped": "Stopped",
    "ended": "Finished",
}
_PHASES = {
    "starting": "no epoch has ended yet",
    "training": "the time left is not known yet",
    "reporting": "its trials have ended; tables, figures and report are being written",
    "stopped": f"no process is training this run; the same {_COMMAND} goes on where it stopped",
    "ended": "",
}


@dataclass(frozen=True)
class Share:
    """A part of the bar: the kind of trials, how many they are, and the width in percent."""

    kind: str
    count: int
    width: float


@dataclass(frozen=True)
class VariantRow:
    """A row of the table of variants: its mark, and what is known of it, as it is shown."""

    swatch: Markup
    name: str
    seeds: str
    cells: Sequence[str]
    is_so_far: bool
    verdict: str


@dataclass(frozen=True)
class SettledVerdict:
    """A verdict that nothing can change any more, and the sentence for it."""

    verdict: str
    mark: str
    sentence: str


@dataclass(frozen=True)
class LivePage:
    """The content of the page; texts are as they are shown.

    Attributes:
        title: The question of the study, or its name.
        name: The name of the study.
        phase, heading, outlook: What the run is doing, as a word for scripts, in a title and in a sentence,
            which may have code in it.
        done: How many of the trials have ended.
        shares: The parts of the bar.
        charts: The curves.
        variants: The rows of the table of variants.
        running: The cells of each running trial: variant, seed, epoch, training, validation, gap.
        failures: A sentence for each trial that did not complete.
        verdicts: The settled verdicts.
        open: The questions that have none yet, in a sentence.
        method: How verdicts are judged.
        more: How many running trials, failures and verdicts are not listed.
        at: When this was so, in seconds since 1970, and as a time of day.
        renewed: The seconds after which the browser reads the page again; 0 if it is final.
        report: The file of the report; empty before it is written, and for the trials of a search.
    """

    title: str
    name: str
    phase: str
    heading: str
    outlook: str
    done: str
    shares: Sequence[Share]
    charts: Sequence[Chart]
    variants: Sequence[VariantRow]
    running: Sequence[Sequence[str]]
    failures: Sequence[str]
    verdicts: Sequence[SettledVerdict]
    open: str
    method: str
    more: Sequence[int]
    at: tuple[float, str]
    renewed: int
    report: str


def live_html(state: LiveState, renewed: int) -> str:
    """Return the live page.

    Args:
        state: The run as it is now.
        renewed: The seconds after which the page is written again; a run that has ended has a final page.
    """
    return page_template("live.html").render(page=live_page(state, renewed))


def live_page(state: LiveState, renewed: int) -> LivePage:
    """Return the content of the live page; see `live_html`."""
    styles = variant_styles([v.name for v in state.study.variants], state.study.baseline)
    running = [trial for trial in state.trials if trial.status == "running"]
    failed = [trial for trial in state.trials if trial.is_done and trial.status != "completed"]
    verdicts, open_ = _verdicts(state)
    done = sum(trial.is_done for trial in state.trials)
    now = time.time()
    method = method_phrase(state.compare)
    return LivePage(
        title=state.study.question or state.study.name,
        name=state.study.name,
        phase=state.phase,
        heading=_heading(state),
        outlook=_outlook(state),
        done=f"{done} of {counted(len(state.trials), 'trial')} done",
        shares=_shares(state.trials),
        charts=live_charts(state, styles),
        variants=[_variant_row(state, name, swatch(style)) for name, style in styles.items()],
        running=[_running_row(trial) for trial in running[:_MOST]],
        failures=[f"{t.variant}, seed {t.seed}: {t.status}, {t.cause}" for t in failed[-_MOST:]],
        verdicts=verdicts[:_MOST],
        open=open_,
        method=f"{method[0].upper()}{method[1:]}.",
        more=[max(0, len(listed) - _MOST) for listed in (running, failed, verdicts)],
        at=(round(now, 1), time.strftime("%H:%M:%S", time.localtime(now))),
        renewed=0 if state.phase == "ended" else renewed,
        report="report.html" if state.phase == "ended" and state.study.reads_test else "",
    )


def _heading(state: LiveState) -> str:
    is_part = state.phase == "ended" and not all(trial.is_done for trial in state.trials)
    return "Finished in part" if is_part else _TITLES[state.phase]


def _outlook(state: LiveState) -> str:
    """Say how long it takes, or what is left to do, and by which command; texts may have code in them."""
    if state.phase == "training" and state.seconds_left is not None:
        return f"about {duration(state.seconds_left)} left"
    outstanding = [trial for trial in state.trials if not trial.is_done]
    if state.phase not in ("stopped", "ended") or any(trial.is_asked for trial in outstanding):
        return _PHASES[state.phase]
    if outstanding:
        return (
            f"{counted(len(outstanding), 'trial')} {'were' if len(outstanding) > 1 else 'was'} left out by "
            f"{code('--only')} or {code('--shard')}, or added to the grid since; the same {_COMMAND} without "
            "these options trains what is missing"
        )
    if state.phase == "stopped":
        return f"all trials have ended, and no process is writing the report; the same {_COMMAND} writes it"
    return ""


def _shares(trials: Sequence[TrialState]) -> list[Share]:
    """Return the parts of the bar, whose widths go by epochs, so that a running trial moves it."""
    total = sum(trial.epochs for trial in trials) or 1
    kinds = {
        "completed": [t for t in trials if t.status == "completed"],
        "not completed": [t for t in trials if t.is_done and t.status != "completed"],
        "running": [t for t in trials if t.status == "running"],
        "to come": [t for t in trials if t.status == "pending" and t.is_asked],
        "left out": [t for t in trials if t.status == "pending" and not t.is_asked],
    }
    widths = {kind: sum(trial.epochs for trial in of_kind) for kind, of_kind in kinds.items()}
    widths["running"] = sum(trial.epoch for trial in kinds["running"])
    widths["to come"] = widths["left out"] = 0  # the rest of the bar is empty
    return [
        Share(kind, len(of_kind), round(100 * widths[kind] / total, 2)) for kind, of_kind in kinds.items()
    ]


def _running_row(trial: TrialState) -> list[str]:
    epoch = f"{trial.epoch} of {trial.epochs}"
    measured = _accuracies(trial.curve[-1].train, trial.curve[-1].val) if trial.curve else ["", "", ""]
    return [trial.variant, str(trial.seed), epoch, *measured]


def _accuracies(train: float, val: float) -> list[str]:
    return [percent(train), percent(val), signed_points(train - val)]


def _variant_row(state: LiveState, name: str, mark: Markup) -> VariantRow:
    """Return what is known of a variant: the mean of its completed seeds or, before, of those that run."""
    trials = [trial for trial in state.trials if trial.variant == name]
    seeds = f"{sum(trial.status == 'completed' for trial in trials)} of {len(trials)}"
    ends = [trial.curve[-1] for trial in trials if trial.status == "completed" and trial.curve]
    is_so_far = not ends
    ends = ends or [trial.curve[-1] for trial in trials if trial.curve and not trial.is_done]
    cells = ["", "", ""]
    if ends:
        cells = _accuracies(_mean(end.train for end in ends), _mean(end.val for end in ends))
    return VariantRow(mark, name, seeds, cells, is_so_far and bool(ends), _verdict_on(state, name))


def _verdict_on(state: LiveState, name: str) -> str:
    """Return the verdict on a variant against the baseline, or that it is open; empty if it is not asked."""
    asked = COMPARISON, name, state.study.baseline
    for row in state.verdicts:
        if (row["kind"], row["subject"], row["detail"]) == asked:
            if row["is_settled"]:
                return f"{MARKS[row['verdict']]} {row['verdict']}"
            return "no verdict" if state.phase == "ended" else "open"
    return "baseline" if name == state.study.baseline else ""


def _verdicts(state: LiveState) -> tuple[list[SettledVerdict], str]:
    """Return the settled verdicts, the unresolved ones last, and a sentence on the open questions."""
    settled, open_ = [], []
    for row in state.verdicts:
        is_comparison = row["kind"] == COMPARISON
        if not row["is_settled"]:
            open_.append(f"{row['subject']} against {row['detail']}" if is_comparison else row["subject"])
        elif is_comparison:
            named: dict[Hashable, Any] = {"variant": row["subject"], "baseline": row["detail"]}
            named |= {"failed_seeds": "", "unfinished": ""}  # the report says more of these
            settled.append((row["verdict"], conclusion({**row, **named}, state.compare)))
        else:
            named = {"effect": row["subject"], "levels": row["detail"]}
            factors = len(state.study.factors)
            settled.append((row["verdict"], effect_conclusion({**row, **named}, state.compare, factors)))
    settled.sort(key=lambda verdict: verdict[0] == "unresolved")
    verdicts = [SettledVerdict(verdict, MARKS[verdict], sentence) for verdict, sentence in settled]
    more = f" and {len(open_) - _MOST} more" if len(open_) > _MOST else ""
    label = "Without a verdict" if state.phase == "ended" else "Open"
    return verdicts, f"{label}: {', '.join(open_[:_MOST])}{more}." if open_ else ""


def _mean(values: Iterable[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
