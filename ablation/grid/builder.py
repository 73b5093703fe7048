"""Your own function that builds a model, and the arguments that a grid can set."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablation.errors import AblationError
from ablation.grid.settings import BuilderSettings
from ablation.grid.user_code import load_object
from ablation.tensorflow_setup import quiet_stderr, require_keras

GIVEN = ("image_shape", "classes")  # the arguments that the harness passes to a builder that has them

# Other names that these arguments often have.
_ALIASES = {
    **dict.fromkeys(
        ("input_shape", "img_shape", "shape", "in_shape", "input_size", "input_dim"),
        "image_shape",
    ),
    **dict.fromkeys(
        ("num_classes", "n_classes", "nb_classes", "number_of_classes", "num_labels", "output_dim"),
        "classes",
    ),
}  # fmt: skip


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
            require_keras()
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
            raise AblationError(
                f"{self.name} needs a value for its argument '{missing[0]}'.{renaming(missing)}"
            )
        return BuilderSettings(
            builder=self.name, folder=str(self.folder), source=self.source, arguments=complete
        )


def renaming(names: Iterable[str]) -> str:
    """Return how to rename arguments that stand for those that the harness passes; or an empty text."""
    pairs = [f"{name} to {_ALIASES[name]}" for name in names if name in _ALIASES]
    if not pairs:
        return ""
    return (
        f" Rename {' and '.join(pairs)}: the arguments `image_shape` (height, width, channels) and `classes` "
        "are filled in from the dataset."
    )
