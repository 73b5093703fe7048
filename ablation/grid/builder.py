"""Your own function that builds a model, and the arguments that a grid can set."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablation.errors import AblationError
from ablation.grid.settings import BuilderSettings
from ablation.grid.user_code import load_object
from ablation.tensorflow_setup import quiet_stderr

GIVEN = ("image_shape", "classes")  # the arguments that the harness passes to a builder that has them


@dataclass(frozen=True)
class Builder:
    """A function that returns a Keras model.

    Attributes:
        name: The name of the function, ``module:function``.
        folder: The folder in which the module is looked for first.
        source: A hash of the module's file.
        function: The function.
        arguments: The arguments that a grid can set, with their defaults; `inspect.Parameter.empty` if an
            argument has none.
    """

    name: str
    folder: Path
    source: str
    function: Callable[..., Any]
    arguments: dict[str, Any]

    @classmethod
    def load(cls, name: str, folder: Path) -> Builder:
        """Load a builder by its name.

        Raises:
            AblationError: There is no builder of this name, or a grid cannot set its arguments.
        """
        with quiet_stderr():  # the custom module will import it, too
            import keras  # noqa: F401
        function, source = load_object(name, folder, "builder")
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            raise AblationError(f"'{name}' is not a function that returns a model.") from None
        settable_kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        unsettable = [p.name for p in parameters if p.kind not in settable_kinds]
        if unsettable:
            raise AblationError(
                f"{name}: declare each argument that a grid may set by its name, not as *{unsettable[0]}."
            )
        arguments = {p.name: p.default for p in parameters if p.name not in GIVEN}
        return cls(name, folder, source, function, arguments)

    def settings(self, values: dict[str, Any]) -> BuilderSettings:
        """Return the settings of the model that the builder builds with these arguments.

        Raises:
            AblationError: An argument has neither a value nor a default.
        """
        complete = self.arguments | values
        missing = [name for name, value in complete.items() if value is inspect.Parameter.empty]
        if missing:
            raise AblationError(f"{self.name} needs a value for its argument '{missing[0]}'.")
        return BuilderSettings(
            builder=self.name, folder=str(self.folder), source=self.source, arguments=complete
        )
