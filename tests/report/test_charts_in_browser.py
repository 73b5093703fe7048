"""The charts answer mouse and keyboard, offline, whatever the variants are named."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import OpenPage
from invented_runs import run_of_variants
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from ablation import Run
from ablation.figures.style import Picture

NASTY = '<b>bold</b> <a href="javascript:alert(1)">x</a></script><script>alert(2)</script><img src=x onerror=alert(3)>'
VARIANTS = ["plain", "+Dropout", NASTY, "%{y} $x^2$ &lt; __proto__"]
FIGURES = ["forest", "overfitting_gap", "learning_curves", "confusion", "calibration", "cost"]
CHARTS = [*FIGURES, "last_gap"]


def blank_pictures(folder: Path, confusions: int) -> list[Picture]:
    """Return a small white picture per figure: the page is tested, and not matplotlib."""
    Image.new("RGB", (300, 200), "white").save(folder / "blank.png")
    names = [name for name in FIGURES for _ in range(confusions if name == "confusion" else 1)]
    return [
        Picture("blank", f"The figure {name}", "A caption.", "An alternative.", folder, name, "Digits.")
        for name in names
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("charted")
    run = run_of_variants(folder, VARIANTS, seeds=3, epochs=4, name=NASTY)
    run.write_report(blank_pictures(folder, len(VARIANTS)))
    return run


@pytest.fixture
def page(open_page: OpenPage, run: Run) -> Page:
    return open_page(run.folder / "report.html")


def chart(page: Page, name: str) -> None:
    """Scroll to a chart, and wait until it is drawn."""
    page.locator(f'.chart[data-chart="{name}"]').scroll_into_view_if_needed()
    page.locator(
        f'.chart[data-chart="{name}"] .drawn .main-svg, .chart[data-chart="{name}"] .drawn'
    ).first.wait_for()


def plot(page: Page, name: str) -> Locator:
    chart(page, name)
    return page.locator(f'.chart[data-chart="{name}"] .chart-plot')


def said(page: Page) -> str:
    return page.locator("[role=status]").inner_text()


def label(page: Page, name: str) -> list[str]:
    return page.locator(f'.chart[data-chart="{name}"] .chart-label > *').all_inner_texts()


def press(page: Page, name: str, *keys: str) -> str:
    plot(page, name).focus()
    for key in keys:
        page.keyboard.press(key)
    return said(page)


def choose(page: Page, name: str, **choices: str) -> None:
    for menu, value in choices.items():
        page.locator(f'.chart[data-chart="{name}"] select[name={menu}]').select_option(value)
        page.wait_for_function(
            "name => !document.querySelector(`.chart[data-chart=${name}] .chart-label:not([hidden])`)",
            arg=name,
        )
    page.wait_for_timeout(150)


def visible_names(page: Page) -> list[str]:
    return page.locator('.chart[data-chart="forest"] .ytick text').all_text_contents()


def test_all_charts_are_drawn_offline_without_an_error_a_request_or_a_dialog(
    browser: Browser, run: Run
) -> None:
    with browser.new_context(offline=True, viewport={"width": 1280, "height": 720}) as context:
        page, requests, errors = context.new_page(), [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: (errors.append(dialog.message), dialog.dismiss()))
        address = (run.folder / "report.html").as_uri()
        page.goto(address)
        for name in CHARTS:
            press(page, name, "ArrowRight", "ArrowDown", "ArrowDown")
        page.locator(".chart-bar button", has_text="None").click()
        page.locator(".chart-bar button", has_text="All").click()
        assert page.locator(".drawn").count() == len(CHARTS)
        assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [address]
        assert errors == []
        assert page.locator(".chart a, .chart svg a, .chart img").count() == 0
        assert page.evaluate("Object.prototype.variant") is None


def test_rows_of_long_names_that_begin_and_end_alike_are_told_apart(page: Page) -> None:
    names = ["very wide, ReLU, dropout 0.3", "very wide, GELU, dropout 0.3", "plain", 40 * "x"]
    chart(page, "forest")
    lines = page.evaluate("names => names.map((name) => chartParts.inLines(name, 16))", names)
    assert lines == [
        "very wide, ReLU,\ndropout 0.3", "very wide, GELU,\ndropout 0.3", "plain",
        f"{16 * 'x'}\n…{15 * 'x'}",
    ]  # fmt: skip


def test_the_mouse_reads_a_value_with_its_seed_and_trial(page: Page, run: Run) -> None:
    area = plot(page, "forest")
    value = run.results.query("variant == '+Dropout' and seed == 2").iloc[0]
    press(page, "forest", "ArrowRight", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight")
    box = page.locator('.chart[data-chart="forest"] .chart-ring').bounding_box()
    page.keyboard.press("Escape")
    assert box
    area.hover(position={"x": 1, "y": 1})
    page.mouse.move(box["x"] + 9, box["y"] + 9)
    assert label(page, "forest") == [
        "+Dropout, seed 2",
        f"test accuracy: {value['test_accuracy']:.1%}",
        value["trial_id"],
    ]
    page.mouse.click(box["x"] + 9, box["y"] + 9)
    assert page.locator("#sources li").all_inner_texts() == [value["trial_id"]]


def test_the_keyboard_reads_every_chart_point_by_point(page: Page, run: Run) -> None:
    last = run.history.query("variant == 'plain' and epoch == 4")
    spoken = press(page, "learning_curves", "ArrowRight", "End")
    assert spoken.startswith(
        f"plain, Training accuracy: {last['train_accuracy'].mean():.1%}, mean over 3 seeds, 95% interval"
    )
    assert spoken.endswith("epoch 4")
    assert press(page, "learning_curves", "ArrowDown").startswith("+Dropout, Training accuracy")
    assert press(page, "learning_curves", "ArrowDown").startswith(f"{NASTY}, Training accuracy")
    assert press(page, "learning_curves", "Home").endswith("epoch 1")
    gap = last["true_gap"].mean()
    assert f"Overfitting gap: {100 * gap:.1f}".replace("-", "−") in press(
        page, "overfitting_gap", "ArrowRight", "End"
    )
    assert "expected calibration error" in press(page, "calibration", "ArrowRight")
    assert ", parameters: 1000" in press(page, "cost", "ArrowRight")
    page.keyboard.press("Enter")
    trials = [trial.id for trial in run.trials if trial.variant == "plain"]
    assert page.locator("#sources li").all_inner_texts() == trials


def test_a_switch_acts_on_all_charts(page: Page) -> None:
    chart(page, "forest")
    names = page.locator('.chart[data-chart="forest"] .ytick text')
    assert visible_names(page)[:2] == ["plain", "+Dropout"]
    page.locator(".chart-bar label", has_text="+Dropout").click()
    expect(names.filter(has_text="+Dropout")).to_have_count(0)
    for name in ("overfitting_gap", "learning_curves", "calibration", "cost"):
        spoken = press(page, name, "ArrowRight", "ArrowDown")
        assert spoken.startswith(NASTY), name
        hidden = page.locator(f'.chart[data-chart="{name}"] [class*="trace-v1-"]').all()
        assert hidden
        assert not any(trace.is_visible() for trace in hidden)
    page.locator(".chart-bar button", has_text="Only the baseline").click()
    chart(page, "forest")
    expect(names).to_have_text(["plain"])  # a chart out of sight is drawn when it comes into sight
    for name in ("learning_curves", "cost"):  # of the narrow range that is left, no two ticks have one label
        chart(page, name)
        labels = page.locator(f'.chart[data-chart="{name}"] .ytick text').all_text_contents()
        assert len(labels) == len(set(labels)), labels
    checked = page.locator(".chart-bar input:checked")
    assert checked.count() == 1
    page.locator('.chart[data-chart="forest"] button', has_text="Choose variants").click()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert checked.count() == 2
    expect(names).to_have_text(["plain", "+Dropout"])


def test_measure_axis_and_every_seed_are_the_readers_choice(page: Page, run: Run) -> None:
    trial = run.history.query("variant == 'plain' and seed == 0")
    chart(page, "learning_curves")
    choose(page, "learning_curves", measure="loss", against="seconds", lines="every")
    spoken = press(page, "learning_curves", "ArrowRight", "End")
    loss, seconds = trial["train_loss"].iloc[-1], trial["seconds"].sum()
    assert spoken == f"plain, seed 0, Training cross-entropy loss: {loss:.4g}, epoch 4, after {seconds:.4g} s"
    assert label(page, "learning_curves")[-1] == run.trials[0].id
    assert press(page, "learning_curves", "ArrowDown").startswith("plain, seed 1")
    chart(page, "cost")
    choose(page, "cost", cost="seconds")
    assert "seconds per trial: 60" in press(page, "cost", "ArrowRight")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_names_of_costs_touch_neither_each_other_nor_a_mark(
    open_page: OpenPage, run: Run, width: int
) -> None:
    page = open_page(run.folder / "report.html", width=width)
    chart(page, "cost")
    boxes = page.evaluate(
        """() => {
          const of = (found) => [...document.querySelectorAll('.chart[data-chart="cost"] ' + found)].map((one) => {
            const { left, top, right, bottom } = one.getBoundingClientRect();
            return [left, top, right, bottom];
          });
          return { names: of(".annotation-text"), marks: of(".points path") };
        }"""
    )
    assert len(boxes["names"]) == len(VARIANTS)
    for name in boxes["names"]:
        for other in [*boxes["names"], *boxes["marks"]]:
            apart = other[2] < name[0] or name[2] < other[0] or other[3] < name[1] or name[3] < other[1]
            assert apart or other == name
    page.locator(".chart-bar label", has_text="+Dropout").click()
    expect(page.locator('.chart[data-chart="cost"] .annotation-text')).to_have_count(len(VARIANTS) - 1)


def test_names_in_a_crowd_are_placed_apart_or_left_out(page: Page) -> None:
    places = page.evaluate(
        """() => {
          const points = Array.from({ length: 30 }, (_, k) => ({ x: 300 + (k % 3), y: 100 + k, width: 90 }));
          const bars = points.map(({ x, y }) => ({ x, top: y - 5, bottom: y + 5 }));
          return chartParts.placesOfNames(points, bars, [0, 0, 600, 300], 15);
        }"""
    )
    placed = [place for place in places if place]
    assert 8 < len(placed) < 30
    for k, one in enumerate(placed):
        for other in placed[:k]:
            assert abs(one["x"] - other["x"]) >= 90 or abs(one["y"] - other["y"]) >= 15


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(1_000, 30_000, ["1k", "2k", "5k", "10k", "20k"]), (20, 3e6, ["100", "1k", "10k", "100k", "1M"]), (0.5, 20, ["0.5", "1", "2", "5", "10", "20"])],
)  # fmt: skip
def test_ticks_of_a_logarithmic_axis_are_round_numbers(
    page: Page, low: float, high: float, shown: list[str]
) -> None:
    ticks = page.evaluate("([low, high]) => chartParts.logTicks(low, high)", [low, high])
    inside = [
        text for value, text in zip(ticks["tickvals"], ticks["ticktext"], strict=True) if low <= value <= high
    ]
    assert inside == shown


def test_a_dash_is_a_variant_in_every_chart(page: Page) -> None:
    """Training and validation have panels of their own, so that they need no dashes."""
    chart(page, "learning_curves")
    chart(page, "overfitting_gap")
    dashes = page.evaluate(
        """() => [...document.querySelectorAll('[class*="trace-v"][class*="curacy"] .js-line, [class*="trace-v"][class*="-gap"] .js-line')]
          .map((line) => [line.closest('[class*="trace-v"]').classList.value.match(/trace-v(\\d+)/)[1],
            line.style.strokeDasharray.replace(/[^0-9]+/g, " ").trim()])"""
    )
    by_variant: dict[str, set[str]] = {}
    for variant, dash in dashes:
        by_variant.setdefault(variant, set()).add(dash)
    assert len(by_variant) == len(VARIANTS)
    assert {len(found) for found in by_variant.values()} == {1}
    assert len({next(iter(found)) for found in by_variant.values()}) == len(VARIANTS)


def test_a_confusion_matrix_is_that_of_a_variant_or_its_difference_from_another(page: Page, run: Run) -> None:
    chart(page, "confusion")
    cells = run.confusion.query("true == 'class 0' and predicted == 'class 1'").set_index("variant")
    one, other = cells.loc["+Dropout"], cells.loc["plain"]
    choose(page, "confusion", one="1")
    spoken = press(page, "confusion", "Home", "ArrowRight")
    assert spoken.startswith(
        f"class 0 predicted as class 1, +Dropout: {one['share']:.1%}, {one['count']} of "
    )
    choose(page, "confusion", other="0")
    spoken = press(page, "confusion", "Home", "ArrowRight")
    difference = f"{100 * (one['share'] - other['share']):+.1f}".replace("-", "−").replace("+0.0", "0.0")
    assert f"plain: {other['share']:.1%}" in spoken
    assert spoken.endswith(f"difference: {difference} points")


def test_the_static_figure_is_one_click_away_and_what_is_printed(page: Page) -> None:
    chart(page, "forest")
    figure = page.locator('figure[data-figure="forest"] .enlarge')
    assert not figure.is_visible()
    page.locator('.chart[data-chart="forest"] button', has_text="Static figure").click()
    assert page.locator("#picture img").is_visible()
    page.keyboard.press("Escape")
    page.emulate_media(media="print")
    assert figure.is_visible()
    assert not page.locator(".chart").first.is_visible()
    assert not page.locator(".chart-bar").is_visible()  # it would be at the foot of every page
    assert page.evaluate("getComputedStyle(document.querySelector('main')).paddingBottom") == "0px"
    assert page.locator('figure[data-figure="confusion"] .enlarge:visible').count() == len(VARIANTS)


def test_without_javascript_the_page_shows_the_figures(open_page: OpenPage, run: Run) -> None:
    page = open_page(run.folder / "report.html", java_script_enabled=False)
    for name in FIGURES:
        assert page.locator(f'figure[data-figure="{name}"] img').first.is_visible()
        assert page.locator(f'figure[data-figure="{name}"] figcaption').first.is_visible()
    assert page.locator(".chart").count() == 0


def test_a_library_that_cannot_be_unpacked_leaves_the_figures(
    open_page: OpenPage, run: Run, tmp_path: Path
) -> None:
    text = (run.folder / "report.html").read_text("utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace('id="chart-library">', 'id="chart-library">AAAA'), "utf-8")
    page = open_page(broken)
    page.locator('figure[data-figure="forest"]').scroll_into_view_if_needed()
    page.locator('figure[data-figure="forest"] img').wait_for(state="visible")
    assert page.locator(".chart, .chart-bar").count() == 0


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_no_serious_fault_of_accessibility_in_the_charts(open_page: OpenPage, run: Run, look: str) -> None:
    width = 390 if look == "phone" else 1280
    scheme = "dark" if look == "dark" else "light"
    page = open_page(run.folder / "report.html", width=width, height=844, color_scheme=scheme)
    for name in CHARTS:
        press(page, name, "ArrowRight")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    faults = Axe().run(page, context={"include": [[".chart"], [".chart-bar"]]}).response["violations"]
    serious = [
        f"{f['id']}: {f['nodes'][0]['html']}" for f in faults if f["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.slow
def test_thirty_variants_of_fifty_seeds_open_and_answer_at_once(open_page: OpenPage, tmp_path: Path) -> None:
    names = ["plain", *(f"variant {k}" for k in range(1, 30))]
    run = run_of_variants(tmp_path, names, seeds=50, epochs=30)
    page_file = run.write_report()
    assert page_file.stat().st_size < 10e6
    page = open_page(page_file)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 2000
    for name in CHARTS:
        chart(page, name)
        time.sleep(1)
        took = page.evaluate(TOGGLE)
        assert min(took) < 200, name


TOGGLE = """
async () => {
  const box = document.querySelectorAll(".chart-bar input")[3];
  const took = [];
  for (let k = 0; k < 4; k++) {
    const start = performance.now();
    box.click();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    took.push(performance.now() - start);
  }
  return took;
}
"""
