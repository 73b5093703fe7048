"""What trackers read of a run: W&B, DVC and Aim, each by the library itself, and nothing is sent anywhere.

pip install '.[dev,aim]' dvclive && pytest -m slow tests/export/test_trackers.py  # Aim and DVC read their own
"""

from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from ruamel.yaml import YAML
from untrained_runs import untrained_run

from ablation import Run
from ablation.errors import RunError
from ablation.export.wandb import project_name
from ablation.grid.trial import TrialResult

GRID = """
    study: tiny
    model: {family: dense, dense: [4]}
    training: {epochs: 4}
    factors: {dropout: [0, 0.3]}
    seeds: [1]
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two trials, one of which failed after its first epoch, with tables, a report and a figure."""
    run = untrained_run(
        GRID, tmp_path, lambda trial, made: made if trial.variant == "plain" else failed(made)
    )
    run.write_tables()
    (run.folder / "report.html").write_text("a report", "utf-8")
    (run.folder / "report.md").write_text("# A report", "utf-8")
    run.figures_folder.mkdir()
    Image.new("RGB", (8, 8), "red").save(run.figures_folder / "forest.png")
    return run


def failed(result: TrialResult, cause: str = "out of memory") -> TrialResult:
    changes = {"status": "failed", "cause": cause, "history": result.history[:1], "metrics": {}}
    return result.model_copy(update=changes)


def fail_again(run: Run) -> Run:
    """Let the failed trial be one that was trained again, and failed for another reason."""
    trial = run.trials[-1]
    run.store.scratch(trial)
    run.store.commit(trial, failed(run.trial_results[trial.id], "killed"))
    return Run(run.folder)


def files_below(root: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """What is asked of the network: requests go to a proxy in this process, which notes them."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
            monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{proxy.getsockname()[1]}")
        requests: list[object] = []
        yield requests
        try:
            while True:
                requests.append(proxy.accept())
        except BlockingIOError:
            pass
        assert requests == []


# Weights & Biases


def records(file: Path) -> Iterator[Any]:
    """Read an offline run: after a header, records in blocks of 32 KiB, as LevelDB writes its log."""
    from wandb.proto import wandb_internal_pb2

    data, at, whole = file.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def offline_run(folder: Path) -> dict[str, Any]:
    """Return what `wandb sync` would send of a run."""
    (file,) = folder.glob("run-*.wandb")
    read: dict[str, Any] = {"history": [], "summary": {}, "files": []}
    for record in records(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            read["run"] = record.run
            read["config"] = {u.key: json.loads(u.value_json) for u in record.run.config.update}
        elif kind == "history":
            row = {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item}
            read["history"].append({k: v for k, v in row.items() if not k.startswith("_")})
        elif kind == "summary":
            items = record.summary.update
            read["summary"] |= {i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in items}
        elif kind == "files":
            read["files"] += [one.path for one in record.files.files]
        elif kind == "exit":
            read["exit"] = record.exit.exit_code
    return read


def test_any_name_of_a_study_becomes_one_that_wandb_takes() -> None:
    assert project_name("50% off: a/b?") == "50_ off_ a_b_"
    assert project_name("x" * 200) == "x" * 128


def test_wandb_has_a_run_per_trial_grouped_by_variant_and_none_twice(
    run: Run, asked_for: list[object]
) -> None:
    pytest.importorskip("wandb", reason="needs the extra wandb")
    code = f"from ablation import Run; print(*Run({str(run.folder)!r}).export('wandb'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)  # reports at its end
    assert (done.stdout.strip(), done.returncode) == (str(run.folder / "wandb" / "offline-run-*"), 0), (
        done.stderr
    )
    folders = sorted((run.folder / "wandb").glob("offline-run-*"))
    read = {one["run"].display_name: one for one in map(offline_run, folders)}
    assert set(read) == {"plain, seed 1", "+Dropout, seed 1", "report"}
    assert {one["run"].project for one in read.values()} == {"tiny"}

    trial = run.trials[0]
    plain, result = read["plain, seed 1"], run.trial_results[trial.id]
    assert (plain["run"].run_group, plain["run"].job_type) == ("plain", "trial")
    assert list(plain["run"].tags) == ["completed"]
    settings = {"variant": "plain", "seed": 1, "epochs": 4, "dropout": "0", "trial_id": trial.id}
    assert plain["config"].items() >= settings.items()
    accuracies = [row["epoch/val_accuracy"] for row in plain["history"]]
    assert accuracies == [record.val_accuracy for record in result.history]
    assert plain["summary"]["final/test_accuracy"] == result.metrics["test_accuracy"]

    failed = read["+Dropout, seed 1"]
    assert (list(failed["run"].tags), failed["run"].notes) == (["failed"], "out of memory")
    assert len(failed["history"]) == 1
    assert {"report.html", "results.csv"} <= set(read["report"]["files"])
    assert read["report"]["history"][-1]["figures/forest/_type"] == "image-file"

    before = files_below(run.folder / "wandb")
    run.export("wandb")
    assert files_below(run.folder / "wandb") == before
    (folders[0] / "complete.json").unlink()  # as if that export had been stopped
    fail_again(run).export("wandb")
    again = [offline_run(folder)["run"] for folder in (run.folder / "wandb").glob("offline-run-*")]
    assert sorted(one.display_name for one in again) == sorted(read)
    assert "killed" in {one.notes for one in again}


# DVC


def test_dvc_has_the_files_of_dvclive_for_every_trial(run: Run) -> None:
    (where,) = run.export("dvc")
    root = run.folder / "dvclive"
    assert where == str(root / "dvc.yaml")
    yaml = YAML(typ="safe")
    named = yaml.load(Path(where).read_text("utf-8"))
    assert named["params"] == ["plain/s1/params.yaml", "+Dropout/s1/params.yaml"]
    assert named["metrics"] == ["plain/s1/metrics.json", "+Dropout/s1/metrics.json"]
    assert named["plots"] == [
        {"plain/s1/plots/metrics": {"x": "step"}},
        {"+Dropout/s1/plots/metrics": {"x": "step"}},
        "_results/forest.png",
    ]
    assert (root / "_results" / "report.html").is_file()
    assert yaml.load((root / named["params"][0]).read_text("utf-8"))["dropout"] == "0"
    plain = run.trial_results[run.trials[0].id]
    metrics = json.loads((root / named["metrics"][0]).read_text("utf-8"))
    assert metrics["final"]["test_accuracy"] == plain.metrics["test_accuracy"]
    assert (metrics["step"], metrics["status"]) == (4, "completed")
    curve = (root / "plain/s1/plots/metrics/epoch/val_accuracy.tsv").read_text("utf-8").splitlines()
    expected = [f"{record.epoch}\t{record.val_accuracy}" for record in plain.history]
    assert curve == ["step\tval_accuracy", *expected]

    before = (root / "plain").stat().st_mtime_ns, files_below(root)
    run.export("dvc")
    assert ((root / "plain").stat().st_mtime_ns, files_below(root)) == before
    shutil.rmtree(root / "plain")
    fail_again(run).export("dvc")
    assert set(files_below(root)) == set(before[1])
    assert json.loads((root / named["metrics"][1]).read_text("utf-8"))["status"] == "failed"


@pytest.mark.slow
def test_dvc_reads_what_is_written_and_dvclive_would_write_the_same(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dvclive = pytest.importorskip(
        "dvclive", reason="pip install dvclive: 67 packages that only this test needs"
    )
    from dvc import api as dvc_api

    (where,) = run.export("dvc")
    root, result = Path(where).parent, run.trial_results[run.trials[0].id]
    monkeypatch.chdir(root)
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "-q"], check=True)
    shown = dvc_api.metrics_show("plain/s1/metrics.json")
    assert shown["final"]["test_accuracy"] == result.metrics["test_accuracy"]
    assert dvc_api.params_show("plain/s1/params.yaml")["variant"] == "plain"
    plots = subprocess.run([*dvc, "plots", "show", "-o", tmp_path / "plots"], capture_output=True, text=True)
    assert plots.returncode == 0, plots.stderr
    page = (tmp_path / "plots" / "index.html").read_text("utf-8")
    assert "val_accuracy" in page
    assert "forest.png" in page

    live = dvclive.Live(str(tmp_path / "live"), save_dvc_exp=False, dvcyaml=None)
    for record in result.history:
        live.step = record.epoch
        live.log_metric("epoch/val_accuracy", record.val_accuracy)
    live.log_params({"dropout": "0", "seed": 1})
    live.log_metric("final/test_accuracy", result.metrics["test_accuracy"], plot=False)
    live.end()
    name = "plots/metrics/epoch/val_accuracy.tsv"
    assert (tmp_path / "live" / name).read_bytes() == (root / "plain" / "s1" / name).read_bytes()
    theirs = json.loads((tmp_path / "live" / "metrics.json").read_text("utf-8"))
    ours = json.loads((root / "plain" / "s1" / "metrics.json").read_text("utf-8"))
    assert {group: {**ours[group], **theirs[group]} for group in ("epoch", "final")} == {
        group: ours[group] for group in ("epoch", "final")
    }
    assert theirs["step"] == ours["step"]


# Aim


@pytest.mark.slow
def test_aim_has_a_run_per_trial_and_none_twice(run: Run, asked_for: list[object]) -> None:
    pytest.importorskip("aim", reason="needs the extra aim: 16 packages of 190 MB, and filelock below 4")
    from aim.storage.context import Context

    (where,) = run.export("aim")
    assert where == str(run.folder / "aim")
    read = aim_runs(where)
    assert sorted(read) == ["+Dropout, seed 1", "plain, seed 1", "report"]
    assert {one.experiment for one in read.values()} == {"tiny"}
    plain, result = read["plain, seed 1"], run.trial_results[run.trials[0].id]
    assert plain["hparams"].items() >= {"variant": "plain", "seed": 1, "dropout": "0"}.items()
    assert set(plain.props.tags) == {"plain", "completed"}
    curve = plain.get_metric("epoch/val_accuracy", Context({})).dataframe()
    assert list(curve["step"]) == [1, 2, 3, 4]
    assert list(curve["value"]) == [record.val_accuracy for record in result.history]
    tested = plain.get_metric("final/test_accuracy", Context({})).dataframe()
    assert list(tested["value"]) == [result.metrics["test_accuracy"]]
    assert read["+Dropout, seed 1"].description == "out of memory"
    assert read["report"].get_image_sequence("figures/forest", Context({})) is not None

    hashes = {name: one.hash for name, one in read.items()}
    run.export("aim")
    assert {name: one.hash for name, one in aim_runs(where).items()} == hashes
    fail_again(run).export("aim")
    again = aim_runs(where)
    assert {name for name, one in again.items() if one.hash != hashes[name]} == {"+Dropout, seed 1"}
    assert again["+Dropout, seed 1"].description == "killed"


def aim_runs(folder: str) -> dict[str, Any]:
    """Return the runs of a repository by name, after indexing them as `aim up` does when it starts."""
    from aim import Repo
    from aim.sdk.index_manager import RepoIndexManager

    repo = Repo(folder)
    for run_hash in repo.list_all_runs():
        RepoIndexManager.get_index_manager(repo).index(run_hash)
    runs = [Repo(folder).get_run(run_hash) for run_hash in repo.list_all_runs()]
    assert len({one.name for one in runs}) == len(runs)
    return {one.name: one for one in runs}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wandb", "wandb is not installed: pip install 'ablation-harness[wandb]'"),
        ("aim", "Aim is not installed: pip install 'ablation-harness[aim]'"),
    ],
)
def test_a_package_that_is_missing_is_a_sentence(
    name: str, message: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(RunError) as caught:
        run.export("dvc", name)
    assert str(caught.value) == message
    assert not (run.folder / "dvclive").exists()
