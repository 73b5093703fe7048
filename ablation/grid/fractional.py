"""Fractional factorial designs of many two-level factors: a part of all combinations, chosen to be balanced.

The first factors are crossed; the level of each further one is a product of some of these. Which products is
a matter of known tables. `pydoe` makes the design from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ablation.grid.combinations import Combination, Factor
from ablation.grid.variants import PLAIN
from ablation.grid.yaml_positions import LocatedYaml

# The factors that each further factor is the product of, by the number of factors. These are the smallest
# designs of resolution IV (for five factors, V), and among them those of minimum aberration, that is, with
# the fewest aliased pairs of two-factor interactions: Box, Hunter and Hunter (2005), "Statistics for
# Experimenters", table 6.22; Chen, Sun and Wu (1993), "A catalogue of two-level and three-level fractional
# factorial designs with small runs".
_PRODUCTS = {
    4: "abc",
    5: "abcd",
    6: "abc abd",
    7: "abc abd acd",
    8: "abc abd acd bcd",
    9: "abc abd abe acde",
    10: "abc abd abe acde bcde",
    11: "abc abd acd abe ace ade",
    12: "abc abd acd bcd abe ace ade",
    13: "abc abd acd bcd abe ace bce ade",
    14: "abc abd acd bcd abe ace bce ade bde",
    15: "abc abd acd bcd abe ace bce ade bde cde",
    16: "abc abd acd bcd abe ace bce ade bde cde abcde",
}
FEWEST, MOST = min(_PRODUCTS), max(_PRODUCTS)


def fractional_design(factors: int) -> list[Combination]:
    """Return the runs of the smallest two-level design of resolution IV.

    Main effects are then orthogonal to each other and to all two-factor interactions; of these, some are
    aliased with each other.

    Args:
        factors: The number of factors, 4 to 16.

    Returns:
        The number of each factor's level, 0 or 1, in each run; the first run has all first levels, and the
        first factor varies fastest.
    """
    from pydoe import fracfact

    products = _PRODUCTS[factors].split()
    base = "abcdefgh"[: factors - len(products)]
    # The product of an even number of first levels is a second level, unless its sign is reversed.
    signed = [product if len(product) % 2 else f"-{product}" for product in products]
    signs = fracfact(" ".join([*base, *signed]))
    return sorted((tuple(int(sign > 0) for sign in run) for run in signs), key=lambda run: run[::-1])


def fractional_cells(
    factors: list[Factor], keys: Iterable[str], source: LocatedYaml
) -> dict[Combination, str]:
    """Name the runs of the fractional design; the first of them is ``plain``.

    Args:
        factors: The factors.
        keys: Their keys in the file, for errors.
        source: The grid file, for errors.

    Raises:
        GridError: There are too few or too many factors, or one has more than two levels.
    """
    for factor, key in zip(factors, keys, strict=True):
        if len(factor.levels) != 2:
            raise source.error(
                ("factors", key),
                f"`design: fractional` needs factors of two levels; this one has {len(factor.levels)}. Keep "
                "two of them, or remove `design`.",
            )
    needed = f"`design: fractional` needs {FEWEST} to {MOST} factors, and the grid has"
    if not factors:
        raise source.error(("design",), f"{needed} none.")
    if len(factors) < FEWEST:
        raise source.error(
            ("design",),
            f"{needed} {len(factors)}: a fraction of so few would confuse their main effects with "
            f"interactions. Remove `design`, and all {2 ** len(factors)} combinations are trained.",
        )
    if len(factors) > MOST:
        raise source.error(
            ("design",),
            f"{needed} {len(factors)}. Remove some of them, or use `ablate`, which removes or adds one "
            "component at a time.",
        )
    return {cell: run_name(factors, cell) for cell in fractional_design(len(factors))}


def run_name(factors: Sequence[Factor], cell: Combination) -> str:
    """Name a combination by its levels other than the first ones, because names of all would be too long."""
    changed = (factor.part_of_name(level) for factor, level in zip(factors, cell, strict=True) if level)
    return " ".join(changed) or PLAIN
