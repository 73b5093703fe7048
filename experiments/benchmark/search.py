"""The same search twice, side by side: with this harness, and with plain keras-tuner.

    pip install '.[benchmark]'
    python experiments/benchmark/search.py            # the search of digits.yaml
    python experiments/benchmark/search.py --tuners random tpe cma_es tpe+median

(a) `ablation search`, including its confirmation with fresh seeds, its figures and its report;
(b) keras-tuner: the same space, oracle, seed, trials and executions per trial, `fit` on arrays.

Each of the two is a process of its own, timed from start to end. They take turns as often as `--repeats`
says. Then the best setting of (b) is confirmed as (a) confirms its own, with the same fresh seeds. So the
two answers are compared by what they are worth, and not by the score that each search gave them.

With `--tuners`, (a) is run once with each of these tuners, where `tpe+median` names a pruner, too. `--epochs`
and `--trials` make that smaller.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from speed import _arrays, timed

from ablation.grid.yaml_positions import read_yaml
from ablation.search.results import SearchRun
from ablation.search.run import run_search
from ablation.search.settings import Search
from ablation.search.tables import winner

DIGITS = Path(__file__).parent / "digits.yaml"


def harness(grid: Path, folder: Path) -> dict[str, Any]:
    """(a): return the winner's scores."""
    found = run_search(Search.from_yaml(grid), folder / "out")
    best = winner(found.confirmation, found.search.settings.maximise)
    row = found.confirmation.set_index("trial").loc[best]
    values = next(p.values for p in found.proposals if p.name == best)
    return {"values": values, "searched": float(row["searched"]), **_means(found.confirmed, best)}


def tuner(grid: Path, folder: Path) -> dict[str, Any]:
    """(b): return the best setting, and the score that keras-tuner gives it."""
    import keras
    import keras_tuner

    from ablation.grid.seeding import Randomness
    from ablation.models.build import build_model
    from ablation.search.oracle import decoded, hyperparameters

    search = Search.from_yaml(grid)
    settings = search.settings
    _, images = _arrays(grid)
    x, y = images["train"]

    def values_of(chosen: Any) -> dict[str, Any]:
        active = [name for name in settings.space if chosen.is_active(name)]
        return {name: decoded(settings.space[name], chosen.get(name)) for name in active}

    class Model(keras_tuner.HyperModel):
        """The same model as (a) builds."""

        def build(self, chosen: Any) -> Any:
            variant = search.variant("", values_of(chosen))
            model = build_model(variant.model, x.shape[1:], y.shape[1], Randomness(0))
            optimizer = keras.optimizers.Adam(variant.training.learning_rate)
            model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
            return model

        def fit(self, chosen: Any, model: Any, *args: Any, **options: Any) -> Any:
            training = search.variant("", values_of(chosen)).training
            return model.fit(*args, batch_size=training.batch_size, epochs=training.epochs, **options)

    plain = keras_tuner.BayesianOptimization(
        Model(), objective=settings.objective, max_trials=settings.trials, seed=settings.seed + 1,
        hyperparameters=hyperparameters(settings.space), tune_new_entries=False, allow_new_entries=False,
        executions_per_trial=len(settings.seeds), directory=folder, project_name="plain",
    )  # fmt: skip
    plain.search(x, y, validation_data=images["val"], verbose=0)
    best = plain.oracle.get_best_trials(1)[0]
    return {"values": values_of(best.hyperparameters), "searched": best.score}


def confirmed(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Train a setting with the seeds that confirm (a)'s, and return its scores."""
    from ablation import run_study

    found = SearchRun(folder / "out")
    study = found.confirmed.study
    variants = (study.variants[0], found.search.variant("theirs", values))
    run = run_study(study.model_copy(update={"variants": variants}), folder / "theirs")
    return _means(run, "theirs")


def _means(run: Any, name: str) -> dict[str, Any]:
    own = run.results[run.results["variant"] == name]
    return {part: float(own[f"{part}_accuracy"].mean()) for part in ("val", "test")}


WAYS = {"a": harness, "b": tuner}


def compare_tuners(names: list[str], epochs: int, trials: int) -> None:
    """Run (a) with each tuner, and print what it cost and what it found."""
    print(f"{'tuner':<24} epochs trained  best in the search  confirmed: validation   test accuracy")
    for name in names:
        tuner, _, pruner = name.partition("+")
        grid = json.loads(json.dumps(read_yaml(DIGITS).data))
        grid["training"]["epochs"] = epochs
        grid["search"] |= {"tuner": tuner, "trials": trials} | ({"pruner": pruner} if pruner else {})
        if tuner == "hyperband":
            del grid["search"]["trials"]
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "grid.yaml").write_text(json.dumps(grid))
            found = harness(folder / "grid.yaml", folder)
            searched = SearchRun(folder / "out")
            table = searched.table.set_index("trial")["epochs"]
            again = table.loc[[p.goes_on_from for p in searched.proposals if p.goes_on_from]].sum()
            trained = len(searched.search.settings.seeds) * int(table.sum() - again)
        scores = f"{found['searched']:19.1%} {found['val']:22.1%} {found['test']:15.1%}"
        print(f"{name:<24} {trained:14} {scores}", flush=True)


def main() -> None:
    """Parse the command line; `--way` is how this script starts itself."""
    if len(sys.argv) > 1 and sys.argv[1] == "--way":
        way, grid, folder = sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
        (folder / "report.json").write_text(json.dumps(WAYS[way](grid, folder)))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--tuners", nargs="+", help="tuners to compare, such as tpe or tpe+median")
    parser.add_argument("--epochs", type=int, default=40, help="with --tuners")
    parser.add_argument("--trials", type=int, default=20, help="with --tuners")
    given = parser.parse_args()
    if given.tuners:
        compare_tuners(given.tuners, given.epochs, given.trials)
        return
    repeats = given.repeats
    for turn in range(repeats):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "grid.yaml").write_text(json.dumps(read_yaml(DIGITS).data))
            found = {way: timed(way, folder / "grid.yaml", folder, __file__) for way in WAYS}
            found["b"] |= confirmed(folder, found["b"]["values"])
        print(f"turn {turn + 1}     seconds  best in the search  confirmed: validation   test accuracy")
        for way, run in found.items():
            scores = f"{run['searched']:19.1%} {run['val']:22.1%} {run['test']:15.1%}"
            print(f"  ({way}) {run['seconds']:12.1f} {scores}")
        print(f"  (a) / (b): {found['a']['seconds'] / found['b']['seconds']:.2f}", flush=True)


if __name__ == "__main__":
    main()
