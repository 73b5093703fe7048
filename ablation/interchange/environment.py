"""The environment of a run as a requirements file: an exact version of each package, and no index."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import (
    Distribution,
    PackageNotFoundError,
    distribution,
    packages_distributions,
)
from pathlib import Path
from typing import Any

from ablation.results.run import Run

_HARNESS = "ablation-harness"
_RECORDED = (_HARNESS, "tensorflow", "jax", "keras", "numpy")  # in the provenance of each trial
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


def lock_text(run: Run, code: Sequence[Path] = ()) -> str:
    """Return the packages that a run needs, with exact versions.

    Trials record the versions of the packages that compute. Those of all others are the versions that are
    installed where this is called, and a comment says so.

    Args:
        run: The run.
        code: The user's modules, which may import further packages.
    """
    recorded = recorded_versions(run)
    here = dict(_closure([_HARNESS, *recorded, *_imported(code)]))
    python = _most_frequent(run, "python")
    lines = [
        f"# The environment of the study {run.study.name}, without hashes: none were recorded.",
        f"# Python {python}, as the trials recorded it." if python else "# The trials recorded no Python.",
        f"# As the trials recorded them: {', '.join(sorted(recorded)) or 'none'}.",
        "# The versions of the others are those that were installed where the run was packed.",
    ]
    for name, versions in _several(run).items():
        lines.append(f"# Several trials recorded other versions of {name}: {', '.join(versions)}.")
    return "".join(f"{line}\n" for line in [*lines, *_pinned(here | recorded)])


def recorded_versions(run: Run) -> dict[str, str]:
    """Return the versions that most trials recorded, by package."""
    found = {name: _most_frequent(run, name) for name in _RECORDED}
    return {name: version for name, version in found.items() if version}


def _pinned(versions: dict[str, str]) -> list[str]:
    return [f"{name}=={versions[name]}" for name in sorted(versions)]


def _counts(run: Run, key: str) -> Counter[str]:
    values = (result.provenance.get(key, "") for result in run.trial_results.values())
    return Counter(value for value in values if value)


def _most_frequent(run: Run, key: str) -> str:
    counts = _counts(run, key)
    return min(counts, key=lambda value: (-counts[value], value)) if counts else ""


def _several(run: Run) -> dict[str, list[str]]:
    """Return the other versions of packages that trials recorded in several versions."""
    recorded = recorded_versions(run)
    others = {name: sorted(set(_counts(run, name)) - {version}) for name, version in recorded.items()}
    return {name: versions for name, versions in others.items() if versions}


def _imported(code: Sequence[Path]) -> list[str]:
    """Return the installed packages that modules import."""
    names = set[str]()
    for file in code:
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    packages = packages_distributions() if names else {}
    return sorted({_normalised(package) for name in names for package in packages.get(name, ())})


def _closure(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the installed packages among some and all that they need, with their versions."""
    waiting: list[tuple[str, frozenset[str]]] = [(name, frozenset()) for name in names]
    seen = set[tuple[str, frozenset[str]]]()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found = distribution(name)
        except PackageNotFoundError:  # for another system, or the harness is a folder on the path
            continue
        yield name, found.version
        waiting += _requirements(found, extras)


def _requirements(found: Distribution, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield what a distribution needs with some extras; what other markers exclude is not installed."""
    for requirement in found.requires or ():
        of_extra: Any = _EXTRA.search(requirement)
        name = _REQUIREMENT.match(requirement)
        if name and (not of_extra or of_extra[1] in extras):
            wanted = (extra.strip() for extra in (name[2] or "").split(","))
            yield _normalised(name[1]), frozenset(extra for extra in wanted if extra)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
