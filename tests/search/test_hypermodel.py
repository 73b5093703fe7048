"""A HyperModel's hyperparameters are found and searched as keras-tuner's own `Tuner` does."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ablation.errors import GridError
from ablation.grid.search_space import Parameter
from ablation.search.hypermodel import declared_hyperparameters
from ablation.search.proposer import make_proposer
from ablation.search.results import SearchRun
from ablation.search.run import run_search
from ablation.search.settings import Search

HYPERMODELS = """
    import keras
    from keras import layers

    def layers_in_a_loop(hp):
        model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()])
        for i in range(hp.Int("layers", 1, 3)):
            model.add(layers.Dense(hp.Choice(f"units_{i}", [8, 16]), "relu"))
        model.add(layers.Dense(10, "softmax"))
        model.compile(keras.optimizers.Adam(hp.Choice("rate", [0.01, 0.001])), "categorical_crossentropy")
        return model

    def scopes(hp):
        kind = hp.Choice("kind", ["dense", "conv"])
        model = keras.Sequential([keras.Input((8, 8, 1))])
        with hp.conditional_scope("kind", ["conv"]):
            if kind == "conv":
                model.add(layers.Conv2D(hp.Int("filters", 2, 4), 3, activation=hp.Fixed("of_conv", "relu")))
                if hp.Boolean("pool"):
                    with hp.conditional_scope("pool", [True]):
                        model.add(layers.MaxPooling2D(hp.Choice("size", [2, 3])))
        model.add(layers.Flatten())
        with hp.conditional_scope("kind", ["dense"]):
            if kind == "dense":
                model.add(layers.Dense(hp.Choice("units", [4, 8]), activation=hp.Fixed("of_dense", "tanh")))
        with hp.name_scope("head"):
            model.add(layers.Dropout(hp.Fixed("rate", 0.25)))
        model.add(layers.Dense(10, "softmax"))
        return model

    def shared_name(hp):
        kind = hp.Choice("kind", ["a", "b"])
        hp.Int("always", 3, 3)
        for each in ("a", "b"):
            with hp.conditional_scope("kind", [each]):
                if kind == each:
                    units = hp.Int("units", 2, 8)
        return keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(units)])

    def broken_in_a_scope(hp):
        kind = hp.Choice("kind", ["good", "bad"])
        with hp.conditional_scope("kind", ["bad"]):
            if kind == "bad":
                raise ValueError("not today")
        return keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10, "softmax")])

    def broken_in_a_loop(hp):
        if hp.Int("layers", 1, 2) == 2 and hp.Choice("size", [1, 2]):
            raise ValueError("not today")
        return layers_in_a_loop(hp)

    class Declared:
        def declare_hyperparameters(self, hp):
            hp.Choice("units", [4, 8])

        def build(self, hp):
            units = hp.get("units")
            return keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(units)])
"""
GRID = """
    study: s
    dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
    training: {epochs: 4, batch_size: 16}
    search: {hypermodel: "hypermodels:NAME", tuner: TUNER, REST}
"""


@pytest.fixture
def searched(tmp_path: Path) -> Iterator[Callable[..., Search]]:
    """Return a function that reads a search over one of the HyperModels above."""
    (tmp_path / "hypermodels.py").write_text(textwrap.dedent(HYPERMODELS), "utf-8")

    def read(name: str, tuner: str = "random", rest: str = "trials: 8") -> Search:
        text = GRID.replace("NAME", name).replace("TUNER", tuner).replace("REST", rest)
        (tmp_path / "grid.yaml").write_text(textwrap.dedent(text), "utf-8")
        sys.modules.pop("hypermodels", None)
        return Search.from_yaml(tmp_path / "grid.yaml")

    yield read
    sys.modules.pop("hypermodels", None)


def proposed(search: Search, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Parameter]]:
    """What is proposed when all scores are equal, and what had been searched when it ended."""
    proposer, values = make_proposer(search, folder), list[dict[str, Any]]()
    for proposals in proposer.rounds():
        for proposal in proposals:
            values.append(proposal.values)
            proposer.tell(proposal, 0.5)
    return values, proposer.space


@pytest.mark.parametrize("name", ["layers_in_a_loop", "scopes"])
@pytest.mark.parametrize("tuner", ["random", "grid"])
def test_the_proposals_are_those_of_keras_tuner(
    name: str, tuner: str, searched: Callable[..., Search], tmp_path: Path
) -> None:
    import keras_tuner

    values, space = proposed(searched(name, tuner, "trials: 9"), tmp_path / "here")
    module, reference = sys.modules["hypermodels"], list[dict[str, Any]]()

    class Tuner({"random": keras_tuner.RandomSearch, "grid": keras_tuner.GridSearch}[tuner]):  # type: ignore[misc]
        def run_trial(self, trial: Any, **_: object) -> dict[str, float]:
            self.hypermodel.build(trial.hyperparameters)
            reference.append(dict(trial.hyperparameters.values))
            return {"val_accuracy": 0.5}

    objective = keras_tuner.Objective("val_accuracy", "max")
    reference_tuner = Tuner(
        getattr(module, name), objective, 9, seed=1, directory=str(tmp_path / "reference")
    )
    reference_tuner.search(verbose=0)
    assert len(values) == len(reference) == 9
    assert [{key: of[key] for key in own} for own, of in zip(values, reference, strict=True)] == values
    known = reference_tuner.oracle.get_space().space
    assert set(space) == {parameter.name for parameter in known if len(list(parameter.values)) > 1}


@pytest.mark.parametrize(
    ("name", "tuner", "rest"),
    [
        pytest.param("layers_in_a_loop", "bayesian", "trials: 10", marks=pytest.mark.slow),
        ("scopes", "hyperband", "factor: 2"),
    ],
)
def test_proposals_that_meet_new_hyperparameters_are_repeated_exactly(
    name: str, tuner: str, rest: str, searched: Callable[..., Search], tmp_path: Path
) -> None:
    search = searched(name, tuner, rest)
    first, space = proposed(search, tmp_path / "first")
    assert (first, space) == proposed(search, tmp_path / "second")
    assert len({values.get("units_1", values.get("filters")) for values in first}) > 2  # none, and several


def test_a_proposal_has_only_the_values_that_its_model_uses(
    searched: Callable[..., Search], tmp_path: Path
) -> None:
    values, _ = proposed(searched("layers_in_a_loop"), tmp_path)
    assert {len(v) - 2 for v in values} == {v["layers"] for v in values}  # besides layers and rate
    scoped, _ = proposed(searched("scopes", "random", "trials: 12"), tmp_path)
    fixed = {(v["kind"], v.get("of_dense"), v.get("of_conv"), v["head/rate"]) for v in scoped}
    assert fixed == {("dense", "tanh", None, 0.25), ("conv", None, "relu", 0.25)}


def test_the_search_starts_from_the_defaults_and_knows_every_scope(searched: Callable[..., Search]) -> None:
    search = searched("scopes")
    assert search.baseline.model.values == {
        "kind": "dense", "units": 4, "of_dense": "tanh", "head/rate": 0.25,
    }  # fmt: skip
    found = declared_hyperparameters(sys.modules["hypermodels"].Declared())
    assert found[1] == {"units": 4}
    assert search.settings.space == {
        "kind": Parameter(choice=("dense", "conv")),
        "units": Parameter(choice=(4, 8), when={"kind": "dense"}),
        "filters": Parameter(range=(2, 4), when={"kind": "conv"}),
        "pool": Parameter(choice=(False, True), when={"kind": "conv"}),
    }


def test_one_name_in_two_scopes_is_refused(searched: Callable[..., Search]) -> None:
    with pytest.raises(GridError) as error:
        searched("shared_name")
    assert (
        "search.hypermodel: two hyperparameters are named 'units', each under its own condition. keras-tuner "
        "mixes up their values; give each a name of its own."
    ) in str(error.value)


def test_a_scope_that_cannot_be_built_is_named(searched: Callable[..., Search]) -> None:
    with pytest.raises(GridError) as error:
        searched("broken_in_a_scope")
    assert (
        "search.hypermodel: the HyperModel cannot be built with kind = bad: ValueError: not today "
        "(hypermodels.py, line "
    ) in str(error.value)


@pytest.mark.usefixtures("without_report")
def test_what_cannot_be_built_fails_and_later_layers_are_searched(
    searched: Callable[..., Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablation.search.run.write_search_report", lambda run: run.folder)
    search = searched("broken_in_a_loop", "random", "trials: 5, seeds: 1, confirm: {best: 1, seeds: 2}")
    done = run_search(search, tmp_path / "out", executor="inline")
    again = SearchRun(tmp_path / "out")
    table = again.table
    assert table["status"].tolist() == ["failed" if deep == 2 else "completed" for deep in table["layers"]]
    assert set(table["status"]) == {"failed", "completed"}
    assert (
        list(done.search.settings.space) == list(again.search.settings.space) == ["layers", "units_0", "rate"]
    )
    causes = done.explored.results.query("status == 'failed'")["cause"]
    assert set(causes) == {"ValueError: not today (hypermodels.py, line 49)"}
