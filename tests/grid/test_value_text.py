"""Values and names as text."""

from __future__ import annotations

from ablation.grid.value_text import several


def test_names_with_commas_are_kept_apart_by_semicolons() -> None:
    assert several(["wide, ReLU", "wide, tanh"], "variant") == "wide, ReLU; wide, tanh"
    assert several(["plain", "+both"], "variant") == "plain, +both"
    names = [f"wide, {k}" for k in range(10)]
    assert several(names, "variant") == "wide, 0; wide, 1; wide, 2 and 7 other variants"
