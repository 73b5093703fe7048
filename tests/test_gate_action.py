"""The GitHub Action around the merge gate: its structure, and its scripts, run without GitHub.

pytest -m slow tests/test_gate_action.py  # the script trains, from two git checkouts
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gate_checkouts import BROKEN, UNCHANGED, checkout, masked
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
ACTION = ROOT / ".github" / "actions" / "ablation-gate"
PAGE = (ROOT / "ablation" / "docs" / "merge-gate.md").read_text("utf-8")
PINNED = re.compile(r"[\w./-]+@[0-9a-f]{40}")


def loaded(text: str) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(text))


def workflow() -> dict[str, Any]:
    """The example of the page, with a commit in place of the reader's."""
    (text,) = re.findall(r"^```yaml\n(name: .+?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return loaded(text.replace("OWNER/ablation", "owner/ablation").replace("@COMMIT", f"@{'0' * 40}"))


def test_what_the_action_is_given_is_never_part_of_a_command() -> None:
    action = loaded((ACTION / "action.yml").read_text("utf-8"))
    steps = action["runs"]["steps"]
    assert action["runs"]["using"] == "composite"
    assert all("${{" not in step["run"] and step["shell"] == "bash" for step in steps)
    used = set(re.findall(r"inputs\.(\w+)", str(steps)))
    assert used == set(action["inputs"])
    for script in ("gate.sh", "comment.sh"):
        (step,) = [step for step in steps if script in step["run"]]
        text = (ACTION / script).read_text("utf-8")
        given = {"GITHUB_STEP_SUMMARY", "GITHUB_REPOSITORY"} | set(step["env"])
        assert set(re.findall(r"\$\{?([A-Z_]+)", text)) <= given
    assert [step for step in steps if "token" in str(step.get("env"))] == steps[-1:]  # none sees code run


def test_the_inputs_of_the_page_are_those_of_the_action() -> None:
    inputs = loaded((ACTION / "action.yml").read_text("utf-8"))["inputs"]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)
    defaults = {
        name: "required" if about.get("required") else about["default"] for name, about in inputs.items()
    }
    assert {name: default.strip("`–") for name, default, _ in rows} == defaults


def test_the_example_runs_for_pull_requests_with_pinned_actions_and_no_secrets() -> None:
    example = workflow()
    assert set(example["on"]) == {"pull_request"}
    assert "secrets." not in PAGE.replace("`secrets.", "")
    assert example["permissions"] == {"contents": "read"}
    (job,) = example["jobs"].values()
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert used
    assert [name for name in used if not PINNED.fullmatch(name)] == []
    assert all("${{" not in step.get("run", "") for step in job["steps"])
    checkouts = [step for step in job["steps"] if "actions/checkout" in step.get("uses", "")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def commands(folder: Path, **scripts: str) -> dict[str, str]:
    """Return an environment in which these commands are scripts that end as they say."""
    binaries = folder / "bin"
    binaries.mkdir()
    for name, text in scripts.items():
        (binaries / name).write_text(f"#!/usr/bin/env bash\n{text}\n", "utf-8")
        (binaries / name).chmod(0o755)
    return os.environ | {
        "PATH": f"{binaries}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(folder / "job.md"),
        "GITHUB_REPOSITORY": "owner/models",
        "BASE": "base",
        "BRANCH": "branch; touch broken",
        "GRID": "grid.yaml",
        "SEEDS": "",
        "OUT": "out",
        "PULL_REQUEST": "7",
    }


def script(name: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", ACTION / name], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("code", [0, 1])
def test_the_summary_is_shown_and_the_step_ends_as_the_gate_did(code: int, tmp_path: Path) -> None:
    gate = f'printf "%s\\n" "$@" > arguments; echo found > out/summary.md; exit {code}'
    environment = commands(tmp_path, ablation=gate)
    done = script("gate.sh", tmp_path, environment | {"SEEDS": "5"})
    assert done.returncode == code, done.stderr
    assert (tmp_path / "job.md").read_text() == "found\n"
    assert (tmp_path / "arguments").read_text().splitlines() == [
        "gate", "--base", "base", "--branch", "branch; touch broken", "--grid", "grid.yaml", "--out", "out",
        "--seeds", "5",
    ]  # fmt: skip
    assert not (tmp_path / "broken").exists()


def test_an_error_is_the_summary_of_a_gate_that_was_not_run(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.md").write_text("of an earlier run")
    environment = commands(tmp_path, ablation="echo 'Error: there is no ```grid```.' >&2; exit 2")
    done = script("gate.sh", tmp_path, environment)
    assert (done.returncode, done.stderr) == (2, "Error: there is no ```grid```.\n")
    told = "## Merge gate: not run\n\n    Error: there is no ```grid```.\n"
    assert (tmp_path / "job.md").read_text() == (tmp_path / "out" / "summary.md").read_text() == told


GH = """
echo "$*" >> calls
if [[ "$*" == *--paginate* ]]; then
  cat listed
else
  body="${@: -1}"
  cp "${body#body=@}" body
fi
"""


@pytest.mark.parametrize(
    ("listed", "method", "place"),
    [
        ("5\t<!-- ablation gate: other.yaml -->\n6\tHello\n", "POST", "issues/7/comments"),
        ("5\tHello\n8\t<!-- ablation gate: grid.yaml -->\n9\tThanks\n", "PATCH", "issues/comments/8"),
    ],
)
def test_the_comment_is_written_once_and_then_renewed(
    listed: str, method: str, place: str, tmp_path: Path
) -> None:
    environment = commands(tmp_path, gh=GH)
    (tmp_path / "listed").write_text(listed)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.md").write_text("found\n")
    done = script("comment.sh", tmp_path, environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    last = (tmp_path / "calls").read_text().splitlines()[-1]
    assert last.startswith(f"api --method {method} repos/owner/models/{place} --field body=@")
    assert (tmp_path / "body").read_text() == "<!-- ablation gate: grid.yaml -->\nfound\n"


def test_a_token_that_may_not_comment_is_a_warning(tmp_path: Path) -> None:
    environment = commands(tmp_path, gh="echo 'HTTP 403' >&2; exit 1")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.md").write_text("found\n")
    done = script("comment.sh", tmp_path, environment)
    assert done.returncode == 0
    assert done.stdout == (
        "::warning::The merge gate could not comment on the pull request; the job summary has its result.\n"
    )


@pytest.mark.slow
def test_a_pull_request_that_breaks_the_model_fails_and_one_that_changes_nothing_passes(
    tmp_path: Path,
) -> None:
    """Checked out as the example of the page does it: the merge commit, and its first parent."""
    origin = checkout(tmp_path / "origin")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]

    def git(*words: str) -> None:
        subprocess.run(["git", *identity, *words], cwd=origin, check=True, capture_output=True)

    git("init", "--initial-branch", "main")
    git("add", ".")
    git("commit", "-m", "base")
    summaries = {}
    for name, file, text in (("broken", "scale.json", "0.0"), ("unchanged", "README.md", "Scales.")):
        git("checkout", "-b", name, "main")
        (origin / "study" / file).write_text(text, "utf-8")
        git("add", ".")
        git("commit", "-m", name)
        git("checkout", "-b", f"merge-of-{name}", "main")
        git("merge", "--no-ff", "-m", "merge", name)
        folder = tmp_path / name
        folder.mkdir()
        clone = ["git", "clone", "-q", "--depth", "2", "-b", f"merge-of-{name}", f"file://{origin}", "branch"]
        subprocess.run(clone, cwd=folder, check=True)
        (step,) = [step for step in next(iter(workflow()["jobs"].values()))["steps"] if "run" in step]
        subprocess.run(step["run"], shell=True, cwd=folder, check=True, capture_output=True)
        changes = {"BRANCH": "branch", "GRID": "study/grid.yaml"}
        done = script("gate.sh", folder, commands(folder) | changes)
        assert done.returncode == (1 if name == "broken" else 0), done.stderr
        summaries[name] = masked((folder / "job.md").read_text("utf-8"))
    assert summaries == {"broken": BROKEN, "unchanged": UNCHANGED}
