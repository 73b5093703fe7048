"""A user's own model: the function that builds it, its arguments, and weights that follow layer names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError
from ablation.randomness import Randomness, Stream
from ablation.settings import BuilderSettings
from ablation.user_code import load_object

if TYPE_CHECKING:
    import keras

GIVEN = ("image_shape", "classes")  # what a builder is told by the harness, if it asks


@dataclass(frozen=True)
class Builder:
    """A function that returns a Keras model.

    Attributes:
        name: ``module:function``.
        folder: Where the module is looked for first.
        source: A hash of the module's file.
        function: The function.
        arguments: Its arguments that a grid can set, with their defaults; `inspect.Parameter.empty` without.
    """

    name: str
    folder: Path
    source: str
    function: Callable[..., Any]
    arguments: dict[str, Any]

    @classmethod
    def load(cls, name: str, folder: Path) -> Builder:
        """Find a builder.

        Raises:
            AblationError: There is none of that name, or a grid cannot set its arguments.
        """
        from ablation.models import quiet_stderr

        with quiet_stderr():  # the user's module will import it, too
            import keras  # noqa: F401
        function, source = load_object(name, folder, "builder")
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            raise AblationError(f"'{name}' is no function that returns a model.") from None
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        unnamed = [p.name for p in parameters if p.kind not in named]
        if unnamed:
            raise AblationError(f"{name}: name each argument that a grid may set, instead of *{unnamed[0]}.")
        arguments = {p.name: p.default for p in parameters if p.name not in GIVEN}
        return cls(name, folder, source, function, arguments)

    def settings(self, values: dict[str, Any]) -> BuilderSettings:
        """Return the settings of the model that it builds with these arguments.

        Raises:
            AblationError: An argument has no value.
        """
        complete = self.arguments | values
        missing = [name for name, value in complete.items() if value is inspect.Parameter.empty]
        if missing:
            raise AblationError(f"{self.name} needs a value for '{missing[0]}'.")
        return BuilderSettings(
            builder=self.name, folder=str(self.folder), source=self.source, arguments=complete
        )


def build_own(
    settings: BuilderSettings,
    image_shape: tuple[int, int, int],
    classes: int,
    randomness: Randomness,
    multi_label: bool = False,
) -> keras.Model:
    """Build a user's model; each layer's initial weights depend on the trial's seed and its own name alone.

    Raises:
        AblationError: The module was changed since the study was read, or its function returns no
            classifier of these images.
    """
    import keras

    builder = Builder.load(settings.builder, Path(settings.folder))
    if builder.source != settings.source:
        raise AblationError(f"the file of {settings.builder} was changed since the study began.")
    given = {"image_shape": image_shape, "classes": classes}
    wanted = inspect.signature(builder.function).parameters
    told = {name: value for name, value in given.items() if name in wanted}
    keras.utils.clear_session()  # layers without a name are numbered anew
    keras.utils.set_random_seed(randomness.derive("init", "builder"))
    with _named_seeds(randomness):
        model = builder.function(**told, **settings.arguments)
        if not isinstance(model, keras.Model):
            raise AblationError(f"{settings.builder} returned a {type(model).__name__} and no Keras model.")
        model(keras.ops.zeros((2, *image_shape)), training=False)
    _refuse_no_classifier(settings.builder, model, image_shape, classes, multi_label)
    _seed_generators(model, randomness)
    return model


def _refuse_no_classifier(
    name: str, model: keras.Model, image_shape: tuple[int, int, int], classes: int, multi_label: bool
) -> None:
    """Raise an error unless a model gives a probability a class; of two classes, the second's will do."""
    import keras

    # Far from zero, where a sum without an activation is no probability either.
    images = keras.random.normal((8, *image_shape), stddev=10, seed=0)
    outputs = model(images, training=False)
    found = tuple(getattr(outputs, "shape", ("several outputs", "several outputs")))[1:]
    one_unit = found == (1,) and classes == 2 and not multi_label
    if found != (classes,) and not one_unit:
        kind = "label" if multi_label else "class"
        raise AblationError(
            f"{name}: the model's output for an image has the shape {found}; expected ({classes},), a "
            f"probability a {kind}."
        )
    adds_up = float(keras.ops.max(keras.ops.abs(keras.ops.sum(outputs, axis=-1) - 1))) < 1e-3
    if multi_label or one_unit:
        if not (keras.ops.min(outputs) >= 0 and keras.ops.max(outputs) <= 1):
            raise AblationError(
                f"{name}: the model's outputs are no probabilities, they do not lie between 0 and 1; end it "
                "with sigmoid."
            )
        if multi_label and adds_up:
            raise AblationError(
                f"{name}: the model's outputs add up to 1, as those of softmax do, and images have any "
                "number of labels; end it with sigmoid."
            )
    elif not adds_up:
        raise AblationError(
            f"{name}: the model's outputs are no probabilities, they do not add up to 1; end it with softmax."
        )


@contextmanager
def _named_seeds(randomness: Randomness) -> Iterator[None]:
    """Let weights without a seed of their own be drawn from one of their layer's name.

    Weights that a model brings, or loads, are left as they are.
    """
    import keras

    original = keras.layers.Layer.add_weight
    seen: dict[str, int] = {}

    def add_weight(layer: Any, *early: Any, **named: Any) -> Any:
        if len(early) < 2:  # the second would be the initializer
            weight = f"{layer.name}/{named.get('name')}"
            seen[weight] = seen.get(weight, 0) + 1
            name = weight if seen[weight] == 1 else f"{weight}/{seen[weight]}"
            chosen = keras.initializers.get(named.get("initializer") or _default(named.get("dtype")))
            config = chosen.get_config() if isinstance(chosen, keras.initializers.Initializer) else {}
            if "seed" in config and config["seed"] is None:
                seed = randomness.derive("init", name)
                named["initializer"] = type(chosen).from_config(config | {"seed": seed})
        return original(layer, *early, **named)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = original


def _default(dtype: Any) -> str:
    """Return the initializer that Keras takes where none is named."""
    return "glorot_uniform" if dtype is None or "float" in str(dtype) else "zeros"


def _seed_generators(model: keras.Model, randomness: Randomness) -> None:
    """Let dropout and augmentation draw from a seed of their layer's name, unless it has one of its own."""
    import keras

    for layer in model._flatten_layers(include_self=False):
        generator = getattr(layer, "seed_generator", None)
        if isinstance(generator, keras.random.SeedGenerator) and getattr(layer, "seed", None) is None:
            of_images = type(layer).__name__.startswith("Random")
            stream: Stream = "augmentation" if of_images else "dropout"
            generator.state.assign([randomness.derive(stream, layer.name), 0])
