"""YAML with the positions of its keys, so that an error can name the file, the line and the key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ablation.control_characters import control_in, whole_characters
from ablation.errors import GridError, did_you_mean
from ablation.grid.overrides import Override, overridden
from ablation.grid.yaml_syntax import syntax_error

KeyPath = tuple[str | int, ...]

_MOST_BYTES = 1_000_000
_MOST_NODES = 100_000


@dataclass(frozen=True)
class LocatedYaml:
    """The data of a YAML file and the positions of its keys.

    Attributes:
        file: The name of the file, for errors.
        text: The text of the file.
        data: The content of the file as plain mappings, lists and scalars, with the overrides.
        root: The YAML node behind the content of the file.
        overrides: Settings that were given beside the file, instead of those in it.
    """

    file: str
    text: str
    data: dict[str, Any]
    root: Node
    overrides: tuple[Override, ...] = ()

    def error(self, path: KeyPath, message: str) -> GridError:
        """Return an error with the position of ``path``, or of the deepest part of it that exists.

        What was given beside the file is named as it was given.
        """
        line, known = self._locate(path)
        if override := self._given(path, known == path):
            inner = _known(self.data, path)
            deeper = len(inner) > len(override.path)
            return GridError(f"{override.place}{f', {_in_words(inner)}' if deeper else ''}: {message}")
        where = f"{self.file}, line {line + 1}"
        if known:
            where += f", {_in_words(known)}"
        source = self.text.splitlines()[line].strip() if self.text.strip() else ""
        return GridError(f"{where}: {message}\n    {line + 1} | {source}")

    def _given(self, path: KeyPath, is_in_file: bool) -> Override | None:
        """Return the last override that sets ``path`` or, if the file lacks it, something below it."""
        for override in reversed(self.overrides):
            common = min(len(path), len(override.path))
            if path[:common] == override.path[:common] and (common == len(override.path) or not is_in_file):
                return override
        return None

    def _locate(self, path: KeyPath) -> tuple[int, KeyPath]:
        node, line = self.root, self.root.start_mark.line
        for depth, part in enumerate(path):
            if isinstance(node, MappingNode):
                matches = [(key, value) for key, value in node.value if key.value == str(part)]
                if not matches:
                    return line, path[:depth]
                line, node = matches[0][0].start_mark.line, matches[0][1]
            elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line
            else:
                return line, path[:depth]
        return line, path


def _known(data: Any, path: KeyPath) -> KeyPath:
    """Return the part of a path that is in some data; pydantic adds names of types to it."""
    for depth, part in enumerate(path):
        is_key = isinstance(data, dict) and part in data
        is_place = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if not (is_key or is_place):
            return path[:depth]
        data = data[part]
    return path


def _in_words(path: KeyPath) -> str:
    """Return a path as ``training.loss``, and a place in a list as ``value 2 of factors.loss``."""
    words, is_key = "", True
    for part in path:
        if isinstance(part, int):
            words, is_key = f"value {part + 1} of {words}", False
        else:
            words = f"{part} of {words}" if not is_key else f"{words}.{part}" if words else part
    return words


def read_yaml(file: Path, overrides: Sequence[Override] = ()) -> LocatedYaml:
    """Read a YAML mapping.

    Args:
        file: The file.
        overrides: Settings to put in the place of those of the file.

    Raises:
        GridError: The file is missing, too large, not UTF-8, not YAML, or not a mapping; a key is
            duplicated; an anchor contains itself, or there are more than 100,000 values.
    """
    text = _text_of(file)
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
        if root is not None:
            _count_values(root, str(file), frozenset())
        data = yaml.load(text)
    except MarkedYAMLError as error:
        line, message = syntax_error(error, text)
        if line is None:
            raise GridError(f"{file}: {message}") from None
        source = text.splitlines()[line].rstrip()  # with its indentation, which may be what is wrong
        raise GridError(f"{file}, line {line + 1}: {message}\n    {line + 1} | {source}") from None
    except (YAMLError, ValueError, OverflowError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise GridError(f"{file}: the file is not valid YAML: {reason}.") from None
    if root is None:
        raise GridError(f"{file}: the file is empty; it needs at least `study: NAME`.")
    if not isinstance(data, dict):
        raise LocatedYaml(str(file), text, {}, root).error(
            (), "expected a mapping of keys to values, like `study: NAME`."
        )
    data, placed = overridden(data, overrides)
    return LocatedYaml(str(file), text, data, root, placed)


def _text_of(file: Path) -> str:
    """Return the text of a grid file.

    Raises:
        GridError: The file is missing, too large, no ordinary file, or not UTF-8.
    """
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise GridError(f"{file}: expected a file, and not a pipe or a device.")
        if file.stat().st_size > _MOST_BYTES:
            raise GridError(f"{file}: the file is larger than 1 MB; expected about a page of text.")
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GridError(
            f"{file}: the file is not UTF-8 text (invalid byte at position {error.start})."
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise GridError(f"{file}: the file cannot be read: {reason}.{_nearest(file)}") from None


def _nearest(file: Path) -> str:
    """Return the YAML file that was probably meant, as a hint; empty if there is none."""
    folder = file if file.is_dir() else file.parent
    names = sorted(path.name for path in folder.glob("*.y*ml")) if folder.is_dir() else []
    hint = did_you_mean(file.name if file.suffix else f"{file.name}.yaml", names)
    near = hint.removeprefix(" Did you mean '").removesuffix("'?")
    return f" Did you mean '{folder / near}'?" if near in names else ""


def _count_values(node: Node, file: str, above: frozenset[int], so_far: int = 0) -> int:
    """Count the values below a node, aliases expanded; reject what never ends, and what cannot be shown."""
    if id(node) in above:
        raise GridError(f"{file}, line {node.start_mark.line + 1}: an anchor contains itself.")
    so_far += 1
    if so_far > _MOST_NODES:
        raise GridError(f"{file}: the file has more than {_MOST_NODES:,} values, those of anchors expanded.")
    if isinstance(node, ScalarNode):
        _refuse_control(node, file)
    if isinstance(node, (MappingNode, SequenceNode)):
        if isinstance(node, MappingNode):
            _refuse_equal_keys(node, file)
        children = node.value if isinstance(node, SequenceNode) else [n for pair in node.value for n in pair]
        for child in children:
            so_far = _count_values(child, file, above | {id(node)}, so_far)
    return so_far


def _refuse_control(node: ScalarNode, file: str, is_key: bool = False) -> None:
    """Refuse what cannot be shown; in a key, which is a name, line breaks and tabs, too."""
    text = whole_characters(node.value)
    breaks = "".join(character for character in text if is_key and character in "\n\t")
    if control := control_in(text) or "".join(f"U+{ord(character):04X}" for character in breaks[:1]):
        raise GridError(
            f"{file}, line {node.start_mark.line + 1}: '{ascii(text)[1:-1][:80]}' contains {control}, "
            "a control character, which cannot be shown; remove it."
        )


def _refuse_equal_keys(node: MappingNode, file: str) -> None:
    """Refuse keys that differ in their quotation marks alone, as ``1`` and ``"1"``: labels are text."""
    first: dict[str, Node] = {}
    for key, _ in node.value:
        if not isinstance(key.value, str):
            continue
        _refuse_control(key, file, is_key=True)
        other = first.setdefault(key.value, key)
        if key.tag != other.tag:
            line, before = (place.start_mark.line + 1 for place in (key, other))
            raise GridError(f"{file}, line {line}: the key '{key.value}' is also in line {before}.")
