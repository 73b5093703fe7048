"""The settings of the model and its training; the defaults are those of the CIFAR-10 notebook.

Every field of a model or training class is a setting that a grid file can fix, vary as a factor, or
change in a named variant. The text below each field is its documentation; ``docs/grid.md`` is generated
from it.
"""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from ablation.grid.dataset_settings import Count, LabelNoise
from ablation.grid.settings_group import Settings


def _reject_duplicates(kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    duplicates = [kind for i, kind in enumerate(kinds) if kind in kinds[:i]]
    if duplicates:
        raise ValueError(f"duplicate augmentation '{duplicates[0]}'")
    return kinds


def _reject_shared_columns(metrics: tuple[Any, ...]) -> tuple[Any, ...]:
    names = [metric_name(metric) for metric in metrics]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ValueError(f"two metrics are named '{name}'; give one of them another `name`")
        if name in ("loss", "accuracy"):
            raise ValueError(f"{name} is always measured; give the additional metric another `name`")
        if name.startswith("val_"):
            raise ValueError(
                f"'{name}' would be mistaken for a measure of the validation images, which every metric "
                "has; give the metric a `name` that does not begin with val_"
            )
    return metrics


def _class_weight(value: Any) -> Any:
    """Convert the classes to text, of which YAML reads some as numbers."""
    if value == "balanced":
        return value
    weights = list(value.values()) if isinstance(value, dict) else []
    if not weights or not all(type(weight) in (int, float) and 0 <= weight < math.inf for weight in weights):
        raise ValueError(
            "expected balanced, or a mapping of classes to weights, numbers of at least 0, like {cat: 2}"
        )
    return {str(key): float(weight) for key, weight in value.items()}


def _mixed(value: Any) -> Any:
    """Refuse the names of half-precision types, which stand for another thing than what is meant."""
    name = {"bf16": "bfloat16", "fp16": "float16", "half": "float16"}.get(str(value).lower(), value)
    if name in ("bfloat16", "float16"):
        raise ValueError(
            f"{name} would round the weights, too, and lose the small updates of training. Write "
            f"mixed_{name}, which computes in {name} and keeps the weights in float32"
        )
    return value


Units = Annotated[int, Field(ge=1, le=65_536)]
ClassWeight = Annotated[
    Literal["balanced"] | dict[str, Annotated[float, Field(ge=0)]], BeforeValidator(_class_weight)
]
Precision = Annotated[Literal["float32", "mixed_bfloat16", "mixed_float16"], BeforeValidator(_mixed)]
Stage = Literal["conv", "flatten", "dense"]

# Names that settings keep as they are; every other name that Keras knows becomes a `Component`.
Augmentation = Literal["flip", "shift", "rotate"]
OptimizerName = Literal["adam", "adamw", "sgd", "rmsprop", "nadam", "adamax", "adagrad", "lion"]
LossName = Literal[
    "categorical_crossentropy", "categorical_focal_crossentropy", "kl_divergence", "mean_squared_error",
    "binary_crossentropy", "binary_focal_crossentropy",
]  # fmt: skip
MetricName = Literal[
    "top_k_categorical_accuracy", "binary_accuracy", "auc", "precision", "recall", "mean_squared_error"
]

CONTENT = {"folders": False}
"""The context for dumping settings without the folders of custom code, which do not affect results."""


class UserCode(Settings):
    """Settings that may name custom code as ``module:object``.

    A module is looked for first in ``folder``, which does not affect results. ``source`` is a hash of the
    files that the settings name, so that a change to one of them leads to new trials.
    """

    folder: str = ""
    source: str = ""

    @model_serializer(mode="wrap")
    def _dumped(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        if info.context == CONTENT:
            values.pop("folder", None)
        return values


class Component(UserCode):
    """A component of training: a Keras class, given by its name, or custom code, ``module:object``."""

    name: str
    arguments: dict[str, Any] = {}

    @property
    def snake_case(self) -> str:
        """The bare name: ``f1_score`` for F1Score, ``balanced`` for my_metrics:balanced."""
        bare = self.name.rpartition(":")[2]
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", bare).lower()

    def __str__(self) -> str:
        arguments = (f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in self.arguments.items())
        return f"{self.name}({', '.join(arguments)})" if self.arguments else self.name


def metric_name(metric: str | Component) -> str:
    """Return the name of a metric's columns: its ``name`` argument, or its bare name without one."""
    if isinstance(metric, str):
        return metric
    return str(metric.arguments.get("name", metric.snake_case))


class ModelSettings(Settings):
    """The settings that all model families share."""

    width: Annotated[float, Field(gt=0, le=64)] = 1.0
    """The number by which the units, or filters, of every hidden layer are multiplied."""
    depth: Annotated[int, Field(ge=1, le=64)] = 1
    """The number of copies of the last convolution of each block, or of the last hidden Dense layer of a
    perceptron."""
    activation: Literal["relu", "elu", "gelu", "leaky_relu", "selu", "silu", "tanh", "sigmoid"] = "relu"
    """The activation of every hidden layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of values that Dropout sets to 0 during training. With 0, the model has no Dropout layer."""
    dropout_after: tuple[Stage, ...] = ("conv", "flatten", "dense")
    """The stages after which Dropout is placed: ``conv``, a convolution together with the pooling that
    follows it, if any; ``flatten``; and ``dense``, a hidden Dense layer."""
    batch_norm: bool = False
    """Whether the model has batch normalisation."""
    batch_norm_after: tuple[Stage, ...] = ("conv", "flatten", "dense")
    """The stages after which batch normalisation is placed."""
    batch_norm_momentum: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """The momentum of the moving averages of batch normalisation. Keras's default, 0.99, needs hundreds of
    updates to settle."""
    order: Literal["dropout_first", "batch_norm_first"] = "dropout_first"
    """Which of Dropout and batch normalisation comes first if both follow the same stage."""
    augmentation: Annotated[tuple[Augmentation | Component, ...], AfterValidator(_reject_duplicates)] = ()
    """Random changes of the training images: ``flip`` mirrors them from left to right, ``shift`` moves them
    by up to one eighth of their size, ``rotate`` rotates them by up to 15 degrees. Any other layer that
    changes images can be used, too."""

    @property
    def effective(self) -> dict[str, Any]:
        """The settings that shape this model, without defaults and without settings of a part that is off."""
        off = set[str]()
        if not self.dropout:
            off |= {"dropout", "dropout_after", "order"}
        if not self.batch_norm:
            off |= {"batch_norm_after", "batch_norm_momentum", "order"}
        return self.model_dump(mode="json", exclude_defaults=True, exclude=off, context=CONTENT)


class CnnSettings(ModelSettings):
    """A Sequential CNN: blocks of 3x3 convolutions, each ending in 2x2 max pooling; then Dense layers."""

    family: Literal["cnn"] = "cnn"
    """The model family."""
    blocks: Annotated[tuple[Annotated[tuple[Units, ...], Field(min_length=1)], ...], Field(min_length=1)] = (
        (32, 64),
        (64,),
        (128,),
    )
    """The number of filters of each convolution, one list per block. The default is the model of the CIFAR-10
    notebook that the project grew out of."""
    dense: tuple[Units, ...] = (32,)
    """The number of units of each hidden Dense layer."""


class DenseSettings(ModelSettings):
    """A multi-layer perceptron."""

    family: Literal["dense"] = "dense"
    """The model family."""
    dense: Annotated[tuple[Units, ...], Field(min_length=1)] = (256, 128)
    """The number of units of each hidden Dense layer."""
    dropout_after: tuple[Stage, ...] = ("dense",)
    """The stages after which Dropout is placed."""
    batch_norm_after: tuple[Stage, ...] = ("dense",)
    """The stages after which batch normalisation is placed."""


class UserModelSettings(UserCode, ModelSettings):
    """A model that custom code builds. Apart from augmentation, its settings are those of that code."""

    @property
    def effective(self) -> dict[str, Any]:
        """The settings that shape the model; the folder of the module is not among them."""
        others = {*ModelSettings.model_fields, "family", "folder"}
        code_settings = {name: getattr(self, name) for name in type(self).model_fields if name not in others}
        if not self.augmentation:
            return code_settings
        return code_settings | self.model_dump(mode="json", include={"augmentation"}, context=CONTENT)


class HyperModelSettings(UserModelSettings):
    """A custom keras-tuner ``HyperModel`` or ``build`` function, ``module:object``, with hyperparameters."""

    family: Literal["hypermodel"] = "hypermodel"
    hypermodel: str
    values: dict[str, Any]


class Edit(Settings):
    """One change of a built model: a part of it is removed, replaced or set otherwise.

    Attributes:
        action: ``remove`` takes layers out, ``replace`` puts something else in their place, ``change`` sets
            one argument of layers, and ``match`` widens all hidden layers until the model has as many
            parameters as the one that nothing was removed from.
        target: The name of a class or an activation; for ``change``, the name of an argument.
        layers: The names of the layers, which may have wildcards.
        branch: The name of the layer that joins the branch to the others.
        through: A layer of the branch, if it has to be told from several.
        penalty: The name of a regularizer's argument, as ``kernel_regularizer``.
        value: What is put in its place.
    """

    action: Literal["remove", "replace", "change", "match"]
    target: str = ""
    layers: tuple[str, ...] = ()
    branch: str = ""
    through: str = ""
    penalty: str = ""
    value: Any = None


class AblatedModelSettings(UserModelSettings):
    """A user's model, of which parts may be removed, replaced or changed after it is built."""

    edits: tuple[Edit, ...] = ()

    @property
    def effective(self) -> dict[str, Any]:
        """The settings that shape the model; without edits, as if there were no such setting."""
        settings = super().effective
        edits = settings.pop("edits")
        if not edits:
            return settings
        return settings | {"edits": [edit.model_dump(mode="json", exclude_defaults=True) for edit in edits]}


class BuilderSettings(AblatedModelSettings):
    """Your own function that builds the model, with the arguments that the grid gives it."""

    family: Literal["builder"] = "builder"
    builder: str
    """Your function, ``module:function``. Its module is looked for first in the folder of the grid file."""
    arguments: dict[str, Any]


class FileSettings(AblatedModelSettings):
    """Your own model, as Keras has saved it."""

    family: Literal["file"] = "file"
    file: str
    """Your saved model, ``model.keras`` or ``model.h5``. Its path is relative to the grid file."""
    weights: Literal["initial", "keep"] = "initial"
    """What a trial starts from: ``initial`` weights of its own, which follow its seed, or the trained weights
    of the file (``keep``). Then layers that are frozen in the file stay frozen, too."""
    custom_objects: str = ""
    """Your module with the layers of the model that are not Keras's own, if it has any."""

    @property
    def effective(self) -> dict[str, Any]:
        """The settings that shape the model; of its file, the content and not the name."""
        settings = super().effective
        settings.pop("file")
        return settings


AnyModel = Annotated[
    CnnSettings | DenseSettings | HyperModelSettings | BuilderSettings | FileSettings,
    Field(discriminator="family"),
]
MODEL_FAMILIES: dict[str, type[CnnSettings] | type[DenseSettings]] = {
    "cnn": CnnSettings,
    "dense": DenseSettings,
}


class EarlyStopping(Settings):
    """When training stops before its last epoch."""

    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    """The measure that has to improve."""
    patience: Count = 5
    """The number of epochs without an improvement after which training stops."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """A change counts as an improvement only if it is larger than this."""

    @model_validator(mode="after")
    def _can_improve(self) -> EarlyStopping:
        if self.monitor == "val_accuracy" and self.min_delta >= 1:
            raise ValueError(
                f"a min_delta of {self.min_delta:g} is larger than any improvement of val_accuracy, which "
                "lies between 0 and 1"
            )
        return self


class TrainingSettings(Settings):
    """How a model is compiled and trained."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 30
    """The number of passes over the training images."""
    train_size: Count | None = None
    """The number of training images that are used. They are the first ones, so that every smaller training
    set is part of every larger one. By default, all are used."""
    label_noise: LabelNoise = 0.0
    """The share of training and validation labels that are wrong; see ``dataset.label_noise``, which fixes it
    for all variants."""
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    """The number of images per training step."""
    optimizer: OptimizerName | Component = "adam"
    """The Keras optimizer, by its name."""
    learning_rate: Annotated[float, Field(gt=0)] | Component = 0.001
    """The learning rate of the optimizer, or a schedule."""
    loss: LossName | Component = "categorical_crossentropy"
    """The loss that training minimises. If images have several labels, use one of the ``binary`` losses."""
    class_weight: ClassWeight | None = None
    """The weight of each class in the loss that training minimises. With ``balanced``, all classes contribute
    equally, however many training images they have. A mapping gives weights by the name or the number of a
    class; the weight of all other classes is 1. Measured losses and accuracies are never weighted."""
    metrics: Annotated[tuple[MetricName | Component, ...], AfterValidator(_reject_shared_columns)] = ()
    """Metrics in addition to accuracy and loss. Each has its own columns, such as ``test_f1_score``."""
    callbacks: tuple[Component, ...] = ()
    """Callbacks, which are called at the beginning and the end of training, of each epoch, and of the
    measurements after it. They may keep state that no checkpoint contains, so an interrupted trial with
    callbacks starts from scratch. Their relative paths refer to the subfolder ``callbacks`` of the trial's
    folder."""
    early_stopping: EarlyStopping | None = None
    """Stops training that no longer improves. By default, all epochs are trained."""
    evaluate: Literal["last", "best"] = "last"
    """Which weights are the result of the trial: those after the ``last`` epoch, or those of the ``best``
    epoch by validation accuracy. These weights are tested and saved."""
    precision: Precision = "float32"
    """The dtype policy of Keras. The mixed ones compute in a type of half the size, and keep weights, losses
    and the statistics of batch normalisation in float32. ``mixed_bfloat16`` is faster where the processor
    multiplies bfloat16, which ``ablation run --dry-run`` says."""
    jit_compile: bool | None = None
    """Whether XLA compiles the training steps. By default, it never does so on a CPU. On a GPU, it does so if
    it can train the model to the same bits each time, which needs a model without max pooling."""
