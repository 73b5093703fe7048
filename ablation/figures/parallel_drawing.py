"""Draw half of a large run's figures in a second process: twenty variants fill hundreds of panels."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ablation.figures.catalogue import draw
from ablation.figures.style import DrawnPictures, Picture
from ablation.results.run import Run


class DrawingProcess:
    """A process that draws figures while this one draws others.

    Args:
        run: The run.
        names: Which figures.
        folder: Where the files go.
    """

    def __init__(self, run: Run, names: Sequence[str], folder: Path) -> None:
        code = "from ablation.figures.parallel_drawing import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, str(run.folder), str(folder), *names],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # this process says the same, or says it when it takes over
            text=True,
        )

    def pictures(self) -> DrawnPictures | None:
        """Wait for the pictures; None where the process could not draw them."""
        written = self._process.communicate()[0]
        if self._process.returncode:
            return None
        drawn = json.loads(written)
        pictures = (Picture(**(about | {"folder": Path(about["folder"])})) for about in drawn["pictures"])
        return DrawnPictures(pictures, drawn["missing"])

    def stop(self) -> None:
        """End the process, if it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def main() -> None:
    """Draw what the command line names, a run, a folder and figures; write their pictures as JSON."""
    pictures = draw(Run(sys.argv[1]), sys.argv[3:], Path(sys.argv[2]))
    records = [asdict(picture) | {"folder": str(picture.folder)} for picture in pictures]
    json.dump({"pictures": records, "missing": pictures.missing}, sys.stdout)
