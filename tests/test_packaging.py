"""The wheel holds what the package needs, and nothing else.

pytest -m slow tests/test_packaging.py  # builds one; `bash .ci/step wheel` names its own by ABLATION_WHEEL
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_every_package_is_declared() -> None:
    declared = DECLARED["tool"]["setuptools"]["packages"]
    found = (file.parent.relative_to(ROOT) for file in (ROOT / "ablation").rglob("__init__.py"))
    assert sorted(declared) == sorted(".".join(folder.parts) for folder in found)


def test_every_template_is_declared() -> None:
    """A template of a new kind, such as the schema of the grid, would be missing from the wheel alone."""
    import ablation

    patterns = DECLARED["tool"]["setuptools"]["package-data"]["ablation.templates"]
    folder = Path(ablation.__file__).parent / "templates"
    found = [file.name for file in folder.glob("*.*") if file.suffix not in (".py", ".pyc")]
    assert [name for name in found if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not fnmatch.filter(found, pattern)] == []


def test_the_versions_of_python_are_those_that_are_classified_and_tested() -> None:
    classified = re.findall(r"Python :: (3\.\d+)\n", "\n".join(DECLARED["project"]["classifiers"]) + "\n")
    tested = re.search(r"python: \[(.*)\]", (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    assert tested
    assert classified == re.findall(r"3\.\d+", tested[1])
    first, last = classified[0], int(classified[-1].removeprefix("3."))
    assert DECLARED["project"]["requires-python"] == f">={first},<3.{last + 1}"


@pytest.mark.slow
@pytest.mark.skipif(
    not (ROOT / "ablation" / "__init__.py").exists(), reason="there are no sources beside the tests"
)
def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    """Where it is built here, from all that git knows, tests, documentation and figures included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    sources = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    wheel = Path(os.environ.get("ABLATION_WHEEL") or _built(sources, tmp_path))
    held = set(zipfile.ZipFile(wheel).namelist())
    about = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    assert {name for name in held if name.startswith(about)} == {
        f"{about}/{name}"
        for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", "licenses/LICENSE")
    }
    package = {
        name for name in sources if name.startswith("ablation/") and not name.startswith("ablation/docs/")
    }
    assert {name for name in held if not name.startswith(about)} == package
    templates = {name for name in sources if name.startswith("ablation/templates/")}
    assert (
        templates | {"ablation/py.typed", "ablation/templates/grid.schema.json", "ablation/cli/app.py"}
        <= held
    )
    elsewhere = re.compile(r"(^|/)(tests|experiments|runs|docs|test_\w+\.py)(/|$)")
    assert [name for name in held if elsewhere.search(name)] == []


def _built(sources: set[str], folder: Path) -> Path:
    """Build a wheel from copies of the sources."""
    for name in sources:
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "source" / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, "."],
        cwd=folder / "source",
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel
