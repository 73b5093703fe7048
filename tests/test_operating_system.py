"""What differs between systems, simulated on Linux: names, paths, files in use, consoles, missing modules.

None of it was run on Windows or macOS by whoever wrote it; `.github/workflows/ci.yml` runs the tests there.
"""

from __future__ import annotations

import ast
import errno
import io
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY_GRID, tiny_trial
from hypothesis import given
from hypothesis import strategies as st
from test_architecture import FILES
from untrained_runs import untrained_run

from ablation import Run, Study
from ablation import operating_system as system
from ablation.cli.app import main
from ablation.data.csv_listing import list_csv
from ablation.data.datasets import Dataset
from ablation.errors import GridError, RunError
from ablation.executors.contract import Progress, Task
from ablation.files import write_atomically
from ablation.grid.trial import TrialResult, slug
from ablation.grid.user_files import file_digest
from ablation.store.lock import locked, running_parts
from ablation.store.run_folder import Store
from ablation.workflow.progress import LiveProgress


@pytest.fixture
def on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "IS_WINDOWS", True)


def in_python(code: str, **options: object) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


# One module knows the system.


def test_only_one_module_asks_for_the_system() -> None:
    asked = re.compile(
        r"sys\.platform|os\.name\b|platform\.system|hasattr\(os\b|killpg|\bos\.fork\b|msvcrt|winreg"
    )
    unix = {"fcntl", "resource", "pwd", "grp", "termios", "pty", "msvcrt", "multiprocessing"}
    found = set()
    for module, file in FILES.items():
        text = file.read_text("utf-8")
        imported = {
            name.partition(".")[0]
            for node in ast.walk(ast.parse(text))
            for name in (
                [alias.name for alias in node.names] if isinstance(node, ast.Import)
                else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            )
        }  # fmt: skip
        if asked.search(text) or unix & imported:
            found.add(module)
    assert found == {"operating_system"}


# Names and paths.


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("Com1.a.b", "_Com1.a.b"),
        ("console", "console"),
        ("a: b", "a_b"),
        ("lr=0.1 ", "lr=0.1"),
        ("e" * 38 + ". more", "e" * 38),
        ("...", "variant"),
    ],
)
def test_a_name_that_windows_reserves_is_changed(name: str, folder: str) -> None:
    assert slug(name) == folder


@given(st.text("conauxprlt019. :-_éA", max_size=60) | st.text())
def test_any_name_is_a_file_name_on_every_system(name: str) -> None:
    safe = slug(name)
    assert safe.partition(".")[0].lower() not in {"con", "prn", "aux", "nul", "com1", "lpt0"}
    assert re.fullmatch(r"[A-Za-z0-9_+=.-]{1,40}(?<![._-])", safe)


def test_variants_that_differ_in_case_have_folders_of_their_own(tmp_path: Path) -> None:
    run = untrained_run(
        "study: s\nseeds: 1\nmodel: {family: dense}\nvariants: {A: {dense: [4]}, a: {dense: [5]}}", tmp_path
    )
    folders = [folder.name for folder in (run.folder / "trials").glob("*-s*")]
    assert len({name.lower() for name in folders}) == 3


@pytest.mark.unix
def test_the_longest_path_of_a_trial_is_known(
    tmp_path: Path, tiny_dataset: Dataset, two_variants: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = tiny_trial(tiny_dataset, seed=2**32 - 1).model_copy(update={"variant": "v" * 100})
    store = Store(tmp_path)
    longest = [
        store.scratch(trial) / ".test_probabilities.npy.partial",
        store.scratch(trial).with_name(f"{trial.id}.replaced") / "test_probabilities.npy",
    ]
    assert max(len(str(file.relative_to(tmp_path))) for file in longest) <= 120
    monkeypatch.setattr("ablation.store.run_folder.longest_path", lambda: 259)
    deep = tmp_path / ("x" * (139 - len(str(tmp_path))))
    assert len(str(deep)) == 140
    with pytest.raises(RunError) as refused:
        Store(deep).open(two_variants, tiny_dataset)
    assert str(refused.value) == (
        f"{deep} has 140 characters, and the files of trials have up to 120 more, but Windows allows 259 in all. "
        "Choose a folder of at most 139 characters with --out, or enable long paths in Windows."
    )
    Store(Path(str(deep)[:-1])).open(two_variants, tiny_dataset)


@pytest.mark.unix
def test_a_path_with_backslashes_is_read(tmp_path: Path, write_grid: Callable[[str], Path]) -> None:
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "images.npz", x=np.zeros((4, 2, 2), np.uint8), y=[0, 1, 0, 1])
    study = Study.from_yaml(write_grid(r"{study: s, dataset: {name: npz, path: data\images.npz}}"))
    assert study.dataset.path == str(tmp_path / "data" / "images.npz")
    (tmp_path / "list.csv").write_bytes(b"file,label\r\ndata\\images.npz,a\r\n")
    assert [one.file for one in list_csv(tmp_path / "list.csv").pictures] == [
        tmp_path / "data" / "images.npz"
    ]


@pytest.mark.unix
@pytest.mark.parametrize("written", [r'"data\images.npz"', r'"C:\Users\me\images.npz"', r'"data\train.npz"'])
def test_a_path_with_backslashes_in_double_quotes_is_explained(
    written: str, write_grid: Callable[[str], Path]
) -> None:
    file = write_grid(f"study: s\ndataset:\n  name: npz\n  path: {written}\n")
    with pytest.raises(GridError) as refused:
        Study.from_yaml(file)
    first = str(refused.value).splitlines()[0].lower()
    assert first.startswith(f"{file}, line 4")
    assert first.endswith(
        "between double quotation marks, a backslash begins a code; write paths with /, as in data/train."
    )


def test_a_grid_and_a_module_may_have_line_ends_of_windows(tmp_path: Path) -> None:
    plain, windows = tmp_path / "plain.yaml", tmp_path / "windows.yaml"
    text = textwrap.dedent(TINY_GRID)
    plain.write_text(text, "utf-8")
    windows.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    trials = [[t.id for t in Study.from_yaml(file).trials("0" * 64)] for file in (plain, windows)]
    assert trials[0] == trials[1]
    windows.write_bytes(b"\xef\xbb\xbfstudy: s\r\nmodel: {dropuot: 1}\r\n")
    with pytest.raises(GridError, match=r"windows.yaml, line 2, model.dropuot: .* Did you mean 'dropout'\?"):
        Study.from_yaml(windows)
    module, checked_out = tmp_path / "module.py", tmp_path / "checked_out.py"
    module.write_bytes(b"def build():\n    return 1\n")
    checked_out.write_bytes(module.read_bytes().replace(b"\n", b"\r\n"))
    assert file_digest(module) == file_digest(checked_out)
    data = [tmp_path / "one.bin", tmp_path / "two.bin"]
    data[0].write_bytes(b"\n")
    data[1].write_bytes(b"\r\n")
    assert file_digest(data[0]) != file_digest(data[1])


# Files that another program has open.


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How often a rename is still to be refused, as Windows does while a reader has the file open."""
    left, replace = [2], os.replace

    def replace_later(source: Path, target: Path) -> None:
        if left[0]:
            left[0] -= 1
            raise PermissionError(errno.EACCES, "Permission denied", str(source), None, str(target))
        replace(source, target)

    monkeypatch.setattr("os.replace", replace_later)
    monkeypatch.setattr(system, "_LONGEST_WAIT", 0.05)
    yield left
    assert left[0] <= 0


@pytest.mark.usefixtures("on_windows")
def test_a_file_that_is_being_read_is_replaced_a_moment_later(tmp_path: Path, refused: list[int]) -> None:
    (tmp_path / "file").write_text("old")
    write_atomically(tmp_path / "file", "new")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["new"]


@pytest.mark.usefixtures("on_windows")
def test_a_trial_is_kept_while_a_virus_scanner_reads_it(
    tmp_path: Path, tiny_dataset: Dataset, refused: list[int]
) -> None:
    trial, store = tiny_trial(tiny_dataset), Store(tmp_path)
    store.scratch(trial)
    store.commit(trial, TrialResult(trial_id=trial.id, status="completed"))
    kept = store.result(trial)
    assert kept
    assert kept.status == "completed"


@pytest.mark.parametrize("windows", [True, False])
def test_a_file_that_stays_in_use_is_named(
    windows: bool, tmp_path: Path, refused: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "IS_WINDOWS", windows)
    refused[0] = 1000
    (tmp_path / "file").write_text("old")
    with pytest.raises(RunError) as error:
        Store(tmp_path).write("file", "new")
    assert str(error.value) == (
        f"{tmp_path / 'file'} cannot be written to: permission denied; close it if another program has it open. "
        "Finished work is kept; when it can be written to, repeat the command."
    )
    assert refused[0] == (996 if windows else 999)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]
    refused[0] = 0


# Processes.


@pytest.mark.unix
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "with exit code 3"),
        (-9, "killed by SIGKILL (as the system does when memory runs out: try fewer --workers)"),
        (-200, "killed by signal 200"),
        (0xC0000005, "with exit code 0xC0000005 (access violation)"),
        (0xC000012D, "with exit code 0xC000012D (memory ran out: try fewer --workers)"),
        (0xC0000139, "with exit code 0xC0000139"),
    ],
)
def test_how_a_process_ended_is_said_in_words(code: int, words: str) -> None:
    assert system.describe_exit(code) == words


@pytest.mark.unix
@pytest.mark.usefixtures("on_windows")
def test_on_windows_a_worker_is_killed_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    assert system.group_of_its_own() == {"creationflags": 0x200}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as process:
        called, popen = [], subprocess.run

        def run(command: list[str], **options: object) -> object:
            called.append(command)
            return popen(["true"], check=False)

        monkeypatch.setattr(subprocess, "run", run)
        system.kill_group(process)
        assert process.wait(5)
        system.kill_group(process)
    assert called == [["taskkill", "/F", "/T", "/PID", str(process.pid)]]


@pytest.mark.unix
def test_what_only_unix_has_is_not_needed(tmp_path: Path) -> None:
    """Without fcntl and resource, locks are files; a watcher sees whoever holds one, and leaves none."""
    done = in_python(
        f"""
        import os, sys, warnings
        sys.modules.update(fcntl=None, resource=None)
        del os.sched_getaffinity
        warnings.simplefilter("ignore")
        from pathlib import Path
        from ablation.executors.cores import available_cores
        from ablation.operating_system import call_in_forked_child
        from ablation.store.lock import locked, running_parts
        from ablation.training import memory
        call_in_forked_child(print)
        memory._OWN = Path("no-proc")
        memory.forget_peak()
        folder = Path({str(tmp_path)!r})
        with locked(folder):
            print(memory.peak_mib(), available_cores() > 0, running_parts(folder, lambda _: False))
        print(running_parts(folder, lambda _: False), *folder.iterdir())
        """
    )
    assert (done.stdout, done.stderr) == ("None True {'run'}\nset()\n", "")


def test_a_lock_whose_file_vanishes_when_it_is_released_is_seen(tmp_path: Path) -> None:
    """As the lock of a folder that is being opened does on Windows."""
    with locked(tmp_path):
        (tmp_path / "opening.lock").unlink()
        assert running_parts(tmp_path, lambda _: False) == {"run"}


@pytest.mark.unix
def test_a_worker_leaves_standard_input_to_nobody() -> None:
    """On Windows, importing scipy waits for a thread that reads it; and `input()` of a user would take a task."""
    code = """
        import os, sys, threading
        from ablation.training import worker
        def start(threads):
            assert any(thread.name.startswith("Thread-") for thread in threading.enumerate())
            is_empty = os.path.samestat(os.fstat(0), os.stat(os.devnull))
            print(is_empty, is_empty and repr(sys.stdin.readline()), file=sys.stderr)
            os._exit(3)
        worker.start_tensorflow = start
        sys.argv[1:] = ["dataset.npz", "1", "tensorflow"]
        worker.main()
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], **pipes) as process:  # type: ignore[call-overload]
        process.stdin.write('{"tasks": []}\n' * 3)  # and it stays open, as that of a worker does
        process.stdin.flush()
        assert process.stderr.readline() == "True ''\n"
        assert process.wait() == 3  # before its input is closed, which ends it, too


def test_a_program_without_a_terminal_can_hide_messages() -> None:
    done = in_python(
        """
        import os
        from ablation.tensorflow_setup import quiet_stderr
        os.close(2)
        with quiet_stderr():
            print("works")
        """
    )
    assert done.stdout == "works\n"


# Consoles.

NAMES = """
    study: größe
    model: {family: dense}
    variants: {日本 − é: {dense: [4]}, schmal → breit: {dense: [5]}}
    seeds: 3
"""


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return untrained_run(NAMES, tmp_path_factory.mktemp("named"))


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("command", ["status", "compare", "plan", "audit", "--help"])
def test_a_console_shows_what_it_can(
    command: str, encoding: str, named: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, encoding, write_through=True))
    monkeypatch.setattr(sys, "argv", ["ablation", command, *[str(named.folder)] * (command != "--help")])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    shown = screen.getvalue().decode(encoding)
    if command != "--help":
        name = {"cp1252": "?? - é", "ascii": "?? - e", "utf-8": "日本 − é"}[encoding]
        assert name in shown
    assert ("→" in shown) == (encoding == "utf-8" and command != "--help")


def test_no_name_ends_a_run_that_prints_its_progress(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, "cp1252", write_through=True))
    trial = tiny_trial(tiny_dataset).model_copy(update={"variant": "日本 → é"})
    with LiveProgress() as progress:
        progress.planned([trial], [Task(trial, tmp_path)])
        progress.progressed(Progress(trial, None))
        progress.finished(trial, TrialResult(trial_id=trial.id, status="failed", cause="the disk is − full"))
    assert "1/1 ?? -> é seed 0: failed, the disk is - full" in screen.getvalue().decode("cp1252")


@pytest.mark.unix
def test_a_python_whose_locale_is_c_runs_a_command(named: Run) -> None:
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG"))}
    environment = plain | {
        "LC_ALL": "C",
        "PYTHONIOENCODING": "ascii",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }
    command = [sys.executable, "-m", "ablation", "status", str(named.folder)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"schmal -> breit" in done.stdout


@given(st.text())
def test_any_text_can_be_written(text: str) -> None:
    for encoding in ("ascii", "cp1252", "cp932", "utf-8"):
        written = text.encode(encoding, errors="ablation.nearest").decode(encoding)
        assert len(written) >= len(text) if encoding == "utf-8" else isinstance(written, str)


def test_a_stream_that_says_how_to_write_is_left_alone() -> None:
    chosen = io.TextIOWrapper(io.BytesIO(), "ascii", errors="replace")
    system.write_what_can_be_shown(chosen)
    system.write_what_can_be_shown(None)
    system.write_what_can_be_shown(io.StringIO())
    assert chosen.errors == "replace"
