"""Names in any script: drawn with a font that has their characters, or one warning that there is none."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib import get_data_path
from matplotlib.font_manager import fontManager

from ablation import Run
from ablation.errors import AblationWarning
from ablation.figures import fonts
from ablation.figures.drawing import draw_figures
from ablation.figures.style import look, new_figure

CAT = "\N{CJK UNIFIED IDEOGRAPH-732B}"


@pytest.fixture(autouse=True)
def only_matplotlibs_own_fonts() -> Iterator[None]:
    """As on a machine without others, such as those of a TeX."""
    known = fontManager.ttflist.copy()
    fontManager.ttflist[:] = [font for font in known if Path(font.fname).is_relative_to(get_data_path())]
    fonts._fallbacks.cache_clear()
    yield
    fontManager.ttflist[:] = known
    fonts._fallbacks.cache_clear()


@pytest.fixture
def font_of_cats(tmp_path: Path) -> str:
    """A font that is installed for the test, and has one character only."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    for step, point in enumerate([(100, 0), (100, 700), (800, 700), (800, 0)]):
        (pen.lineTo if step else pen.moveTo)(point)
    pen.closePath()
    square, name = pen.glyph(), "Font Of Cats"
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "cat"])
    builder.setupCharacterMap({ord(CAT): "cat"})
    builder.setupGlyf({".notdef": square, "cat": square})
    builder.setupHorizontalMetrics({".notdef": (900, 100), "cat": (900, 100)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "cats.ttf")
    fontManager.addfont(tmp_path / "cats.ttf")
    fonts._fallbacks.cache_clear()
    return name


def renamed(run: Run, name: str) -> Run:
    """The run with another name for its first class."""
    copy = Run(run.folder)
    names = (name, *copy.dataset.class_names[1:])
    copy.__dict__["dataset"] = copy.dataset.__class__(**{**vars(copy.dataset), "class_names": names})
    return copy


def test_a_font_that_has_the_characters_is_used(font_of_cats: str) -> None:
    assert fonts.further_fonts([CAT, "dog"]) == (font_of_cats,)
    assert fonts.further_fonts(["dog", "Köter", "chat noir", "χ² ≥ 3"]) == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with look([CAT]):
            figure = new_figure(2, 2)
            families = figure.text(0.5, 0.5, CAT).get_fontfamily()
            figure.draw_without_rendering()
    assert families[-1] == font_of_cats


def test_one_warning_names_the_characters_that_no_font_has(finished_run: Run, tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        draw_figures(
            renamed(finished_run, CAT + "\N{HIRAGANA LETTER NE}"), ["confusion", "per_class"], tmp_path
        )
    assert [(warning.category, str(warning.message)) for warning in caught] == [
        (
            AblationWarning,
            f"the figures show boxes instead of \N{HIRAGANA LETTER NE}, {CAT}, because no installed font has these "
            "characters. Install a font that has them, such as one of the Noto fonts, and draw the figures again.",
        )
    ]


def test_names_that_every_font_has_bring_no_warning(finished_run: Run, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_figures(finished_run, ["confusion"], tmp_path)


def test_the_command_line_prints_a_warning_as_a_sentence() -> None:
    code = (
        "import sys, warnings\nfrom ablation.cli import app\nfrom ablation.errors import AblationWarning\n"
        "def warn(**_): warnings.warn('boxes.', AblationWarning); warnings.warn('other')\n"
        "app.app = warn\napp.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = done.stderr.splitlines()[:2]
    assert first == "Warning: boxes."
    assert second.endswith("UserWarning: other")
