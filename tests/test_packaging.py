"""The wheel holds what the package needs, and nothing else.

pytest -m slow tests/test_packaging.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.skipif(
    not (ROOT / "ablation" / "__init__.py").exists(), reason="there are no sources beside the tests"
)
def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    """Built from all that git knows, tests, documentation and figures included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    sources = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    for name in sources:
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "source" / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, "."],
        cwd=tmp_path / "source",
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
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
    assert {"ablation/py.typed", "ablation/templates/report.html", "ablation/cli/app.py"} <= package
