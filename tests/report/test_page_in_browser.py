"""The frame of the report in a real browser: what stays in sight, what folds, and what fits the window."""

from __future__ import annotations

import textwrap

import pytest
from conftest import OpenPage
from invented_runs import invented_run
from playwright.sync_api import Page, expect

from ablation import Run, Study

GRID = """
    study: frame
    dataset: {name: digits, train_size: 120, validation_size: 70, test_size: 200}
    model: {family: dense, dense: [8]}
    training: {epochs: 3, batch_size: 8}
    variants: {good: {dropout: 0.1}, bad: {dropout: 0.2}}
    seeds: 3
"""


@pytest.fixture(scope="module")
def framed_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("framed")
    (folder / "grid.yaml").write_text(textwrap.dedent(GRID), "utf-8")
    study = Study.from_yaml(folder / "grid.yaml")
    run = invented_run(study, folder / "run", {"plain": 0.6, "good": 0.9, "bad": 0.3})
    run.write_report(run.draw_figures(["forest", "learning_curves", "confusion"]))
    return run


@pytest.fixture
def page(open_page: OpenPage, framed_run: Run) -> Page:
    return open_page(framed_run.folder / "report.html")


def bottom(page: Page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    return box["y"] + box["height"]


def open_sections(page: Page) -> list[str]:
    return [s.get_attribute("id") or "" for s in page.locator("section > details[open] > summary").all()]


def test_the_first_screen_has_the_answer_how_it_was_measured_and_the_forest_plot(page: Page) -> None:
    assert page.locator("header .findings li").count() == 2
    assert bottom(page, "header .facts") < 400
    forest = page.locator('main > figure .chart[data-chart="forest"]')
    expect(forest.locator(".drawn")).to_have_count(1)
    box = forest.bounding_box()
    assert box is not None
    assert box["y"] < 500
    page.locator("header .findings li").first.click(position={"x": 200, "y": 5})
    assert page.locator("#sources p").inner_text() == "From 6 trials"


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1024, 768), (390, 844)])
def test_an_enlarged_figure_fits_the_window_until_its_actual_size_is_asked_for(
    page: Page, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.get_by_role("button", name="Static figure").first.click()
    dialog, image, stage = (page.locator(f"#picture{inner}") for inner in ("", " img", " .stage"))
    frame, shown = dialog.bounding_box(), image.bounding_box()
    assert frame is not None
    assert shown is not None
    assert frame["x"] >= 0
    assert frame["x"] + frame["width"] <= width
    assert frame["y"] + frame["height"] <= height
    assert shown["x"] + shown["width"] <= frame["x"] + frame["width"]
    assert stage.evaluate("e => e.scrollWidth <= e.clientWidth")
    page.get_by_role("button", name="Actual size").click()
    assert image.evaluate("i => i.clientWidth === i.naturalWidth")
    assert stage.evaluate("e => (e.scrollLeft = 1e6, e.scrollLeft > 0)")  # all of it can be reached


@pytest.mark.parametrize("width", [390, 1280, 1500])
def test_the_navigation_stays_in_sight_and_marks_where_one_is(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 720})
    current = page.locator("nav a[aria-current]")
    assert current.inner_text() == "Summary"
    page.locator("#support").scroll_into_view_if_needed()
    page.evaluate("document.getElementById('support').scrollIntoView()")
    expect(current).to_have_attribute("href", "#support")
    box, link = page.locator("nav").bounding_box(), current.bounding_box()
    assert box is not None
    assert link is not None
    assert box["y"] == 0
    assert box["height"] < 60 or width == 1500
    assert link["x"] >= 0
    assert link["x"] + link["width"] <= width
    heading = page.locator("#support h2").bounding_box()
    assert heading is not None
    assert heading["y"] >= (0 if width == 1500 else box["height"])  # not below the bar
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_sections_fold_and_a_link_opens_the_one_that_it_leads_to(page: Page) -> None:
    closed = {"pairing", "dataset", "reproduce", "trials"}
    every = [s.get_attribute("id") for s in page.locator("section > details > summary").all()]
    assert set(every) - set(open_sections(page)) == closed
    page.locator("nav a[href='#trials']").click()
    assert "trials" in open_sections(page)
    assert page.locator("#trials ~ .scroll").is_visible()
    page.locator("#trials").press("Enter")  # by keyboard, too
    assert "trials" not in open_sections(page)
    page.locator("nav a[href='#trials']").click()  # the address is that of the link already
    assert "trials" in open_sections(page)
    button = page.locator("#fold")
    button.click()
    assert open_sections(page) == []
    assert button.inner_text() == "Unfold all"
    button.click()
    assert open_sections(page) == every
    page.goto(f"{page.url.partition('#')[0]}#dataset")
    page.reload()
    assert "dataset" in open_sections(page)


def test_what_is_folded_is_printed_and_folds_again(page: Page) -> None:
    before = open_sections(page)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert {"pairing", "dataset", "reproduce", "trials"} <= set(open_sections(page))
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert open_sections(page) == before


def test_without_javascript_all_can_be_read(open_page: OpenPage, framed_run: Run) -> None:
    page = open_page(framed_run.folder / "report.html", java_script_enabled=False)
    assert not page.locator("#fold").is_visible()  # it would do nothing
    assert not page.get_by_text("Click a number to see").is_visible()
    page.locator("#trials").click()
    assert page.locator("#trials ~ .scroll").is_visible()


def test_the_images_are_named_once_and_not_in_each_caption(page: Page, framed_run: Run) -> None:
    images = framed_run.dataset.describe()
    assert images in page.locator("header .facts").inner_text()
    captions = page.locator("figcaption").all_inner_texts()
    assert len(captions) >= 5
    assert [caption for caption in captions if images in caption] == []
    assert (framed_run.figures_folder / "captions.md").read_text("utf-8").count(images) == len(captions)
