"""Fractional designs: what the tables promise of them, their names, their fold-over, and what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ablation import Study
from ablation.errors import GridError
from ablation.grid.folding import folded
from ablation.grid.fractional import FEWEST, MOST, fractional_design
from ablation.grid.study_diff import study_changes, study_digest

WriteGrid = Callable[[str], Path]
FOUR = "dropout: [0, 0.2], batch_norm: [false, true], width: [1, 2], learning_rate: [0.001, 0.01]"
EIGHT = f"{FOUR}, activation: [relu, tanh], augmentation: [[], [shift]], class_weight: [null, balanced], optimizer: {{adam: adam, momentum: {{SGD: {{momentum: 0.9}}}}}}"
RESOLUTION = {4: 4, 5: 5} | dict.fromkeys(range(6, 17), 4)
RUNS = {4: 8} | dict.fromkeys(range(5, 9), 16) | dict.fromkeys(range(9, 17), 32)


def signs(factors: int) -> np.ndarray:
    return 2 * np.array(fractional_design(factors)) - 1


def word_lengths(design: np.ndarray, longest: int) -> dict[int, int]:
    """Count the sets of factors whose levels have the same product in all runs, by their size."""
    factors = range(design.shape[1])
    return {
        size: sum(
            abs(design[:, chosen].prod(axis=1).sum()) == len(design)
            for chosen in itertools.combinations(factors, size)
        )
        for size in range(1, longest + 1)
    }


@pytest.mark.parametrize("factors", range(FEWEST, MOST + 1))
def test_a_design_is_as_small_and_as_clear_as_it_says(factors: int) -> None:
    design = signs(factors)
    assert len(design) == RUNS[factors]
    assert len({tuple(run) for run in design}) == len(design)
    assert (design[0] == -1).all()  # all first levels: the plain variant
    assert (design.T @ design == len(design) * np.eye(factors)).all()  # orthogonal main effects
    assert (design.sum(axis=0) == 0).all()  # each level as often as the other
    words = word_lengths(design, RESOLUTION[factors])
    assert [size for size, count in words.items() if count] == ([RESOLUTION[factors]])


def test_designs_have_the_fewest_aliased_interactions() -> None:
    """The numbers of words of four letters are those of the minimum aberration designs in the tables."""
    counts = {factors: word_lengths(signs(factors), 4)[4] for factors in range(4, 13)}
    assert counts == {4: 1, 5: 0, 6: 3, 7: 7, 8: 14, 9: 6, 10: 10, 11: 25, 12: 38}


def test_the_variants_of_a_fractional_grid(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid(f"{{study: s, design: fractional, factors: {{{FOUR}}}}}"))
    assert [variant.name for variant in study.variants] == [
        "plain",
        "+Dropout +BatchNorm",
        "+Dropout width=2",
        "+BatchNorm width=2",
        "+Dropout learning_rate=0.01",
        "+BatchNorm learning_rate=0.01",
        "width=2 learning_rate=0.01",
        "+Dropout +BatchNorm width=2 learning_rate=0.01",
    ]
    assert study.baseline == "plain"
    assert study.compare.questions == "effects"
    assert study.variants[4].levels == {
        "dropout": "0.2", "batch_norm": "false", "width": "1", "learning_rate": "0.01",
    }  # fmt: skip
    assert (study.variants[4].model.dropout, study.variants[4].training.learning_rate) == (0.2, 0.01)


def test_variants_beside_the_design_are_no_part_of_it(write_grid: WriteGrid) -> None:
    text = f"{{study: s, design: fractional, factors: {{{FOUR}}}, variants: {{deep: {{depth: 3}}}}}}"
    study = Study.from_yaml(write_grid(text))
    assert [variant.name for variant in study.variants][-1] == "deep"
    assert len(study.combinations) == 8


def test_a_variant_has_the_trials_that_it_has_in_the_full_design(write_grid: WriteGrid) -> None:
    fraction, full = (
        Study.from_yaml(write_grid(f"{{study: s, {design} factors: {{{FOUR}}}}}"))
        for design in ("design: fractional,", "")
    )
    ids = [{trial.id[-11:] for trial in study.trials("digest")} for study in (fraction, full)]
    assert len(ids[0]) == 40
    assert ids[0] < ids[1]


@pytest.mark.parametrize("factor", ["dropout", "class_weight", "optimizer", "augmentation"])
def test_a_fold_over_adds_the_combinations_with_the_other_level(factor: str, write_grid: WriteGrid) -> None:
    fraction, full = (
        Study.from_yaml(write_grid(f"{{study: s, {design} factors: {{{EIGHT}}}}}"))
        for design in ("design: fractional,", "")
    )
    study = folded(fraction, factor)
    assert study.variants[:16] == fraction.variants
    assert study.fold == factor
    in_full = {tuple(v.levels.values()): v for v in full.variants}
    for first, added in zip(study.variants[:16], study.variants[16:], strict=True):
        others = {name: level for name, level in first.levels.items() if name != factor}
        assert others.items() <= added.levels.items()
        assert first.levels[factor] != added.levels[factor]
        same = in_full[tuple(added.levels.values())]
        assert (added.model, added.training, added.crossed) == (same.model, same.training, True)
    assert len({variant.name for variant in study.variants}) == 32
    assert "+Dropout" in {variant.name for variant in folded(fraction, "dropout").variants}


def test_a_fold_over_of_a_model_family_and_of_a_builder(write_grid: WriteGrid, tmp_path: Path) -> None:
    families = f"{{study: s, DESIGN factors: {{family: [cnn, dense], {FOUR}}}}}"
    (tmp_path / "mine.py").write_text(
        "def build(image_shape, classes, filters=8, kernel=3, dropout=0.0, bias=True): ...\n", "utf-8"
    )
    builders = (
        "{study: s, DESIGN model: {builder: 'mine:build'}, factors: {filters: [8, 16], kernel: [3, 5], "
        "dropout: [0, 0.5], bias: [true, false], learning_rate: [0.001, 0.01]}}"
    )
    for text, factor in ((families, "family"), (families, "width"), (builders, "kernel")):
        fraction = Study.from_yaml(write_grid(text.replace("DESIGN", "design: fractional,")))
        full = Study.from_yaml(write_grid(text.replace("DESIGN", "")))
        in_full = {tuple(v.levels.values()): v for v in full.variants}
        for added in folded(fraction, factor).variants[16:]:
            same = in_full[tuple(added.levels.values())]
            assert (added.model, added.training) == (same.model, same.training)


def test_a_fold_over_does_not_take_the_name_of_another_variant(write_grid: WriteGrid) -> None:
    text = f"{{study: s, design: fractional, factors: {{{FOUR}}}, variants: {{+Dropout: {{depth: 3}}}}}}"
    study = Study.from_yaml(write_grid(text))
    with pytest.raises(GridError) as error:
        folded(study, "dropout")
    assert str(error.value) == (
        "--fold-over: the fold-over on dropout adds the variant '+Dropout', and `variants:` has one of this name; rename it."
    )


def test_the_hash_of_a_declaration_knows_fractional_designs_and_leaves_others_alone(
    write_grid: WriteGrid,
) -> None:
    full = Study.from_yaml(write_grid(f"{{study: s, factors: {{{FOUR}}}}}"))
    fraction = Study.from_yaml(write_grid(f"{{study: s, design: fractional, factors: {{{FOUR}}}}}"))
    assert "design: nothing → fractional" in study_changes(full, fraction)
    assert study_digest(fraction) != study_digest(full)
    assert study_changes(fraction, folded(fraction, "width")) == [
        "design: folded over on width, 8 variants added"
    ]


WRONG = {
    "a factor of three levels": (
        f"study: s\ndesign: fractional\nfactors:\n  depth: [1, 2, 3]\n  {FOUR.replace(', batch', chr(10) + '  batch').replace(', width', chr(10) + '  width').replace(', learn', chr(10) + '  learn')}\n",
        "FILE, line 4, factors.depth: `design: fractional` needs factors of two levels; this one has 3. Keep two of them, or remove `design`.\n"
        "    4 | depth: [1, 2, 3]",
    ),
    "too few factors": (
        "study: s\ndesign: fractional\nfactors: {dropout: [0, 0.2], batch_norm: [false, true], width: [1, 2]}\n",
        "FILE, line 2, design: `design: fractional` needs 4 to 16 factors, and the grid has 3: a fraction of so few would "
        "confuse their main effects with interactions. Remove `design`, and all 8 combinations are trained.\n"
        "    2 | design: fractional",
    ),
    "no factors": (
        "study: s\ndesign: fractional\n",
        "FILE, line 2, design: `design: fractional` needs 4 to 16 factors, and the grid has none.\n"
        "    2 | design: fractional",
    ),
    "beside ablate": (
        f"study: s\ndesign: fractional\nablate: add_one_in\nfactors: {{{FOUR}}}\n",
        "FILE, line 2, design: `design: fractional` and `ablate` both choose the variants; remove one of the two.\n"
        "    2 | design: fractional",
    ),
    "with questions of variants": (
        f"study: s\ndesign: fractional\ncompare: {{questions: variants}}\nfactors: {{{FOUR}}}\n",
        "FILE, line 3, compare.questions: `design: fractional` estimates effects of factors, and `variants` asks for "
        "comparisons of single variants. Write `questions: effects`, or remove `questions`.\n"
        "    3 | compare: {questions: variants}",
    ),
    "misspelt": (
        "study: s\ndesign: fractionel\n",
        "FILE, line 2, design: fractionel is not a valid value. Did you mean 'fractional'?\n    2 | design: fractionel",
    ),
    "a mapping": (
        "study: s\ndesign: {kind: fractional}\n",
        'FILE, line 2, design: {"kind": "fractional"} is not a valid value. Did you mean \'fractional\'?\n    2 | design: {kind: fractional}',
    ),
    "in a section": (
        "study: s\nmodel: {design: fractional}\n",
        "FILE, line 2, model.design: unknown key 'design'. It belongs to no section; write it without indentation.\n"
        "    2 | model: {design: fractional}",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_design_is_refused_with_its_place(case: str, write_grid: WriteGrid) -> None:
    text, message = WRONG[case]
    file = write_grid(text)
    with pytest.raises(GridError) as error:
        Study.from_yaml(file)
    assert str(error.value) == message.replace("FILE", str(file))


def test_too_many_factors_are_refused(write_grid: WriteGrid, tmp_path: Path) -> None:
    names = [f"part_{k}" for k in range(17)]
    arguments = ", ".join(f"{name}=0" for name in names)
    (tmp_path / "mine.py").write_text(f"def build(image_shape, classes, {arguments}): ...\n", "utf-8")
    factors = ", ".join(f"{name}: [0, 1]" for name in names)
    text = f"study: s\nmodel: {{builder: 'mine:build'}}\ndesign: fractional\nfactors: {{{factors}}}\n"
    with pytest.raises(GridError) as error:
        Study.from_yaml(write_grid(text))
    assert str(error.value).startswith(
        f"{tmp_path / 'grid.yaml'}, line 3, design: `design: fractional` needs 4 to 16 factors, and the grid has 17. "
        "Remove some of them, or use `ablate`, which removes or adds one component at a time.\n"
    )
