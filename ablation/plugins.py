"""Plug-ins: what other installed packages offer by entry points, loaded when it is asked for by its name.

A package declares them in its ``pyproject.toml``, here a reader named ``shapes``:

    [project.entry-points."ablation.readers"]
    shapes = "my_package:read_shapes"
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from ablation.errors import AblationError

Kind = Literal["reader", "exporter", "executor", "figure"]


@dataclass(frozen=True)
class Plugin:
    """What a package offers under a name.

    Attributes:
        kind: What it is.
        name: Its name, by which users ask for it.
        package: The name of the distribution that offers it.
        version: The version of the distribution.
        entry_point: Where it is defined.
    """

    kind: Kind
    name: str
    package: str
    version: str
    entry_point: EntryPoint

    def __str__(self) -> str:
        return f"the {self.kind} '{self.name}' of the package {self.package} {self.version}"

    def load(self) -> Any:
        """Import the package, and return what it offers: a function, for every kind.

        Raises:
            AblationError: It cannot be imported, does not exist, or is not callable.
        """
        where = f"{self} (entry point {self.entry_point.value})"
        try:
            loaded = self.entry_point.load()
        except (Exception, SystemExit) as error:
            reason = " ".join(str(error).split())
            raise AblationError(f"{where} cannot be loaded: {type(error).__name__}: {reason}") from None
        if not callable(loaded):
            raise AblationError(f"{where} is of type {type(loaded).__name__}; expected a function.")
        return loaded


def plugins(kind: Kind, ours: Collection[str]) -> dict[str, Plugin]:
    """Return the plug-ins of a kind by name; nothing is imported for it.

    Args:
        kind: The kind.
        ours: The names of what ablation itself offers.

    Raises:
        AblationError: The name of a plug-in is one of ablation's own, or that of another package's plug-in.
    """
    found: dict[str, Plugin] = {}
    for point in sorted(entry_points(group=f"ablation.{kind}s"), key=lambda point: point.name):
        about = point.dist
        package, version = (about.name, about.version) if about else ("unknown", "")
        plugin = Plugin(kind, point.name, package, version, point)
        if point.name in ours:
            raise AblationError(f"{plugin} has the name of one of ablation's own; uninstall or rename it.")
        if (other := found.get(point.name)) and other.package != package:
            raise AblationError(f"{plugin} and {other} have one name; uninstall or rename one of them.")
        found[point.name] = plugin
    return found
