"""keras-tuner proposes, the study's executor and store run it, fresh seeds confirm it."""

from __future__ import annotations

import json
import math
import signal
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft7Validator
from processes import ablation, in_this_process, start, wait_until

from ablation import Run, grid_schema
from ablation.analysis.phrases import signed_points
from ablation.errors import GridError, RunError
from ablation.grid.search_space import Parameter
from ablation.grid.yaml_positions import read_yaml
from ablation.search.ablate import ablation_study, changed_settings
from ablation.search.figures import best_so_far, coordinates
from ablation.search.proposer import make_proposer
from ablation.search.report import search_report
from ablation.search.results import SearchRun
from ablation.search.run import run_search
from ablation.search.settings import Search
from ablation.search.tables import importance_table, winner
from ablation.store.run_folder import Store

GRID = """
    study: tiny
    dataset: {name: digits, train_size: 100, validation_size: 60, test_size: 80}
    model: {family: dense, dense: [8]}
    training: {epochs: 4, batch_size: 16, learning_rate: 0.003}
    compare: {against: all}
    search:
      space:
        learning_rate: {range: [0.0001, 0.1], log: true}
        batch_norm: [false, true]
        batch_norm_momentum: {range: [0.5, 0.9], when: {batch_norm: true}}
        dense: [[8], [16]]
      tuner: random
      trials: 4
      confirm: {best: 2, seeds: 2}
"""


@pytest.fixture
def write_search(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the grid with other keys in its `search:` section."""

    def write(text: str = GRID, **changes: object) -> Path:
        lines = [f"      {key}: {json.dumps(value)}" for key, value in changes.items()]
        kept = [
            line
            for line in text.rstrip().split("\n")
            if not any(line.startswith(f"      {k}:") for k in changes)
        ]
        file = tmp_path / "grid.yaml"
        file.write_text(textwrap.dedent("\n".join([*kept, *lines, ""])), "utf-8")
        return file

    return write


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> SearchRun:
    """A small search with everything; tests only read it."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "grid.yaml").write_text(textwrap.dedent(GRID), "utf-8")
    search = Search.from_yaml(folder / "grid.yaml")
    with pytest.MonkeyPatch.context() as patch:  # the reports of its runs are tested elsewhere
        patch.setattr("ablation.workflow.run_study.write_report", lambda run: run.folder / "report.html")
        return run_search(search, folder / "out", executor="inline", then_ablate=True)


def proposals(
    search: Search, folder: Path, score: Callable[[int], float | None]
) -> list[list[tuple[object, ...]]]:
    """What an oracle proposes, round by round, when its k-th proposal is told the k-th score."""
    proposer, rounds, told = make_proposer(search, folder), [], 0
    for proposed in proposer.rounds():
        rounds.append([(p.name, repr(p.values), p.epochs, p.goes_on_from) for p in proposed])
        for proposal in proposed:
            proposer.tell(proposal, score(told))
            told += 1
    return rounds


# What is searched


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{}", "a search needs a `search:` section with either a `space:` of settings or a `hypermodel:`."),
        ("{space: {dropuot: [0, 0.1]}}", "unknown setting 'dropuot'. Did you mean 'dropout'?"),
        ("{space: {dropout: {min: 0}}}", "unknown key 'min'. Valid names: choice, log, range, step, when."),
        (
            "{space: {model: {dropout: [0]}}}",
            "unknown key 'dropout'. Valid names: choice, log, range, step, when.",
        ),
        (
            "{space: {normalise: [unit, standard]}}",
            "'normalise' belongs to the dataset, which is the same for all variants.",
        ),
        ("{space: {dropout: {range: [0.5, 1.5]}}}", "expected a value less than 1, not 1.5"),
        ("{space: {dropout: {range: [0.5, 0.1]}}}", "the range must end above its beginning"),
        (
            "{space: {dropout: {range: [0.0, 0.1], log: true}}}",
            "a range on a logarithmic scale must begin above 0",
        ),
        (
            "{space: {learning_rate: {range: [0.0001, 0.1], step: 0.1, log: true}}}",
            "on a logarithmic scale, step is the factor between values, so it must be above 1",
        ),
        (
            "{space: {batch_size: {range: [8, 64], step: 0.5}}}",
            "the step of a range of whole numbers must be a whole number",
        ),
        ("{space: {dropout: {log: true}}}", "needs either a range, like {range: [0.0001, 0.01], log: true}"),
        (
            "{space: {dropout: {range: [0.0, 0.5], when: {width: 2}}}}",
            "'width' is not another parameter of this space.",
        ),
        (
            "{space: {width: [1, 2], dropout: {range: [0.0, 0.5], when: {width: 3}}}}",
            "3 is not one of the choices of 'width'.",
        ),
        (
            "{space: {width: {choice: [1, 2], when: {depth: 1}}, depth: {choice: [1, 2], when: {width: 1}}}}",
            "these conditions are circular.",
        ),
        (
            "{space: {dropout: [0, 0.1]}, tuner: hyperband, trials: 3}",
            "hyperband sets the number of trials itself",
        ),
        (
            "{space: {dropout: [0, 0.1]}, tuner: hyperbnd}",
            "hyperbnd is not a valid value. Did you mean 'hyperband'?",
        ),
        (
            "{space: {dropout: [0, 0.1]}, pruner: median}",
            "a pruner needs a sampler of Optuna, `tuner: tpe` or `tuner: cma_es`, not random.",
        ),
        (
            "{space: {dropout: [0, 0.1]}, tuner: tpe, pruner: medain}",
            "medain is not a valid value. Did you mean 'median'?",
        ),
        (
            "{space: {dropout: [0, 0.1]}, tuner: cma_es}",
            "cma_es adapts ranges of numbers, and this space has only choices. Use tpe, random or grid.",
        ),
        (
            "{space: {dropout: [0, 0.1]}, tuner: tpe, pruner: hyperband, factor: 40}",
            "with 30 epochs and factor 40, there is no shorter training after which proposals could be compared. Raise "
            "`training.epochs`, or remove the pruner.",
        ),
        (
            "{space: {epochs: [1, 2]}, tuner: tpe, pruner: median}",
            "median sets the number of epochs itself, up to the `epochs` of `training`.",
        ),
        ("{space: {epochs: [1, 2]}, tuner: hyperband}", "hyperband sets the number of epochs itself"),
        ("{space: {dropout: [0, 0.1]}, objective: test_accuracy}", "search.objective"),
        ("{space: {dropout: [0, 0.1]}, tunr: random}", "unknown key 'tunr'. Did you mean 'tuner'?"),
    ],
)
def test_a_wrong_search_section_is_told_with_its_place(section: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(f"study: x\ndataset: {{name: digits}}\nsearch: {section}\n", "utf-8")
    with pytest.raises(GridError) as error:
        Search.from_yaml(file)
    assert message in str(error.value)
    assert f"{file}, line 3, search" in str(error.value)


def test_the_study_of_the_same_file_does_not_mind_its_search(write_search: Callable[..., Path]) -> None:
    from ablation import Study

    assert len(Study.from_yaml(write_search()).variants) == 1


def test_conditions_and_scales_are_kept(write_search: Callable[..., Path], tmp_path: Path) -> None:
    search = Search.from_yaml(write_search(trials=60))
    found = make_proposer(search, tmp_path)
    (proposed,) = (found.rounds().__next__(),)
    rates = np.array([p.values["learning_rate"] for p in proposed])
    assert rates.min() >= 1e-4
    assert rates.max() <= 0.1
    assert (
        0.3 < (rates < math.sqrt(1e-4 * 0.1)).mean() < 0.7
    )  # half of them below the middle of the log scale
    for proposal in proposed:
        assert ("batch_norm_momentum" in proposal.values) == proposal.values["batch_norm"]
        assert proposal.values["dense"] in ([8], [16])
    assert len({p.values["batch_norm"] for p in proposed}) == 2


# What the oracles propose


@pytest.fixture
def without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorBoard is an extra, which keras-tuner imports for its own tuners, but not for its oracles."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)


@pytest.mark.usefixtures("without_tensorboard")
@pytest.mark.parametrize("tuner", ["random", "grid", "bayesian", "hyperband", "tpe", "cma_es"])
def test_the_same_scores_bring_the_same_proposals(
    tuner: str, write_search: Callable[..., Path], tmp_path: Path
) -> None:
    changes = {"trials": None} if tuner == "hyperband" else {"trials": 6}
    space = {"batch_norm": [False, True], "dense": [[8], [16], [24]], "width": [1, 2]}
    search = Search.from_yaml(write_search(tuner=tuner, **changes))
    if tuner == "grid":
        search = search.model_copy(
            update={"settings": search.settings.model_copy(update={"space": {
                name: Parameter(choice=tuple(values)) for name, values in space.items()}})}
        )  # fmt: skip
    scores = np.random.default_rng(0).random(100)
    runs = [proposals(search, tmp_path / str(k), lambda k: float(scores[k])) for k in range(2)]
    assert runs[0] == runs[1]
    expected = {"random": [6], "grid": [6], "hyperband": [6, 1]}.get(tuner, [2, 2, 2])
    assert [len(proposed) for proposed in runs[0]][: len(expected)] == expected or tuner == "hyperband"
    if tuner in ("random", "grid"):
        assert proposals(search, tmp_path / "other", lambda k: float(scores[-k - 1])) == runs[0]


@pytest.mark.parametrize("tuner", ["random", "tpe", "cma_es"])
def test_seed_0_means_0(tuner: str, write_search: Callable[..., Path], tmp_path: Path) -> None:
    first, second, other = (
        proposals(Search.from_yaml(write_search(tuner=tuner, seed=seed)), tmp_path / f"{k}", lambda k: 0.5)
        for k, seed in enumerate((0, 0, 1))
    )
    assert first == second != other


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband", "tpe", "cma_es"])
def test_failed_trials_never_end_a_search(
    tuner: str, write_search: Callable[..., Path], tmp_path: Path
) -> None:
    changes = {"trials": None} if tuner == "hyperband" else {"trials": 12}
    search = Search.from_yaml(write_search(tuner=tuner, **changes))
    rounds = proposals(search, tmp_path / "all", lambda k: None)
    assert sum(map(len, rounds)) == (12 if tuner != "hyperband" else sum(map(len, rounds))) > 4
    some = proposals(search, tmp_path / "some", lambda k: None if k % 2 else 0.1 + k / 1000)
    none = proposals(search, tmp_path / "none", lambda k: 0.1 + k / 1000)
    assert sum(map(len, some)) == sum(map(len, none))


def test_a_space_that_is_too_small_for_hyperband_is_told(tmp_path: Path) -> None:
    text = GRID[: GRID.index("search:")].replace("epochs: 4", "epochs: 3")
    text += "search: {space: {dropout: [0, 0.1]}, tuner: hyperband, seeds: 1}\n"
    (tmp_path / "grid.yaml").write_text(textwrap.dedent(text), "utf-8")
    folder = tmp_path / "out"
    with pytest.raises(RunError) as error:
        run_search(Search.from_yaml(tmp_path / "grid.yaml"), folder, executor="inline")
    assert str(error.value) == (
        f"{folder}: hyperband trained no proposal for all 3 epochs, because the space has too few different settings to "
        "fill a rung. Use `tuner: grid`, which tries all of them."
    )


# What is trained


def test_every_seed_of_every_proposal_has_its_row_and_no_test_set_was_read(found: SearchRun) -> None:
    results = found.explored.results
    assert results["variant"].tolist() == [n for n in ["plain", *found.table["trial"]] for _ in range(2)]
    assert results["test_accuracy"].isna().all()
    assert not list(found.folder.glob("search/trials/*/test_probabilities.npy"))
    assert found.confirmed.results["test_accuracy"].notna().all()


def test_the_score_is_the_mean_of_the_last_epoch_over_the_seeds(found: SearchRun) -> None:
    history = found.explored.history
    last = history[history["epoch"] == 4].groupby("variant")["val_accuracy"].mean()
    assert found.table.set_index("trial")["objective"].to_dict() == pytest.approx(
        {name: last[name] for name in found.table["trial"]}
    )
    ranked = found.table.sort_values("rank")["objective"]
    assert ranked.is_monotonic_decreasing


def test_the_best_are_confirmed_with_seeds_that_the_search_never_saw(found: SearchRun) -> None:
    assert set(found.confirmed.study.seeds) == {2, 3}
    assert [v.name for v in found.confirmed.study.variants] == [
        "plain", *found.table.nsmallest(2, "rank")["trial"]
    ]  # fmt: skip
    row = found.confirmation.iloc[0]
    fresh = found.confirmed.results.query("variant == @row.trial")["val_accuracy"].mean()
    assert row["confirmed"] == pytest.approx(fresh)
    assert row["optimism"] == pytest.approx(row["searched"] - fresh)
    comparisons = found.confirmed.comparisons.set_index("variant")
    assert set(comparisons["baseline"]) == {found.confirmed.study.baseline}  # whatever else the grid asks
    assert row["difference"] == comparisons.loc[row["trial"], "difference"]


def test_the_winner_is_chosen_by_validation_and_taken_apart(found: SearchRun) -> None:
    assert found.ablated is not None
    best = winner(found.confirmation, True)
    assert found.confirmation.set_index("trial")["confirmed"].idxmax() == best
    study = found.ablated.study
    full = next(v for v in study.variants if v.name == study.baseline)
    confirmed = next(v for v in found.confirmed.study.variants if v.name == best)
    assert full.model.effective == confirmed.model.effective
    assert full.training == confirmed.training
    assert changed_settings(found.search.baseline, full)
    assert not set(study.seeds) & {0, 1, 2, 3}
    written = json.loads(json.dumps(read_yaml(found.folder / "ablation.yaml").data))
    assert [error.message for error in Draft7Validator(grid_schema()).iter_errors(written)] == []


def test_the_report_and_tables_are_there(found: SearchRun) -> None:
    page = (found.folder / "report.html").read_text("utf-8")
    for title in (
        "Confirmation",
        "Ablation of the winner",
        "Proposals",
        "Importance of the settings",
    ):
        assert f"{title}</h2>" in page
    assert found.confirmed.trials[0].id in page
    assert page.count("data:image/png") >= 3
    table = pd.read_csv(found.folder / "search.csv")
    assert table["objective"].tolist() == pytest.approx(found.table["objective"].tolist())


def with_verdicts(run: Run, **verdicts: str) -> Run:
    """The run of a confirmation whose comparisons with the baseline have these verdicts."""
    decided = Run(run.folder)
    rows = run.comparisons.assign(verdict=[*verdicts.values()], reason="2 pairs; a verdict needs 3")
    pair = rows.tail(1).assign(variant="trial b", baseline="trial a", verdict="better")  # of `against: all`
    decided.__dict__["comparisons"] = pd.concat([rows, pair])
    return decided


@pytest.mark.parametrize(
    ("verdicts", "which"),
    [
        (("", ""), "none of these comparisons is decided"),
        (("unresolved", ""), "none of these comparisons is decided"),
        (("unresolved", "worse"), "of these comparisons, only that of {second} is decided"),
        (("equivalent", "better"), "all of these comparisons are decided"),
    ],
)
def test_the_best_mean_is_called_no_ranking(found: SearchRun, verdicts: tuple[str, str], which: str) -> None:
    searched = SearchRun(found.folder)
    first, second = found.confirmation["trial"]
    searched.__dict__["confirmed"] = with_verdicts(
        found.confirmed, **{first: verdicts[0], second: verdicts[1]}
    )
    best, *compared = search_report(searched, []).findings
    row = found.confirmation.set_index("trial").loc[winner(found.confirmation, True)]
    optimism = signed_points(row["optimism"])
    assert best.text == (
        f"With fresh seeds, {row.name} has the highest mean validation accuracy of the confirmed proposals: "
        f"{row['confirmed']:.1%} (n = 2 seeds). In the search, its score was {row['searched']:.1%}, an optimism of "
        f"{optimism} points. This is not a ranking: in test accuracy, the proposals were compared with plain only, "
        f"not with each other, and {which.format(second=second)}."
    )
    assert [finding.verdict for finding in (best, *compared)] == ["", *verdicts]  # no badge without a verdict
    missing = [finding.text for finding in compared if not finding.verdict]
    assert all("plain in test accuracy: 2 pairs; a verdict needs 3 (" in text for text in missing)


def test_one_confirmed_proposal_has_nothing_to_be_ranked_with(found: SearchRun) -> None:
    searched = SearchRun(found.folder)
    best = winner(found.confirmation, True)
    searched.__dict__["confirmation"] = found.confirmation[found.confirmation["trial"] == best]
    alone = Run(found.confirmed.folder)
    alone.__dict__["comparisons"] = found.confirmed.comparisons.query("variant == @best")
    searched.__dict__["confirmed"] = alone
    text = search_report(searched, []).findings[0].text
    row = searched.confirmation.iloc[0]
    assert text == (
        f"With fresh seeds, {best} has a mean validation accuracy of {row['confirmed']:.1%} (n = 2 seeds). In the "
        f"search, its score was {row['searched']:.1%}, an optimism of {signed_points(row['optimism'])} points."
    )


def test_the_ablation_of_the_winner_names_each_variant_once(found: SearchRun) -> None:
    assert found.ablated is not None
    searched, all_pairs = SearchRun(found.folder), found.ablated.comparisons
    pairs = all_pairs.assign(baseline=all_pairs["variant"].iloc[0], verdict="")
    ablated = Run(found.ablated.folder)
    ablated.__dict__["comparisons"] = pd.concat([all_pairs, pairs])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SearchRun, "ablated", ablated)
        section = next(s for s in search_report(searched, []).sections if s.id == "ablation")
    assert [row[0].text for row in section.tables[0].rows] == all_pairs["variant"].tolist()


def test_the_same_command_again_trains_nothing(found: SearchRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablation.search.run.write_search_report", lambda run: run.folder)
    monkeypatch.setattr("ablation.workflow.run_study.write_report", lambda run: run.folder)
    before = {file: file.stat().st_mtime_ns for file in found.folder.rglob("trial.json")}
    again = run_search(found.search, found.folder, executor="inline", then_ablate=True)
    assert {file: file.stat().st_mtime_ns for file in found.folder.rglob("trial.json")} == before
    pd.testing.assert_frame_equal(again.table.drop(columns="seconds"), found.table.drop(columns="seconds"))


@pytest.mark.slow
@pytest.mark.usefixtures("without_report")
def test_a_proposal_that_diverges_has_no_score_and_the_search_goes_on(
    write_search: Callable[..., Path], tmp_path: Path
) -> None:
    text = GRID.replace("dense: [[8], [16]]", "optimizer: [adam, sgd]").replace(
        "[0.0001, 0.1]", "[0.01, 10000000000000.0]"
    )
    search = Search.from_yaml(
        write_search(
            text.replace("batch_norm: [false, true]", "batch_norm: [true, false]"),
            trials=6,
            seeds=[0],
            confirm={"best": 1, "seeds": 2},
        )
    )
    done = run_search(search, tmp_path / "out", executor="inline")
    assert len(done.table) == 6
    failed = done.table[done.table["status"] == "diverged"]
    assert len(failed) > 0
    assert failed["objective"].isna().all()
    assert failed["rank"].isna().all()


@pytest.mark.usefixtures("without_report")
@pytest.mark.slow
def test_hyperband_goes_on_from_the_lower_rung_and_comes_to_the_same_bits(
    write_search: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = GRID.replace("epochs: 4", "epochs: 2")
    settings = {"trials": None, "factor": 2, "seeds": [0], "confirm": {"best": 1, "seeds": 2}}
    search = Search.from_yaml(write_search(text, tuner="hyperband", **settings))
    monkeypatch.setattr("ablation.search.run.write_search_report", lambda run: run.folder)
    first = run_search(search, tmp_path / "carried", executor="inline")
    carried = first.table[first.table["goes_on_from"] != ""]
    assert len(carried) > 0
    assert set(carried["epochs"]) == {2}
    assert first.table.dropna(subset=["rank"])["epochs"].unique().tolist() == [2]
    monkeypatch.setattr(Store, "copy_checkpoint", lambda *_: None)
    anew = run_search(search, tmp_path / "anew", executor="inline")
    columns = ["trial", "learning_rate", "objective", "rank"]
    pd.testing.assert_frame_equal(first.table[columns], anew.table[columns])
    assert not list((tmp_path / "carried" / "search" / "trials").glob(".running/*/checkpoint.npz"))
    lower = first.explored.history.query("variant == @carried.iloc[0].goes_on_from")
    upper = first.explored.history.query("variant == @carried.iloc[0].trial")
    assert upper["seconds"].tolist()[: len(lower)] == lower["seconds"].tolist()  # the very same epochs


@pytest.mark.unix
@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{"tuner": "bayesian"}, {"tuner": "random"}, {"tuner": "tpe", "pruner": "median", "factor": 2}],
    ids=lambda changes: changes["tuner"],
)
def test_killed_at_any_moment_it_ends_with_the_same_table(
    changes: dict[str, object], write_search: Callable[..., Path], tmp_path: Path
) -> None:
    grid, out = write_search(trials=4, **changes), tmp_path / "killed"
    code = "from ablation.cli.app import main; main()"
    command = [sys.executable, "-c", code, "search", "--grid", str(grid), "--out", str(out), "--workers", "2"]
    for trials in (1, 4, 9, 12):

        def far_enough(count: int = trials) -> bool:
            return len(list(out.glob("*/trials/*/trial.json"))) >= count

        process = start(command)
        wait_until(far_enough)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    done = ablation("search", "--grid", grid, "--out", out, "--workers", 2)
    assert done.returncode == 0, done.stderr
    whole = ablation("search", "--grid", grid, "--out", tmp_path / "whole", "--executor", "inline")
    assert whole.returncode == 0, whole.stderr
    for name in ("search", "confirmation"):
        tables = [
            pd.read_csv(folder / f"{name}.csv", dtype=str).drop(columns="seconds", errors="ignore")
            for folder in (out, tmp_path / "whole")
        ]
        pd.testing.assert_frame_equal(*tables)


# A user's own HyperModel

MODULE = """
import keras
import keras_tuner

def build(hp):
    inputs = keras.Input((8, 8, 1))
    values = keras.layers.Flatten()(inputs)
    values = keras.layers.Dense(hp.Int("units", 4, 16, step=4), "relu", kernel_regularizer="l2")(values)
    if hp.Boolean("dropout"):
        values = keras.layers.Dropout(hp.Float("rate", 0.1, 0.5))(values)
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax")(values))
    model.compile(keras.optimizers.SGD(hp.Float("rate_of_learning", 0.001, 1.0, sampling="log")), "sparse_categorical_crossentropy")
    return model

class Mine(keras_tuner.HyperModel):
    def build(self, hp):
        return build(hp)

def broken(hp):
    raise ValueError("not today")
"""


@pytest.mark.usefixtures("without_report")
@pytest.mark.slow
def test_a_users_hypermodel_is_searched_and_confirmed(
    write_search: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(MODULE, "utf-8")
    head = GRID[: GRID.index("      space:")]
    by_function = Search.from_yaml(write_search(head, hypermodel="own:build"))
    search = Search.from_yaml(
        write_search(head, hypermodel="own:Mine", trials=2, confirm={"best": 1, "seeds": 2})
    )
    assert search.settings.space == by_function.settings.space
    assert list(search.settings.space) == ["units", "dropout", "rate_of_learning"]
    assert search.settings.space["rate_of_learning"] == Parameter(range=(0.001, 1.0), log=True)
    done = run_search(search, tmp_path / "out", executor="inline")
    assert done.table["status"].tolist() == ["completed"] * 2
    assert done.explored.results["variant"].unique().tolist() == ["defaults", "trial 00", "trial 01"]
    assert len(done.confirmed.results) == 4
    with pytest.raises(RunError, match="those of a HyperModel are its own"):
        ablation_study(done)
    (tmp_path / "own.py").write_text(MODULE + "# changed", "utf-8")
    sys.modules.pop("own")
    changed = Search.from_yaml(tmp_path / "grid.yaml")
    assert changed.baseline.model.effective != search.baseline.model.effective  # so it makes other trials


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:build", "the module 'nowhere' cannot be imported (ModuleNotFoundError"),
        ("own_x:biuld", "'own_x' has no HyperModel 'biuld'; expected module:object. Did you mean 'build'?"),
        ("own_x:broken", "the HyperModel cannot be built: ValueError: not today"),
    ],
)
def test_a_hypermodel_that_is_not_there_or_cannot_be_built_is_told(
    name: str, message: str, write_search: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "own_x.py").write_text(MODULE, "utf-8")
    sys.modules.pop("own_x", None)
    with pytest.raises(GridError) as error:
        Search.from_yaml(write_search(GRID[: GRID.index("      space:")], hypermodel=name))
    assert message in str(error.value)
    assert "search.hypermodel" in str(error.value)


# What it says


def planted(trials: int) -> tuple[Search, pd.DataFrame]:
    """Proposals whose objective depends on the learning rate, and on the width not at all."""
    generator = np.random.default_rng(4)
    space = {
        "learning_rate": Parameter(range=(1e-4, 1e-1), log=True),
        "width": Parameter(choice=(1, 2, 4)),
    }
    table = pd.DataFrame({
        "learning_rate": np.exp(generator.uniform(np.log(1e-4), np.log(1e-1), trials)),
        "width": generator.choice([1, 2, 4], trials),
    })  # fmt: skip
    distance = np.log10(table["learning_rate"]) + 2.5
    table["objective"] = 0.9 - 0.2 * distance**2 + generator.normal(0, 0.02, trials)
    settings = type("S", (), {"space": space})
    return type("P", (), {"settings": settings})(), table  # type: ignore[return-value]


def test_the_setting_that_matters_is_named_and_the_other_is_not() -> None:
    table = importance_table(*planted(20)).set_index("parameter")
    assert table.loc["learning_rate", "importance"] > 0.5
    assert abs(table.loc["width", "importance"]) < 0.1
    assert table["explained"].iloc[0] > 0.5


def test_where_nothing_can_be_predicted_nothing_is_said_to_matter() -> None:
    search, table = planted(20)
    noise = table.assign(objective=np.random.default_rng(5).normal(size=20))
    assert importance_table(search, noise)["importance"].isna().all()
    assert importance_table(search, table.head(7))["importance"].isna().all()


def test_figures_show_the_best_so_far_and_values_in_their_place() -> None:
    table = pd.DataFrame({"objective": [0.2, np.nan, 0.5, 0.3]})
    assert best_so_far(table, True).tolist()[2:] == [0.5, 0.5]
    assert best_so_far(table, False).iloc[-1] == 0.2
    places, ticks = coordinates(Parameter(range=(1e-4, 1e-2), log=True), pd.Series([1e-4, 1e-3, 1e-2, None]))
    assert places[:3] == pytest.approx([0, 0.5, 1])
    assert math.isnan(places[3])
    assert ticks == [(0.0, "0.0001"), (1.0, "0.01")]
    places, ticks = coordinates(Parameter(choice=([8], [16])), pd.Series([[16], [8]], dtype=object))
    assert places == [1, 0]


def test_a_folder_that_is_no_search_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not the folder of a search: it has no search.json"):
        SearchRun(tmp_path)


def test_commands_know_a_searchs_folder(found: SearchRun) -> None:
    written = in_this_process("report", found.folder)
    assert written.returncode == 0, written.stderr
    assert written.stdout.strip() == str(found.folder / "report.html")
    refused = in_this_process("status", found.folder)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"Error: {found.folder} is the folder of a search; its runs are in the subfolders search/ and confirmation/.\n"
    )
