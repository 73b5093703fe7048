"""A pack is the run, whole and unchanged, with the code that it needs and nothing of the machine it comes from."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ablation import Run, Study
from ablation.cli.app import app
from ablation.errors import RunError
from ablation.figures.style import Picture
from ablation.interchange.archive import write_archive
from ablation.interchange.pack import pack_run
from ablation.store.manifest import MANIFEST, changed_since_packed, manifest_text, packed_files, sha256_of
from ablation.workflow.repeat import Repetition, repeat_trial

DESCRIBED = {"README.md", "requirements.lock.txt", "croissant.json", "ro-crate-metadata.json", MANIFEST}
GRID = """
    study: mine
    dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
    model: {builder: my_models:build}
    training: {epochs: 1, batch_size: 16}
    variants: {smaller: {units: 4}}
    seeds: 1
    save_models: true
"""
MODULE = """
    from pathlib import Path

    import keras
    from helper import hidden

    def build(image_shape, classes, units=8):
        start = keras.initializers.Constant(float(Path(__file__).with_name("bias.txt").read_text()))
        return keras.Sequential([
            keras.Input(image_shape), keras.layers.Flatten(), hidden(units, start),
            keras.layers.Dense(classes, "softmax", name="top"),
        ])
"""
HELPER = """
    import keras

    def hidden(units, start):
        return keras.layers.Dense(units, "relu", bias_initializer=start, name="hidden")
"""


def unpacked(pack: Path, folder: Path) -> Path:
    with zipfile.ZipFile(pack) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def packed(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study, packed and unpacked elsewhere; tests only read it."""
    folder = tmp_path_factory.mktemp("packed")
    return unpacked(pack_run(finished_run, folder / "tiny.zip"), folder / "elsewhere")


@pytest.fixture(scope="module")
def with_code(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a model of the user's, in the usual place, with a report in brief; tests only read it."""
    folder = tmp_path_factory.mktemp("with-code")
    for name, text in {
        "grid.yaml": GRID,
        "my_models.py": MODULE,
        "helper.py": HELPER,
        "bias.txt": "0.25",
    }.items():
        (folder / name).write_text(textwrap.dedent(text), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ablation.workflow.run_study.write_report", lambda run: run.folder / "report.html")
        run = Study.from_yaml(folder / "grid.yaml").run(folder / "experiments/runs/mine", executor="inline")
    run.figures_folder.mkdir(parents=True)
    (run.figures_folder / "captions.md").write_text("# Figures\n", "utf-8")
    (run.folder / "report.html").write_text("<p>in brief</p>", "utf-8")
    (run.folder / "report.md").write_text("![a](../../../figures/mine/a.png)\n", "utf-8")
    return Run(run.folder)


def copied(run: Run, tmp_path: Path) -> Run:
    """Return a copy of a run that a test may change, times included."""
    return Run(shutil.copytree(run.folder, tmp_path / "copy", copy_function=shutil.copy2))


def test_an_unpacked_run_is_verified_and_each_of_its_files_too(
    packed: Path, pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablation.report.verify.draw_figures", lambda run, folder: pictures)
    report = packed / "report.html"
    content = report.read_bytes()
    report.write_bytes(content.replace(b"</body>", b" </body>"))  # changes no number, and yet the file
    (packed / "README.md").rename(packed / "LIESMICH.md")
    found = Run(packed).verify()
    report.write_bytes(content)
    (packed / "LIESMICH.md").rename(packed / "README.md")
    assert [str(difference) for difference in found.differences] == [
        "README.md: is missing, although it was packed",
        "report.html: was damaged or edited since it was packed",
    ]
    assert not found.skipped
    assert found.numbers > 1000
    assert found.files[-1].name == MANIFEST


def test_a_byte_that_is_changed_anywhere_is_found(packed: Path) -> None:
    files = packed_files(packed)
    assert set(files) == {p.relative_to(packed).as_posix() for p in packed.rglob("*") if p.is_file()} - {
        MANIFEST
    }
    assert changed_since_packed(packed) == {}
    contents = {name: (packed / name).read_bytes() for name in files}
    for name, content in contents.items():
        (packed / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    found = changed_since_packed(packed)
    for name, content in contents.items():
        (packed / name).write_bytes(content)
    assert found == dict.fromkeys(files, "was damaged or edited since it was packed")


def test_a_pack_is_the_run_byte_for_byte_with_its_tables_and_figures(finished_run: Run, packed: Path) -> None:
    for table in ("results", "history", "comparisons"):
        assert Run(packed).table_text(table) == (finished_run.folder / f"{table}.csv").read_text("utf-8")
    changed = {"study.json", "declared.json"} | DESCRIBED  # which may name the folder of code and images
    for name in set(packed_files(packed)) - changed:
        assert (packed / name).read_bytes() == (finished_run.folder / name).read_bytes()
    assert {path.name for path in packed.iterdir()} >= {"trials", "figures", "report.html", *DESCRIBED}
    for left_out in ("run.lock", "opening.lock", "progress", "logs", "trials/.running"):
        assert not (packed / left_out).exists()


def test_packing_twice_gives_the_same_bytes_and_a_folder_has_the_files_of_the_zip(
    finished_run: Run, packed: Path, tmp_path: Path
) -> None:
    first = pack_run(finished_run, tmp_path / "first.zip")
    os.utime(finished_run.folder / "results.csv")  # the times of files are not in it
    second = pack_run(finished_run, tmp_path / "second.zip")
    assert first.read_bytes() == second.read_bytes() == (packed.parent / "tiny.zip").read_bytes()
    folder = pack_run(finished_run, tmp_path / "deep" / "folder")
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    with zipfile.ZipFile(first) as archive:
        assert archive.namelist() == names
        assert all(archive.read(name) == (folder / name).read_bytes() for name in names)


def test_code_travels_and_a_trial_is_trained_again_to_the_same_bits_without_the_original(
    with_code: Run, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(with_code.folder.parents[2], home, copy_function=shutil.copy2)
    moved = Run(
        home / "experiments/runs/mine"
    )  # its record still names the first place, which it was trained in
    pack = pack_run(moved, tmp_path / "mine.zip")
    shutil.rmtree(home)
    away = with_code.folder.parents[2].rename(tmp_path / "away")
    try:
        run = Run(unpacked(pack, tmp_path / "elsewhere"))
        assert sorted(p.name for p in (run.folder / "code").iterdir()) == [
            "bias.txt",
            "helper.py",
            "my_models.py",
        ]
        again = repeat_trial(run, executor="inline")
        assert (again.differences, again.environment) == ((), ())
        assert again.again.provenance["tensorflow"] == again.result.provenance["tensorflow"]
        assert again.result.history[0].seconds != again.again.history[0].seconds  # it was trained
        (run.folder / "code" / "bias.txt").write_text("0.5")
        other = repeat_trial(run, again.trial.id, executor="inline")
        assert other.differences[-2:] == ("epoch 1: other numbers", "test probabilities: other numbers")
        assert other.environment == ("bias.txt has changed since the trial was trained",)
        (run.folder / "code" / "helper.py").write_text("raise SystemExit\n")
        failed = repeat_trial(run, again.trial.id, executor="inline").differences
        why = "the module 'my_models' cannot be imported (SystemExit: )."
        assert failed == (f"status: completed before, failed now ({why})",)
    finally:
        away.rename(with_code.folder.parents[2])


def test_what_pack_writes_names_no_place_of_this_machine(with_code: Run, tmp_path: Path) -> None:
    folder = pack_run(with_code, tmp_path / "mine")
    written = [folder / name for name in ("study.json", "declared.json", "report.md", *DESCRIBED)]
    places = [str(with_code.folder.parents[2]), str(Path.home()), os.uname().nodename, ".org/simple"]
    for file in written:
        assert [place for place in places if place in file.read_text("utf-8")] == [], file.name
    assert (folder / "report.md").read_text("utf-8") == "![a](figures/a.png)\n"
    study = json.loads((folder / "study.json").read_text("utf-8"))["study"]
    assert {variant["model"]["folder"] for variant in study["variants"]} == {"code"}
    assert {v.model.folder for v in Run(folder).study.variants} == {str(folder / "code")}  # type: ignore[union-attr]
    assert "code that came along, from which models are built: bias.txt, helper.py, my_models.py" in (
        folder / "README.md"
    ).read_text("utf-8")


def test_figures_of_an_unpacked_run_are_in_it_even_in_the_usual_place(packed: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(packed, tmp_path / "experiments" / "runs" / "theirs")
    assert Run(folder).figures_folder == folder / "figures"


def test_models_travel_only_if_asked(with_code: Run, tmp_path: Path) -> None:
    without = Run(pack_run(with_code, tmp_path / "without"))
    models = Run(pack_run(with_code, tmp_path / "with", models=True))
    for trial in with_code.trials:
        assert not without.store.model_file(trial).exists()
        assert models.store.model_file(trial).read_bytes() == with_code.store.model_file(trial).read_bytes()
        assert without.store.damage(trial) == models.store.damage(trial) == ""
    assert without.table_text("results") == models.table_text("results") == with_code.table_text("results")
    models.store.model_file(trial).write_bytes(b"another")
    assert models.store.damage(trial) == "model.keras does not match its checksum"


def test_a_run_that_is_training_is_not_packed(finished_run: Run, tmp_path: Path) -> None:
    with finished_run.store.locked():
        since = json.loads((finished_run.folder / "run.owner.json").read_text())["since"]
        with pytest.raises(RunError) as error:
            pack_run(finished_run, tmp_path / "pack.zip")
    assert str(error.value) == (
        f"{finished_run.folder} is in use by process {os.getpid()} on {os.uname().nodename}, since {since}. Wait "
        "until it ends before you pack the run."
    )
    assert list(tmp_path.iterdir()) == []


def refusal(run: Run, out: Path) -> str:
    with pytest.raises(RunError) as error:
        pack_run(Run(run.folder), out)
    return str(error.value)


def test_a_pack_that_exists_is_not_replaced(finished_run: Run, tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    text = f"{tmp_path / 'pack'} already exists; choose another name with --out, or move it away."
    assert refusal(finished_run, tmp_path / "pack") == text


def test_a_run_without_an_up_to_date_report_is_not_packed(finished_run: Run, tmp_path: Path) -> None:
    run = copied(finished_run, tmp_path)
    os.utime(run.folder / "report.html", (0, 0))
    assert refusal(run, tmp_path / "pack") == (
        f"{run.folder} cannot be packed: its tables, figures or report are missing, damaged or edited, or older than its "
        f"trials. `ablation report {run.folder}` writes them."
    )


def test_a_damaged_trial_is_not_packed(finished_run: Run, tmp_path: Path) -> None:
    run = copied(finished_run, tmp_path)
    np.save(run.store.place(run.trials[1]) / "test_probabilities.npy", np.zeros(3))
    assert refusal(run, tmp_path / "pack") == (
        f"{run.folder} cannot be packed: trial {run.trials[1].id}: test_probabilities.npy does not match its checksum. "
        "The same `ablation run` command trains it again."
    )


@pytest.mark.parametrize("content", ["{", "[1]", '{"study": 3}', ""])
def test_a_damaged_declaration_is_not_packed(finished_run: Run, tmp_path: Path, content: str) -> None:
    shutil.copytree(finished_run.folder, tmp_path / "run", copy_function=shutil.copy2)
    (tmp_path / "run" / "declared.json").write_text(content, "utf-8")
    with pytest.raises(RunError) as caught:
        Run(tmp_path / "run").pack(tmp_path / "pack")
    assert (
        str(caught.value)
        == f"{tmp_path / 'run' / 'declared.json'} is damaged, so that the run cannot be packed."
    )


def test_a_run_whose_code_has_changed_is_not_packed_because_nobody_could_repeat_it(
    with_code: Run, tmp_path: Path
) -> None:
    bias = with_code.folder.parents[2] / "bias.txt"
    bias.write_text("0.5")
    changed = refusal(with_code, tmp_path / "pack")
    bias.unlink()
    gone = refusal(with_code, tmp_path / "pack")
    bias.write_text("0.25")
    assert changed == (
        f"{with_code.folder} cannot be packed: {bias}, from which models were built, has changed since. The same "
        "`ablation run` command trains its trials again."
    )
    assert (
        gone
        == f"{with_code.folder} cannot be packed: {bias}, from which models were built, no longer exists."
    )


def test_the_command_prints_what_it_packed_or_which_trial_there_is(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["pack", str(finished_run.folder)])
    assert (done.output, done.exit_code) == ("run.zip\n", 0)
    trial = finished_run.trials[0].id
    done = CliRunner().invoke(app, ["repeat", str(finished_run.folder), "--trial", trial[:-2]])
    assert str(done.exception) == (
        f"--trial: there is no finished trial '{trial[:-2]}'. Did you mean '{trial}'?"
    )


def test_the_command_says_what_differs_and_what_may_be_the_reason(
    finished_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = finished_run.trials[0]
    result = finished_run.trial_results[trial.id]

    def printed(differences: tuple[str, ...], environment: tuple[str, ...] = ()) -> tuple[str, int]:
        found = Repetition(trial, result, result, differences, environment)
        monkeypatch.setattr("ablation.workflow.repeat.repeat_trial", lambda run, trial: found)
        done = CliRunner().invoke(app, ["repeat", str(finished_run.folder)])
        return done.output, done.exit_code

    same = "plain seed 0: trained again for 2 epochs; every number is the same, bit for bit\n"
    assert printed(()) == (same, 0)
    assert printed(("test_loss: 1.5 before, 2.5 now",)) == (
        "plain seed 0, test_loss: 1.5 before, 2.5 now\n"
        "Note: both record the same environment and the same files of yours.\n",
        1,
    )
    assert printed(("epoch 2: other numbers",), ("keras: 3.15.1 before, 9.9 now",)) == (
        "plain seed 0, epoch 2: other numbers\nNote: not as before: keras: 3.15.1 before, 9.9 now.\n",
        1,
    )


def test_a_pack_is_not_written_into_the_run_that_it_packs(with_code: Run) -> None:
    out = with_code.folder / "paper" / "for-review.zip"
    with pytest.raises(RunError) as caught:
        pack_run(with_code, out)
    assert str(caught.value) == (
        f"{out} would be in the run folder itself; choose a place outside of it with --out."
    )


def test_a_name_that_the_disk_cannot_hold_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        write_archive({}, tmp_path / f"{'x' * 300}.zip")
    assert str(caught.value) == (
        f"{tmp_path} cannot be written to: file name too long. Finished work is kept; when it can be written "
        "to, repeat the command."
    )


def test_a_manifest_has_files_of_any_name(tmp_path: Path) -> None:
    names = ["a b", "\u2028", "ü\x85", "..x", "a/..b"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name, "utf-8")
    digests = {name: sha256_of(tmp_path / name) for name in names}
    (tmp_path / MANIFEST).write_text(manifest_text(digests), "utf-8")
    assert packed_files(tmp_path) == digests
    assert changed_since_packed(tmp_path) == {}


@pytest.mark.parametrize(
    ("line", "name", "change"),
    [
        ("", MANIFEST, "was damaged or edited since it was packed"),
        ("junk", MANIFEST, "was damaged or edited since it was packed"),
        (f"{'0' * 64}  ../outside", MANIFEST, "was damaged or edited since it was packed"),
        (f"{'0' * 64}  /dev/null", MANIFEST, "was damaged or edited since it was packed"),
        (f"{'0' * 64}  link", "link", "is missing, although it was packed"),
        (f"{'0' * 64}  {'x' * 300}", "x" * 300, "cannot be read: file name too long"),
        (f"{'0' * 64}  a\0b", "a\0b", "is missing, although it was packed"),
    ],
)
def test_a_manifest_from_somebody_else_leads_nowhere(
    line: str, name: str, change: str, tmp_path: Path
) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (tmp_path / "outside").write_text("mine", "utf-8")
    (pack / "link").symlink_to(tmp_path / "outside")
    (pack / MANIFEST).write_text(f"{line}\n" if line else "", "utf-8")
    assert changed_since_packed(pack) == {name: change}
