"""The figures of a run: for each a pure ``*_data`` function, and a ``draw`` function that only draws."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from ablation.errors import RunError, did_you_mean, writing
from ablation.executors.cores import available_cores
from ablation.figures.catalogue import FIGURES, draw, texts_of
from ablation.figures.fonts import warn_of_missing_characters
from ablation.figures.parallel_drawing import draw_in_two_processes
from ablation.figures.style import DrawnPictures, Picture
from ablation.files import write_atomically
from ablation.plugins import plugins
from ablation.results.left_out import refuse_outdated
from ablation.results.run import Run

_MANY = 4  # variants, from which on a second process saves more than its start takes


def draw_figures(run: Run, only: Sequence[str] = (), folder: str | Path | None = None) -> DrawnPictures:
    """Draw figures and write each as PNG and SVG; if all are drawn, their captions as ``captions.md``.

    Args:
        run: The run to draw.
        only: Names from `FIGURES`, or of plug-ins; empty for all of `FIGURES`.
        folder: Where the files go; by default the run's `figures_folder`.

    Returns:
        The pictures; those that could not be drawn, unless they were asked for, are named in ``missing``.

    Raises:
        RunError: A name is not in `FIGURES`, a figure that was asked for cannot be drawn, the study has
            nothing to draw under it (interactions without factors), or no trial of the run is completed or
            counts any more.
    """
    others = plugins("figure", FIGURES) if only else {}
    for name in only:
        if name not in FIGURES and name not in others:
            valid = [*FIGURES, *others]
            raise RunError(f"there is no figure named '{name}'.{did_you_mean(name, valid)}")
    refuse_outdated(run)
    if not run.completed_trials:
        raise RunError(f"{run.folder}: no trial is completed yet, so there is nothing to draw.")
    target = Path(folder) if folder else run.figures_folder
    warn_of_missing_characters(texts_of(run))
    with writing(target), run.store.deriving():
        return _drawn(run, only, target)


def _drawn(run: Run, only: Sequence[str], folder: Path) -> DrawnPictures:
    names = [name for name in FIGURES if not only or name in only]
    names += [name for name in dict.fromkeys(only) if name not in FIGURES]
    if not only and len(run.study.variants) >= _MANY and available_cores() > 1:
        pictures = draw_in_two_processes(run, names, folder)
    else:
        pictures = draw(run, names, folder)
    for name in only:
        if name in pictures.missing:
            raise RunError(f"{run.folder}: the figure '{name}' cannot be drawn: {pictures.missing[name]}.")
        if name not in {picture.figure for picture in pictures}:
            raise RunError(f"{run.folder}: this study has nothing to draw for the figure '{name}'.")
    _write_captions(pictures, folder, replace=not only)
    return pictures


def _write_captions(pictures: Sequence[Picture], folder: Path, replace: bool) -> None:
    """Write the captions of pictures to ``captions.md``, by default into those that are there already."""
    file, texts = folder / "captions.md", dict[str, str]()
    kept = None
    if not replace and file.is_file():
        kept = file.stat()
        for text in file.read_text("utf-8", errors="replace").split("\n## "):
            texts[text.removeprefix("## ").partition("\n")[0]] = f"## {text.removeprefix('## ').rstrip()}\n"
    for p in pictures:
        texts[p.title] = f"## {p.title}\n\n![{p.title}]({quote(p.png.name)})\n\n{p.whole_caption}\n"
    write_atomically(file, "\n".join(texts.values()))
    if kept:  # the file is as old as the other figures, by which `Run.is_reported` goes
        os.utime(file, ns=(kept.st_atime_ns, kept.st_mtime_ns))
