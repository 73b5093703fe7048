"""What a class hands in becomes one run; each fault is named and set aside, and the rest is kept."""

from __future__ import annotations

import json
import pickle
import shutil
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from class_makers import ENVIRONMENTS, edit, write_hand_in, zipped
from conftest import TINY_GRID
from typer.testing import CliRunner

from ablation import Run, Study, collect
from ablation.classroom import hand_ins
from ablation.cli.app import app
from ablation.data.datasets import Dataset
from ablation.errors import RunError
from ablation.results.classroom import Classroom, differences_by_student
from ablation.store.checked_record import checked_text

Fault = Callable[[Path, int], object]


def trial_of(run: Path, variant: str = "plain") -> Path:
    return next(iter(run.glob(f"trials/{variant}-s*")))


def edited(name: str, change: Callable[[dict[str, object]], object], with_checksum: bool = True) -> Fault:
    def apply(run: Path, _: int) -> None:
        trial = trial_of(run)
        record = json.loads((trial / name).read_text("utf-8"))
        change(record)
        edit(trial, name, json.dumps(record).encode(), with_checksum)

    return apply


def metric(name: str, value: float) -> Callable[[dict[str, object]], object]:
    return lambda record: record["metrics"].update({name: value})  # type: ignore[attr-defined]


def predictions(run: Path, _: int) -> None:
    """Edited so that every image is right, with the checksum of the new file."""
    labels = Run(run).dataset.test.labels
    np.save(run / "new.npy", np.eye(10, dtype=np.float32)[labels])
    edit(trial_of(run), "test_probabilities.npy", (run / "new.npy").read_bytes(), with_checksum=True)
    (run / "new.npy").unlink()


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (Path("exploded"), "code of a student ran"))


def pickled(run: Path, _: int) -> None:
    content = np.array([Bomb()], dtype=object)
    with (run / "new.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "|O", "fortran_order": False, "shape": content.shape}
        )
        pickle.dump(content, stream)
    edit(trial_of(run), "test_probabilities.npy", (run / "new.npy").read_bytes(), with_checksum=True)
    (run / "new.npy").unlink()


def repacked(change: Callable[[zipfile.ZipFile], object]) -> Fault:
    def apply(run: Path, _: int) -> None:
        file = zipped(run, run.parent.with_suffix(".zip"))
        with zipfile.ZipFile(file, "a") as archive:
            change(archive)
        shutil.rmtree(run.parent)

    return apply


def link_in_zip(archive: zipfile.ZipFile) -> None:
    member = zipfile.ZipInfo("run/trials/plain-s1-00000000/result.json")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(member, "/etc/passwd")


def only(name: str) -> Fault:
    """Hand in a file of this name instead of a run."""

    def apply(run: Path, _: int) -> None:
        shutil.rmtree(run.parent)
        run.parent.with_suffix(Path(name).suffix).write_bytes(b"PK\3\4 but not really")

    return apply


def linked(run: Path, _: int) -> None:
    (trial_of(run) / "callbacks").symlink_to("/etc")


def twice(run: Path, _: int) -> None:
    shutil.copytree(run, run.parent / "again")


# What a student does to a finished run, and why that is set aside. The seed of the run is {seed}.
FAULTS: dict[str, tuple[Fault, str]] = {
    "missing-file": (
        lambda run, _: (trial_of(run) / "test_probabilities.npy").unlink(),
        "plain seed {seed}: test_probabilities.npy is missing: damaged or edited after it was written.",
    ),
    "edited-metric": (
        edited("result.json", metric("test_accuracy", 0.99), with_checksum=False),
        "plain seed {seed}: result.json does not match its checksum: damaged or edited after it was written.",
    ),
    "edited-metric-and-checksum": (
        edited("result.json", metric("test_accuracy", 0.99)),
        "plain seed {seed}: test_accuracy is 0.9900, and its predictions give {accuracy}.",
    ),
    "edited-loss": (
        edited("result.json", metric("test_loss", 0.01)),
        "plain seed {seed}: test_loss is 0.0100, and its predictions give {loss}.",
    ),
    "edited-validation": (
        edited("result.json", metric("val_accuracy", 0.99)),
        "plain seed {seed}: val_accuracy is 0.9900, and the history of the epochs says 0.7000.",
    ),
    "edited-predictions": (
        predictions,
        "plain seed {seed}: test_accuracy is {accuracy}, and its predictions give 1.0000.",
    ),
    "pickled-predictions": (
        pickled,
        "plain seed {seed}: test_probabilities.npy does not hold float32 numbers of shape (300, 10).",
    ),
    "other-settings": (
        lambda run, _: edit_record(run, "settings", {"seed": 1}),
        "plain seed {seed}: trial.json names other settings than those of the study.",
    ),
    "file-elsewhere": (
        lambda run, _: edit_record(run, "files", {"/dev/zero": "0" * 64, "result.json": "0" * 64}),
        "plain seed {seed}: /dev/zero is missing: damaged or edited after it was written.",
    ),
    "fewer-epochs": (
        edited("result.json", lambda record: record["history"].pop()),  # type: ignore[attr-defined]
        "plain seed {seed}: its history has 1 epoch instead of 2.",
    ),
    "no-epoch": (
        edited("result.json", lambda record: record.update(history=[])),
        "plain seed {seed}: its history has 0 epochs instead of 2.",
    ),
    "said-to-diverge": (
        edited("result.json", lambda record: record.update(status="diverged", metrics={})),
        "plain seed {seed}: it is said to have diverged, and its losses are finite.",
    ),
    "other-column": (
        edited("result.json", metric("variant", 1.0)),
        "plain seed {seed}: 'variant' is no measure.",
    ),
    "no-parameters": (
        edited("result.json", lambda record: record.update(parameters=None)),
        "plain seed {seed}: result.json has no parameters.",
    ),
    "other-size": (
        edited("result.json", lambda record: record.update(parameters=7)),
        "the model of plain is not that of most hand-ins.",
    ),
    "undeclared": (
        lambda run, _: (run / "declared.json").unlink(),
        "declared.json is missing or damaged, which says what was declared before the first trial.",
    ),
    "odd-layers": (
        lambda run, _: (run / "models.json").write_text('{"plain": {"before": {"layers": 3}, "after": 3}}'),
        "it cannot be read (AssertionError).",
    ),
    "half-finished": (
        lambda run, _: [shutil.rmtree(trial) for trial in run.glob("trials/d*-s*")],
        "the run is not finished: 2 of 4 trials are missing, the first of them deeper seed {seed}.",
    ),
    "failed-trial": (
        edited("result.json", lambda record: record.update(status="failed", cause="out of memory.")),
        "plain seed {seed} did not complete: failed, out of memory.",
    ),
    "other-images": (
        lambda run, _: (run / "dataset.npz").write_bytes(b"PK\3\4"),
        "dataset.npz does not hold the images that study.json names: damaged or edited.",
    ),
    "damaged-study": (lambda run, _: (run / "study.json").write_text("{"), "study.json is damaged."),
    "huge-study": (
        lambda run, _: (run / "study.json").write_text(" " * (hand_ins.MOST_TEXT + 1)),
        "study.json has more than 64 MiB.",
    ),
    "empty-folder": (lambda run, _: shutil.rmtree(run), "the folder is empty."),
    "essay": (
        lambda run, _: (shutil.rmtree(run), (run.parent / "essay.txt").touch()),
        "there is no run in it: no study.json, which `ablation run` writes.",
    ),
    "two-runs": (twice, "there are 2 runs in it, run and again; hand in one."),
    "link": (linked, "trials/{trial}/callbacks is a link or no ordinary file, which could lead out of the folder."),
    "word-file": (only("essay.docx"), "it is neither a folder nor a zip file."),
    "torn-zip": (only("torn.zip"), "the zip file is damaged: File is not a zip file."),
    "climbing-zip": (
        repacked(lambda archive: archive.writestr("../../outside.txt", "gone")),
        "the zip file has a member that leads out of it, '../../outside.txt'; it was not unpacked.",
    ),
    "absolute-zip": (
        repacked(lambda archive: archive.writestr("C:\\outside.txt", "gone")),
        "the zip file has a member that leads out of it, 'C:\\\\outside.txt'; it was not unpacked.",
    ),
    "link-zip": (
        repacked(link_in_zip),
        "trials/plain-s1-00000000/result.json is a link or no ordinary file, which could lead out of the folder.",
    ),
}  # fmt: skip


def edit_record(run: Path, key: str, value: object) -> None:
    file = trial_of(run) / "trial.json"
    file.write_text(checked_text(json.loads(file.read_text("utf-8")) | {key: value}), "utf-8")


@pytest.mark.usefixtures("without_report")
def test_each_fault_is_named_and_set_aside_and_the_rest_is_kept(
    class_study: Study, class_images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    handed_in, expected = tmp_path / "in", dict[str, str]()
    for seed in (2, 3, 4, 5):
        write_hand_in(
            handed_in / f"a-{seed}" / "run", class_study, class_images, [seed], ENVIRONMENTS[seed % 4]
        )
    for seed, (name, (fault, reason)) in enumerate(FAULTS.items(), 100):
        run = write_hand_in(handed_in / name / "run", class_study, class_images, [seed])
        trial = Run(run).trials[0]
        metrics = Run(run).trial_results[trial.id].metrics
        known = {"accuracy": f"{metrics['test_accuracy']:.4f}", "loss": f"{metrics['test_loss']:.4f}"}
        expected[name] = reason.format(seed=seed, trial=trial.id, **known)
        fault(run, seed)
    expected["word-file.docx"] = expected.pop("word-file")
    # What only a comparison with the others shows:
    longer = class_study.variants[0].training.model_copy(update={"epochs": 3})
    first = class_study.variants[0].model_copy(update={"training": longer})
    other = class_study.model_copy(
        update={"variants": (first, *class_study.variants[1:]), "question": "Why?"}
    )
    write_hand_in(handed_in / "b-study" / "run", other, class_images, [200])
    expected["b-study"] = (
        "it is another study than that of a-2: variants.plain.training.epochs: 2 → 3, and 1 further difference."
    )
    part = class_images.test
    fewer = replace(class_images, test=type(part)(part.images[1:], part.labels[1:]))
    write_hand_in(handed_in / "b-images" / "run", class_study, fewer, [201])
    expected["b-images"] = "its images are not those of a-2, although the study is the same."
    shutil.copytree(handed_in / "a-3", handed_in / "b-copy")
    expected["b-copy"] = "it is a copy of what a-3 handed in, file by file."
    write_hand_in(handed_in / "b-seed" / "run", class_study, class_images, [4], ENVIRONMENTS[3])
    expected["b-seed"] = "it has the seed 4, which is that of a-4; a-4 is kept."
    write_hand_in(handed_in / "b-guesses" / "run", class_study, class_images, [202], drawn_as=5)
    expected["b-guesses"] = "its predictions are those of a-5, although the seeds are others."
    run = write_hand_in(handed_in / "b-renamed" / "run", class_study, class_images, [203], ENVIRONMENTS[1])
    renamed = write_hand_in(tmp_path / "source", class_study, class_images, [9])
    for mine in Run(run).trials:
        theirs = next(t for t in Run(renamed).trials if t.variant == mine.variant)
        text = (renamed / "trials" / theirs.id / "result.json").read_text().replace(theirs.id, mine.id)
        edit(run / "trials" / mine.id, "result.json", text.encode(), with_checksum=True)
    expected["b-renamed"] = "plain seed 203: the batch order of epoch 1 is not that of seed 203."

    before = {file: file.stat().st_mtime_ns for file in sorted(handed_in.rglob("*"))}
    collected = collect([handed_in], tmp_path / "out")
    record = Classroom.read(collected.store)
    assert record is not None
    assert {one.name: one.reason for one in record.set_aside} == expected
    assert [student.name for student in record.students] == ["a-2", "a-3", "a-4", "a-5"]
    assert collected.study.seeds == (2, 3, 4, 5)
    assert (collected.results["status"] == "completed").all()
    assert collected.changes == []
    assert collected.notes[0] == (
        "The trials were collected from 4 hand-ins of a class; 37 hand-ins were set aside, with the reason in "
        "class.json. class.html shows what each student alone would have concluded."
    )
    assert {file: file.stat().st_mtime_ns for file in sorted(handed_in.rglob("*"))} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "source"]  # and nothing exploded


def test_thirty_students_on_four_kinds_of_machines_become_one_study(
    whole_class: tuple[Path, Run], class_study: Study, class_images: Dataset, tmp_path: Path
) -> None:
    _, collected = whole_class
    for k in range(30):
        write_hand_in(tmp_path / "one", class_study, class_images, [2 + k], ENVIRONMENTS[k % 4])
    together = class_study.model_copy(update={"seeds": tuple(range(2, 32))})
    one = Run(tmp_path / "one").with_study(together, class_images.digest)
    assert collected.comparisons.to_csv() == one.comparisons.to_csv()
    verdicts = collected.comparisons.set_index("variant")["verdict"].to_dict()
    assert verdicts == {"wider": "better", "deeper": "worse", "dropped": "unresolved"}
    assert set(collected.comparisons["environments"]) == {4}
    record = Classroom.read(collected.store)
    assert record is not None
    alone = differences_by_student(collected, record)
    assert alone.groupby("variant", sort=False)["difference"].mean().tolist() == pytest.approx(
        collected.comparisons["difference"].tolist()
    )
    assert alone["n"].tolist() == [1] * 90


@pytest.mark.usefixtures("without_report")
def test_collecting_again_reads_everything_again(
    class_study: Study, class_images: Dataset, tmp_path: Path
) -> None:
    """A hand-in that came late is added, and one that was corrected replaces what it was."""
    first, second = tmp_path / "first", tmp_path / "second"
    write_hand_in(first, class_study, class_images, [2])
    write_hand_in(second, class_study, class_images, [3], drawn_as=7)
    before = collect([first, second], tmp_path / "out").results
    shutil.rmtree(second)
    late = write_hand_in(tmp_path / "late", class_study, class_images, [4])
    after = collect([first, write_hand_in(second, class_study, class_images, [3]), late], tmp_path / "out")
    assert after.study.seeds == (2, 3, 4)
    both = before.merge(after.results, on="trial_id")
    changed = both[both["test_accuracy_x"] != both["test_accuracy_y"]]
    assert set(changed["seed_x"]) == {3}


@pytest.mark.usefixtures("without_report")
def test_images_may_be_left_out_of_all_hand_ins_but_one(
    class_study: Study, class_images: Dataset, tmp_path: Path
) -> None:
    folders = [write_hand_in(tmp_path / f"s{seed}", class_study, class_images, [seed]) for seed in (2, 3)]
    (folders[0] / "dataset.npz").unlink()
    assert (collect(folders, tmp_path / "out").results["status"] == "completed").all()
    (folders[1] / "dataset.npz").unlink()
    with pytest.raises(RunError) as caught:
        collect(folders, tmp_path / "out")
    assert str(caught.value) == (
        "no hand-in has the images, dataset.npz; name a run of your own of the same grid beside them."
    )


@pytest.mark.usefixtures("without_report")
def test_a_model_that_was_built_from_another_file_is_set_aside(
    class_study: Study, class_images: Dataset, tmp_path: Path
) -> None:
    folders = [write_hand_in(tmp_path / f"s{seed}", class_study, class_images, [seed]) for seed in (2, 3, 4)]
    for k, folder in enumerate(folders):
        files = {"settings.json": "a" * 12 if k != 1 else "b" * 12, "/home/me/cache.json": str(k)}
        edited("result.json", lambda record, files=files: record.update(files=files))(folder, 0)
    record = Classroom.read(collect(folders, tmp_path / "out").store)
    assert record is not None
    assert [str(one) for one in record.set_aside] == ["s3: settings.json is not that of most hand-ins."]


def test_what_cannot_be_collected_is_refused(
    class_study: Study, class_images: Dataset, tmp_path: Path
) -> None:
    def refused(*folders: Path, out: Path = tmp_path / "out") -> str:
        with pytest.raises(RunError) as caught:
            collect(folders, out)
        return str(caught.value)

    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "none") == (
        f"{tmp_path / 'none'} does not exist; name folders or zip files that students handed in."
    )
    assert refused() == "there is no hand-in; name folders or zip files that students handed in."
    assert refused(tmp_path / "empty") == ("none of 1 hand-in can be used:\n  empty: the folder is empty.")
    run = write_hand_in(tmp_path / "mine", class_study, class_images, [2])
    assert refused(run, out=run) == f"{run} holds hand-ins; collect into another folder."
    assert refused(tmp_path / "empty", out=run) == (
        f"{run} holds a run that was not collected from a class; name a new folder, and collect that run with "
        "the others if it belongs to them."
    )
    assert not (tmp_path / "out").exists()


def test_a_hand_in_that_unpacks_to_too_much_is_not_unpacked(
    class_study: Study, class_images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_hand_in(tmp_path / "run", class_study, class_images, [2])
    monkeypatch.setattr(hand_ins, "MOST_BYTES", 2**16)
    with pytest.raises(RunError, match=r"zip: it has more than 50,000 files or 0 GiB\."):
        collect([zipped(run, tmp_path / "zip.zip")], tmp_path / "out")


@pytest.mark.usefixtures("without_report")
def test_a_small_class_from_the_first_command_to_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two students train, one of them hands in a zip file, and a third one has not begun."""
    grid = TINY_GRID.replace("model: {", "model: {family: dense, ").replace("blocks: [[4], [6]], ", "")
    (tmp_path / "grid.yaml").write_text(grid.replace("      batch_norm: [false, true]\n", ""), "utf-8")
    monkeypatch.chdir(tmp_path)
    command = CliRunner().invoke
    dealt = command(app, ["class", "deal", "--grid", "grid.yaml", "--students", "3", "--out", "class"])
    assert dealt.stdout.split() == [str(Path("class", f"student-0{k}")) for k in (1, 2, 3)]
    for k in (1, 2):
        monkeypatch.chdir(tmp_path / "class" / f"student-0{k}")
        trained = command(app, ["run", "--grid", "grid.yaml", "--out", "run", "--executor", "inline"])
        assert trained.exit_code == 0, trained.output
    zipfile.main(["-c", "student-02.zip", "run"])
    shutil.rmtree("run")
    monkeypatch.chdir(tmp_path)
    shutil.move("class/student-02/student-02.zip", "class")
    shutil.rmtree("class/student-02")
    done = command(app, ["class", "collect", "class", "--out", "collected"])
    assert done.exit_code == 1, done.output
    assert done.stdout.endswith(
        "\n2 hand-ins of the class are counted, and 1 hand-in is set aside:\n  student-03: there is no run in "
        "it: no study.json, which `ablation run` writes.\n"
    )
    assert Run("collected").study.seeds == (2, 3)
