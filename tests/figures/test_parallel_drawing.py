"""Whatever becomes of the second process, each figure is drawn once, and of one state of the run."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

import pytest
from invented_runs import run_of_variants

from ablation import Run
from ablation.figures import parallel_drawing
from ablation.figures.parallel_drawing import draw_in_two_processes
from ablation.figures.style import DrawnPictures, Picture

NAMES = ["forest", "effects", "ranking"]
READY = "import json, sys; print(json.dumps({state!r}), flush=True); "
ASKED = "line = sys.stdin.readline(); open(sys.argv[2] + '/asked', 'w').close(); "
ANSWERING = "any(print(json.dumps({'pictures': [], 'missing': {}}), flush=True) for line in sys.stdin)"
SLOW = """
from pathlib import Path
import time
from ablation.figures import parallel_drawing
from ablation.files import atomic_writer

def draw(run, names, folder):
    with atomic_writer(folder / "forest.png"):
        (folder / "asked").touch()
        time.sleep(60)

parallel_drawing.draw = draw
parallel_drawing.main()
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of which nothing was trained."""
    return run_of_variants(tmp_path / "run", ["plain"], seeds=3, epochs=1)


@pytest.fixture
def drawn_here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the figures that this process draws, once the second one was asked for a figure."""
    names: list[str] = []

    def draw(_run: Run, asked: list[str], folder: Path) -> DrawnPictures:
        names.extend(asked)
        ends = time.monotonic() + 20
        while not (folder / "asked").exists() and time.monotonic() < ends:
            time.sleep(0.005)
        return DrawnPictures(Picture(name, "", "", "", folder, name, "") for name in asked)

    monkeypatch.setattr(parallel_drawing, "draw", draw)
    return names


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("", id="ends"),
        pytest.param("print('a library greets', flush=True); sys.stdin.read()", id="prints"),
        pytest.param("print(3, flush=True); sys.stdin.read()", id="prints JSON"),
        pytest.param("sys.stdout.buffer.write(b'\\xff\\n'); sys.stdout.flush()", id="writes bytes"),
    ],
)
def test_what_the_second_process_fails_to_draw_is_drawn_here(
    code: str, run: Run, drawn_here: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        parallel_drawing, "_CODE", READY.format(state=parallel_drawing._state(run)) + ASKED + code
    )
    pictures = draw_in_two_processes(run, NAMES, tmp_path)
    assert [picture.name for picture in pictures] == NAMES
    assert sorted(drawn_here) == sorted(NAMES)
    assert (tmp_path / "asked").exists()


def test_where_the_system_starts_no_process_all_is_drawn_here(
    run: Run, drawn_here: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asked").touch()
    monkeypatch.setattr("sys.executable", str(tmp_path / "missing"))
    assert [picture.name for picture in draw_in_two_processes(run, NAMES, tmp_path)] == NAMES
    assert drawn_here == NAMES


def test_a_second_process_that_reads_a_later_state_of_the_run_draws_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn_there() -> list[str]:
        left, drawn = deque(NAMES), dict[str, DrawnPictures]()
        second = parallel_drawing._SecondProcess(run, tmp_path)
        second.draw_from(left, drawn)
        second.stop()
        second.close()
        assert sorted([*left, *drawn]) == sorted(NAMES)
        return sorted(drawn)

    def let_it_read(read: Run) -> None:
        code = READY.format(state=parallel_drawing._state(read)) + ANSWERING
        monkeypatch.setattr(parallel_drawing, "_CODE", code)

    let_it_read(Run(run.folder))
    assert drawn_there() == sorted(NAMES)
    trial = run.trials[0]
    run.store.scratch(trial)
    run.store.commit(trial, run.trial_results[trial.id].model_copy(update={"status": "failed"}))
    let_it_read(Run(run.folder))
    assert drawn_there() == []


def test_the_second_process_may_take_the_last_figure_just_before_this_one_does(
    run: Run, drawn_here: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Emptied(deque[str]):
        """What is emptied by another thread whenever this one has looked whether it is empty."""

        def __bool__(self) -> bool:
            return True

    (tmp_path / "asked").touch()
    monkeypatch.setattr(parallel_drawing, "deque", Emptied)
    monkeypatch.setattr(parallel_drawing, "_CODE", "")
    draw_in_two_processes(run, NAMES, tmp_path)
    assert drawn_here == NAMES


def test_an_interrupted_drawing_leaves_no_process_and_no_part_of_a_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(_run: Run, _names: list[str], folder: Path) -> DrawnPictures:
        while not (folder / "asked").exists():
            time.sleep(0.01)
        assert list(folder.glob(".*.partial"))
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel_drawing, "draw", draw)
    monkeypatch.setattr(parallel_drawing, "_CODE", SLOW)
    with pytest.raises(KeyboardInterrupt):
        draw_in_two_processes(run, NAMES, tmp_path)
    assert not list(tmp_path.glob(".*.partial"))
