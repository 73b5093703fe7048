"""The page for a class: what each student alone would say, how often few seeds err, and what all show."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from class_makers import ENVIRONMENTS, write_hand_in
from conftest import OpenPage
from playwright.sync_api import Browser

from ablation import Run, Study, collect
from ablation.data.datasets import Dataset
from ablation.report.class_page import Scale, class_page
from ablation.report.write import write_report
from ablation.results.classroom import Classroom, SetAside, signs_of_few


@pytest.fixture(scope="module")
def collected(whole_class: tuple[Path, Run]) -> Run:
    """The run of the class, with its page."""
    _, run = whole_class
    (run.folder / "class.html").write_text(page_of(run), "utf-8")
    return run


def page_of(run: Run) -> str:
    classroom = Classroom.read(run.store)
    assert classroom is not None
    return class_page(run, classroom)


def text_of(page: str) -> str:
    return " ".join(
        re.sub(r"<style>.*?</style>|<script>.*?</script>|<[^>]+>", " ", page, flags=re.DOTALL).split()
    )


def test_it_counts_who_is_right_where_all_together_have_a_verdict(collected: Run) -> None:
    page, comparisons = page_of(collected), collected.comparisons.set_index("variant")
    text = text_of(page)
    wide = collected.results.pivot(index="seed", columns="variant", values="test_accuracy")
    above = int((wide["wider"] > wide["plain"]).sum())
    below = int((wide["wider"] < wide["plain"]).sum())
    assert comparisons["verdict"].to_dict() == {"wider": "better", "deeper": "worse", "dropped": "unresolved"}
    assert f"wider wider ▲ better {above} right, {below} wrong" in text
    assert "30 students trained the same 4 variants, each with 1 seed of their own, in 4 environments" in text
    assert "30 right, 0 wrong" in text  # of deeper
    dropped = np.sign((wide["dropped"] - wide["plain"]).round(9)).value_counts()
    assert f"? unresolved {dropped[1]} better, {dropped[-1]} worse, {dropped[0]} equal" in text
    assert f"{below} of 60 answers have the wrong sign" in text  # the unresolved variant is not judged
    assert page.count('class="wrong" data-value') == below
    assert page.count('class="open" data-value') == 30


def test_the_table_holds_the_shares_of_all_sizes(collected: Run) -> None:
    shares = signs_of_few(collected)
    assert shares["groups"].tolist() == [30, 435, 4060, 142506] * 3
    found = re.findall(r'<td data-value="([\d.e-]+)">([\d.]+%)', page_of(collected))
    assert [float(value) for value, _ in found] == shares["other"].tolist()
    assert [text for _, text in found] == [f"{share:.1%}" for share in shares["other"]]
    wider = shares[shares["variant"] == "wider"]["other"].tolist()
    assert wider == sorted(wider, reverse=True)  # more seeds err less


def test_the_report_of_a_class_has_its_page_and_no_other_report_has(
    collected: Run, class_study: Study, class_images: Dataset, tmp_path: Path
) -> None:
    write_report(collected, [], tmp_path / "class")
    alone = Run(write_hand_in(tmp_path / "alone", class_study, class_images, [2]))
    write_report(alone, [], tmp_path / "other")
    assert (tmp_path / "class" / "class.html").read_text("utf-8") == page_of(collected)
    assert not (tmp_path / "other" / "class.html").exists()
    report = (tmp_path / "class" / "report.html").read_text("utf-8")
    assert "The trials were collected from 30 hand-ins of a class." in report


def test_a_digit_that_was_changed_is_found(collected: Run, tmp_path: Path) -> None:
    file = collected.folder / "class.html"
    assert collected.verify(file).differences == []
    share = signs_of_few(collected)["other"][0]
    for old, new in ((f"{share:.1%}", "3.1%"), ('cx="', 'cx="1'), ("right, ", "right; ")):
        forged = tmp_path / "class.html"
        forged.write_text(file.read_text("utf-8").replace(old, new, 1), "utf-8")
        (difference,) = collected.verify(forged).differences
        assert new in difference.found
        assert difference.where.startswith("class.html, line ")


@pytest.mark.usefixtures("without_report")
def test_two_students_and_more_seeds_than_one(
    class_study: Study, class_images: Dataset, tmp_path: Path
) -> None:
    """A size that is the whole class has no share, and a hand-in that was set aside is counted, not named."""
    folders = [
        write_hand_in(tmp_path / f"s{k}", class_study, class_images, seeds, ENVIRONMENTS[k])
        for k, seeds in enumerate([(2, 3), (4,)])
    ]
    run = collect(folders, tmp_path / "run")
    classroom = Classroom.read(run.store)
    assert classroom is not None
    page = class_page(run, Classroom(classroom.students, (SetAside("Robin", "it is empty."),)))
    assert "each with 1 or 2 seeds of their own, in 2 environments" in text_of(page)
    assert "1 hand-in was set aside." in text_of(page)
    assert "Robin" not in page
    assert re.findall(r'<td(?: data-value="[^"]+")?>([\d.]+%|–)', page)[2:4] == ["–", "–"]  # of 3 and 5 seeds


def test_an_axis_shows_every_value_and_zero() -> None:
    axis = Scale.around([0.031, 0.012, float("nan")])
    assert (axis.low, axis.step) == (0, 0.01)
    assert axis.high == pytest.approx(0.04)
    assert Scale.around([0.0, 0.0]).low < Scale.around([]).high


def test_the_slider_answers_the_keyboard_without_network_or_error(browser: Browser, collected: Run) -> None:
    with browser.new_context(offline=True, viewport={"width": 1280, "height": 720}) as context:
        page, requests, errors = context.new_page(), [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        address = (collected.folder / "class.html").as_uri()
        page.goto(address)
        slider, shown = page.get_by_label("Seeds per variant"), page.locator("#bars b")
        shares = signs_of_few(collected)
        slider.focus()
        for size, words in ((1, "1 seed"), (2, "2 seeds"), (3, "3 seeds"), (5, "5 seeds")):
            assert page.locator("#chosen").inner_text() == words
            assert slider.get_attribute("aria-valuetext") == words
            of_size = shares[shares["pairs"] == size]["other"]
            assert shown.all_inner_texts() == [f"{share:.1%}" for share in of_size]
            page.keyboard.press("ArrowRight")
        assert page.locator("#chosen").inner_text() == "5 seeds"
        assert [url for url in requests if not url.startswith("data:")] == [address]
        assert errors == []
        for section in ("alone", "few", "together"):  # each fits a projector
            page.goto(f"{address}#{section}")
            last = page.locator(f"#{section} > :last-child").bounding_box()
            assert last
            assert last["y"] + last["height"] < 720


def test_without_javascript_the_table_of_all_sizes_is_shown(open_page: OpenPage, collected: Run) -> None:
    page = open_page(collected.folder / "class.html", java_script_enabled=False)
    assert not page.locator("#slider").is_visible()
    assert page.locator("#shares").is_visible()
    assert page.locator("#shares thead th").all_inner_texts() == [
        "variant", "1 seed", "2 seeds", "3 seeds", "5 seeds",
    ]  # fmt: skip


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_no_serious_fault_of_accessibility(
    open_page: OpenPage, collected: Run, scheme: str, width: int
) -> None:
    page = open_page(collected.folder / "class.html", width=width, color_scheme=scheme)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    faults = Axe().run(page).response["violations"]
    serious = [
        f"{f['id']}: {f['nodes'][0]['html']}" for f in faults if f["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_hostile_names_do_nothing(browser: Browser, collected: Run, tmp_path: Path) -> None:
    nasty = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
    classroom = Classroom.read(collected.store)
    assert classroom is not None
    first, *others = classroom.students
    run = Run(collected.folder)
    run.study = run.study.model_copy(update={"question": nasty})
    page_text = class_page(run, Classroom((type(first)(nasty, first.seeds), *others)))
    (tmp_path / "class.html").write_text(page_text, "utf-8")
    with browser.new_context() as context:
        page, seen = context.new_page(), []
        page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda message: seen.append(message.text))
        page.goto((tmp_path / "class.html").as_uri())
        assert page.locator("h1").inner_text() == nasty
        assert seen == []
