"""A study is dealt to a class: the same study for everyone, with seeds that nobody else has."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY_GRID

from ablation import Study, deal
from ablation.errors import GridError, RunError
from ablation.grid.study_diff import study_changes

WriteGrid = Callable[[str], Path]
BUILDER = """
import json
from pathlib import Path
from keras import Sequential, layers
from parts.sizes import units
SETTINGS = json.loads((Path(__file__).parent / "settings.json").read_text())
def build(image_shape, classes, hidden=4):
    return Sequential([layers.Input(image_shape), layers.Flatten(), layers.Dense(units(hidden)),
                       layers.Dense(classes, "softmax")])
"""


def test_everyone_has_the_same_study_and_seeds_of_their_own(write_grid: WriteGrid, tmp_path: Path) -> None:
    grid = write_grid(TINY_GRID.replace("seeds: 2", "seeds: 2  # 0 and 1"))
    folders = deal(grid, students=12, out=tmp_path / "class", seeds_each=3)
    assert [folder.name for folder in folders] == [f"student-{k:02}" for k in range(1, 13)]
    studies = [Study.from_yaml(folder / "grid.yaml") for folder in folders]
    assert [study.seeds for study in studies] == [(k, k + 1, k + 2) for k in range(2, 38, 3)]
    assert all(len(study_changes(a, b)) == 1 for a, b in pairwise(studies))
    before, after = (
        textwrap.dedent(file.read_text()).strip().splitlines() for file in (grid, folders[0] / "grid.yaml")
    )
    assert [line for line in after if line not in before] == ["seeds: [2, 3, 4] # yours alone"]
    readme = (folders[4] / "README.md").read_text("utf-8")
    assert "You train 4 variants with the seeds 14, 15, 16: 12 trainings." in readme
    assert "env\\Scripts\\python -m ablation run --grid grid.yaml --out run\n" in readme
    assert "env/bin/python -m zipfile -c student-05.zip run\n" in readme
    assert "!python -m pip install ablation-harness==" in readme


def test_a_grid_without_seeds_is_dealt(write_grid: WriteGrid, tmp_path: Path) -> None:
    (folder,) = deal(write_grid("{study: short, model: {family: dense}}"), 1, tmp_path / "class")
    assert Study.from_yaml(folder / "grid.yaml").seeds == (5,)
    assert "You train 1 variant with the seed 5: 1 training. Nobody" in (folder / "README.md").read_text()


def test_what_the_grid_needs_comes_along(write_grid: WriteGrid, tmp_path: Path) -> None:
    """The builder, the package that it imports, the JSON file that it reads, the images, and the schema."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").touch()
    (tmp_path / "parts" / "sizes.py").write_text("def units(n):\n    return n\n")
    (tmp_path / "my_builder.py").write_text(BUILDER)
    (tmp_path / "settings.json").write_text(json.dumps({}))
    (tmp_path / "unused.txt").touch()
    (tmp_path / "grid.schema.json").write_text(json.dumps({}))
    (tmp_path / "data").mkdir()
    generator = np.random.default_rng(0)
    arrays = {"x": generator.integers(0, 256, (40, 8, 8, 1), np.uint8), "y": np.arange(40) % 2}
    np.savez(tmp_path / "data" / "mine.npz", **arrays)
    grid = write_grid(
        """
        # yaml-language-server: $schema=grid.schema.json
        study: own
        dataset: {name: npz, path: data/mine.npz}
        model: {builder: "my_builder:build"}
        training: {epochs: 1}
        factors: {hidden: [4, 8]}
        """
    )
    wheel = tmp_path / "ablation_harness-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    folder, _ = deal(grid, 2, tmp_path / "class", wheel=wheel)
    files = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert {file for file in files if "__pycache__" not in file} == {
        "README.md", "grid.schema.json", "grid.yaml", "my_builder.py", "parts/__init__.py", "parts/sizes.py", "settings.json",
        "data/mine.npz", wheel.name,
    }  # fmt: skip
    readme = (folder / "README.md").read_text()
    assert f"env\\Scripts\\python -m pip install .\\{wheel.name}\n" in readme
    assert f"env/bin/python -m pip install ./{wheel.name}\n" in readme


def test_images_elsewhere_are_named(write_grid: WriteGrid, tmp_path: Path) -> None:
    file = tmp_path / "images" / "mine.npz"
    file.parent.mkdir()
    np.savez(file, x=np.zeros((40, 8, 8, 1), np.uint8), y=np.arange(40) % 2)
    grid = write_grid(f"{{study: far, model: {{family: dense}}, dataset: {{name: npz, path: {file}}}}}")
    (folder,) = deal(grid, 1, tmp_path / "class")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "grid.yaml"]
    assert f"The grid reads them from `{file}`" in (folder / "README.md").read_text()


def test_what_cannot_be_dealt_is_refused_and_nothing_is_written(
    write_grid: WriteGrid, tmp_path: Path
) -> None:
    out = tmp_path / "class"

    def refused(grid: Path, students: int = 3, **options: object) -> str:
        with pytest.raises((GridError, RunError)) as caught:
            deal(grid, students, out, **options)
        assert not out.exists() or sorted(out.iterdir()) == [out / "student-02"]
        return str(caught.value)

    grid = write_grid(TINY_GRID)
    assert refused(grid, 0) == "--students: expected a number of at least 1, not 0."
    assert refused(grid, seeds_each=0) == "--seeds-each: expected a number of at least 1, not 0."
    assert refused(grid, 30, seeds_each=400) == (
        "--students 30 with 400 seeds each are 12,000 seeds; a study has at most 10,000."
    )
    assert refused(grid, wheel=tmp_path / "none.whl") == (
        f"--wheel: {tmp_path / 'none.whl'} is not a wheel, a file that ends in .whl."
    )
    (out / "student-02").mkdir(parents=True)
    assert refused(grid) == (f"{out / 'student-02'} already exists; choose another folder, or move it away.")
    tuned = write_grid(TINY_GRID + "    tune: {space: {learning_rate: [0.01, 0.1]}}\n")
    assert refused(tuned) == (
        f"{tuned}: tune: every student would search for settings, which no hand-in is compared by; remove "
        "`tune:` from the grid of a class."
    )
    below = tmp_path / "below"
    below.mkdir()
    np.savez(tmp_path / "mine.npz", x=np.zeros((40, 8, 8, 1), np.uint8), y=np.arange(40) % 2)
    last = below / "grid.yaml"
    last.write_text("study: out\nmodel: {family: dense}\ndataset: {name: npz, path: ../mine.npz}\n")
    assert refused(last) == (
        f"{last}, line 3, dataset.path: '../mine.npz' is not below the folder of the grid, so that the folder "
        "of a student cannot hold it; move it there.\n    3 | dataset: {name: npz, path: ../mine.npz}"
    )
