"""Draw a run's figures in two processes: twenty variants fill hundreds of panels."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Thread

from ablation.figures.catalogue import draw
from ablation.figures.style import DrawnPictures, Picture
from ablation.results.run import Run


def draw_in_two_processes(run: Run, names: Sequence[str], folder: Path) -> DrawnPictures:
    """Draw figures in this process and in a second one, each of which takes the next figure when it is free.

    What the second process cannot draw is drawn here.

    Args:
        run: The run.
        names: Which figures.
        folder: Where the files go.
    """
    left, drawn = deque(names), dict[str, DrawnPictures]()
    second = _SecondProcess(run, folder)
    there = Thread(target=second.draw_from, args=(left, drawn))
    there.start()
    try:
        while left or there.is_alive():
            while left:
                name = left.popleft()
                drawn[name] = draw(run, [name], folder)
            if not second.is_drawing:
                second.stop()
            there.join()
    finally:
        second.stop()
        there.join()
        second.close()
    pictures = DrawnPictures()
    for name in names:
        pictures = pictures.joined(drawn[name])
    return pictures


class _SecondProcess:
    """A process that draws the figures that it is sent, one after the other."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.is_drawing = False
        code = "from ablation.figures.parallel_drawing import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, str(run.folder), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # this process says the same, or says it when it takes over
            text=True,
        )

    def draw_from(self, left: deque[str], drawn: dict[str, DrawnPictures]) -> None:
        """Draw the last of the figures that are left, until none is left.

        If the process ends before, its figure is left again.

        Args:
            left: The figures that nobody draws yet.
            drawn: The pictures of figures, to which those of this process are added.
        """
        is_ready = bool(self._answer())
        while is_ready:
            try:
                name = left.pop()
            except IndexError:
                return
            self.is_drawing = True
            pictures = self._drawn(name)
            if pictures is None:
                left.append(name)
                return
            drawn[name] = pictures
            self.is_drawing = False

    def stop(self) -> None:
        """End the process, if it has not ended."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close what was open to the ended process."""
        self._process.communicate()

    def _drawn(self, name: str) -> DrawnPictures | None:
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{json.dumps(name)}\n")
            self._process.stdin.flush()
        except OSError:  # it has ended
            return None
        if not (answer := self._answer()):
            return None
        written = json.loads(answer)
        pictures = (Picture(**(about | {"folder": Path(about["folder"])})) for about in written["pictures"])
        return DrawnPictures(pictures, written["missing"])

    def _answer(self) -> str:
        """Wait for the next line that the process writes; "" if it ends before."""
        assert self._process.stdout
        return self._process.stdout.readline()


def main() -> None:
    """Draw each figure that the input names, of the run and into the folder that the command line names."""
    run = Run(sys.argv[1])
    answers, sys.stdout = sys.stdout, sys.stderr  # what plug-ins print is no answer
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        pictures = draw(run, [json.loads(line)], Path(sys.argv[2]))
        records = [asdict(picture) | {"folder": str(picture.folder)} for picture in pictures]
        print(json.dumps({"pictures": records, "missing": pictures.missing}), file=answers, flush=True)
