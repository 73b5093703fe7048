"""The live page follows a real run in a real browser, through a kill and a resume; and what that may cost."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Error, Page
from processes import PATIENCE, command, start, wait_until

from ablation import Run, Study, watch_run
from ablation.errors import AblationWarning, RunError
from ablation.executors.contract import Progress
from ablation.workflow import live
from ablation.workflow.observers import NullObserver

GRID = """
    study: followed
    question: Does training help?
    dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
    model: {family: dense, dense: [16]}
    training: {epochs: 60, batch_size: 8, learning_rate: 0.01}
    compare: {holds_for: [seeds]}
    variants:
      hardly trained: {learning_rate: 0.000001}
      wider: {width: 2}
    seeds: 3
"""


def wait_for(page: Page, phase: str) -> None:
    page.wait_for_function(f"document.body?.dataset.phase == '{phase}'", timeout=1000 * PATIENCE)


def shown(page: Page) -> str:
    """Return what the page shows, which may be renewing itself at this moment."""
    while True:
        try:
            page.wait_for_load_state()
            return page.content()
        except Error as error:
            if "navigating" not in str(error):
                raise


def bar(page: str) -> dict[str, int]:
    """Return how many trials the bar shows of each kind."""
    label = re.search(r'aria-label="Trials: ([^"]+)"', page)
    assert label
    return {kind: int(count) for count, kind in (part.split(" ", 1) for part in label[1].split(", "))}


@pytest.fixture
def short_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the seconds of drawing: another test is about the report."""

    def written(run: Run) -> None:
        run.figures_folder.mkdir()
        (run.figures_folder / "captions.md").touch()
        (run.folder / "report.html").touch()

    monkeypatch.setattr("ablation.workflow.run_study.write_report", written)


@pytest.mark.unix
@pytest.mark.usefixtures("short_report")
def test_the_page_follows_a_run_from_its_first_epoch_to_its_verdicts(
    browser: Browser, tmp_path: Path
) -> None:
    grid, out = tmp_path / "grid.yaml", tmp_path / "run"
    grid.write_text(textwrap.dedent(GRID), "utf-8")
    requests, errors = set[str](), []
    with (
        browser.new_context(offline=True) as context,
        browser.new_context(java_script_enabled=False) as without,
    ):
        page, plain = context.new_page(), without.new_page()
        page.on("request", lambda request: requests.add(request.url))
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))

        training = start(command(grid, out, "--executor", "inline", "--live"))
        wait_until((out / "live.html").exists)
        page.goto((out / "live.html").as_uri())
        plain.goto((out / "live.html").as_uri())
        wait_for(page, "training")
        page.wait_for_selector("path.seed, path.mean", state="attached", timeout=1000 * PATIENCE)
        started = shown(page)
        training.kill()
        assert bar(started)["running"] <= 1  # 0 between two trials
        assert sum(bar(started).values()) == 9
        assert f"{out / 'live.html'} follows the run: open it in a browser." in (
            training.communicate()[0] or ""
        )

        watching = start([sys.executable, "-m", "ablation", "watch", str(out)])
        wait_for(page, "stopped")

        class Looking(NullObserver):
            """Looks at the page once an epoch has ended after the resume."""

            seen = ""

            def progressed(self, progress: Progress) -> None:
                if progress.record and not self.seen:
                    wait_for(page, "training")
                    self.seen = shown(page)

        looking = Looking()
        run = Study.from_yaml(grid).run(out, executor="inline", observer=looking)  # not live itself
        assert bar(looking.seen)["running"] == 1
        wait_for(page, "ended")
        output, _ = watching.communicate(timeout=PATIENCE)
        assert (watching.returncode, output) == (0, f"{out / 'live.html'}\n")
        wait_until(lambda: 'data-phase="ended"' in shown(plain))

        assert bar(shown(page))["completed"] == 9
        assert page.get_by_role("link", name="the report").get_attribute("href") == "report.html"
        verdicts = page.locator(".verdicts .verdict").all_inner_texts()
        declared = run.comparisons.set_index("variant")["verdict"]
        assert sorted(text.split()[-1] for text in verdicts) == sorted(declared)
        assert declared["hardly trained"] == "worse"
    assert requests == {(out / "live.html").as_uri()}
    assert errors == []
    assert not list(out.glob(".live.html*"))


def test_what_cannot_be_written_is_a_sentence_and_stops_no_training(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunError) as caught:
        watch_run(tmp_path)
    assert str(caught.value) == f"{tmp_path} is not a run folder: it has no study.json."
    monkeypatch.setattr(live, "live_html", lambda *_: "a page")
    page = live.LivePage(finished_run.folder, "run", NullObserver())
    with page:
        (finished_run.folder / "live.html").unlink()
        (finished_run.folder / "live.html").mkdir()
        with pytest.warns(
            AblationWarning,
            match=r"^the live page could not be written: .* is a folder in the place of a file",
        ):
            page._write(is_training=True)
        (finished_run.folder / "live.html").rmdir()
    assert (finished_run.folder / "live.html").read_text("utf-8") == "a page"
    (finished_run.folder / "live.html").unlink()


def test_it_opens_only_where_there_is_a_display(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened = list[str]()
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    live._open(tmp_path / "live.html")
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    live._open(tmp_path / "live.html")
    assert opened == [(tmp_path / "live.html").as_uri()]


@given(costs=st.lists(st.floats(0.001, 2.0), min_size=1, max_size=40))
def test_pages_of_any_cost_stay_within_their_share(costs: list[float]) -> None:
    """None is written before all of those since the first one have been earned."""
    now = 100.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live.LiveRun, "__init__", lambda *_: None)
        patch.setattr(live.time, "monotonic", lambda: now)
        renewal = live.Renewal(Path("run"))
        renewal._began = now  # when the first page was written
        for cost in costs:
            assert renewal.due_in() >= 2.0
            now += renewal.due_in()
            assert renewal.spent <= live.SHARE * (now - 100.0) + 1e-9
            renewal.spent += cost
