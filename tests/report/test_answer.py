"""The first screen answers the study's question: what is resolved first, then all that is open in one line."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from invented_runs import Accuracies, invented_run

from ablation import Run, Study
from ablation.figures.effects import drawings
from ablation.grid.trial import Trial
from ablation.report.document import Finding
from ablation.report.open_line import shared_n
from ablation.report.sections import study_report

GRID = """
    study: small
    dataset: {name: digits, train_size: 120, validation_size: 70, test_size: 200}
    model: {family: dense, dense: [8]}
    training: {epochs: 1, batch_size: 8}
    compare: {margin: 3pp, holds_for: [seeds]}
    seeds: 5
"""
Invent = Callable[..., Run]


@pytest.fixture
def invent(tmp_path: Path) -> Invent:
    """Return a function that invents a run of variants with the given accuracies, the first one the baseline."""

    def invent(accuracies: Accuracies, changes: Mapping[str, str] | None = None, **options: Any) -> Run:
        text = textwrap.dedent(GRID)
        for old, new in (changes or {}).items():
            assert old in text
            text = text.replace(old, new)
        variants = [] if callable(accuracies) else [name for name in accuracies if name != "plain"]
        if variants:
            text += "variants:\n" + "".join(
                f"  '{name}': {{learning_rate: {0.001 * (k + 2):.3f}}}\n" for k, name in enumerate(variants)
            )
        file = tmp_path / "grid.yaml"
        file.write_text(text, "utf-8")
        return invented_run(Study.from_yaml(file), tmp_path / "run", accuracies, **options)

    return invent


def answer(run: Run) -> list[Finding]:
    return list(study_report(run, []).findings)


def numbers(run: Run, variant: str) -> str:
    """Return a comparison's numbers as the tables have them."""
    row = run.comparisons.set_index("variant").loc[variant]
    values = [f"{100 * row[key]:+.1f}".replace("-", "−") for key in ("difference", "low", "high")]
    level = f"{100 * row['confidence']:.1f}".removesuffix(".0")
    return f"{values[0]} points, {level}% interval {values[1]} to {values[2]}"


def test_what_is_resolved_comes_first_and_what_is_open_is_one_line(invent: Invent) -> None:
    run = invent({"plain": 0.6, "open": 0.601, "good": 0.9, "also open": 0.602, "bad": 0.3}, deviation=0.01)
    better, worse, unresolved = answer(run)
    assert better.text == f"good ({numbers(run, 'good')}, n = 5 pairs) is better than plain in test accuracy."
    assert worse.text == f"bad ({numbers(run, 'bad')}, n = 5 pairs) is worse than plain in test accuracy."
    assert [finding.verdict for finding in (better, worse, unresolved)] == ["better", "worse", "unresolved"]
    assert unresolved.text.startswith(
        "Unresolved: whether open or also open differ from plain in test accuracy (n = 5 pairs). Detecting a "
        "difference of 3.0 pp with a power of 80% takes about "
    )
    assert unresolved.text.count(".") - unresolved.text.count("3.0") == 2  # two sentences
    assert (better.sources, unresolved.sources) == ("0-4 10-14", "0-9 15-19")


def test_the_seeds_that_would_resolve_it_are_those_of_the_anytime_valid_test(invent: Invent) -> None:
    run = invent({"plain": 0.6, "open": 0.601}, deviation=0.05)
    (open_,) = answer(run)
    needed = Run(run.folder)
    needed.study = run.study.model_copy(update={"compare": run.compare.model_copy(update={"looks": "any"})})
    row = needed.seeds_needed.iloc[0]
    more, low, high = (f"{row[name] - 5:,.0f}" for name in ("seeds", "seeds_low", "seeds_high"))
    minutes = round(float(more) * 2 * 60)
    time = (
        f"{minutes // 3600} h {minutes % 3600 // 60} min"
        if minutes >= 3600
        else f"{minutes // 60} min {minutes % 60} s"
    )
    assert open_.text == (
        f"Whether open differs from plain in test accuracy is unresolved ({numbers(run, 'open')}, n = 5 pairs). "
        f"Detecting a difference of 3.0 pp with a power of 80% takes about {more} more seeds per variant (80% "
        f"interval {low} to {high}; {time} of training on one worker)."
    )


def test_many_variants_are_counted_and_the_largest_differences_given(invent: Invent) -> None:
    names = {f"variant {k}": 0.8 + 0.01 * k if k % 2 else 0.6 for k in range(1, 15)}
    run = invent({"plain": 0.6, **names}, deviation=0.01)
    better, unresolved = answer(run)
    decided = run.comparisons[run.comparisons["verdict"] == "better"]
    first = decided.sort_values("difference", ascending=False)["variant"].tolist()[:3]
    assert better.text == (
        f"{len(decided)} variants are better than plain in test accuracy (n = 5 pairs); the largest differences are "
        f"those of {first[0]} ({numbers(run, first[0])}), {first[1]} ({numbers(run, first[1])}) and {first[2]} "
        f"({numbers(run, first[2])})."
    )
    assert unresolved.text.startswith(
        "Unresolved: whether variant 2, variant 4, variant 6 or 4 more differ from plain"
    )


def test_equivalent_variants_are_a_result(invent: Invent) -> None:
    run = invent({"plain": 0.6, "same": 0.6}, {"margin: 3pp": "margin: 20pp"}, deviation=0.01)
    (only,) = answer(run)
    assert only.verdict == "equivalent"
    assert only.text.endswith("is equivalent to plain in test accuracy, within ±20.0 pp.")


def test_pending_trials_come_before_further_seeds(invent: Invent) -> None:
    def leave(trial: Trial) -> bool:
        return trial.seed == 4

    (open_,) = answer(invent({"plain": 0.6, "open": 0.61, "other": 0.6}, leave=leave))
    assert open_.text.endswith("(n = 4 pairs). 3 trials are pending, which may resolve this.")


@pytest.mark.parametrize(
    ("accuracies", "options", "text"),
    [
        ({"plain": 0.6, "a": 0.6}, {"leave": lambda trial: True}, "No trial is completed yet."),
        (
            {"plain": 0.6, "a": 0.6, "b": 0.7}, {"leave": lambda trial: trial.seed > 0},
            "a and b have no verdict: 1 pair; a verdict needs 3. 12 trials are pending, which may resolve this.",
        ),
        (
            {"plain": 0.6, "a": 0.6}, {"fail": lambda trial: trial.variant == "a"},
            "a has no verdict: 0 pairs; a verdict needs 3. How many seeds would resolve this cannot be estimated "
            "from these trials.",
        ),
    ],
)  # fmt: skip
def test_it_is_honest_where_nothing_can_be_said(
    invent: Invent, accuracies: dict[str, float], options: dict[str, Any], text: str
) -> None:
    assert [finding.text for finding in answer(invent(accuracies, **options))] == [text]


def test_a_variant_alone_has_a_mean_and_no_comparison(invent: Invent) -> None:
    run = invent({"plain": 0.6})
    mean = run.results["test_accuracy"].mean()
    (only,) = answer(run)
    assert only.text == (
        f"plain has a mean test accuracy of {mean:.1%} (n = 5 seeds). There is no other variant to compare it with."
    )


@pytest.mark.parametrize("design", ["fractional", "full"])
def test_where_effects_are_the_question_they_are_the_answer(invent: Invent, design: str) -> None:
    factors = f"design: {design}\nfactors: {{dropout: [0, 0.3], width: [1, 2], depth: [1, 2], activation: [relu, tanh]}}\nseeds: 5"

    def accuracy(name: str) -> float:
        return 0.6 + 0.2 * ("Dropout" in name) - 0.2 * ("tanh" in name)

    changes = {"seeds: 5": factors, "{margin": "{questions: effects, margin"}
    run = invent(accuracy, changes, deviation=0.01)
    better, worse, *_, open_ = answer(run)
    assert better.text.startswith(
        "Averaged over the other factors, dropout = 0.3 makes test accuracy better (+"
    )
    assert worse.text.startswith(
        "Averaged over the other factors, activation = tanh makes test accuracy worse (−"
    )
    assert open_.text.startswith("Unresolved: the ")
    assert " on test accuracy (n = 5 seeds). Detecting a difference of 3.0 pp" in open_.text
    assert study_report(run, []).sections[0].id == "effects"
    assert [drawing.title for drawing in drawings(run)] == ["Effects on test accuracy"]


def test_beside_variants_the_effects_of_factors_are_one_sentence(invent: Invent) -> None:
    accuracies = {"plain": 0.5, "+Dropout": 0.7, "+BatchNorm": 0.6, "+both": 0.6}
    changes = {
        "compare: {margin: 3pp,": "factors: {dropout: [0, 0.3], batch_norm: [false, true]}\n"
        "compare: {margin: 3pp, questions: both,",
    }
    run = invent(accuracies.__getitem__, changes)
    findings = answer(run)
    assert [finding.verdict for finding in findings][:2] == ["better", ""]
    rows = run.effects.query("kind in ('main effect', 'interaction') and verdict in ('better', 'worse')")
    assert len(rows) >= 2
    parts = []
    for row in rows.to_dict("records"):
        mark = {"better": "▲", "worse": "▼"}[row["verdict"]]
        values = [f"{100 * row[key]:+.1f}".replace("-", "−") for key in ("difference", "low", "high")]
        level = f"{100 * row['confidence']:.1f}".removesuffix(".0")
        parts.append(
            f"{mark} {row['effect']} = {row['levels']} ({values[0]} points, {level}% interval {values[1]} to "
            f"{values[2]})"
        )
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}"
    assert findings[1].text == f"Effects of the factors on test accuracy: {listed} (n = 5 seeds)."


def test_the_n_of_a_single_effect_is_said_once() -> None:
    row = {"n": 5}
    assert shared_n([row], "seed") == ""  # it has its own
    assert shared_n([row, row], "seed") == " (n = 5 seeds)"
    assert shared_n([row, {"n": 4}], "seed") == ""


def test_a_factor_of_doses_is_answered_by_the_doses_that_could_be_the_best(invent: Invent) -> None:
    changes = {"seeds: 5": "factors: {dropout: [0, 0.1, 0.4]}\nseeds: 5"}
    run = invent(
        {"plain": 0.6, "+Dropout 0.1": 0.8, "+Dropout 0.4": 0.4}.__getitem__, changes, deviation=0.01
    )
    (finding,) = [finding for finding in answer(run) if finding.text.startswith("Doses")]
    assert finding.text == (
        "Doses that could be the best in test accuracy, at 95% confidence: 0.1 of dropout (n = 5 seeds; "
        "exploratory)."
    )
    assert len(finding.trials) == 15


def test_a_verdict_on_training_that_was_not_finished_says_so(invent: Invent) -> None:
    (better,) = answer(invent({"plain": 0.6, "good": 0.9}, {"epochs: 1,": "epochs: 6,"}))
    assert better.text.endswith(
        " is better than plain in test accuracy. good and plain were still improving, so this holds for this budget "
        "of epochs."
    )


def test_a_reservation_follows_the_verdict_that_it_is_about(invent: Invent) -> None:
    run = invent({"plain": 0.6, "good": 0.9, "bad": 0.3})
    run.comparisons.loc[run.comparisons["variant"] == "good", "unfinished"] = "good"
    run.comparisons.loc[run.comparisons["variant"] == "bad", "unfinished"] = ""
    better, worse = answer(run)
    assert better.text.endswith(". good was still improving, so this holds for this budget of epochs.")
    assert worse.text.endswith(" is worse than plain in test accuracy.")


def test_more_seeds_than_are_searched_for_are_said_without_a_number_of_them(invent: Invent) -> None:
    margin = {"{margin: 3pp": "{margin: 0.01pp"}
    (open_,) = answer(invent({"plain": 0.6, "open": 0.601}, margin, deviation=0.05))
    assert open_.text.endswith("with a power of 80% takes more than 10,000 seeds per variant.")


def test_caveats_and_details_move_to_their_sections_and_none_is_lost(invent: Invent) -> None:
    run = invent({"plain": 0.6, "good": 0.9})
    sections = {section.id: section for section in study_report(run, []).sections}
    assert sections["variants"].findings[0].text.startswith("good has the highest mean test accuracy: ")
    assert sections["support"].findings[0].text.startswith("good is better than plain in test accuracy (")


def test_what_is_set_for_the_dataset_is_listed_once(invent: Invent) -> None:
    run = invent({"plain": 0.5, "other": 0.6}, {"test_size: 200": "test_size: 200, label_noise: 0.25"})
    (methods,) = [section for section in study_report(run, []).sections if section.id == "measured"]
    listed = {row[0].text: row[1].text for row in methods.tables[0].rows}
    assert {key: text for key, text in listed.items() if "noise" in key} == {"dataset label noise": "0.25"}
