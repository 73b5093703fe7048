"""Optuna's samplers and pruners: they propose as keras-tuner's oracles do, and stop what falls behind."""

from __future__ import annotations

import json
import math
import textwrap
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablation import Study
from ablation.errors import GridError, RunError
from ablation.executors.contract import Progress, Task
from ablation.grid.search_space import Parameter
from ablation.grid.settings import DenseSettings, TrainingSettings
from ablation.grid.study import Variant
from ablation.grid.trial import Trial, TrialResult
from ablation.grid.tuners import method_sentence
from ablation.search.proposal import Proposal
from ablation.search.proposer import make_proposer
from ablation.search.report import search_report
from ablation.search.results import SearchRun
from ablation.search.run import run_search
from ablation.search.sampler import _pruner, rungs
from ablation.search.settings import Search, SearchSettings
from ablation.tuning.run import run_and_tune
from ablation.tuning.search import search_of

GRID = """
    study: tiny
    dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 40}
    model: {family: dense, dense: [8]}
    training: {epochs: EPOCHS, batch_size: 16}
    search: {SEARCH}
"""
SPACE = """space: {
      learning_rate: {range: [0.0001, 0.1], log: true},
      batch_size: {range: [2, 32], log: true, step: 2},
      width: {range: [0.5, 2.0], step: 0.25},
      batch_norm: [false, true],
      batch_norm_momentum: {range: [0.5, 0.9], when: {batch_norm: true}}}"""
PLAIN = Variant(
    name="plain", model=DenseSettings(), training=TrainingSettings(epochs=27), levels={}, crossed=False
)
STUDY = Study(name="tiny", variants=(PLAIN,), factors={}, baseline="plain", seeds=(0,))
EVERY = ["tuner: tpe", "tuner: cma_es", *(f"tuner: {tuner}, pruner: {pruner}" for tuner, pruner in (
    ("tpe", "median"), ("tpe", "successive_halving"), ("tpe", "hyperband"), ("cma_es", "successive_halving")))]  # fmt: skip


@pytest.fixture
def searched(tmp_path: Path) -> Callable[..., Search]:
    """Return a function that reads a search."""

    def read(rest: str, space: str = SPACE, epochs: int = 27) -> Search:
        text = GRID.replace("EPOCHS", str(epochs)).replace("SEARCH", f"{space}, {rest}")
        (tmp_path / "grid.yaml").write_text(textwrap.dedent(text), "utf-8")
        return Search.from_yaml(tmp_path / "grid.yaml")

    return read


def quality(proposal: Proposal) -> float:
    """The score of a made-up training: best at a learning rate of 0.005 and a width of 1, and better later."""
    values = proposal.values
    distance = math.log10(values["learning_rate"]) + 2.3
    return float(0.7 - 0.2 * distance**2 - 0.1 * (values["width"] - 1) ** 2 + (proposal.epochs or 27) / 1000)


def proposed(
    search: Search, score: Callable[[Proposal], float | None] = quality, folder: Path = Path("unused")
) -> list[tuple[Proposal, float | None]]:
    """What is proposed, with its scores."""
    proposer, made = make_proposer(search, folder), list[tuple[Proposal, float | None]]()
    for proposals in proposer.rounds():
        for proposal in proposals:
            made.append((proposal, score(proposal)))
            proposer.tell(*made[-1])
    return made


def ends(made: Iterable[tuple[Proposal, float | None]]) -> list[int | None]:
    """After how many epochs each setting ended, in the order of the last proposals."""
    proposals = [proposal for proposal, _ in made]
    gone_on = {proposal.goes_on_from for proposal in proposals}
    return [proposal.epochs for proposal in proposals if proposal.name not in gone_on]


# What is proposed


@pytest.mark.parametrize("tuner", EVERY)
def test_proposals_follow_from_the_seed_and_the_scores_alone(
    tuner: str, searched: Callable[..., Search]
) -> None:
    first = proposed(searched(f"{tuner}, trials: 20"))
    np.random.seed(7)  # noqa: NPY002 - no global state has a part in it
    assert proposed(searched(f"{tuner}, trials: 20")) == first
    other_seed = proposed(searched(f"{tuner}, trials: 20, seed: 1"))
    assert other_seed[0] != first[0]
    other_scores = proposed(searched(f"{tuner}, trials: 20"), lambda p: -quality(p))
    assert [p for p, _ in other_scores] != [p for p, _ in first]


@pytest.mark.parametrize("tuner", ["tpe", "cma_es"])
def test_a_sampler_learns_from_the_scores(tuner: str, searched: Callable[..., Search]) -> None:
    for seed in range(2):
        made = proposed(searched(f"tuner: {tuner}, trials: 40, seed: {seed}"))
        scores = [score for _, score in made if score is not None]
        assert np.mean(scores[-10:]) > np.mean(scores[:10]) + 0.05


def test_a_lower_objective_can_be_the_better_one(searched: Callable[..., Search]) -> None:
    made = proposed(searched("tuner: tpe, trials: 40, objective: val_loss"), lambda p: -quality(p))
    scores = [score for _, score in made if score is not None]
    assert np.mean(scores[-10:]) < np.mean(scores[:10]) - 0.05


@pytest.mark.parametrize("tuner", ["tpe", "cma_es"])
def test_conditions_steps_and_scales_are_kept(tuner: str, searched: Callable[..., Search]) -> None:
    search = searched(f"tuner: {tuner}, trials: 40, parallel: 4")
    values = [proposal.values for proposal, _ in proposed(search)]
    assert len(values) == 40
    for given_values in values:
        assert 1e-4 <= given_values["learning_rate"] <= 0.1
        assert given_values["batch_size"] in (2, 4, 8, 16, 32)
        assert given_values["width"] in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
        assert ("batch_norm_momentum" in given_values) == given_values["batch_norm"]
        assert json.loads(json.dumps(given_values)) == given_values
        search.variant("x", given_values)  # all of it is valid
    assert {given_values["batch_norm"] for given_values in values} == {False, True}


@st.composite
def numeric_ranges(draw: st.DrawFn) -> Parameter:
    log = draw(st.booleans())
    if draw(st.booleans()):
        low = draw(st.integers(1 if log else -50, 50))
        ends: tuple[float | int, ...] = (low, low + draw(st.integers(1, 60)))
        step = draw(st.none() | st.integers(2, 9))
    else:
        low_end = draw(st.floats(1e-6 if log else -10, 10))
        ends = (low_end, low_end + draw(st.floats(0.01, 10)))
        step = draw(st.none() | st.floats(1.01, 9))
    return Parameter(range=ends, step=step, log=log)


@settings(max_examples=25, deadline=None)
@given(numeric_ranges(), st.sampled_from(["tpe", "cma_es"]))
def test_every_value_is_in_its_range_and_on_a_step(parameter: Parameter, tuner: str) -> None:
    search = Search(study=STUDY, settings=SearchSettings(space={"x": parameter}, tuner=tuner, trials=5))
    assert parameter.range is not None
    for proposal, _ in proposed(search, lambda p: float(p.values["x"])):
        value = proposal.values["x"]
        assert type(value) is (int if parameter.is_whole else float)
        assert parameter.range[0] <= value <= parameter.range[1]
        if parameter.step:
            assert value in parameter.stepped


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        (Parameter(range=(0.0, 0.6), step=0.1), pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])),
        (Parameter(range=(6, 13), step=3), [6, 9, 12]),
        (Parameter(range=(2, 32), step=2, log=True), [2, 4, 8, 16, 32]),
        (Parameter(range=(0.001, 0.1), step=10, log=True), pytest.approx([0.001, 0.01, 0.1])),
    ],
)
def test_a_step_reaches_the_end_of_its_range_and_no_further(parameter: Parameter, values: Any) -> None:
    assert parameter.range is not None
    assert parameter.stepped == values
    assert max(parameter.stepped) <= parameter.range[1]


@pytest.mark.parametrize("tuner", ["tpe", "cma_es"])
def test_a_small_space_is_exhausted_and_nothing_is_proposed_twice(
    tuner: str, searched: Callable[..., Search]
) -> None:
    space = "space: {dense: [[4], [8]], batch_size: {range: [1, 3]}}"
    made = proposed(searched(f"tuner: {tuner}, trials: 20", space), lambda p: 0.5)
    assert len(made) == 6
    assert len({repr(proposal.values) for proposal, _ in made}) == 6


def test_optuna_says_nothing_and_keeps_what_it_was_set_to(
    searched: Callable[..., Search], capfd: pytest.CaptureFixture[str]
) -> None:
    verbosity = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for tuner in ("tuner: tpe, pruner: hyperband", "tuner: cma_es"):
            proposed(searched(f"{tuner}, trials: 14"))
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == verbosity


# CMA-ES and choices


def test_cma_es_adapts_ranges_and_draws_choices_at_random() -> None:
    assert method_sentence("cma_es", choices="batch_norm, dense") == (
        "Optuna's CMA-ES sampler (Hansen and Ostermeier, 2001) made the proposals. CMA-ES adapts ranges of numbers only; it "
        "draws batch_norm, dense at random."
    )
    assert method_sentence("cma_es") == (
        "Optuna's CMA-ES sampler (Hansen and Ostermeier, 2001) made the proposals."
    )


@pytest.mark.parametrize(
    "space",
    [
        "space: {learning_rate: {range: [0.0001, 0.1], log: true}, width: [0.5, 1.0, 2.0]}",
        "space: {width: [1.0, 2.0], learning_rate: {range: [0.0001, 0.1], log: true, when: {width: 1.0}},"
        " batch_size: {range: [2, 64]}}",
    ],
    ids=["one range", "a range under a condition"],
)
def test_cma_es_adapts_a_single_range_and_one_under_a_condition(
    space: str, searched: Callable[..., Search]
) -> None:
    def score(proposal: Proposal) -> float:
        return quality(
            proposal.model_copy(update={"values": {"learning_rate": 1e-4, "width": 1.0, **proposal.values}})
        )

    made = proposed(searched("tuner: cma_es, trials: 40", space), score)
    rates = [
        math.log10(p.values["learning_rate"]) + 2.3 for p, _ in made[-20:] if "learning_rate" in p.values
    ]
    assert np.mean(np.abs(rates)) < 0.45  # 0.77 if drawn at random


# Pruning


@pytest.mark.parametrize(("epochs", "factor"), [(4, 2), (4, 3), (27, 3), (20, 3), (243, 3), (7, 7)])
def test_the_rungs_are_those_of_hyperband(
    epochs: int, factor: int, searched: Callable[..., Search], tmp_path: Path
) -> None:
    if epochs == 20:  # an oracle takes seconds to ask
        hyperband = proposed(searched(f"tuner: hyperband, factor: {factor}", epochs=epochs), folder=tmp_path)
        assert sorted({proposal.epochs for proposal, _ in hyperband}) == rungs(epochs, factor)
    made = proposed(
        searched(f"tuner: tpe, pruner: median, trials: 1, factor: {factor}", epochs=epochs), lambda p: 0.5
    )
    assert [proposal.epochs for proposal, _ in made] == rungs(epochs, factor)
    assert [p.goes_on_from for p, _ in made] == [None, *(p.name for p, _ in made[:-1])]
    assert len({repr(p.values) for p, _ in made}) == 1


def test_the_median_pruner_stops_what_is_behind_after_five_whole_trainings(
    searched: Callable[..., Search],
) -> None:
    made = proposed(
        searched("tuner: tpe, pruner: median, trials: 12, parallel: 1"),
        lambda p: (0.9 if int(p.name[6:]) < 20 else 0.1) + (p.epochs or 0) / 1000,
    )
    assert ends(made) == [27] * 5 + [1] * 7


def test_successive_halving_lets_the_best_third_go_on(searched: Callable[..., Search]) -> None:
    made = proposed(searched("tuner: tpe, pruner: successive_halving, trials: 60, parallel: 4"))
    lengths = ends(made)
    assert len(lengths) == 60
    first, second = (sum(epochs is not None and epochs > least for epochs in lengths) for least in (1, 3))
    assert 15 <= first <= 35  # a sampler that learns proposes better ones later
    assert second < first


def test_hyperband_has_a_bracket_for_every_rung() -> None:
    """Of six brackets, the last one stops nothing; rounding must not lose it, as log(243) / log(3) would."""
    settings = SearchSettings(space={}, tuner="tpe", pruner="hyperband")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name="search", direction="maximize", pruner=_pruner(settings, 6),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )  # fmt: skip
    stopped = []
    for number in range(600):
        trial = study.ask()
        for rung in range(5):
            trial.report(-number, 3**rung)
            if trial.should_prune():
                stopped.append(rung)
                break
        study.tell(trial, -number)
    assert set(stopped) == {0, 1, 2, 3, 4}
    assert 600 - len(stopped) > 5  # the first one of each of the five other brackets is never behind


def test_a_failed_proposal_is_neither_pruned_nor_continued(searched: Callable[..., Search]) -> None:
    made = proposed(
        searched("tuner: tpe, pruner: median, trials: 8"),
        lambda p: None if p.epochs == 3 and int(p.name[6:]) % 2 else quality(p),
    )
    failed = {proposal.name for proposal, score in made if score is None}
    assert failed
    assert not failed & {proposal.goes_on_from for proposal, _ in made}
    assert len(ends(made)) == 8


# In `tune:`


def test_variants_are_tuned_from_the_same_first_proposals(tmp_path: Path) -> None:
    text = GRID[: GRID.index("search:")].replace("EPOCHS", "2") + (
        "variants: {wide: {width: 2}}\n"
        "    tune: {space: {learning_rate: {range: [0.001, 0.1], log: true}}, tuner: tpe, trials: 12}\n"
    )
    (tmp_path / "grid.yaml").write_text(textwrap.dedent(text), "utf-8")
    study = Study.from_yaml(tmp_path / "grid.yaml")
    made = {
        (variant.name, search): [
            proposal.values["learning_rate"]
            for proposal, _ in proposed(
                search_of(study, variant, search), lambda p: p.values["learning_rate"]
            )
        ]
        for variant in study.variants
        for search in (1, 2)
    }
    assert {len(rates) for rates in made.values()} == {12}
    assert made["plain", 1] == made["wide", 1]
    assert not set(made["plain", 1]) & set(made["plain", 2])


# What is missing


@pytest.mark.parametrize(("tuner", "missing"), [("tpe", "optuna"), ("cma_es", "cmaes")])
def test_a_missing_package_is_named_before_anything_is_trained(
    tuner: str,
    missing: str,
    searched: Callable[..., Search],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ablation.search.proposer.find_spec", lambda name: None if name == missing else name)
    message = (
        f"`tuner: {tuner}` needs {missing}, which is not installed: pip install 'ablation-harness[optuna]'"
    )
    search = searched(f"tuner: {tuner}")
    with pytest.raises(RunError) as error:
        run_search(search, tmp_path / "out")
    assert str(error.value) == message
    grid = (tmp_path / "grid.yaml").read_text("utf-8").replace("search:", "tune:")
    (tmp_path / "grid.yaml").write_text(grid, "utf-8")
    with pytest.raises(RunError) as error:
        run_and_tune(Study.from_yaml(tmp_path / "grid.yaml"), tmp_path / "out")
    assert str(error.value) == message
    assert not (tmp_path / "out").exists()


def test_a_hypermodel_is_left_to_keras_tuner(tmp_path: Path) -> None:
    (tmp_path / "own_of_optuna.py").write_text(
        "import keras\n\ndef build(hp):\n    units = hp.Choice('units', [2, 4])\n    return keras.Sequential("
        "[keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(units)])\n"
    )
    text = "study: x\ndataset: {name: digits}\nsearch: {hypermodel: 'own_of_optuna:build', tuner: tpe}\n"
    (tmp_path / "grid.yaml").write_text(text, "utf-8")
    with pytest.raises(GridError) as error:
        Search.from_yaml(tmp_path / "grid.yaml")
    assert str(error.value).endswith(
        "search.tuner: tpe cannot search a HyperModel, whose hyperparameters are those of keras-tuner; use random, grid, "
        "bayesian or hyperband.\n    3 | search: {hypermodel: 'own_of_optuna:build', tuner: tpe}"
    )


# A whole search


class Interrupting:
    """Keeps what is trained, and can interrupt a search after some trials."""

    def __init__(self, most: int = 10**9) -> None:
        self.trained: list[str] = []
        self._most = most

    def planned(self, trials: object, pending: list[Task]) -> None:
        pass

    def progressed(self, progress: Progress) -> None:
        pass

    def finished(self, trial: Trial, result: TrialResult) -> None:
        self.trained.append(trial.id)
        if len(self.trained) == self._most:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("without_report")
def test_a_search_that_is_interrupted_goes_on_and_names_what_was_pruned(
    searched: Callable[..., Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablation.search.run.write_search_report", lambda run: run.folder)
    space = "space: {learning_rate: {range: [0.00001, 0.03], log: true}, width: [0.5, 1.0]}"
    rest = (
        "tuner: tpe, pruner: successive_halving, factor: 2, trials: 5, seeds: 1, confirm: {best: 1, seeds: 2}"
    )
    search, folder = searched(rest, space, epochs=2), tmp_path / "out"
    first, second = Interrupting(5), Interrupting()
    with pytest.raises(KeyboardInterrupt):
        run_search(search, folder, executor="inline", observer=first)
    before = json.loads((folder / "search.json").read_text("utf-8"))["proposals"]
    done = run_search(search, folder, executor="inline", observer=second)
    again = [p.model_dump(mode="json") | {"pruned": False} for p in done.proposals]
    assert again[: len(before)] == before
    assert not set(first.trained) & set(second.trained)

    table = done.table.set_index("trial")
    gone_on = set(table["goes_on_from"]) - {""}
    assert set(table["status"]) == {"completed", "pruned"}
    for name, row in table.iterrows():
        assert (row["status"] == "pruned") == (row["epochs"] == 1 and name not in gone_on)
        assert (row["epochs"] == 2) == (not math.isnan(row["rank"]))
    pruned = int((table["status"] == "pruned").sum())
    assert len(table) - len(gone_on) == 5

    report = search_report(SearchRun(folder), [])
    assert "by the TPE sampler with the successive-halving pruner, " in report.lead
    tried = next(section for section in report.sections if section.id == "trials-tried")
    assert tried.notes[0] == (
        "Optuna's TPE sampler (Bergstra et al., 2011) made the proposals, and its successive-halving pruner (Jamieson and "
        "Talwalkar, 2016) stopped some early."
    )
    assert tried.notes[2].endswith(f" Pruned: {pruned} proposal{'s' if pruned != 1 else ''}.")
    assert sum(row[-1].text == "pruned" for row in tried.tables[0].rows) == pruned
    rows = {row[0].text: row[1].text for row in report.sections[-1].tables[0].rows}
    assert (rows["tuner"], rows["pruner"]) == ("tpe", "successive_halving")
