"""What a message advises works: following it to the letter, the command that gave it succeeds."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from faults import Made, finished, nothing_trained
from processes import in_this_process

import ablation
from ablation.cli.app import app
from ablation.store.lock import locked

pytestmark = pytest.mark.unix
PACKAGE = Path(ablation.__file__).parent
RUN = "run grid.yaml --out run --executor inline -q"
MAKERS = {
    "ablation run": RUN,
    "ablation search": "search grid.yaml --out run --executor inline -q",
    "ablation class collect": "class collect run/handed-in --out run/class",
}


class Advice(NamedTuple):
    """A message, and what it takes to see it.

    Attributes:
        happens: What happens to a copy of the finished work.
        command: The command that then gives the message.
        message: The whole message, on either output.
        follow: What the message advises, as commands; a path to remove begins with ``rm``.
    """

    happens: Callable[[Path], object]
    command: str
    message: str
    follow: Sequence[str]


def trial(name: str, run: str = "run") -> Callable[[Path], Path]:
    """Return how to find a file of the first trial."""
    return lambda folder: sorted((folder / run).glob(f"trials/*/{name}"))[0]


def emptied(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(b"")


def removed(*names: str) -> Callable[[Path], object]:
    return lambda folder: [(folder / name).unlink() for name in names]


def a_folder(name: str) -> Callable[[Path], object]:
    def happens(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name / "inside").mkdir(parents=True)

    return happens


def a_link(name: str) -> Callable[[Path], object]:
    def happens(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to("/nowhere")

    return happens


def with_two_numbers_for_a_trial(folder: Path) -> None:
    """Copy the run, and let the copy say something else of its first trial, with a checksum that agrees."""
    from class_makers import edit

    other = Path(shutil.copytree(folder / "run", folder / "other"))
    place = trial("result.json", "other")(folder).parent
    record = json.loads((place / "result.json").read_text("utf-8"))
    record["metrics"]["test_accuracy"] = 0.5
    edit(place, "result.json", json.dumps(record).encode(), with_checksum=True)
    assert other.is_dir()


def with_an_unused_trial(folder: Path) -> None:
    place = trial("result.json")(folder).parent
    shutil.copytree(place, place.with_name("plain-s9-00000000"))


def nothing(_: Path) -> None:
    pass


DAMAGED_TRIAL = "result.json does not match its checksum"
FIRST = "dropped-s0-c5765317"
OF_A_RUN = {
    "no report": Advice(
        lambda folder: [file.unlink() for file in (folder / "run").iterdir() if file.is_file() and file.suffix in (".html", ".md", ".csv", ".parquet")],
        "verify run", "Error: run: there is no report; `ablation report run` writes one.", ["report run"],
    ),
    "a table is gone": Advice(
        removed("run/cost.csv"), "verify run",
        "not compared, because missing: cost.csv; `ablation report run` writes what is missing.", ["report run"],
    ),
    "an emptied table, which no older version wrote": Advice(
        emptied("run/comparisons.csv"),
        "verify run",
        "comparisons.csv, line 1: says 'nothing', the trials say",
        ["report run"],
    ),
    "an edited table": Advice(
        emptied("run/cost.csv"), "pack run",
        "Error: run cannot be packed: its tables, figures or report are missing, damaged or edited, or older than its "
        "trials. `ablation report run` writes them.", ["report run"],
    ),
    "a damaged trial": Advice(
        lambda folder: trial("result.json")(folder).write_bytes(b""), "pack run",
        f"Error: run cannot be packed: trial {FIRST}: {DAMAGED_TRIAL}. The same `ablation run` command trains it again.",
        [RUN],
    ),
    "a pack in the way": Advice(
        lambda folder: (folder / "run.zip").touch(), "pack run",
        "Error: run.zip already exists; choose another name with --out, or move it away.", ["rm run.zip"],
    ),
    "two numbers for one trial": Advice(
        with_two_numbers_for_a_trial, "merge run other --out merged",
        f"Error: {FIRST} has different numbers in other and in run, although both record the same environment. Remove "
        "one of the two by deleting its folder in trials/, and merge again.", [f"rm other/trials/{FIRST}"],
    ),
    "no images": Advice(
        removed("run/dataset.npz"), "merge run --out merged",
        "Error: run/dataset.npz is missing or damaged; the same `ablation run` command restores it.", [RUN],
    ),
    "no images for an interval": Advice(
        removed("run/dataset.npz"), "status run",
        "Note: dataset.npz is missing or damaged, so that intervals hold for other seeds only; the same `ablation run` "
        "command restores it.", [RUN],
    ),
    "an edited study": Advice(
        lambda folder: (folder / "run/study.json").write_text((folder / "run/study.json").read_text("utf-8").replace('"alpha": 0.05', '"alpha": 0.06'), "utf-8"),
        "seal run", "Error: run/study.json is damaged; the same `ablation run` command restores it.", [RUN],
    ),
    "a folder instead of the study": Advice(
        a_folder("run/study.json"), "status run",
        "Error: run/study.json cannot be read: is a directory. Remove it, and repeat the command that wrote it.",
        ["rm run/study.json", RUN],
    ),
    "a folder instead of a report": Advice(
        a_folder("run/report.html"), RUN,
        "Error: run/report.html is a folder in the place of a file. Remove it, and repeat the command; finished work is "
        "kept.", ["rm run/report.html"],
    ),
    "a folder instead of a record of derived files": Advice(
        a_folder("run/derived.json"), "report run",
        "Error: run/derived.json is a folder in the place of a file. Remove it, and repeat the command; finished work is "
        "kept.", ["rm run/derived.json"],
    ),
    "a link": Advice(
        a_link("run/report.html"), "status run",
        "Error: run/report.html is a link, which may lead out of the run folder. Put what it leads to in its place, or "
        "remove it.", ["rm run/report.html"],
    ),
    "leftovers": Advice(
        with_an_unused_trial, "clean run", "`ablation clean run --yes` removes ", ["clean run --yes"],
    ),
    "a report elsewhere": Advice(
        lambda folder: shutil.copy(folder / "run/report.html", folder / "report.html"), "verify report.html",
        "Error: report.html is not in a run folder; name the run folder of the report with --run.",
        ["verify report.html --run run", "rm report.html", "report run --out ."],
    ),
}  # fmt: skip
OF_OTHERS = {
    "tuned": {
        "a damaged search": Advice(
            emptied("run/tuned/search-1/study.json"), "status run",
            "Error: run/tuned/search-1/study.json is damaged; the same `ablation run` command restores it.", [RUN],
        ),
        "a folder instead of a search": Advice(
            a_folder("run/tuned/search-1/study.json"), RUN,
            "Error: run/tuned/search-1/study.json is a folder in the place of a file. Remove it, and repeat the command; "
            "finished work is kept.", ["rm run/tuned/search-1/study.json"],
        ),
        "a damaged comparison": Advice(
            emptied("run/tuned/study.json"), "status run",
            "Error: run/tuned/study.json is damaged; the same `ablation run` command restores it.", [RUN],
        ),
        "images of a search": Advice(
            removed("run/tuned/search-1/dataset.npz"),
            "pack run",
            "Error: run/tuned/search-1/dataset.npz is missing or damaged; the same `ablation run` command restores it.",
            [RUN],
        ),
        "the record that a search has ended": Advice(
            lambda folder: (folder / "run/tuned/search-1/searched.json").write_bytes(b"\xff"), "verify run", "", [RUN],
        ),
    },
    "search": {
        "its record": Advice(
            emptied("run/search.json"), "report run",
            "Error: run/search.json is damaged; the same `ablation search` command restores it.",
            [MAKERS["ablation search"]],
        ),
        "its trials": Advice(
            emptied("run/search/study.json"), "status run/search",
            "Error: run/search/study.json is damaged; the same `ablation search` command restores it.",
            [MAKERS["ablation search"]],
        ),
        "its images": Advice(
            removed("run/confirmation/dataset.npz"), "compare run/confirmation",
            "Error: run/confirmation/dataset.npz is missing or damaged; the same `ablation search` command restores it.",
            [MAKERS["ablation search"]],
        ),
    },
    "class": {
        "its record": Advice(
            emptied("run/class/study.json"), "status run/class",
            "Error: run/class/study.json is damaged; the same `ablation class collect` command restores it.",
            [MAKERS["ablation class collect"]],
        ),
        "a run in its place": Advice(
            removed("run/class/class.json"), MAKERS["ablation class collect"],
            "Error: run/class holds a run that was not collected from a class; name a new folder, and collect that run "
            "with the others if it belongs to them.", ["class collect run/handed-in --out new", "rm run/class"],
        ),
    },
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def only_reading() -> Iterator[None]:
    with nothing_trained():
        yield


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, only_reading: None) -> Made:
    return finished("run", tmp_path_factory.mktemp("plain"))


def require_that_it_works(advice: Advice, folder: Path) -> None:
    """See a message, follow it, and see that it is gone and the command succeeds."""
    advice.happens(folder)
    before = in_this_process(*shlex.split(advice.command), cwd=folder)
    assert advice.message in " ".join((before.stderr + before.stdout).split())
    for step in advice.follow:
        word, *rest = shlex.split(step)
        if word == "rm":
            path = folder / rest[0]
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        else:
            done = in_this_process(word, *rest, cwd=folder)
            assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"
    if advice.command.startswith("verify report.html"):
        return
    after = in_this_process(*shlex.split(advice.command), cwd=folder)
    assert (after.returncode, after.stderr) == (0, "")
    assert not advice.message or advice.message not in " ".join(after.stdout.split())


QUICK = (
    "a table is gone",
    "an edited table",
    "an edited study",
    "a folder instead of the study",
    "a link",
    "leftovers",
)
"""Scenarios that the gate plays; the slow proof plays all of them."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in OF_A_RUN]
)
def test_advice_about_a_run_works(name: str, plain: Made, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(plain.folder.parent, tmp_path / "copy"))
    require_that_it_works(OF_A_RUN[name], folder)


@pytest.mark.slow
@pytest.mark.parametrize("maker", OF_OTHERS)
def test_advice_about_tuning_searches_and_classes_works(maker: str, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    made = finished(maker, tmp_path / "made")
    for name, advice in OF_OTHERS[maker].items():
        folder = Path(shutil.copytree(made.folder.parent, tmp_path / name))
        require_that_it_works(advice, folder)


@pytest.mark.parametrize(
    ("part", "command"),
    [
        ("run", RUN),
        pytest.param("run", f"{RUN} --shard 1/2", marks=pytest.mark.slow),
        pytest.param("run", "merge copied --out run", marks=pytest.mark.slow),
        pytest.param("shard-1-of-2", RUN, marks=pytest.mark.slow),
        pytest.param("shard-1-of-2", f"{RUN} --shard 2/2".replace("grid", "other"), marks=pytest.mark.slow),
    ],
)
def test_a_folder_in_use_can_be_waited_for_or_another_one_chosen(
    part: str, command: str, plain: Made, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(plain.folder.parent, tmp_path / "copy"))
    shutil.copytree(plain.folder, folder / "copied")
    grid = (folder / "grid.yaml").read_text("utf-8")
    (folder / "other.yaml").write_text(grid.replace("seeds: 3", "seeds: 2"), "utf-8")
    with ExitStack() as held:
        held.enter_context(locked(folder / "run", part))
        refused = in_this_process(*command.split(), cwd=folder)
        assert refused.returncode == 2
        assert refused.stderr.endswith(" Wait until it ends, or choose another folder with --out.\n")
        elsewhere = command.replace("--out run", "--out elsewhere")
        assert in_this_process(*elsewhere.split(), cwd=folder).returncode == 0
    assert in_this_process(*command.split(), cwd=folder).returncode == 0


def test_a_run_in_use_is_packed_and_cleaned_once_it_has_ended(plain: Made, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(plain.folder.parent, tmp_path / "copy"))
    for command, end in (("pack run", "before you pack the run."), ("clean run", "wait until it ends.")):
        with locked(folder / "run"):
            refused = in_this_process(*command.split(), cwd=folder)
            assert (refused.returncode, refused.stderr.endswith(f"{end}\n")) == (2, True), refused.stderr
        assert in_this_process(*command.split(), cwd=folder).returncode == 0


def test_a_folder_of_another_study_is_left_alone_by_each_of_three_ways(plain: Made, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(plain.folder.parent, tmp_path / "copy"))
    shutil.copytree(plain.folder, folder / "experiments" / "runs" / "other")
    grid = (folder / "grid.yaml").read_text("utf-8")
    (folder / "grid.yaml").write_text(grid.replace("study: tiny", "study: other"), "utf-8")
    again = "run grid.yaml --dry-run"
    refused = in_this_process(*again.split(), cwd=folder)
    assert refused.stderr == (
        "Error: experiments/runs/other holds the study 'tiny', and 'other' would use the same folder. Choose another name "
        "under `study:`, or another folder with --out. If it is the same with a new name, continue it with --out "
        "experiments/runs/other.\n"
    )
    for way, left in (("--out elsewhere", 6), ("--out experiments/runs/other", 0)):
        done = in_this_process(*again.split(), *way.split(), "--json", cwd=folder)
        assert len(json.loads(done.stdout)["pending_ids"]) == left
    (folder / "grid.yaml").write_text(grid.replace("study: tiny", "study: third"), "utf-8")
    assert in_this_process(*again.split(), cwd=folder).returncode == 0


# What is named in any sentence of the package


def sentences(with_word: str) -> Iterator[tuple[str, str]]:
    """Yield each text that is no docstring in code with a word, and its place; values in texts are ``X``."""
    for file in sorted(PACKAGE.rglob("*.py")):
        code = file.read_text("utf-8")
        if with_word not in code:
            continue
        tree = ast.parse(code)
        inside = {
            id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr):
                inside.add(id(node.value))
            text = ""
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
                text = node.value
            yield f"{file.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}", text


def test_every_command_and_option_that_is_advised_exists() -> None:
    known, wrong = typer.main.get_command(app), []
    for place, text in sentences("`ablation "):
        for line in re.findall(r"`ablation ([^`]+)`", text if "docs/" not in place else ""):
            words = line.split()
            found: Any = known
            while words and words[0] in getattr(found, "commands", {}):
                found = found.commands[words.pop(0)]
            options = {name for option in found.params for name in option.opts}
            if hasattr(found, "commands") or {word for word in words if word.startswith("--")} - options:
                wrong.append(f"{place}: `ablation {line}`")
    assert not wrong, "\n".join(wrong)


def test_every_extra_that_is_advised_is_declared() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    named = {
        extra
        for _, text in sentences("pip install")
        for extra in re.findall(r"pip install '[^']*\[(\w+)\]'", text)
    }
    assert named - {"X"} <= project["optional-dependencies"].keys()
    assert {"mlflow", "parquet", "gpu", "X"} <= named
