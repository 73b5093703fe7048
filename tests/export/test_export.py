"""What other tools read of a run: TensorBoard, MLflow, Parquet."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from conftest import TINY_GRID
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.list_session_groups import Handler
from tensorboard.util.tensor_util import make_ndarray

from ablation import Run, Study
from ablation.data.datasets import Dataset
from ablation.errors import RunError
from ablation.executors.contract import Progress
from ablation.export.records import parameters
from ablation.export.tensorboard import TensorBoard
from ablation.grid.trial import TrialResult
from ablation.store.run_folder import Store
from ablation.workflow.observers import NullObserver

NO_TENSORBOARD = "TensorBoard is not installed: pip install 'ablation-harness[tensorboard]'"


@pytest.fixture
def run(finished_run: Run, tmp_path: Path) -> Run:
    """The finished run, in a folder that may be changed."""
    shutil.copytree(finished_run.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def points(folder: Path, name: str) -> list[tuple[int, float]]:
    """Return what TensorBoard shows of a measure: step and value."""
    shown = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    shown.Reload()
    return [(event.step, float(make_ndarray(event.tensor_proto))) for event in shown.Tensors(name)]


def session_groups(root: Path) -> dict[str, api_pb2.SessionGroup]:
    """Return what TensorBoard's HParams page lists, by the group's name."""
    multiplexer = EventMultiplexer(size_guidance={"tensors": 0}).AddRunsFromDirectory(str(root))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(root))
    request = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_UNKNOWN],
        aggregation_type=api_pb2.AGGREGATION_AVG,
        slice_size=100,
    )
    found = Handler(
        RequestContext(), Context(TBContext(data_provider=provider, logdir=str(root))), "", request
    ).run()
    return {group.name: group for group in found.session_groups}


def written(root: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


def test_tensorboard_shows_every_trial_by_epoch_and_at_its_end(run: Run) -> None:
    (where,) = run.export("tensorboard")
    assert where == str(run.folder / "tensorboard")
    for row in run.results.itertuples():
        folder = Path(where, row.variant, f"s{row.seed}")
        own = run.history[(run.history["variant"] == row.variant) & (run.history["seed"] == row.seed)]
        for column in ("loss", "accuracy", "train_loss", "train_accuracy", "val_loss", "val_accuracy"):
            found = points(folder, f"epoch/{column}")
            assert [step for step, _ in found] == [1, 2]
            assert [value for _, value in found] == pytest.approx(list(own[column]))
        assert [v for _, v in points(folder, "epoch/gap_accuracy")] == pytest.approx(list(own["true_gap"]))
        assert points(folder, "final/test_accuracy") == [(2, pytest.approx(row.test_accuracy))]
        assert points(folder, "final/gap_loss") == [(2, pytest.approx(row.gap_loss))]


def test_hparams_lists_a_group_a_variant_with_its_seeds(run: Run) -> None:
    (where,) = run.export("tensorboard")
    groups = session_groups(Path(where))
    assert set(groups) == {"plain", "+Dropout", "+BatchNorm", "+both"}
    both = groups["+both"]
    assert {name: value.number_value or value.bool_value for name, value in both.hparams.items()} == {
        "dropout": 0.3,
        "batch_norm": True,
    }
    assert [session.name for session in both.sessions] == ["+both/s0", "+both/s1"]
    assert {session.status for session in both.sessions} == {api_pb2.STATUS_SUCCESS}
    shown = {metric.name.tag: metric.value for metric in both.metric_values}
    mean = run.results.groupby("variant")["test_accuracy"].mean()["+both"]
    assert shown["final/test_accuracy"] == pytest.approx(mean)


def test_what_tensorboard_has_already_is_left_and_what_is_new_takes_its_place(run: Run) -> None:
    (where,) = run.export("tensorboard")
    before = written(Path(where))
    run.export("tensorboard")
    assert written(Path(where)) == before
    trial = run.trials[0]
    better = run.trial_results[trial.id].metrics | {"test_accuracy": 0.875}
    run.store.scratch(trial)
    run.store.commit(trial, run.trial_results[trial.id].model_copy(update={"metrics": better}))
    Run(run.folder).export("tensorboard")
    folder = Path(where, trial.variant, "s0")
    assert points(folder, "final/test_accuracy") == [(2, 0.875)]
    assert len(points(folder, "epoch/loss")) == 2
    after = written(Path(where))
    assert {file.parent for file in before.keys() | after.keys() if before.get(file) != after.get(file)} == {
        folder
    }


def test_a_trial_that_is_no_longer_the_studys_is_shown_no_longer(run: Run) -> None:
    (where,) = run.export("tensorboard")
    fewer = run.study.model_copy(update={"seeds": (1,)})
    run.store.open(fewer, run.dataset)
    Run(run.folder).export("tensorboard")
    assert {folder.name for folder in Path(where).glob("*/*")} == {"s1"}


class Interrupts(NullObserver):
    """Ends the run with the last trial's first epoch, as Ctrl-C would; looks at TensorBoard just before."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seen: list[tuple[int, float]] = []

    def progressed(self, progress: Progress) -> None:
        if progress.trial.seed == 1 and progress.record and progress.record.epoch == 2:
            self.seen = points(self.root / "plain" / "s1", "epoch/val_accuracy")
            raise KeyboardInterrupt


@pytest.mark.usefixtures("without_report")
def test_tensorboard_is_written_while_trials_train_and_holds_no_epoch_twice(
    tiny_study: Study, tmp_path: Path
) -> None:
    root = tmp_path / "run" / "tensorboard"
    options = {"only": ["plain"], "executor": "inline", "tensorboard": True}
    interrupted = Interrupts(root)
    with pytest.raises(KeyboardInterrupt):
        tiny_study.run(tmp_path / "run", observer=interrupted, **options)
    assert [step for step, _ in interrupted.seen] == [1]
    run = tiny_study.run(tmp_path / "run", observer=NullObserver(), **options)
    own = run.history[run.history["seed"] == 1]
    assert points(root / "plain" / "s1", "epoch/val_accuracy") == [
        (1, pytest.approx(own["val_accuracy"].iloc[0])),
        (2, pytest.approx(own["val_accuracy"].iloc[1])),
    ]
    before = written(root)
    run.export("tensorboard")
    assert written(root) == before


def test_an_epoch_that_a_worker_repeats_is_one_point(finished_run: Run, tmp_path: Path) -> None:
    shutil.copytree(finished_run.folder, tmp_path / "run")
    trial = finished_run.trials[0]
    result = finished_run.trial_results[trial.id]
    board = TensorBoard(tmp_path / "run")
    board.planned(finished_run.trials, [])
    for record in (*result.history[:1], *result.history):  # it died after the first epoch
        board.progressed(Progress(trial, record))
    board.finished(trial, result)
    shown = points(tmp_path / "run" / "tensorboard" / "plain" / "s0", "epoch/val_accuracy")
    assert [step for step, _ in shown] == [1, 2]


def test_variants_that_look_alike_as_folders_and_trials_that_failed(
    write_grid: Callable[[str], Path], tiny_dataset: Dataset, tmp_path: Path
) -> None:
    study = Study.from_yaml(write_grid(TINY_GRID + "    variants: {a b: {dense: [9]}, a/b: {width: 2}}"))
    store = Store(tmp_path / "run")
    store.open(study, tiny_dataset)
    for trial in study.trials(tiny_dataset.digest):
        store.scratch(trial)
        store.commit(trial, TrialResult(trial_id=trial.id, status="failed", cause="out of memory"))
    (where,) = Run(store.folder).export("tensorboard")
    groups = session_groups(Path(where))
    assert {"a b", "a/b"} < set(groups)
    assert [session.name for session in groups["a/b"].sessions] == ["a_b_6/s0", "a_b_6/s1"]
    assert {s.status for group in groups.values() for s in group.sessions} == {api_pb2.STATUS_FAILURE}


def test_parameters_are_what_tells_variants_apart(write_grid: Callable[[str], Path]) -> None:
    study = Study.from_yaml(
        write_grid("""
            study: s
            factors:
              early_stopping: {never: null, soon: {patience: 2}}
              dropout: [0, 0.3]
            variants:
              deep: {depth: 2, metrics: [auc]}
        """)
    )
    told = parameters(study)
    assert list(told) == ["plain", "+early_stopping", "+Dropout", "+both", "deep"]
    assert told["plain"] == {
        "early_stopping": "never", "dropout": 0.0, "depth": 1, "metrics": "none",
    }  # fmt: skip
    assert told["+both"]["early_stopping"] == "soon"
    assert told["deep"] | {"dropout": 0.3} == told["plain"] | {
        "dropout": 0.3, "depth": 2, "metrics": "auc",
    }  # fmt: skip


def test_parquet_keeps_the_types_that_csv_does_not(run: Run) -> None:
    pytest.importorskip("pyarrow")
    run.write_tables()
    for name in ("results", "history"):
        pd.testing.assert_frame_equal(pd.read_parquet(run.folder / f"{name}.parquet"), getattr(run, name))
    assert str(pd.read_parquet(run.folder / "results.parquet")["best_epoch"].dtype) == "Int64"


def test_without_pyarrow_nothing_is_said_unless_it_is_asked_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablation.export.parquet.find_spec", lambda name: None)
    for file in run.folder.glob("*.parquet"):
        file.unlink()
    shutil.rmtree(run.folder / "tensorboard", ignore_errors=True)
    run.write_tables()
    assert not list(run.folder.glob("*.parquet"))
    with pytest.raises(RunError) as caught:
        run.export("tensorboard", "parquet")
    assert (
        str(caught.value)
        == "Parquet needs pyarrow, which is not installed: pip install 'ablation-harness[parquet]'"
    )
    assert not (run.folder / "tensorboard").exists()


@pytest.mark.parametrize(
    ("formats", "uri", "message"),
    [
        (["mlfow"], None, "--to: there is no format 'mlfow'. Did you mean 'mlflow'?"),
        (
            ["parquet"],
            "x",
            "--tracking-uri says where MLflow keeps its runs; it can be used only with --to mlflow.",
        ),
        (["mlflow"], None, "MLflow is not installed: pip install 'ablation-harness[mlflow]'"),
        (["tensorboard"], None, NO_TENSORBOARD),
    ],
)
def test_what_cannot_be_exported_is_told(
    formats: list[str], uri: str | None, message: str, finished_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(RunError) as caught:
        finished_run.export(*formats, tracking_uri=uri)
    assert str(caught.value) == message


def test_a_run_without_tensorboard_starts_nothing(
    tiny_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(RunError) as caught:
        tiny_study.run(tmp_path / "run", observer=NullObserver(), executor="inline", tensorboard=True)
    assert str(caught.value) == NO_TENSORBOARD
    assert not (tmp_path / "run").exists()


def test_a_database_of_mlflow_that_cannot_be_opened_is_a_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    pytest.importorskip("mlflow")
    (tmp_path / "mlflow.db").mkdir()
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with pytest.raises(RunError) as caught:
        run.export("mlflow", tracking_uri=uri)
    assert str(caught.value) == f"MLflow, {uri}: unable to open database file"


def test_mlflow_has_a_run_a_trial_nested_in_the_studys_and_none_twice(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)  # where MLflow keeps its files
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    trial = run.trials[0]
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as interrupted:  # MLflow was killed as it set it up
        interrupted.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    written = []
    for _ in range(2):
        assert run.export("mlflow", tracking_uri=uri) == [f"{uri}, experiment 'tiny'"]
        client = mlflow.MlflowClient(uri)
        experiment = client.get_experiment_by_name("tiny").experiment_id
        found = client.search_runs([experiment])
        written.append({one.info.run_id for one in found})
    assert written[0] == written[1]
    (study,) = [one for one in found if "mlflow.parentRunId" not in one.data.tags]
    assert {file.path for file in client.list_artifacts(study.info.run_id)} >= {"report.html", "results.csv"}
    nested = {one.data.tags["ablation.trial_id"]: one for one in found if one is not study}
    assert len(nested) == len(found) - 1 == len(run.trials)
    assert {one.data.tags["mlflow.parentRunId"] for one in nested.values()} == {study.info.run_id}
    first = nested[trial.id]
    assert first.info.status == "FINISHED"
    assert first.data.tags["ablation.dataset_digest"] == trial.dataset_digest
    assert (
        first.data.params.items() >= {"variant": "plain", "seed": "0", "dropout": "0", "epochs": "2"}.items()
    )
    assert first.data.metrics["final/test_accuracy"] == run.results["test_accuracy"][0]
    curve = client.get_metric_history(first.info.run_id, "epoch/val_accuracy")
    assert [(m.step, m.value) for m in curve] == list(enumerate(run.history["val_accuracy"][:2], 1))

    failed = TrialResult(trial_id=trial.id, status="failed", cause="out of memory")
    run.store.scratch(trial)
    run.store.commit(trial, failed)
    Run(run.folder).export("mlflow", tracking_uri=uri)
    again = client.search_runs([experiment], f"tags.`ablation.trial_id` = '{trial.id}'")
    assert [(one.info.status, one.data.tags["ablation.cause"]) for one in again] == [
        ("FAILED", "out of memory")
    ]
    assert len(client.search_runs([experiment])) == len(found)


def test_what_mlflow_refuses_is_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    with pytest.raises(RunError) as caught:
        run.export("mlflow", tracking_uri="ftp://nowhere")
    assert str(caught.value).startswith("MLflow, ftp://nowhere: ")
    assert "\n" not in str(caught.value)
