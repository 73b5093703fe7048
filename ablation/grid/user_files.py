"""The files that a user's code consists of and reads: the modules that it imports, and what it opens."""

from __future__ import annotations

import ast
import os
import sys
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import resolve_name, source_from_cache
from pathlib import Path
from typing import Any

from ablation.digest import short_digest
from ablation.operating_system import SYSTEM_FOLDERS

_OURS = Path(__file__).parents[1]
_INSTALLED = {"site-packages", "dist-packages"}
_STANDARD_LIBRARY = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
_NOT_OF_USERS: tuple[str, ...] = (str(_OURS), *SYSTEM_FOLDERS, *_STANDARD_LIBRARY)
_LARGE = 2**20  # bytes; larger files are read again only if their size or time has changed

_watchers: list[set[Path]] = []  # each receives the files that are opened for reading now
_hooked = False


@dataclass(frozen=True)
class Module:
    """A module of the user's.

    Attributes:
        file: Its file.
        source: A hash of its file and of the files of all modules of the user's that it needs; for a module
            that needs no other, the hash of its file.
    """

    file: Path
    source: str


def user_modules(name: str, folder: Path) -> dict[str, Module]:
    """Return a module and the user's modules that it imports, directly or not, by name.

    Imports are read off the source, wherever in it they are, so that the answer depends on nothing that this
    process has imported before. Installed packages and the standard library are left out.

    Args:
        name: The name of the module.
        folder: The folder in which modules are looked for first.

    Returns:
        The modules; empty if the first one is not the user's.
    """
    needed: dict[str, tuple[str, ...]] = {}  # by module, the names that it imports
    files: dict[str, Path] = {}
    waiting = [name]
    while waiting:
        module = waiting.pop()
        if module in needed:
            continue
        needed[module] = ()
        file = _module_file(module, folder)
        if file and is_users(file):
            files[module] = file
            needed[module] = (*_parents(module), *_imports(module, file, file_digest(file)))
            waiting += needed[module]
    digests = {module: file_digest(file) for module, file in files.items()}
    return {module: Module(file, _source(module, needed, digests)) for module, file in files.items()}


def _source(module: str, needed: Mapping[str, tuple[str, ...]], digests: Mapping[str, str]) -> str:
    found, waiting = {module}, [module]
    while waiting:
        new = {name for name in needed[waiting.pop()] if name in digests} - found
        found |= new
        waiting += new
    if len(found) == 1:
        return digests[module]
    return short_digest(" ".join(f"{name}:{digests[name]}" for name in sorted(found)), 12)


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts))]


def is_users(file: Path) -> bool:
    """Return whether a file is the user's own, and not of Python, of an installed package or of ablation."""
    return not (_INSTALLED & set(file.parts) or any(map(file.is_relative_to, _NOT_OF_USERS)))


@contextmanager
def files_read() -> Iterator[set[Path]]:
    """Collect the files that this process opens for reading within the block.

    Files that Python or h5py opens are seen, but not those that TensorFlow's own readers open.
    """
    global _hooked
    if not _hooked:
        sys.addaudithook(_notice)  # which cannot be removed, so it is added once
        _hooked = True
    read: set[Path] = set()
    _watchers.append(read)
    try:
        with _watched_h5py():
            yield read
    finally:
        _watchers[:] = [watcher for watcher in _watchers if watcher is not read]


def read_digests(read: Collection[Path], folder: Path | None) -> dict[str, str]:
    """Return the hashes of the user's files among those that were read.

    Hidden files, such as those in ``~/.cache``, are left out: programs change them by themselves.

    Args:
        read: The files.
        folder: The folder of the user's code; without one, nothing is returned.

    Returns:
        The hashes by path: relative to ``folder`` for a file in it, so that a study may be moved.
    """
    digests: dict[str, str] = {}
    if folder is None:
        return digests
    for file in sorted(read):
        place = file.relative_to(folder) if file.is_relative_to(folder) else file
        if is_users(file) and not any(part.startswith(".") for part in place.parts) and file.is_file():
            digests[place.as_posix()] = file_digest(file)
    return digests


def changed_files(digests: Mapping[str, str], folder: Path) -> list[str]:
    """Return the files that no longer have the content of which `read_digests` returned the hash.

    A file that no longer exists is not among them: without it, nothing can be made again.
    """
    return [
        name
        for name, digest in digests.items()
        if (folder / name).is_file() and file_digest(folder / name) != digest
    ]


def file_digest(file: Path) -> str:
    """Return a short hash of a file's content."""
    about = file.stat()
    if about.st_size > _LARGE:
        return _large_digest(file, about.st_size, about.st_mtime_ns)
    content = file.read_bytes()
    if file.suffix == ".py":  # as git may write it on Windows, where it is the same module
        content = content.replace(b"\r\n", b"\n")
    return short_digest(content, 12)


@cache
def _large_digest(file: Path, size: int, changed: int) -> str:
    return short_digest(file.read_bytes(), 12)


def _module_file(name: str, folder: Path) -> Path | None:
    """Return the file of a module, as an import would find it, without importing anything."""
    path, spec = [str(folder), *sys.path], None
    for part in name.split("."):
        spec = PathFinder.find_spec(part, path)
        if spec is None:  # as of a package whose installer brought a finder of its own
            file = getattr(sys.modules.get(name), "__file__", None)
            return Path(file) if file else None
        path = list(spec.submodule_search_locations or ())
    file = Path(spec.origin).absolute() if spec and spec.origin else None
    return file if file and file.is_file() else None


@cache
def _imports(module: str, file: Path, digest: str) -> tuple[str, ...]:
    """Return the names of all that a module's source may import, some of which are no modules."""
    if file.suffix != ".py":
        return ()
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # importing it will say so
        return ()
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            try:
                base = resolve_name("." * node.level + (node.module or ""), package or None)
            except ImportError:
                continue
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(dict.fromkeys(names))


def _notice(event: str, arguments: tuple[Any, ...]) -> None:
    """Pass a file that Python opens for reading to the watchers; for compiled code, its source."""
    if event == "open" and _watchers:
        path, _, flags = arguments
        if isinstance(path, str | bytes | os.PathLike) and not (flags or 0) & (os.O_WRONLY | os.O_RDWR):
            _add(path)


def _add(path: Any) -> None:
    with suppress(OSError, ValueError):  # the program that opens the file reports what is wrong with it
        file = os.path.normpath(Path(os.fsdecode(path)).absolute())
        source = source_from_cache(file) if file.endswith(".pyc") and "__pycache__" in file else file
        for watcher in _watchers:
            watcher.add(Path(source))


@contextmanager
def _watched_h5py() -> Iterator[None]:
    """Notice the files that h5py opens for reading within the block: Python does not see them."""
    h5f = sys.modules.get("h5py.h5f")
    if h5f is None:
        yield
        return
    original = h5f.open

    def open_(name: Any, flags: int = h5f.ACC_RDWR, *rest: Any, **named: Any) -> Any:
        if flags == h5f.ACC_RDONLY:
            _add(name)
        return original(name, flags, *rest, **named)

    h5f.open = open_  # type: ignore[attr-defined]
    try:
        yield
    finally:
        h5f.open = original  # type: ignore[attr-defined]
