"""Draw a run's figures in two processes: twenty variants fill hundreds of panels."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from typing import Any

from ablation.digest import short_digest
from ablation.figures.catalogue import draw
from ablation.figures.style import DrawnPictures, Picture
from ablation.files import DAMAGED
from ablation.results.run import Run

_CODE = "from ablation.figures.parallel_drawing import main; main()"
_PATIENCE = 5  # seconds, for a process to remove the file that it is writing


def draw_in_two_processes(run: Run, names: Sequence[str], folder: Path) -> DrawnPictures:
    """Draw figures in this process and in a second one, each of which takes the next figure when it is free.

    What the second process cannot draw is drawn here.

    Args:
        run: The run.
        names: Which figures.
        folder: Where the files go.
    """
    left, drawn = deque(names), dict[str, DrawnPictures]()
    try:
        second = _SecondProcess(run, folder)
    except OSError:  # the system starts no process
        return draw(run, names, folder)
    there = Thread(target=second.draw_from, args=(left, drawn))
    there.start()
    try:
        while name := _taken(left.popleft):
            drawn[name] = draw(run, [name], folder)
        if second.is_drawing:
            there.join()
    finally:
        second.stop()
        there.join()
        second.close()
    pictures = DrawnPictures()
    for name in names:
        pictures = pictures.joined(drawn[name] if name in drawn else draw(run, [name], folder))
    return pictures


def _taken(take: Callable[[], str]) -> str:
    """Return the name that is taken; "" if none is left, which the other thread may have caused just now."""
    try:
        return take()
    except IndexError:
        return ""


def _state(run: Run) -> str:
    """Return a hash of what is drawn, by which two processes know that they draw the same."""
    return short_digest(run.study.model_dump_json() + run.results.to_csv())


class _SecondProcess:
    """A process that draws the figures that it is sent, one after the other."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.is_drawing = False
        self._state = _state(run)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _CODE, str(run.folder), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # this process says the same, or says it when it takes over
            text=True,
        )

    def draw_from(self, left: deque[str], drawn: dict[str, DrawnPictures]) -> None:
        """Draw the last of the figures that are left, until none is left or the process fails.

        Args:
            left: The figures that nobody draws yet.
            drawn: The pictures of figures, to which those of this process are added.
        """
        with suppress(*DAMAGED):  # the process has ended, or something else wrote to its output
            if self._answer() != self._state:  # the run was continued since it was read here
                return
            while name := _taken(left.pop):
                self.is_drawing = True
                drawn[name] = self._drawn(name)
                self.is_drawing = False

    def stop(self) -> None:
        """End the process, if it has not ended."""
        if self.is_drawing:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE)
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close what was open to the ended process."""
        self._process.communicate()

    def _drawn(self, name: str) -> DrawnPictures:
        assert self._process.stdin
        self._process.stdin.write(f"{json.dumps(name)}\n")
        self._process.stdin.flush()
        answer = self._answer()
        pictures = (Picture(**(about | {"folder": Path(about["folder"])})) for about in answer["pictures"])
        return DrawnPictures(pictures, answer["missing"])

    def _answer(self) -> Any:
        """Wait for the next answer of the process.

        Raises:
            ValueError: It has ended.
        """
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())


def main() -> None:
    """Draw each figure that the input names, of the run and into the folder that the command line names."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # removes the file that is being written
    run = Run(sys.argv[1])
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    print(json.dumps(_state(run)), file=answers, flush=True)
    for line in sys.stdin:
        pictures = draw(run, [json.loads(line)], Path(sys.argv[2]))
        records = [asdict(picture) | {"folder": str(picture.folder)} for picture in pictures]
        print(json.dumps({"pictures": records, "missing": pictures.missing}), file=answers, flush=True)
