"""What a grid can declare under `compare`, and what it is told if it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ablation import Study
from ablation.errors import GridError
from ablation.grid.compare_settings import CompareSettings

WriteGrid = Callable[[str], Path]


def test_by_default_variants_are_compared_with_the_baseline_for_other_seeds_and_images() -> None:
    compare = CompareSettings()
    assert (compare.questions, compare.against, compare.holds_for) == (
        "variants",
        "baseline",
        ("seeds", "images"),
    )
    assert compare.includes_images
    assert not CompareSettings(holds_for=("seeds",)).includes_images
    assert not CompareSettings(metric="test_loss", margin=0.1).includes_images


@pytest.mark.parametrize(
    ("compare", "message"),
    [
        (
            "{questions: effects}",
            "grid.yaml, line 1, compare.questions: `effects` asks for effects of factors, and the grid has no `factors:`.",
        ),
        (
            "{holds_for: [images]}",
            "grid.yaml, line 1, compare.holds_for: expected [seeds, images] or [seeds]: trials differ by their seeds in "
            "every study.",
        ),
        (
            "{questions: variant}",
            "grid.yaml, line 1, compare.questions: variant is not a valid value. Did you mean 'variants'?",
        ),
        (
            "{against: plain}",
            "grid.yaml, line 1, compare.against: plain is not a valid value. Valid names: all, baseline.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(write_grid: WriteGrid, compare: str, message: str) -> None:
    with pytest.raises(GridError) as error:
        Study.from_yaml(write_grid(f"{{study: s, variants: {{wide: {{width: 2}}}}, compare: {compare}}}"))
    assert str(error.value).split("\n")[0].rpartition("/")[2] == message


def test_populations_are_kept_in_one_order() -> None:
    assert CompareSettings.model_validate({"holds_for": ["images", "seeds"]}).holds_for == ("seeds", "images")


def test_with_the_baseline_leaves_out_all_other_questions() -> None:
    compare = CompareSettings(questions="both", against="all", alpha=0.01).with_the_baseline()
    assert (compare.questions, compare.against, compare.alpha) == ("variants", "baseline", 0.01)


def test_interim_looks_are_anytime_valid_at_a_tenth_of_alpha() -> None:
    interim = CompareSettings().interim()
    assert (interim.looks, interim.alpha) == ("any", pytest.approx(0.005))
    anytime = CompareSettings(looks="any")
    assert anytime.interim() == anytime
