"""The live page of invented states: what it says, what it draws, and how it looks in a browser."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import OpenPage
from playwright.sync_api import Browser
from studies import study_of

from ablation.analysis.questions import COMPARISON
from ablation.report.live_page import live_html, live_page
from ablation.results.live import Epoch, LiveState, Phase, TrialState

EPOCHS = 20
STATUSES = ["completed", "completed", "running", "pending", "failed"]


def curve(number: int, epochs: int) -> list[Epoch]:
    """Return accuracies that rise, each variant's faster than those of the one before."""
    speed = 0.05 + 0.02 * number
    return [
        Epoch(e, 1 - math.exp(-speed * e), 0.8 * (1 - math.exp(-speed * e))) for e in range(1, epochs + 1)
    ]


def state_of(
    names: Sequence[str], phase: Phase = "training", statuses: Sequence[str] = STATUSES
) -> LiveState:
    """Return a run in which each variant has one seed per status."""
    study = study_of(names, seeds=len(statuses)).model_copy(
        update={"question": "Does it help?" if "<" not in "".join(names) else names[-1]}
    )
    ended = {"completed": EPOCHS, "running": 7}
    trials = [
        TrialState(
            name,
            seed,
            EPOCHS,
            status,
            curve(k, ended.get(status, 0)),
            "no memory" if status == "failed" else "",
        )
        for k, name in enumerate(names)
        for seed, status in enumerate(statuses)
    ]
    verdicts = [
        {
            "kind": COMPARISON, "subject": name, "detail": names[0], "is_settled": k % 3 != 0, "n": 5, "confidence": 0.99,
            "difference": 0.1, "low": 0.05, "high": 0.15, "verdict": "better" if k % 3 else "", "reason": "",
        }
        for k, name in enumerate(names[1:], 1)
    ]  # fmt: skip
    means = {name: curve(k, EPOCHS) for k, name in enumerate(names)} if "completed" in statuses else {}
    return LiveState(study, study.compare, phase, trials, means, 83.0, verdicts)


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<(style|script|svg).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL).split())


def test_it_says_how_far_the_run_is_and_what_is_settled() -> None:
    page = live_html(state_of(["plain", "a", "b", "c"]), 3)
    text = text_of(page)
    assert "Does it help? Training : about 1 min 23 s left · 12 of 20 trials done" in text
    assert 'aria-label="Trials: 8 completed, 4 not completed, 4 running, 4 to come"' in page
    assert "renewed every 3 s" in text
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in page
    settled = "▲ better a is better than plain in test accuracy (+10.0 points, 99.0% interval +5.0 to +15.0, n = 5 pairs)."
    assert settled in text
    assert "Open: c against plain." in text
    assert "plain, seed 4: failed, no memory" in text
    assert "plain 2 7 of 20" in text  # is running
    assert "c 2 of 5 88.9% 71.1% +17.8 open" in text  # a failed seed is not part of the mean


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ("starting", "Starting : no epoch has ended yet ·"),
        (
            "reporting",
            "Writing the report : its trials have ended; tables, figures and report are being written ·",
        ),
        (
            "stopped",
            "Stopped : no process is training this run; the same ablation run command goes on where it stopped ·",
        ),
        ("ended", "Finished : the report ·"),
    ],
)
def test_each_phase_is_said(phase: Phase, said: str) -> None:
    statuses = ["completed", "failed"] if phase == "ended" else STATUSES
    page = live_html(state_of(["plain", "a"], phase, statuses), 3)
    assert said in text_of(page)
    is_final = phase == "ended"
    assert ('<a href="report.html">' in page) == is_final
    assert ("http-equiv" in page or "location.reload" in page) != is_final


@pytest.mark.parametrize(
    ("phase", "said"),
    [("ended", "Finished in part : {}; see the report · 4 of 8 trials done"), ("stopped", "Stopped : {} · 4 of 8")],
)  # fmt: skip
def test_trials_that_no_command_has_asked_for_are_not_to_come(phase: Phase, said: str) -> None:
    state = state_of(["plain", "a"], phase, ["completed", "failed", "pending", "pending"])
    left = [dataclasses.replace(trial, is_asked=trial.status != "pending") for trial in state.trials]
    page = live_html(dataclasses.replace(state, trials=left), 3)
    sentence = (
        "4 trials were left out by --only or --shard , or added to the grid since; the same ablation run command "
        "without these options trains what is missing"
    )
    assert said.format(sentence) in text_of(page)
    assert 'aria-label="Trials: 2 completed, 2 not completed, 0 running, 0 to come, 4 left out"' in page
    assert "0 to come 4 left out" in text_of(page)
    assert "<code>ablation run</code>" in page


def test_a_run_that_ended_without_verdicts_promises_none() -> None:
    page = live_html(state_of(["plain", "a", "b", "c"], "ended"), 3)
    assert "c 2 of 5 88.9% 71.1% +17.8 no verdict" in text_of(page)
    assert '<td class="">no verdict</td>' in page  # no class of a verdict, which would draw a box
    nothing = live_html(dataclasses.replace(state_of(["plain"], "ended"), verdicts=[]), 3)
    assert "Verdicts None. " in text_of(nothing)


def test_means_are_thick_and_seeds_that_run_thin() -> None:
    for chart in live_page(state_of(["plain", "a"]), 3).charts:
        assert chart.svg.count('class="mean"') == 2
        assert chart.svg.count('class="seed"') == 2
    validation = live_page(state_of(["plain", "a"]), 3).charts[0]
    assert (
        "Validation accuracy over the epochs: plain 50.6% after epoch 20; a 60.3% after epoch 20."
        in validation.svg
    )


def test_before_the_first_epoch_and_with_numbers_that_are_none_it_is_drawn() -> None:
    page = live_page(state_of(["plain", "a"], "starting", ["pending", "pending"]), 3)
    assert all("no epoch has ended yet" in chart.svg for chart in page.charts)
    state = state_of(["plain"], statuses=["running"])
    nan = [Epoch(1, math.nan, 0.5), Epoch(2, 0.25, math.nan)]
    trial = TrialState("plain", 0, 2, "running", nan)
    shown = live_page(LiveState(state.study, state.compare, "training", [trial], {}, None, []), 3)
    assert "nan" not in "".join(chart.svg for chart in shown.charts)
    assert shown.outlook == "the time left is not known yet"


def test_a_study_of_one_epoch_has_points() -> None:
    state = state_of(["plain"])
    trial = TrialState("plain", 0, 1, "completed", [Epoch(1, 0.5, 0.4)])
    one = LiveState(state.study, state.compare, "training", [trial], {"plain": trial.curve}, None, [])
    assert "translate(242.0 " in live_page(one, 3).charts[0].svg  # in the middle


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_no_serious_fault_of_accessibility_with_30_variants(
    open_page: OpenPage, tmp_path: Path, look: str
) -> None:
    names = ["plain", *(f"variant {k}" for k in range(28)), "a_name_without_a_space_" * 4]
    file, width = tmp_path / "live.html", 390 if look == "phone" else 1280
    file.write_text(live_html(state_of(names), 3), "utf-8")
    scheme = "dark" if look == "dark" else "light"
    page = open_page(file, width=width, color_scheme=scheme)
    page.get_by_role("button", name="Pause").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    faults = Axe().run(page).response["violations"]
    serious = [
        f"{f['id']}: {f['nodes'][0]['html']}" for f in faults if f["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_hostile_names_do_nothing(browser: Browser, tmp_path: Path) -> None:
    nasty = '"><img src=x onerror=alert(1)></title></style></script><script>alert(2)</script>'
    file = tmp_path / "live.html"
    file.write_text(live_html(state_of(["plain", nasty]), 3), "utf-8")
    with browser.new_context() as context:
        page, seen = context.new_page(), []
        page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda message: seen.append(message.text))
        page.on("request", lambda request: seen.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_load_state("networkidle")
        assert page.locator("h1").inner_text() == nasty
        assert seen == [file.as_uri()]
