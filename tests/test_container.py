"""The Dockerfile agrees with the checkout that it is built from; no test builds an image."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PAGE = (ROOT / "ablation" / "docs" / "machines.md").read_text("utf-8")
LINES = [
    line.split(" ", 1)
    for line in re.sub(r"\\\n", "", (ROOT / "Dockerfile").read_text("utf-8")).splitlines()
    if line and not line.startswith("#")
]


def last(instruction: str) -> str:
    return [rest for name, rest in LINES if name == instruction][-1]


def copied() -> set[str]:
    return {source for name, rest in LINES if name == "COPY" for source in rest.split()[:-1]}


def test_what_is_copied_is_what_the_package_is_built_from() -> None:
    assert copied() == {"ablation", "pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]}
    assert [name for name in copied() if not (ROOT / name).exists()] == []


def test_only_what_is_copied_reaches_docker() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    everything, *rules = [line for line in lines if line and not line.startswith("#")]
    assert everything == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied()
    left_out = [rule for rule in rules if not rule.startswith("!")]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = [package.replace(".", "/") for package in packages]
    assert [folder for folder in folders if any(fnmatch(folder, rule) for rule in left_out)] == []


def test_extras_are_installed_as_the_readme_installs_them() -> None:
    (install,) = [rest for name, rest in LINES if name == "RUN" and "pip install" in rest]
    words = install.split(" && ")[0].replace("pip install", "printf '%s\\n'")
    for extras, target in (("", "/source"), ("mlflow,parquet", "/source[mlflow,parquet]")):
        done = subprocess.run(
            ["sh", "-c", words], env={"EXTRAS": extras}, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["--no-cache-dir", target]
    assert last("ARG") == 'EXTRAS=""'


def test_its_python_is_one_that_the_package_supports() -> None:
    image = re.fullmatch(r"python:(3\.\d+)-slim", last("FROM"))
    assert image
    assert SpecifierSet(PROJECT["requires-python"]).contains(image[1])


def test_the_command_is_ablation_and_its_user_is_not_root() -> None:
    assert (last("ENTRYPOINT"), last("CMD")) == ('["ablation"]', '["--help"]')
    assert int(last("USER")) > 0
    assert last("VOLUME") == last("WORKDIR") == "/study"


def test_the_page_builds_and_runs_this_image() -> None:
    commands = [shlex.split(line) for line in re.findall(r"docker (?:build|run) [^`\n]+", PAGE)]
    assert len(commands) >= 4
    for words in commands:
        for word, value in pairwise(words):
            if word == "--build-arg":
                name, _, extras = value.partition("=")
                assert name == "EXTRAS"
                assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
            if word == "-v":
                assert value.partition(":")[2] in (last("VOLUME"), "/home/ablation")
