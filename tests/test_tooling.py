"""What surrounds the code agrees with it: the citation, the plan of the rooms, the steps of the gate, the site.

pytest -m slow tests/test_tooling.py  # builds the site
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from ruamel.yaml import YAML
from test_architecture import FILES, FROM_THE_GROUND_UP

import ablation

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "ablation" / "docs"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_citation_is_of_this_version() -> None:
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert citation["keywords"] == PROJECT["keywords"]


def test_the_changelog_has_this_version_and_its_date() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    releases = re.findall(r"^## (\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)$", text, re.MULTILINE)
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert releases[0] == (PROJECT["version"], str(citation["date-released"]))
    assert releases == sorted(releases, key=lambda r: [*map(int, r[0].split("."))], reverse=True)
    assert {*re.findall(r"^### (.+)$", text, re.MULTILINE)} <= {
        "Added",
        "Changed",
        "Fixed",
        "Removed",
        "Deprecated",
    }
    assert len(re.findall("^## ", text, re.MULTILINE)) - len(releases) <= 1  # what is unreleased


def test_the_version_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """As the release compares it with its tag."""
    subprocess.run([sys.executable, "-m", "ablation", "--version"], check=True)
    assert capfd.readouterr().out == f"{PROJECT['version']}\n"


def rooms() -> dict[str, list[str]]:
    """The most important modules of each room, as the table of the plan lists them."""
    table = re.findall(
        r"^\| (`.+?) \| .+? \| (.*?) ?\| .+ \|$", (DOCS / "architecture.md").read_text("utf-8"), re.MULTILINE
    )
    return {
        room: re.findall(r"`(\w+)`", modules)
        for names, modules in table
        for room in re.findall(r"`([\w./]+)`", names)
    }


def test_the_plan_has_every_room_in_its_order() -> None:
    assert [*map(room_name, rooms())] == [name for name in FROM_THE_GROUND_UP if name != "__main__"]


def room_name(room: str) -> str:
    return room.removesuffix("/").removesuffix(".py")


def test_the_plan_names_modules_that_exist() -> None:
    named = [f"{room_name(room)}.{module}" for room, modules in rooms().items() for module in modules]
    assert [name for name in named if name not in FILES] == []


def test_a_step_that_is_called_exists() -> None:
    callers = [
        ".ci/run",
        "noxfile.py",
        ".pre-commit-config.yaml",
        *(ROOT / ".github" / "workflows").iterdir(),
    ]
    text = "".join((ROOT / file).read_text("utf-8") for file in callers)
    called = set(re.findall(r'\.ci/step"?,? "?(\w+)', text))
    assert called == set(re.findall(r"^  (\w+)\)$", (ROOT / ".ci" / "step").read_text("utf-8"), re.MULTILINE))


def test_the_workflow_runs_every_declared_python_and_every_system() -> None:
    jobs = YAML(typ="safe").load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]
    lowest, below = map(int, re.findall(r"3\.(\d+)", PROJECT["requires-python"]))
    declared = [f"3.{minor}" for minor in range(lowest, below)]
    assert jobs["ci"]["runs-on"] == "ubuntu-latest"
    assert jobs["ci"]["strategy"]["matrix"] == {"python": declared}
    assert jobs["ci"]["steps"][-1] == {"run": "bash .ci/run"}
    others = jobs["other-systems"]
    assert others["runs-on"] == "${{ matrix.system }}"
    assert others["strategy"]["matrix"]["system"] == ["windows-latest", "macos-latest"]
    (python,) = others["strategy"]["matrix"]["python"]
    assert python in declared
    assert others["defaults"]["run"]["shell"] == "bash"  # cmd.exe does not read the steps
    called = [step["run"] for step in others["steps"] if "run" in step]
    assert "bash .ci/step tests" in called
    assert all("apt-get" not in command for command in called)


def test_a_record_is_short_and_complete() -> None:
    _, *records = (DOCS / "decisions.md").read_text("utf-8").split("\n## ")
    assert [record.split(".")[0] for record in records] == [str(k + 1) for k in range(len(records))]
    for record in records:
        assert re.findall(r"^\*\*(\w+)\.\*\*", record, re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
        ]
        assert len(record.strip().splitlines()) <= 14, record


def test_the_glossary_is_in_order() -> None:
    terms = re.findall(r"^\| ([^|]+) \|", (DOCS / "glossary.md").read_text("utf-8"), re.MULTILINE)[2:]
    assert len(terms) > 40
    assert terms == sorted(terms, key=str.lower)


def test_the_site_has_every_page() -> None:
    pytest.importorskip("sphinx", reason="needs the extra docs")
    contents = runpy.run_path(str(DOCS / "website" / "conf.py"))["CONTENTS"]
    listed = [page for pages in contents.values() for page in pages]
    assert len(listed) == len(set(listed))
    pages = {*ROOT.glob("*.md"), *DOCS.glob("*.md"), *(ROOT / "experiments").glob("*.md")}
    assert {p.relative_to(ROOT).with_suffix("").as_posix() for p in pages} - {"README"} <= set(listed)


def test_the_site_describes_all_that_can_be_imported() -> None:
    page = (DOCS / "website" / "api.rst").read_text("utf-8")
    described = set(re.findall(r"^\.\. auto\w+:: ablation\.(\w+)$", page, re.MULTILINE))
    assert set(ablation.__all__) - described <= {"AblationError"}  # with all errors


@pytest.mark.slow
def test_the_site_is_built_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="needs the extra docs")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", ROOT / ".ci" / "step", "docs", tmp_path],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text("utf-8")
        assert 'src="http' not in text, page  # it is read offline
        for target in re.findall(r'(?:href|src)="([^"#?:]+)[^":]*"', text):
            assert (page.parent / unquote(target)).exists(), f"{page}: {target}"

    api = (tmp_path / "ablation" / "docs" / "website" / "api.html").read_text("utf-8")
    for name in {*ablation.__all__} - {"AblationError"}:
        assert f'id="ablation.{name}"' in api
    for words in ("Parameters", "Returns", "Raises"):
        assert words in api
    for noise in ("FieldInfo", "PydanticUndefined", "Field(", " at 0x", "PosixPath", "model_dump"):
        assert noise not in api
