"""What README and reference show is so: grids are read, code runs, commands parse, files and names exist.

A block that cannot run has `<!-- not run: reason -->` in front of it. A Python block whose first line is a comment
with a file's name is that file, beside the grids.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import pytest
import typer
from conftest import TINY_GRID
from typer.main import get_command

import ablation
from ablation import Run, Study
from ablation.cli.app import app
from ablation.errors import GridError
from ablation.figures.catalogue import FIGURES
from ablation.grid.grid_file import read_study
from ablation.grid.overrides import parse_overrides
from ablation.results.run import TABLES
from ablation.search.results import SearchRun
from ablation.search.settings import Search

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "ablation" / "docs").glob("*.md"))]


def all_commands(group: Any, prefix: str = "") -> dict[str, Any]:
    """Return all commands by name, those of a group of commands as `class deal`."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        is_group = hasattr(command, "commands")
        found |= all_commands(command, f"{name} ") if is_group else {f"{prefix}{name}": command}
    return found


COMMANDS = all_commands(get_command(app))
CHEAP = ("init", "status", "compare", "plan", "audit")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    fence = re.compile(r"^(<!-- not run: .+ -->\s*)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[2], found[3])
        for page in PAGES
        for text in [page.read_text("utf-8")]
        for found in fence.finditer(text)
        if found[2] in languages and not found[1]
    ]


def each(*languages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", blocks(*languages), ids=str)


def snippets() -> Iterator[str]:
    """Every line of a shell block, and what stands between backticks outside of blocks."""
    for block in blocks("bash"):
        yield from block.text.replace("\\\n", " ").splitlines()
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        yield from (" ".join(found.split()) for found in re.findall(r"`([^`]+)`", text))


def command_lines() -> list[tuple[str, ...]]:
    """The name and arguments of each `ablation` command that is shown, placeholders filled in."""
    found = []
    for snippet in snippets():
        for part in re.split(r"&&|\||;", snippet):
            words = re.search(r"(?:^|-- )ablation (.+)", part.strip())
            if words and not words[1].startswith("-"):
                line = re.sub(r"\[(RUN|REPORT|FOLDER)\]", "", words[1]).replace("...", "")
                words_of = ["3" if word == "N" else word for word in shlex.split(line, comments=True)]
                name = " ".join(words_of[:2])
                found.append((name, *words_of[2:]) if name in COMMANDS else tuple(words_of))
    return sorted(set(found))


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the files that Python blocks are, and a model."""
    folder = tmp_path_factory.mktemp("beside")
    for block in blocks("python"):
        if name := re.match(r"# (\w+\.py)\n", block.text):
            (folder / name[1]).write_text(block.text, "utf-8")
    (folder / "my_model.keras").touch()  # a grid that names a model is read without loading it
    return folder


@each("yaml")
def test_a_grid_is_read(block: Block, beside: Path) -> None:
    """A fragment is completed with a name, and, if it is a search's, is read as one."""
    named = re.search(r"^study:", block.text, re.MULTILINE)
    grid = beside / "grid.yaml"
    grid.write_text(block.text + ("" if named else "\nstudy: example\n"), "utf-8")
    assert Study.from_yaml(grid).variants
    if re.search(r"^search:", block.text, re.MULTILINE):
        assert Search.from_yaml(grid).settings.space


@each("")
def test_an_error_is_the_one_that_is_shown(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its line is put into the last whole grid in front of it."""
    shown = re.match(r"Error: ([\w.]+), line (\d+), [^\n]*\n +\d+ \| ([^\n]*)\n", block.text)
    if not shown:
        pytest.skip("shows no error")
    before = [
        b for b in blocks("yaml") if b.page == block.page and b.line < block.line and "study:" in b.text
    ]
    lines = before[-1].text.splitlines()
    right = lines[int(shown[2]) - 1]
    lines[int(shown[2]) - 1] = right[: len(right) - len(right.lstrip())] + shown[3]
    monkeypatch.chdir(tmp_path)
    Path(shown[1]).write_text("\n".join(lines), "utf-8")
    with pytest.raises(GridError) as caught:
        Study.from_yaml(shown[1])
    assert f"Error: {caught.value}\n" == block.text


@each("python")
def test_names_in_python_exist(block: Block) -> None:
    """What an example takes from the package, a study, a run or a search is there."""
    owners = {"ablation": ablation, "study": Study, "run": Run, "found": SearchRun}
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in owners:
            owner = owners[node.value.id]
            fields = getattr(owner, "model_fields", {})
            assert hasattr(owner, node.attr) or node.attr in fields, f"{node.value.id}.{node.attr}"


@pytest.mark.slow
@each("python")
def test_python_runs(
    block: Block, finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder with a tiny `experiments/grid.yaml`, and finished runs of it where examples open some."""
    grid = re.sub(r"^    ", "", TINY_GRID, flags=re.MULTILINE).replace("study: tiny", "study: digits")
    search = "search: {space: {dropout: [0.1, 0.3]}, trials: 2, seeds: 1, confirm: {best: 1, seeds: 2}}\n"
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "grid.yaml").write_text(grid + search, "utf-8")
    for folder in ("experiments/runs/digits", "from_a", "from_b"):
        shutil.copytree(finished_run.folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    exec(compile(block.text, str(block), "exec"), {"__name__": "example"})


@pytest.mark.parametrize("arguments", command_lines(), ids=" ".join)
def test_a_command_parses(arguments: tuple[str, ...]) -> None:
    name, *rest = arguments
    assert name in COMMANDS
    command = COMMANDS[name]
    options = {option for parameter in command.params for option in parameter.opts}
    if not rest or "--help" in rest:
        return
    grid = ["--grid", "FILE"] if "--grid" in options and "--grid" not in rest else []
    with command.make_context(name, [*rest, *grid]) as context:
        assert context.params


def test_cheap_commands_run(finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished_run.folder, tmp_path / "experiments" / "runs" / "tiny")
    monkeypatch.chdir(tmp_path)
    cheap = [arguments for arguments in command_lines() if arguments[0] in CHEAP]
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    model.save("my_model.keras")
    assert {arguments[0] for arguments in cheap} == set(CHEAP)
    for arguments in cheap:
        try:
            app([*arguments], standalone_mode=False)
        except typer.Exit as ended:
            assert ended.exit_code == 0, arguments


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if not target.startswith("http"):
            assert not file or (page.parent / file).exists(), target
            assert file or anchor in anchors, target


def test_files_and_tests_that_are_named_exist() -> None:
    tests = "".join(file.read_text("utf-8") for file in (ROOT / "tests").rglob("*.py"))
    for snippet in snippets():
        for word in snippet.split():
            if (
                re.fullmatch(r"(tests|experiments|ablation/docs|\.ci)/[\w/.-]*\w", word)
                and "runs" not in word
            ):
                assert (ROOT / word).exists(), snippet
        if chosen := re.search(r"^pytest .*-k (\"[^\"]+\"|\S+)", snippet):
            for part in re.split(r" (?:and|or|not) ", chosen[1].strip('"')):
                assert part in tests, snippet


def test_every_command_is_in_the_readme() -> None:
    shown = {arguments[0] for arguments in command_lines()}
    assert shown == set(COMMANDS)
    assert {name for name in COMMANDS if f"`ablation {name}" in README} == set(COMMANDS)


def test_the_help_has_the_order_of_the_readme() -> None:
    shown = re.findall(r"^\| `ablation (class \w+|\w+)", README, re.MULTILINE)
    assert shown == list(COMMANDS)


@pytest.mark.parametrize("arguments", [a for a in command_lines() if "-s" in a], ids=" ".join)
def test_settings_of_a_command_fit_its_grid(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read with the embedded study."""
    monkeypatch.chdir(ROOT)
    overrides = [value for option, value in pairwise(arguments) if option == "-s"]
    assert read_study(Path("experiments/grid.yaml"), True, parse_overrides(overrides)).variants


def test_every_figure_and_every_table_is_told_of_with_the_run_folder() -> None:
    page = (ROOT / "ablation" / "docs" / "run-folder.md").read_text("utf-8")
    assert [name for name in FIGURES if f"`{name}`" not in page] == []
    assert set(re.findall(r"`(\w+)\.csv`", page)) == set(TABLES)


def test_the_help_of_an_option_is_plain_sentences() -> None:
    """Typer's help takes square brackets for markup, and leaves them out of what it shows."""
    helps = {
        f"{name} {option.name}": option.help
        for name, command in COMMANDS.items()
        for option in command.params
        if getattr(option, "help", None)
    }
    assert len(helps) > 25
    assert [option for option, text in helps.items() if "[" in text or not text.endswith(".")] == []


def test_the_exit_codes_are_those_of_the_readme() -> None:
    folder = Path(ablation.__file__).parent / "cli"
    source = "".join((folder / f"{name}.py").read_text("utf-8") for name in ("app", "endings"))
    codes = {"0", *re.findall(r"\b[eE]xit\((\d+)\)", source)}
    told = re.search(r"Exit codes: (.+?)\.\n", README, re.DOTALL)
    assert told
    assert set(re.findall(r"\b\d+\b", told[1])) == codes
