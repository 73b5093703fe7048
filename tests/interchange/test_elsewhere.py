"""The long proofs: a pack is checked and repeated by commands elsewhere, and is valid for the standards' libraries."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest
from processes import ablation
from test_pack import GRID, HELPER, MODULE

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a model of the user's, trained, reported and packed by commands, unpacked, and then removed."""
    home = tmp_path_factory.mktemp("home")
    files = {"grid.yaml": GRID, "my_models.py": MODULE, "helper.py": HELPER, "bias.txt": "0.25"}
    for name, text in files.items():
        (home / name).write_text(textwrap.dedent(text), "utf-8")
    for arguments in (["run", "--grid", "grid.yaml"], ["pack", "--out", "pack.zip"]):
        done = ablation(*arguments, cwd=home)
        assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path_factory.mktemp("elsewhere") / "theirs"
    shutil.unpack_archive(home / "pack.zip", folder)
    shutil.rmtree(home)
    return folder


@pytest.mark.slow
def test_the_commands_of_the_readme_check_and_repeat_a_pack_elsewhere(elsewhere: Path) -> None:
    readme = (elsewhere / "README.md").read_text("utf-8")
    commands = [line.split()[1:] for line in readme.splitlines() if line.startswith("ablation ")]
    assert [words[0] for words in commands] == ["verify", "repeat"]
    verified, repeated = (ablation(*words, cwd=elsewhere) for words in commands)
    assert verified.stdout.startswith("Verified ")
    assert (verified.returncode, verified.stderr) == (0, "")
    assert "every number is the same, bit for bit" in repeated.stdout
    assert repeated.returncode == 0
    checked = subprocess.run(
        ["sha256sum", "--check", "--quiet", "manifest-sha256.txt"], cwd=elsewhere, check=False
    )
    assert checked.returncode == 0
    file = next((elsewhere / "trials").glob("*/result.json"))
    content = file.read_bytes()
    file.write_bytes(content.replace(b"completed", b"complexed", 1))
    tampered = ablation("verify", ".", cwd=elsewhere)
    file.write_bytes(content)
    assert tampered.returncode == 1
    assert f"trial {file.parent.name}: result.json does not match its checksum" in tampered.stdout


@pytest.mark.slow
def test_the_libraries_of_the_standards_accept_the_descriptions(elsewhere: Path, tmp_path: Path) -> None:
    """Installing them needs a package index; validating needs no network."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    packages = [
        "roc-validator>=0.13",
        "rocrate==0.13.0",
        "mlcroissant>=1.1",
    ]  # rocrate with the context of 1.1
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    done = subprocess.run(
        [python, HERE / "validate_pack.py", elsewhere], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "RO-Crate: valid\nCroissant: [60, 40, 50] ['0', '1']\n"
