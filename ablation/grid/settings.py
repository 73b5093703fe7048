"""What can be set for the dataset, the model, its training and the comparison, defaults as in the notebook.

Every field of a model or training class is a setting that a grid file can fix, vary as a factor, or
change in a named variant. The text below each field is its meaning, in ``docs/grid.md``, too.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)


def _count_or_share(value: float) -> float:
    if value >= 1 and not value.is_integer():
        raise ValueError("give a whole number of images, or a share below 1")
    return value


def _once_each(kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    if any(kind in kinds[:i] for i, kind in enumerate(kinds)):
        raise ValueError("names the same kind twice")
    return kinds


def _a_column_each(metrics: tuple[Any, ...]) -> tuple[Any, ...]:
    names = [metric_name(metric) for metric in metrics]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ValueError(f"two metrics are called '{name}'; give one of them another `name`")
        if name in ("loss", "accuracy"):
            raise ValueError(f"the {name} is always measured; a further metric needs another `name`")
    return metrics


def _square(value: Any) -> Any:
    """Read 32 as 32 by 32."""
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


Units = Annotated[int, Field(ge=1, le=65_536)]
Count = Annotated[int, Field(ge=1)]
CountOrShare = Annotated[float, Field(gt=0), AfterValidator(_count_or_share)]

DatasetName = Literal[
    "digits", "cifar10", "cifar100", "mnist", "fashion_mnist", "npz", "folder", "own", "tfds", "huggingface"
]
Stage = Literal["conv", "flatten", "dense"]

# The names that stand for themselves; every other one that Keras knows becomes a `Component`.
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
"""The context in which settings are dumped without the folders of a user's files: these change no result."""


class Settings(BaseModel):
    """A frozen group of settings: unknown keys are refused, JSON restores it exactly."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class OwnCode(Settings):
    """Settings that may name a user's own code, ``module:object``.

    A module is looked for in ``folder`` first, which changes no result; ``source`` is a hash of the files
    that are named, so that a changed one makes other trials.
    """

    folder: str = ""
    source: str = ""

    @model_serializer(mode="wrap")
    def _dumped(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        if info.context == CONTENT:
            values.pop("folder", None)
        return values


class Component(OwnCode):
    """A part of training that Keras knows by its class's name, or that is a user's own, ``module:object``."""

    name: str
    arguments: dict[str, Any] = {}

    @property
    def snake_case(self) -> str:
        """The bare name, ``f1_score`` of F1Score and ``balanced`` of my_metrics:balanced."""
        bare = self.name.rpartition(":")[2]
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", bare).lower()

    def __str__(self) -> str:
        arguments = (f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in self.arguments.items())
        return f"{self.name}({', '.join(arguments)})" if self.arguments else self.name


def metric_name(metric: str | Component) -> str:
    """Return what a metric's columns are called: its bare name, unless its arguments name it."""
    if isinstance(metric, str):
        return metric
    return str(metric.arguments.get("name", metric.snake_case))


class DatasetSettings(Settings):
    """Which images, and how they are split and normalised.

    All splits are stratified by class, unless an image has several labels, and the same for every seed.
    """

    name: DatasetName = "digits"
    """A dataset by its name; ``npz``, a file of your own; ``folder``, pictures in a folder a class; ``own``,
    which a ``loader`` implies."""
    path: str | None = None
    """Where the images of ``npz`` or ``folder`` lie, or a downloaded dataset does, relative to the grid
    file."""
    loader: str | None = None
    """A function of yours that returns the images, ``module:function``; its module is looked for beside the
    grid file first."""
    id: str | None = None
    """A data set of ``tfds``, ``name`` or ``name/config``, or of ``huggingface``, ``owner/name`` or
    ``owner/name/subset``; ``path`` is then the folder that the library keeps its data in, or one that Hugging
    Face's ``save_to_disk`` wrote."""
    image_size: (
        Annotated[
            tuple[Count, Count], BeforeValidator(_square, json_schema_input_type=Count | tuple[Count, Count])
        ]
        | None
    ) = None
    """Height and width to which the pictures of ``folder``, ``tfds`` or ``huggingface`` are resized; one
    number for both."""
    train_size: Count | None = None
    """The number of training images; without it, all that the other parts leave."""
    validation_size: CountOrShare = 0.2
    """A number of images, or a share below 1, taken from the training images; measured after each epoch.
    Where ``evaluate`` is ``best``, or training stops early, they decide when."""
    test_size: CountOrShare | None = None
    """A number of images, or a share below 1: a part of the dataset's test images, or, where it brings none,
    of all. They are read once, at the end of a trial."""
    normalise: Literal["unit", "standard"] = "unit"
    """``unit``: pixels from 0 to 1; ``standard``: mean 0 and deviation 1 a channel, those of the training
    images."""
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Another one splits the images in another way."""

    @model_validator(mode="before")
    @classmethod
    def _a_loaders_images_are_the_users_own(cls, values: Any) -> Any:
        return {"name": "own", **values} if isinstance(values, dict) and values.get("loader") else values

    @model_validator(mode="after")
    def _path_fits_name(self) -> DatasetSettings:
        if (self.name == "own") != (self.loader is not None):
            raise ValueError("a loader, module:function, goes with the name own, and with no other")
        if self.loader is not None and ":" not in self.loader:
            raise ValueError(f"the loader '{self.loader}' is not of the form module:function")
        if self.id is not None and self.name not in ("tfds", "huggingface"):
            raise ValueError("an id is for tfds and huggingface")
        if self.id is None and (self.name == "tfds" or (self.name == "huggingface" and self.path is None)):
            raise ValueError(f"a dataset named {self.name} needs an id, the data set's name there")
        if self.image_size is not None and self.name not in ("folder", "tfds", "huggingface"):
            raise ValueError("image_size is for a folder of pictures, tfds and huggingface")
        if self.name in ("npz", "folder") and self.path is None:
            what = "the file to read" if self.name == "npz" else "the folder that holds one folder a class"
            raise ValueError(f"a dataset named {self.name} needs a path, {what}")
        if self.name == "digits" and self.path is not None:
            raise ValueError("the digits come with scikit-learn and are read from no other path")
        return self


class ModelSettings(Settings):
    """The settings that every model family has."""

    width: Annotated[float, Field(gt=0, le=64)] = 1.0
    """Multiplies the units of every hidden layer."""
    depth: Annotated[int, Field(ge=1, le=64)] = 1
    """How often the last convolution of each block stands, or the last hidden Dense layer of a perceptron."""
    activation: Literal["relu", "elu", "gelu", "leaky_relu", "selu", "silu", "tanh", "sigmoid"] = "relu"
    """The activation of every hidden layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of values that Dropout sets to 0 in training; with 0 there is no Dropout."""
    dropout_after: tuple[Stage, ...] = ("conv", "flatten", "dense")
    """The stages behind which Dropout stands: ``conv``, a convolution and the pooling behind it, if any;
    ``flatten``; ``dense``, a hidden Dense layer."""
    batch_norm: bool = False
    """Whether there is batch normalisation."""
    batch_norm_after: tuple[Stage, ...] = ("conv", "flatten", "dense")
    """The stages behind which batch normalisation stands."""
    batch_norm_momentum: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """Of its moving averages. Keras's own 0.99 needs hundreds of updates to settle."""
    order: Literal["dropout_first", "batch_norm_first"] = "dropout_first"
    """Which of the two comes first, where both stand behind a stage."""
    augmentation: Annotated[tuple[Augmentation | Component, ...], AfterValidator(_once_each)] = ()
    """Changes training images at random: ``flip`` from left to right, ``shift`` by up to an eighth of their
    size, ``rotate`` by up to 15 degrees; or any layer."""

    @property
    def effective(self) -> dict[str, Any]:
        """The settings that shape this model: not the defaults, and not those of a part that is off."""
        off = set[str]()
        if not self.dropout:
            off |= {"dropout", "dropout_after", "order"}
        if not self.batch_norm:
            off |= {"batch_norm_after", "batch_norm_momentum", "order"}
        return self.model_dump(mode="json", exclude_defaults=True, exclude=off, context=CONTENT)


class CnnSettings(ModelSettings):
    """A Sequential CNN: blocks of 3x3 convolutions, each block ended by 2x2 max pooling; Dense layers."""

    family: Literal["cnn"] = "cnn"
    """The kind of model."""
    blocks: Annotated[tuple[Annotated[tuple[Units, ...], Field(min_length=1)], ...], Field(min_length=1)] = (
        (32, 64),
        (64,),
        (128,),
    )
    """The filters of the convolutions, a list a block; the default is the notebook's model."""
    dense: tuple[Units, ...] = (32,)
    """The units of the hidden Dense layers."""


class DenseSettings(ModelSettings):
    """A multi-layer perceptron."""

    family: Literal["dense"] = "dense"
    """The kind of model."""
    dense: Annotated[tuple[Units, ...], Field(min_length=1)] = (256, 128)
    """The units of the hidden Dense layers."""
    dropout_after: tuple[Stage, ...] = ("dense",)
    """The stages behind which Dropout stands."""
    batch_norm_after: tuple[Stage, ...] = ("dense",)
    """The stages behind which batch normalisation stands."""


class OwnModelSettings(OwnCode, ModelSettings):
    """A model that the user's own code builds: its settings are that code's own, but for augmentation."""

    @property
    def effective(self) -> dict[str, Any]:
        """What shapes the model; where the module lies is no part of it."""
        others = {*ModelSettings.model_fields, "family", "folder"}
        own = {name: getattr(self, name) for name in type(self).model_fields if name not in others}
        if not self.augmentation:
            return own
        return own | self.model_dump(mode="json", include={"augmentation"}, context=CONTENT)


class HyperModelSettings(OwnModelSettings):
    """A user's keras-tuner ``HyperModel``, or ``build`` function, ``module:object``, with hyperparameters."""

    family: Literal["hypermodel"] = "hypermodel"
    hypermodel: str
    values: dict[str, Any]


class BuilderSettings(OwnModelSettings):
    """A user's function, with the arguments that the grid gives it."""

    family: Literal["builder"] = "builder"
    builder: str
    """Your function, ``module:function``; its module is looked for beside the grid file first."""
    arguments: dict[str, Any]


AnyModel = Annotated[
    CnnSettings | DenseSettings | HyperModelSettings | BuilderSettings, Field(discriminator="family")
]
MODEL_FAMILIES: dict[str, type[CnnSettings] | type[DenseSettings]] = {
    "cnn": CnnSettings,
    "dense": DenseSettings,
}


class EarlyStopping(Settings):
    """When a training is ended before its last epoch."""

    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    """What has to improve."""
    patience: Count = 5
    """The number of epochs without an improvement after which it is ended."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """An improvement is one by more than this."""


class TrainingSettings(Settings):
    """How a model is compiled and trained."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 30
    """How often the training images are gone through."""
    train_size: Count | None = None
    """Train on the first so many of the training images, so that a smaller part lies within a larger one;
    without it, on all."""
    batch_size: Count = 64
    """The number of images in a step."""
    optimizer: OptimizerName | Component = "adam"
    """Keras's optimizer of this name."""
    learning_rate: Annotated[float, Field(gt=0)] | Component = 0.001
    """The optimizer's; or a schedule."""
    loss: LossName | Component = "categorical_crossentropy"
    """What the training makes small; one of the ``binary`` ones where an image has several labels."""
    metrics: Annotated[tuple[MetricName | Component, ...], AfterValidator(_a_column_each)] = ()
    """Measured beside accuracy and loss, each with columns of its own, like ``test_f1_score``."""
    callbacks: tuple[Component, ...] = ()
    """Called around training and around each of its epochs. They may keep a state that no checkpoint holds,
    so that an interrupted trial with callbacks starts anew."""
    early_stopping: EarlyStopping | None = None
    """Ends a training that does not improve; without it, all epochs are trained."""
    evaluate: Literal["last", "best"] = "last"
    """The weights that are the result of the trial, tested and saved: those after the ``last`` epoch, or
    those of the ``best``, by validation accuracy."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Keras's dtype policy."""
    jit_compile: bool | None = None
    """Whether the training steps are compiled by XLA. Unset, they are so on a GPU, if XLA can train the model
    to the same bits each time (one without max pooling), and are not on a CPU."""
