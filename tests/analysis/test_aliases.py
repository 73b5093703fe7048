"""Effects of a fractional design: what they estimate, which are aliased, and what is said of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablation import Study
from ablation.analysis.alias_phrases import alias_sentences, aliased_conclusion, design_notes, design_summary
from ablation.analysis.aliases import declared_groups, fractional_contrasts, groups_after_fold
from ablation.analysis.answers import study_answers
from ablation.analysis.effects import contrasts
from ablation.analysis.phrases import effect_conclusion
from ablation.analysis.questions import family_size
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.folding import folded

WriteGrid = Callable[[str], Path]
FACTORS = {
    "dropout": "[0, 0.2]", "batch_norm": "[false, true]", "width": "[1, 2]", "depth": "[1, 2]",
    "activation": "[relu, tanh]", "augmentation": "{none: [], shift: [shift]}",
    "learning_rate": "[0.001, 0.01]", "batch_size": "[16, 32]", "epochs": "[10, 20]",
}  # fmt: skip


@pytest.fixture
def fraction(write_grid: WriteGrid) -> Callable[[int], Study]:
    """Return a function that returns a fractional study of so many factors."""

    def read(factors: int, design: str = "design: fractional,") -> Study:
        listed = ", ".join(f"{name}: {levels}" for name, levels in list(FACTORS.items())[:factors])
        return Study.from_yaml(write_grid(f"{{study: s, {design} factors: {{{listed}}}}}"))

    return read


def cell(study: Study, name: str) -> dict[str, int]:
    variant = next(v for v in study.variants if v.name == name)
    return {factor: labels.index(variant.levels[factor]) for factor, labels in study.factors.items()}


def estimates(study: Study, value: Callable[[Mapping[str, int]], float]) -> dict[tuple[str, str], float]:
    """Return each effect of a study whose results have no noise."""
    return {
        (contrast.kind, contrast.effect): sum(
            weight * value(cell(study, name)) for name, weight in contrast.weights.items()
        )
        for contrast in contrasts(study)
    }


def test_effects_are_those_of_the_full_design_and_aliased_ones_their_sum(
    fraction: Callable[..., Study],
) -> None:
    """Without interactions of three factors, each estimate is the sum of what it names, to rounding."""
    generator = np.random.default_rng(0)
    study, full = fraction(6), fraction(6, "")
    names = list(study.factors)
    mains = dict(zip(names, generator.normal(size=6), strict=True))
    pairs = {pair: generator.normal() for pair in itertools.combinations(names, 2)}

    def value(levels: Mapping[str, int]) -> float:
        return sum(mains[n] * levels[n] for n in names) + sum(
            size * levels[a] * levels[b] for (a, b), size in pairs.items()
        )

    truth = estimates(full, value)
    found = estimates(study, value)
    assert len(found) == 6 + 7
    for (kind, effect), estimate in found.items():
        assert estimate == pytest.approx(sum(truth[kind, part] for part in effect.split(" + ")))
    # after a fold-over, those of the declared variants are as before, and further ones are separate
    after = estimates(folded(study, "width"), value)
    assert {key: after[key] for key in found} == found
    separated = {effect: size for (kind, effect), size in after.items() if kind == "separated interaction"}
    assert {effect for effect in separated if " + " not in effect} >= {
        "width × depth", "width × activation", "width × augmentation", "dropout × width", "batch_norm × width",
    }  # fmt: skip
    for effect, estimate in separated.items():
        assert estimate == pytest.approx(sum(truth["interaction", part] for part in effect.split(" + ")))
    for name in names:
        assert after["with fold-over", name] == pytest.approx(truth["main effect", name])


@given(st.integers(4, 9), st.data())
@settings(max_examples=25, deadline=None)
def test_every_contrast_is_orthogonal_to_every_other(factors: int, data: st.DataObject) -> None:
    from simulation_studies import fraction_of

    study = fraction_of("abcdefghi"[:factors])
    if data.draw(st.booleans()):
        study = folded(study, data.draw(st.sampled_from(list(study.factors))))
    for kinds in ({"main effect", "interaction"}, {"separated interaction", "with fold-over"}):
        of_kinds = [c for c in fractional_contrasts(study) if c.kind in kinds]
        weights = pd.DataFrame([c.weights for c in of_kinds]).to_numpy()
        if len(weights):
            assert np.allclose(weights.sum(axis=1), 0)
            products = weights @ weights.T
            assert np.allclose(products, np.diag(np.diag(products)))
    pairs = [pair for group in declared_groups(study) for pair in group.pairs]
    assert sorted(pairs) == sorted(itertools.combinations(study.factors, 2))
    if study.fold:  # which separates its interactions from all others
        assert not any(
            0 < sum(study.fold in pair for pair in group.pairs) < len(group.pairs)
            for group in groups_after_fold(study)
        )


def test_the_family_is_the_main_effects_and_the_sums_of_aliased_interactions(
    fraction: Callable[..., Study],
) -> None:
    assert [family_size(fraction(n)) for n in (4, 5, 6, 7, 8)] == [4 + 3, 5 + 10, 6 + 7, 7 + 7, 8 + 7]
    assert family_size(folded(fraction(8), "width")) == 8 + 7


def test_what_cannot_be_told_apart_is_said_in_words(fraction: Callable[..., Study]) -> None:
    study = fraction(4)
    assert design_notes(study) == [
        "The fractional design has 8 of the 16 combinations of 4 factors. Each main effect is estimated from all of "
        "them, and is not aliased with any interaction of two factors. Interactions of three or more factors are taken "
        "to be absent.",
        "dropout × batch_norm is measured together with width × depth: this design cannot tell them apart.",
        "dropout × width is measured together with batch_norm × depth: this design cannot tell them apart.",
        "dropout × depth is measured together with batch_norm × width: this design cannot tell them apart.",
        "`ablation run --fold-over` adds variants that separate some of these interactions, if their sum has a verdict "
        "of better or worse.",
    ]
    assert alias_sentences(fraction(8))[0] == (
        "dropout × batch_norm is measured together with width × activation, depth × augmentation and learning_rate × "
        "batch_size: this design cannot tell them apart."
    )
    assert alias_sentences(fraction(5)) == []
    assert design_notes(fraction(5)) == design_summary(fraction(5))
    assert design_notes(fraction(4, "")) == design_summary(fraction(4, "")) == []


def test_a_fold_over_is_said_in_words(fraction: Callable[..., Study]) -> None:
    study = folded(fraction(4), "depth")
    assert design_notes(study)[-1] == (
        "The design was folded over on depth, after the results of the first variants: 8 variants were added, the same "
        "ones with the other level of depth. Its interactions are now separate from all others. The declared questions "
        "are answered from the first variants alone, as before."
    )
    assert [note for note in alias_sentences(folded(fraction(6), "depth")) if note.startswith("After")] == [
        "After the fold-over, dropout × batch_norm is measured together with width × activation.",
        "After the fold-over, dropout × width is measured together with batch_norm × activation.",
        "After the fold-over, dropout × activation is measured together with batch_norm × width.",
    ]


@pytest.mark.parametrize(
    ("verdict", "metric", "sentence"),
    [
        ("better", "test_accuracy", "at least one of the interactions a × b and c × d gives a higher test accuracy than "
         "separate effects predict, and these variants cannot tell which"),
        ("worse", "test_loss", "at least one of the interactions a × b and c × d gives a higher test loss than separate "
         "effects predict, and these variants cannot tell which"),
        ("equivalent", "test_accuracy", "the sum of the interactions a × b and c × d changes test accuracy by less than "
         "the margin"),
        ("unresolved", "test_accuracy", "whether the sum of the interactions a × b and c × d changes test accuracy is "
         "unresolved"),
        ("", "test_accuracy", "the sum of the interactions a × b and c × d in test accuracy has no verdict: 2 pairs"),
    ],
)  # fmt: skip
def test_a_verdict_on_a_sum_says_no_more_than_it_knows(verdict: str, metric: str, sentence: str) -> None:
    compare = CompareSettings(metric=metric, margin=0.01)
    assert aliased_conclusion(["a × b", "c × d"], verdict, "2 pairs", compare) == sentence


def test_the_sentence_of_a_row_has_its_numbers(fraction: Callable[..., Study]) -> None:
    study = fraction(4)
    generator = np.random.default_rng(1)
    rows = [
        {"variant": v.name, "seed": seed, "status": "completed", "provenance": "here",
         "test_accuracy": 0.5 + 0.1 * cell(study, v.name)["width"] * cell(study, v.name)["depth"]
         + generator.normal(0, 0.001)}
        for v in study.variants for seed in range(5)
    ]  # fmt: skip
    effects = study_answers(pd.DataFrame(rows), study).effects
    row = effects[effects["effect"] == "dropout × batch_norm + width × depth"].iloc[0].to_dict()
    found = f"{100 * row['difference']:+.1f} points, 99.3% interval {100 * row['low']:+.1f} to"
    assert effect_conclusion(row, study.compare, 4) == (
        "At least one of the interactions dropout × batch_norm and width × depth gives a higher test accuracy than "
        f"separate effects predict, and these variants cannot tell which ({found} {100 * row['high']:+.1f}, n = 5 seeds)."
    )
    assert row["verdict"] == "better"
