"""A user's model from a file that Keras has saved: its layers, and on request its trained weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError
from ablation.grid.settings import FileSettings
from ablation.grid.user_code import error_summary, load_module, module_source
from ablation.grid.user_files import file_digest
from ablation.models.layer_paths import layer_paths

if TYPE_CHECKING:
    import keras

_AS_THEY_ARE = ("InputLayer", "__keras_tensor__", "__tensor__", "__numpy__")


@dataclass(frozen=True)
class SavedModel:
    """What a file says of a model.

    Attributes:
        name: The name of the file, for errors.
        kind: The class of the model.
        config: Its configuration, without what belongs to one training of it.
        input_shape: The shape of its input, the batch first.
        weights: The values of its weights, if trials keep them.
        statistics: Those that layers have from data and not from training, by the layer's path: the mean and
            the variance of a Normalization layer that was adapted. They belong to the layer as it is.
        objects: The layers of the user's own, by name.
    """

    name: str
    kind: Any
    config: dict[str, Any]
    input_shape: Any
    weights: list[Any] | None
    statistics: dict[str, list[Any]]
    objects: dict[str, Any]

    def build(self) -> keras.Model:
        """Return the model with initial weights, or with those of the file.

        Raises:
            AblationError: Its class cannot make it from its configuration.
        """
        import keras

        try:
            with keras.saving.custom_object_scope(self.objects):
                model = self.kind.from_config(copy.deepcopy(self.config))
            if not model.built and self.input_shape:
                model.build(self.input_shape)
        except Exception as error:
            raise AblationError(
                f"{self.name} holds a {self.kind.__name__}, which cannot be made from its configuration "
                f"({error_summary(error)}). Name the function that builds it: `model: {{builder: "
                "module:function}`."
            ) from error
        if not model.built:
            raise AblationError(
                f"{self.name} holds a model that was saved before it was built, so that the shapes of its "
                "weights are not known. Begin it with keras.Input, or call it on an image, and save it again."
            )
        if self.weights is not None:
            model.set_weights(self.weights)
        adapted = _adapted(model)
        for path, values in self.statistics.items():
            adapted[path].set_weights(values)
            adapted[path].finalize_state()
        return model


def read_saved_model(settings: FileSettings) -> SavedModel:
    """Return what a file says of its model.

    Seeds and dtype policies are left out: initial weights and random numbers follow the trial's seed, and the
    precision is that of the trial. As Keras advises, the last layer outputs float32.

    Args:
        settings: The settings of the model.

    Raises:
        AblationError: The file was changed since the study was read, or Keras cannot load it.
    """
    objects = _custom_objects(settings)
    saved = _loaded(settings, objects)
    keeps_weights = settings.weights == "keep"
    try:
        config = _as_new(saved.get_config(), keeps_weights)
    except NotImplementedError:
        raise AblationError(
            f"{settings.file} holds a {type(saved).__name__}, whose class has no `get_config`. Name the "
            "function that builds it: `model: {builder: module:function}`."
        ) from None
    weights = saved.get_weights() if keeps_weights else None
    statistics = {path: layer.get_weights() for path, layer in _adapted(saved).items()}
    shape = getattr(saved, "input_shape", None)
    return SavedModel(settings.file, type(saved), config, shape, weights, statistics, objects)


def _loaded(settings: FileSettings, objects: dict[str, Any]) -> Any:
    import keras

    file = Path(settings.folder) / Path(settings.file).expanduser()
    if not file.is_file() or file_digest(file) != settings.source.partition(" ")[0]:
        raise AblationError(
            f"the file {settings.file} was changed since the study began; the same `ablation run` command "
            "trains with its new version."
        )
    try:
        model = keras.saving.load_model(file, custom_objects=objects, compile=False)
    except Exception as error:
        raise AblationError(f"{settings.file} cannot be loaded: {_reason(error)}") from error
    if not isinstance(model, keras.Model):
        raise AblationError(
            f"{settings.file} holds an object of type {type(model).__name__}; expected a Keras model."
        )
    return model


def _adapted(model: keras.Model) -> dict[str, Any]:
    """Return the Normalization layers of a model that have their statistics as weights, by path."""
    import keras

    return {
        path: layer
        for path, layer in layer_paths(model).items()
        if isinstance(layer, keras.layers.Normalization) and layer.weights
    }


def _custom_objects(settings: FileSettings) -> dict[str, Any]:
    """Return the classes and functions of the user's module, by name."""
    if not settings.custom_objects:
        return {}
    folder = Path(settings.folder)
    if module_source(settings.custom_objects, folder) != settings.source.partition(" ")[2]:
        raise AblationError(
            f"the file of {settings.custom_objects} was changed since the study began; the same `ablation "
            "run` command trains with its new version."
        )
    module = vars(load_module(settings.custom_objects, folder))
    return {name: value for name, value in module.items() if name[0] != "_" and callable(value)}


def _reason(error: Exception) -> str:
    text = str(error)
    if "Lambda" in text or "lambda" in text:
        return (
            "it has a Lambda layer, whose code is in the file, and code in files is not run. Name the "
            "function that builds the model: `model: {builder: module:function}`."
        )
    if "File not found" in text or "file signature not found" in text:
        return "it is not a file that Keras has saved."
    if "Could not locate" in text or "Unknown layer" in text or "custom" in text:
        return (
            f"{error_summary(error).partition('. ')[0]}. If this is a layer of your own, name its module: "
            "`model: {custom_objects: my_layers}`."
        )
    return error_summary(error)


def _as_new(config: dict[str, Any], keeps_weights: bool) -> dict[str, Any]:
    """Return the configuration of a model with nothing in it that belongs to one training of it.

    A layer that is frozen stays so with its weights only: with initial ones, it would learn nothing.
    """
    new: dict[str, Any] = _without_training(config, keeps_weights)
    names = {str(output[0]) for output in _outputs(new.get("output_layers", []))}
    layers = new.get("layers", [])
    for layer in layers if names else layers[-1:]:
        if not names or layer["config"].get("name") in names:
            layer["config"]["dtype"] = "float32"
    return new


def _outputs(value: Any) -> Iterator[list[Any]]:
    """Yield the name and the places of each output, however the model arranges them."""
    if isinstance(value, dict):
        value = list(value.values())
    if value and isinstance(value[0], str):
        yield value
        return
    for inner in value:
        yield from _outputs(inner)


def _without_training(value: Any, keeps_weights: bool) -> Any:
    """Return a part of a configuration without seeds and without the dtype policies of layers."""
    if isinstance(value, list | tuple):
        return [_without_training(inner, keeps_weights) for inner in value]
    if not isinstance(value, dict) or value.get("class_name") in _AS_THEY_ARE:
        return value
    new = {key: _without_training(inner, keeps_weights) for key, inner in value.items()}
    if "trainable" in new and not keeps_weights:
        new["trainable"] = True
    if "seed" in new:
        new["seed"] = None
    dtype = new.get("dtype")
    if isinstance(dtype, str) or (isinstance(dtype, dict) and dtype.get("class_name") == "DTypePolicy"):
        del new["dtype"]
    return new
