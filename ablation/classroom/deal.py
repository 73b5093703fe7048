"""Dealing a study to a class: one folder per student, with the grid, their own seeds and three commands."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import metadata, version
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from ablation.classroom.needed_files import images_elsewhere, needed_files
from ablation.errors import GridError, RunError, writing
from ablation.grid.grid_file import read_study
from ablation.grid.study import Study
from ablation.grid.study_diff import study_changes
from ablation.grid.value_text import counted
from ablation.grid.yaml_positions import read_yaml
from ablation.workflow.scaffold import rendered

GRID, README, RUN = "grid.yaml", "README.md", "run"
_MOST_SEEDS = 10_000  # of one study, which all hand-ins become
_SYSTEMS = {
    "Windows": ("py -m venv env", "env\\Scripts\\python -m "),
    "macOS or Linux": ("python3 -m venv env", "env/bin/python -m "),
    "Colab": ("", "!python -m "),
}


def deal(
    grid: str | Path, students: int, out: str | Path, seeds_each: int = 1, wheel: str | Path | None = None
) -> list[Path]:
    """Write one folder per student: the same grid with seeds of their own, the files that it needs, a README.

    The seeds follow those of the grid, so that a run of the grid itself is another hand-in.

    Args:
        grid: The grid file.
        students: The number of students.
        out: The folder to write to, which need not exist yet.
        seeds_each: The number of seeds that each student trains all variants with.
        wheel: The package as a wheel, which each folder then holds; by default, the README installs the
            package from an index.

    Returns:
        The folders of the students.

    Raises:
        GridError: The grid is not valid, or cannot be dealt.
        RunError: A folder exists already, and nothing was written; or it cannot be written to.
    """
    grid, out = Path(grid), Path(out)
    study, source = read_study(grid), read_yaml(grid)
    first = max(study.seeds) + 1
    _refuse(study, grid, first, students, seeds_each)
    files = needed_files(source)
    if wheel:
        if not Path(wheel).is_file() or Path(wheel).suffix != ".whl":
            raise RunError(f"--wheel: {wheel} is not a wheel, a file that ends in .whl.")
        files = {**files, Path(wheel).name: Path(wheel)}
    digits = max(2, len(str(students)))
    folders = [out / f"student-{number:0{digits}}" for number in range(1, students + 1)]
    for folder in folders:
        if folder.exists():
            raise RunError(f"{folder} already exists; choose another folder, or move it away.")
    seeds = [tuple(range(first + k * seeds_each, first + (k + 1) * seeds_each)) for k in range(students)]
    with tempfile.TemporaryDirectory() as tried:
        _write(Path(tried, folders[0].name), source.text, seeds[0], files, "")
        _require_same(study, Path(tried, folders[0].name, GRID), seeds[0])
    elsewhere = images_elsewhere(source)
    with writing(out):
        for folder, own in zip(folders, seeds, strict=True):
            about = _readme(study, folder.name, own, Path(wheel).name if wheel else "", elsewhere)
            _write(folder, source.text, own, files, about)
    return folders


def _refuse(study: Study, grid: Path, first: int, students: int, seeds_each: int) -> None:
    """Raise an error if a study cannot be dealt to so many."""
    if students < 1 or seeds_each < 1:
        name, number = ("--students", students) if students < 1 else ("--seeds-each", seeds_each)
        raise GridError(f"{name}: expected a number of at least 1, not {number}.")
    if students * seeds_each > _MOST_SEEDS:
        raise GridError(
            f"--students {students} with {seeds_each} seeds each are {students * seeds_each:,} seeds; a "
            f"study has at most {_MOST_SEEDS:,}."
        )
    if first + students * seeds_each > 2**32:
        raise GridError(
            f"{grid}: seeds: the seeds of students follow {first - 1}, and a seed is below 2**32."
        )
    if study.tune:
        raise GridError(
            f"{grid}: tune: every student would search for settings, which no hand-in is compared by; remove "
            "`tune:` from the grid of a class."
        )


def _write(folder: Path, grid: str, seeds: Sequence[int], files: Mapping[str, Path], readme: str) -> None:
    folder.mkdir(parents=True)
    for name, file in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / name)
    (folder / GRID).write_text(with_seeds(grid, seeds), "utf-8", newline="\n")
    (folder / README).write_text(readme, "utf-8", newline="\n")


def with_seeds(grid: str, seeds: Sequence[int]) -> str:
    """Return the text of a grid file with other seeds; only these and a comment on them change.

    Args:
        grid: The text of a valid grid file.
        seeds: The seeds.
    """
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 100_000
    data = yaml.load(grid)
    listed = CommentedSeq(seeds)
    listed.fa.set_flow_style()
    data["seeds"] = listed
    for token in data.ca.items.get("seeds", ()):
        if token and not token.value.startswith("\n"):  # what follows belongs to the next key
            token.value = "# yours alone\n" + token.value.partition("\n")[2]
    stream = io.StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()


def _require_same(study: Study, dealt: Path, seeds: Sequence[int]) -> None:
    """Raise an error if a dealt grid is not the same study with other seeds: it could not be collected."""
    again = read_study(dealt)
    changes = [line for line in study_changes(study, again) if not line.startswith("seeds: ")]
    if changes or again.seeds != tuple(seeds):
        raise GridError(f"the grid cannot be dealt, because a copy of it is another study: {changes[0]}.")


def _readme(study: Study, student: str, seeds: Sequence[int], wheel: str, images: str) -> str:
    versions = sorted(metadata("ablation-harness")["Requires-Python"].split(","), reverse=True)
    package = f"./{wheel}" if wheel else f"ablation-harness=={version('ablation-harness')}"
    systems = {}
    for system, (environment, python) in _SYSTEMS.items():
        local = f".\\{wheel}" if wheel and system == "Windows" else package
        install = [environment] if environment else []
        systems[system] = (
            [*install, f"{python}pip install {local}"],
            f"{python}ablation run --grid {GRID} --out {RUN}",
            f"{python}zipfile -c {student}.zip {RUN}",
        )
    return rendered(
        "student.md", student=student, study=study, seeds=", ".join(map(str, seeds)), systems=systems,
        variants=counted(len(study.variants), "variant"),
        trainings=counted(len(study.variants) * len(seeds), "training"),
        python=", ".join(versions), images=images,
    )  # fmt: skip
