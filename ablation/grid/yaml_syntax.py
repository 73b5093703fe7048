"""What is wrong where a grid file is not YAML: the line that has to be changed, and the likely cause."""

from __future__ import annotations

import re

from ruamel.yaml.error import MarkedYAMLError

_WITHOUT_SPACE = re.compile(r"\s*(?:- )?([\w.]+):([^\s:].*)")
_ASSIGNMENT = re.compile(r"\s*([\w.]+)\s*=\s*(.+)")
_ITEM_WITHOUT_SPACE = re.compile(r"\s*-([^\s-].*)")
BACKSLASH = "Between double quotation marks, a backslash begins a code; write paths with /, as in data/train."
_COLUMN = "keys of one section begin in the same column."


def syntax_error(error: MarkedYAMLError, text: str) -> tuple[int | None, str]:
    """Return the number of the line to change, counted from 0, and what is wrong with it.

    The mark of a parser is where it could not go on, which is often a line too late.

    Args:
        error: The error of the parser.
        text: The text of the file.
    """
    lines = text.splitlines() or [""]
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return None, f"{error.problem or error.context or 'not valid YAML'}."
    at = min(mark.line, len(lines) - 1)
    opened = min(error.context_mark.line, len(lines) - 1) if error.context_mark else at
    problem = (error.problem or error.context or "not valid YAML").split(" with value ")[0]
    if r"'\t'" in problem:
        return at, "found a tab where YAML does not allow one; indent with spaces."
    if problem.startswith("could not find expected ':'"):
        return opened, _without_colon(lines[opened])
    if problem.startswith("mapping values are not allowed"):
        return _unexpected_colon(lines, at, mark.column)
    if problem.startswith("expected <block end>"):
        before = _before(lines, at)
        if before is not None and _WITHOUT_SPACE.fullmatch(lines[before]):
            return before, _without_colon(lines[before])
        return at, _out_of_place(problem)
    if problem.startswith("expected ','"):
        closing = problem[len("expected ',' or '")]
        if at == opened and "<stream end>" not in problem:
            return at, f"a comma is missing, or the closing '{closing}'."
        return opened, f"the closing '{closing}' is missing."
    if "unexpected end of stream" in problem:
        return opened, "the closing quotation mark is missing."
    if problem.startswith("but found another document"):
        return at, "expected one document; remove this line, which ends the first one."
    if problem.startswith("found unknown escape character") or "escape sequence" in problem:
        return at, BACKSLASH[0].lower() + BACKSLASH[1:]
    if problem.startswith("found undefined alias"):
        return at, "a value that begins with * needs quotation marks."
    if character := re.search(r"character '(.)' that cannot start", problem):
        return at, f"a value that begins with {character[1]} needs quotation marks."
    return at, problem.replace("'<stream end>'", "the end of the file") + "."


def _before(lines: list[str], at: int) -> int | None:
    """Return the number of the last line before this one that is neither empty nor a comment."""
    return next((k for k in range(at - 1, -1, -1) if lines[k].split("#")[0].strip()), None)


def _without_colon(line: str) -> str:
    """Say what is wrong with a line that should be ``key: value``."""
    line = re.sub(r"\s+#.*", "", line)
    if found := _WITHOUT_SPACE.fullmatch(line):
        return f"a space is missing after the colon; write `{found[1]}: {found[2].strip()}`."
    if found := _ASSIGNMENT.fullmatch(line):
        return f"expected a colon instead of the equals sign; write `{found[1]}: {found[2].strip()}`."
    if found := _ITEM_WITHOUT_SPACE.fullmatch(line):
        return f"a space is missing after the dash; write `- {found[1].strip()}`."
    return "the colon is missing; expected `key: value`."


def _unexpected_colon(lines: list[str], at: int, column: int) -> tuple[int, str]:
    """Say why a colon came where the value of another key was still being read."""
    line = lines[at]
    before = _before(lines, at)
    if re.search(r":\s", line[:column]):
        return at, "a value that contains a colon needs quotation marks."
    if before is not None and not re.search(r":(\s|$)", lines[before]):
        return before, _without_colon(lines[before])
    return at, f"the line is indented further than the line above, which has a value already; {_COLUMN}"


def _out_of_place(problem: str) -> str:
    if problem.endswith(("'}'", "']'")):
        return f"there is a closing {problem[-3:]} that nothing opens."
    if problem.endswith("'-'"):
        return "the line is not indented as its list is; the items of a list begin in the same column."
    return f"the line is not indented as its section is; {_COLUMN}"
