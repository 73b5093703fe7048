"""The section `tune` of a grid file, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ablation import Study
from ablation.errors import GridError
from ablation.grid.study_diff import study_changes, study_digest

GRID = """
study: tiny
dataset: {name: digits}
model: {family: dense, dense: [4]}
factors: {dropout: [0, 0.2]}
variants: {fast: {learning_rate: 0.1}}
"""
EXAMPLE = "for example `space: {learning_rate: {range: [0.0001, 0.1], log: true}}`."
DIFFER = "if it were tuned, variants would no longer differ as declared. Remove it from the space."


def test_without_the_section_nothing_is_tuned(write_grid: Callable[[str], Path]) -> None:
    assert Study.from_yaml(write_grid(GRID)).tune is None


def test_the_defaults(write_grid: Callable[[str], Path]) -> None:
    tune = Study.from_yaml(write_grid(f"{GRID}tune: {{space: {{batch_size: [8, 16]}}}}")).tune
    assert tune
    assert (tune.tuner, tune.most_trials, tune.seeds, tune.objective) == ("random", 20, 2, "val_accuracy")


def test_it_is_part_of_what_is_declared_only_where_it_is_given(write_grid: Callable[[str], Path]) -> None:
    without = Study.from_yaml(write_grid(GRID))
    tuned = Study.from_yaml(write_grid(f"{GRID}tune: {{space: {{batch_size: [8, 16]}}, trials: 3}}"))
    other = Study.from_yaml(write_grid(f"{GRID}tune: {{space: {{batch_size: [8, 16]}}, trials: 4}}"))
    assert study_changes(tuned, other) == ["tune.trials: 3 → 4"]
    assert len({study_digest(study) for study in (without, tuned, other)}) == 3


@pytest.mark.parametrize(
    ("section", "key", "message"),
    [
        ("{}", "tune", f"tuning needs a `space:` of settings to search, {EXAMPLE}"),
        ("{space: {}}", "tune.space", f"tuning needs a `space:` of settings to search, {EXAMPLE}"),
        ("3", "tune", "expected a mapping, not 3."),
        (
            "{space: {dropuot: [0, 1]}}",
            "tune.space.dropuot",
            "unknown setting 'dropuot'. Did you mean 'dropout'?",
        ),
        (
            "{space: {dropout: [0, 0.1]}}",
            "tune.space.dropout",
            f"'dropout' is a factor of this study; {DIFFER}",
        ),
        (
            "{space: {learning_rate: [0.1, 0.2]}}",
            "tune.space.learning_rate",
            f"the variant 'fast' changes 'learning_rate'; {DIFFER}",
        ),
        (
            "{space: {normalise: [unit, standard]}}",
            "tune.space.normalise",
            "'normalise' belongs to the dataset, which is the same for all variants. Set it under `dataset:`, "
            "and run one study per value to compare several.",
        ),
        (
            "{space: {batch_size: {range: [16, 8]}}}",
            "tune.space.batch_size",
            "the range must end above its beginning.",
        ),
        (
            "{space: {weight_decay: {range: [0.001, .inf]}}}",
            "value 2 of tune.space.weight_decay.range",
            "expected a finite number, not Infinity.",
        ),
        (
            "{space: {dense: [4, 8]}}",
            "tune.space.dense",
            "expected a list, not 4.",
        ),
        (
            "{space: {batch_size: [8, 16]}, tuner: bayesan}",
            "tune.tuner",
            "bayesan is not a valid value. Did you mean 'bayesian'?",
        ),
        (
            "{space: {batch_size: [8, 16]}, tuner: hyperband}",
            "tune.tuner",
            "hyperband decides its own number of proposals, so that no budget can be declared. Use random, grid, "
            "bayesian, tpe or cma_es.",
        ),
        (
            "{space: {batch_size: [8, 16]}, tuner: tpe, pruner: median}",
            "tune.pruner",
            "pruners belong to a `search:`. Here, every proposal is trained for all of its epochs, so that all variants "
            "get the same budget. Remove this key.",
        ),
        (
            "{space: {batch_size: [8, 16]}, tuner: cma_es}",
            "tune.tuner",
            "cma_es adapts ranges of numbers, and this space has only choices. Use tpe, random or grid.",
        ),
        (
            "{space: {batch_size: [8, 16]}, trails: 3}",
            "tune.trails",
            "unknown key 'trails'. Did you mean 'trials'?",
        ),
        (
            "{space: {batch_size: [8, 16]}, confirm: {best: 2}}",
            "tune.confirm",
            "unknown key 'confirm'. Valid names: budgets, direction, objective, parallel, seed, seeds, space, "
            "trials, tuner.",
        ),
        (
            "{space: {batch_size: [8, 16]}, seeds: [1, 2]}",
            "tune.seeds",
            "expected a whole number, not [1, 2].",
        ),
        (
            "{space: {batch_size: [8, 16]}, objective: val_f1}",
            "tune.objective",
            "'val_f1' is not measured on the validation images of every proposal. Valid names: val_accuracy, "
            "val_loss.",
        ),
        (
            "{space: {batch_size: [8, 16]}, trials: 4, budgets: [4]}",
            "tune.budgets",
            "each of these must be smaller than the whole budget, which is 4 proposals.",
        ),
    ],
)
def test_a_section_that_cannot_be_used(section: str, key: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(f"{GRID}tune: {section}\n", "utf-8")
    with pytest.raises(GridError) as caught:
        Study.from_yaml(file)
    assert str(caught.value) == f"{file}, line 7, {key}: {message}\n    7 | tune: {section}"


@pytest.mark.parametrize(
    ("line", "key", "message"),
    [
        (
            "variants: {other: {family: cnn, blocks: [[4]]}}",
            "tune.space.depth",
            "'plain' has no setting 'depth', and the space is the same for all variants. Remove it from the space.",
        ),
        (
            "seeds: [1000000]",
            "seeds",
            "tuning needs seeds below 1,000,000; searches and tuned variants use those above.",
        ),
        (
            "vary: [split, test]",
            "vary",
            "tuning needs the same test images for every seed, or it would choose settings on images that the "
            "comparison tests; remove test from vary.",
        ),
    ],
)
def test_a_study_that_cannot_be_tuned(line: str, key: str, message: str, tmp_path: Path) -> None:
    file, setting = tmp_path / "grid.yaml", "blocks" if "blocks" in line else "batch_size"
    values = "[[[3]], [[4]]]" if setting == "blocks" else "[8, 16]"
    file.write_text(
        f"study: tiny\nmodel: {{family: dense, dense: [4]}}\n{line}\ntune: {{space: {{{setting}: {values}}}}}\n",
        "utf-8",
    )
    with pytest.raises(GridError) as caught:
        Study.from_yaml(file)
    place, _, said = str(caught.value).partition(": ")
    assert place.split(", ")[-1] == key.replace("depth", setting)
    assert said.split("\n")[0] == message.replace("depth", setting)
