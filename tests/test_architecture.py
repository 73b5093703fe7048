"""The plan of the house: rooms in the order of the data's way, and each imports only rooms below it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

import ablation

PACKAGE = Path(ablation.__file__).parent
FROM_THE_GROUND_UP = (
    "control_characters", "operating_system", "errors", "digest", "files", "plugins", "tensorflow_setup", "grid", "data", "models",
    "training", "store",
    "executors", "analysis", "results", "figures", "charts", "export", "report", "workflow", "interchange",
    "search", "tuning",
    "classroom", "api",
    "cli", "__main__",
)  # fmt: skip
MAY_IMPORT_LATE = ("cli", "__init__")  # for speed: a command imports what it needs


class Import(NamedTuple):
    """An import of one of the package's own modules."""

    module: str
    line: int
    target: str
    late: bool  # in a function, or for types alone


FILES = {
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
    if file.relative_to(PACKAGE).parts[0] not in ("docs", "templates")
}


def room(module: str) -> str:
    return module.partition(".")[0]


def imports(module: str) -> Iterator[Import]:
    """Yield the package's own modules that a module imports, wherever the statement is."""

    def visit(node: ast.AST, late: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inner = late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                inner = True
            names = []
            if isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{module}, line {child.lineno}: relative import"
                names = [f"{child.module}.{alias.name}" for alias in child.names]
            elif isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            for name in names:
                if name.startswith("ablation."):
                    yield Import(module, child.lineno, known(name.removeprefix("ablation.")), inner)
            yield from visit(child, inner)

    return visit(ast.parse(FILES[module].read_text("utf-8")), False)


def known(name: str) -> str:
    """Return the module that a dotted name is, or is defined in."""
    while name and name not in FILES:
        name = name.rpartition(".")[0]
    return name


ALL = [imported for module in FILES for imported in imports(module)]


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room(module) for module in FILES if module != "__init__"} == set(FROM_THE_GROUND_UP)


def test_a_room_imports_only_rooms_below_it() -> None:
    upward = [
        one
        for one in ALL
        if one.module != "__init__"
        if FROM_THE_GROUND_UP.index(room(one.target)) > FROM_THE_GROUND_UP.index(room(one.module))
    ]
    assert upward == []


def test_imports_of_the_package_itself_are_at_the_top_of_a_module() -> None:
    assert [one for one in ALL if one.late and room(one.module) not in MAY_IMPORT_LATE] == []


def test_no_modules_form_a_ring() -> None:
    graph: dict[str, set[str]] = {}
    for one in ALL:
        if one.target != one.module and one.module != "__init__":
            graph.setdefault(one.module, set()).add(one.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a ring of imports: {' -> '.join(error.args[1])}")


def test_at_most_nine_modules_lie_flat() -> None:
    assert len([file for file in PACKAGE.glob("*.py") if file.name != "__init__.py"]) <= 9


def test_no_module_is_longer_than_400_lines_and_no_function_than_60() -> None:
    for module, file in FILES.items():
        text = file.read_text("utf-8")
        assert len(text.splitlines()) <= 400, module
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno is not None
                assert node.end_lineno - node.lineno < 60, f"{module}.{node.name}"


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("ablation", ("numpy", "pandas", "tensorflow", "matplotlib")),
        ("ablation.cli.app", ("numpy", "pandas", "tensorflow", "matplotlib", "pydantic")),
        (
            "ablation.api, ablation.search.run, ablation.tuning.run",
            ("tensorflow", "keras", "keras_tuner", "optuna", "tensorboard", "mlflow", "ray"),
        ),
    ],
)
def test_what_an_import_leaves_for_later(imported: str, absent: tuple[str, ...]) -> None:
    code = f"import sys, {imported}; print(*[name for name in {absent} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    "file",
    sorted((Path(__file__).parents[1] / "experiments" / "benchmark").glob("*.py")),
    ids=lambda file: file.stem,
)
def test_what_a_benchmark_imports_of_the_package_exists(file: Path) -> None:
    """Benchmarks run for hours, so no test runs them."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ablation"):
            module = import_module(str(node.module))
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
    text = file.read_text("utf-8")
    if '__name__ == "__main__"' in text:  # it can be started, so that --help has to say what it does
        assert "ArgumentParser(" in text or "typer" in text
