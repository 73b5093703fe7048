"""The report in a real browser: offline, by mouse and keyboard, in light and dark, on a phone and on paper."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import OpenPage
from invented_runs import invented_run
from playwright.sync_api import Browser, Page

from ablation import Run, Study

GRID = """
    study: verdicts
    dataset: {name: digits, train_size: 300, validation_size: 40, test_size: 50}
    model: {family: dense, dense: [8]}
    training: {epochs: 4, batch_size: 8, learning_rate: 0.01}
    variants:
      hardly trained: {learning_rate: 0.000001}
      wider: {width: 2}
    seeds: 4
"""


@pytest.fixture(scope="module")
def judged_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A study with enough seeds for verdicts."""
    folder = tmp_path_factory.mktemp("judged")
    (folder / "grid.yaml").write_text(textwrap.dedent(GRID), "utf-8")
    study = Study.from_yaml(folder / "grid.yaml")
    run = invented_run(study, folder / "run", {"plain": 0.8, "hardly trained": 0.2, "wider": 0.82})
    run.write_report()
    return run


@pytest.fixture(params=["light", "dark", "phone"])
def look(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(open_page: OpenPage, judged_run: Run) -> Page:
    return open_page(judged_run.folder / "report.html", width=1300, height=900)


def cells(page: Page, column: int) -> list[str]:
    rows = page.locator("#variants ~ .scroll tbody tr").all()
    return [row.locator("td, th").nth(column).inner_text().split("\n")[0] for row in rows]


def test_it_opens_offline_without_an_error_or_a_request(browser: Browser, judged_run: Run) -> None:
    with browser.new_context(offline=True) as context:
        page, requests, errors = context.new_page(), [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        address = (judged_run.folder / "report.html").as_uri()
        page.goto(address)
        page.wait_for_load_state("networkidle")
        assert [url for url in requests if not url.startswith("data:")] == [address]
        assert errors == []
        shown = page.evaluate("[...document.images].filter(i => i.src).map(i => i.naturalWidth)")
        assert len(shown) > 10
        assert min(shown) > 100


def test_a_click_on_a_heading_sorts_and_another_turns_the_order_round(page: Page) -> None:
    assert cells(page, 0) == ["plain", "hardly trained", "wider"]
    heading = page.locator("#variants ~ .scroll thead th").nth(1)
    heading.locator("button").click()
    accuracies = [float(text.rstrip("%")) for text in cells(page, 1)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"
    heading.locator("button").press("Enter")
    assert [float(text.rstrip("%")) for text in cells(page, 1)] == sorted(accuracies)
    assert heading.get_attribute("aria-sort") == "ascending"
    page.locator("#variants ~ .scroll thead button").nth(0).click()
    assert cells(page, 0) == ["wider", "plain", "hardly trained"]


def test_figures_enlarge_by_mouse_and_keyboard(page: Page) -> None:
    dialog = page.locator("#picture")
    button = page.locator(".enlarge:visible").first
    button.click()
    assert dialog.is_visible()
    large, small = (box.bounding_box() for box in (dialog.locator("img"), button.locator("img")))
    assert large is not None
    assert small is not None
    assert large["width"] >= small["width"]
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    button.focus()
    page.keyboard.press("Enter")
    assert dialog.is_visible()
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()


def test_a_click_on_a_number_names_the_trials_behind_it(page: Page, judged_run: Run) -> None:
    page.locator("#variants ~ .scroll tbody tr").nth(2).locator("td").nth(0).click()
    dialog = page.locator("#sources")
    expected = [trial.id for trial in judged_run.trials if trial.variant == "wider"]
    assert dialog.locator("li").all_inner_texts() == expected
    assert dialog.locator("p").inner_text().endswith("from 4 trials")


def test_every_link_leads_to_a_section(page: Page) -> None:
    for link in page.locator("nav a").all():
        target = link.get_attribute("href") or ""
        assert page.locator(target).count() == 1


def test_it_prints(page: Page) -> None:
    assert page.pdf(format="A4").startswith(b"%PDF")
    hint = page.get_by_text("Click a number to see")
    assert hint.is_visible()
    page.emulate_media(media="print")
    assert not hint.is_visible()  # there is nothing to click on paper
    assert not page.locator("nav").is_visible()
    assert page.locator("#variants").is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("h2:visible").count() == page.locator("h2").count() > 10
    page.evaluate("document.querySelector('#trials').parentElement.open = false")
    assert not page.locator("#trials").is_visible()  # a list that is too long to print has no lone heading
    heights = (
        "[...document.querySelectorAll('figure img')].map((image) => image.getBoundingClientRect().height)"
    )
    assert max(page.evaluate(heights)) <= 140 * 96 / 25.4 + 1  # half a page, in pixels
    marks = "[...document.querySelectorAll('section summary')].map((one) => getComputedStyle(one, '::before').content)"
    assert set(page.evaluate(marks)) <= {"none", "normal"}  # nothing is folded on paper


def test_no_serious_fault_of_accessibility(open_page: OpenPage, judged_run: Run, look: str) -> None:
    width = 390 if look == "phone" else 1500
    scheme = "dark" if look == "dark" else "light"
    page = open_page(judged_run.folder / "report.html", width=width, height=844, color_scheme=scheme)
    assert page.locator(".verdict.worse").count() > 0  # a verdict's colour is looked at, too
    page.evaluate("document.querySelectorAll('details').forEach((folded) => (folded.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    faults = Axe().run(page).response["violations"]
    serious = [
        f"{f['id']}: {f['nodes'][0]['html']}" for f in faults if f["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_hostile_names_do_nothing(browser: Browser, judged_run: Run, tmp_path: Path) -> None:
    nasty = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
    shutil.copytree(judged_run.folder, tmp_path / "run")
    run = Run(tmp_path / "run")
    run.study = run.study.model_copy(update={"name": nasty, "question": nasty})
    with browser.new_context() as context:
        page, seen = context.new_page(), []
        page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda message: seen.append(message.text))
        page.goto(run.write_report([]).as_uri())
        page.wait_for_load_state("networkidle")
        assert page.locator("h1").inner_text() == nasty
        assert seen == []
