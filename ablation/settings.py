"""What can be set for the dataset, the model, its training and the comparison, defaults as in the notebook.

Every field of a model or training class is a setting that a grid file can fix, vary as a factor, or
change in a named variant.
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


def _points(value: Any) -> Any:
    """Read ``0.5pp``, half a percentage point, as 0.005."""
    number = value.removesuffix("pp").strip() if isinstance(value, str) and value.endswith("pp") else None
    if number is None:
        return value
    try:
        return float(number) / 100
    except ValueError:
        raise ValueError(f"'{value}' is no number of percentage points, like 0.5pp") from None


def _square(value: Any) -> Any:
    """Read 32 as 32 by 32."""
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


Units = Annotated[int, Field(ge=1, le=65_536)]
Count = Annotated[int, Field(ge=1)]
CountOrShare = Annotated[float, Field(gt=0), AfterValidator(_count_or_share)]

DatasetName = Literal["digits", "cifar10", "cifar100", "mnist", "fashion_mnist", "npz", "folder", "own"]
Stage = Literal["conv", "flatten", "dense"]

# The names that stand for themselves; every other one that Keras knows becomes a `Component`.
Augmentation = Literal["flip", "shift", "rotate"]
OptimizerName = Literal["adam", "adamw", "sgd", "rmsprop", "nadam", "adamax", "adagrad", "lion"]
LossName = Literal[
    "categorical_crossentropy", "categorical_focal_crossentropy", "kl_divergence", "mean_squared_error"
]
MetricName = Literal["top_k_categorical_accuracy", "auc", "precision", "recall", "mean_squared_error"]

# Metrics that are shares, told in percentage points, and metrics of which less is better.
_SHARES = """
    accuracy binary_accuracy categorical_accuracy top_k_categorical_accuracy auc precision recall f1_score
    f_beta_score io_u one_hot_io_u mean_io_u one_hot_mean_io_u precision_at_recall recall_at_precision
    sensitivity_at_specificity specificity_at_sensitivity
""".split()
_LOWER_IS_BETTER = """
    loss mean_squared_error root_mean_squared_error mean_absolute_error mean_absolute_percentage_error
    mean_squared_logarithmic_error log_cosh_error kl_divergence poisson categorical_crossentropy
    binary_crossentropy hinge squared_hinge categorical_hinge false_positives false_negatives
""".split()

CONTENT = {"folders": False}
"""The context in which settings are dumped without the folders of a user's files: these change no result."""


class Settings(BaseModel):
    """A frozen group of settings: unknown keys are refused, JSON restores it exactly."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Component(Settings):
    """A part of training that Keras knows by its class's name, or that is a user's own, ``module:object``.

    A module is looked for in ``folder`` first; ``source`` is a hash of the user's files that the name and the
    arguments refer to, so that a changed one makes other trials.
    """

    name: str
    arguments: dict[str, Any] = {}
    folder: str = ""
    source: str = ""

    @model_serializer(mode="wrap")
    def _dumped(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        if info.context == CONTENT:
            values.pop("folder", None)
        return values

    def __str__(self) -> str:
        arguments = (f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in self.arguments.items())
        return f"{self.name}({', '.join(arguments)})" if self.arguments else self.name


def metric_name(metric: str | Component) -> str:
    """Return what a metric's columns are called, ``f1_score`` of F1Score, unless its arguments name it."""
    if isinstance(metric, str):
        return metric
    bare = metric.name.rpartition(":")[2]
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", bare).lower()
    return str(metric.arguments.get("name", snake))


class DatasetSettings(Settings):
    """Which images, and how they are split and normalised.

    ``validation_size`` and ``test_size`` are a number of images or a share between 0 and 1. The test
    part is split off only where the dataset brings none; where it brings one, ``test_size`` takes a
    stratified part of it. All splits are stratified by class and fixed by ``split_seed``.

    ``path`` is where the images lie, ``loader`` a user's function that returns them, ``module:function``; its
    module is looked for in ``path`` first. ``image_size`` is the height and width to which the pictures of a
    folder are resized.
    """

    name: DatasetName = "digits"
    path: str | None = None
    loader: str | None = None
    image_size: Annotated[tuple[Count, Count], BeforeValidator(_square)] | None = None
    train_size: Count | None = None
    validation_size: CountOrShare = 0.2
    test_size: CountOrShare | None = None
    normalise: Literal["unit", "standard"] = "unit"
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

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
        if self.image_size is not None and self.name != "folder":
            raise ValueError("image_size is for a folder of pictures")
        if self.name in ("npz", "folder") and self.path is None:
            what = "the file to read" if self.name == "npz" else "the folder that holds one folder a class"
            raise ValueError(f"a dataset named {self.name} needs a path, {what}")
        if self.name == "digits" and self.path is not None:
            raise ValueError("the digits come with scikit-learn and are read from no other path")
        return self


class ModelSettings(Settings):
    """The settings that every model family has.

    Dropout and batch normalisation stand behind each stage whose kind is listed: ``conv`` (a
    convolution and the pooling behind it, if any), ``flatten``, ``dense`` (a hidden Dense layer).
    ``width`` multiplies the units of every hidden layer. ``augmentation`` changes training images at random:
    ``flip`` from left to right, ``shift`` by up to an eighth of their size, ``rotate`` by up to 15 degrees;
    or a layer of Keras's or of the user's own does.
    """

    width: Annotated[float, Field(gt=0, le=64)] = 1.0
    depth: Annotated[int, Field(ge=1, le=64)] = 1
    activation: Literal["relu", "elu", "gelu", "leaky_relu", "selu", "silu", "tanh", "sigmoid"] = "relu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    dropout_after: tuple[Stage, ...] = ("conv", "flatten", "dense")
    batch_norm: bool = False
    batch_norm_after: tuple[Stage, ...] = ("conv", "flatten", "dense")
    batch_norm_momentum: Annotated[float, Field(gt=0, lt=1)] = 0.99
    order: Literal["dropout_first", "batch_norm_first"] = "dropout_first"
    augmentation: Annotated[tuple[Augmentation | Component, ...], AfterValidator(_once_each)] = ()

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
    """A Sequential CNN: blocks of 3x3 convolutions, each block ended by 2x2 max pooling; Dense layers.

    ``blocks`` lists the filters, a list a block: the default ``[[32, 64], [64], [128]]`` is the
    notebook's model. ``depth`` repeats the last convolution of each block.
    """

    family: Literal["cnn"] = "cnn"
    blocks: Annotated[tuple[Annotated[tuple[Units, ...], Field(min_length=1)], ...], Field(min_length=1)] = (
        (32, 64),
        (64,),
        (128,),
    )
    dense: tuple[Units, ...] = (32,)


class DenseSettings(ModelSettings):
    """A multi-layer perceptron. ``depth`` repeats the last hidden Dense layer."""

    family: Literal["dense"] = "dense"
    dense: Annotated[tuple[Units, ...], Field(min_length=1)] = (256, 128)
    dropout_after: tuple[Stage, ...] = ("dense",)
    batch_norm_after: tuple[Stage, ...] = ("dense",)


class OwnModelSettings(ModelSettings):
    """A model that the user's own code builds; the other settings of a model are that code's own.

    Its module is looked for in ``folder`` first; ``source`` is a hash of the module's file, so that a changed
    one makes other trials.
    """

    folder: str
    source: str

    @property
    def effective(self) -> dict[str, Any]:
        """What shapes the model; where the module lies is no part of it."""
        own = type(self).model_fields.keys() - ModelSettings.model_fields.keys() - {"family", "folder"}
        return {name: getattr(self, name) for name in own}


class HyperModelSettings(OwnModelSettings):
    """A user's keras-tuner ``HyperModel``, or ``build`` function, ``module:object``, with hyperparameters."""

    family: Literal["hypermodel"] = "hypermodel"
    hypermodel: str
    values: dict[str, Any]


class BuilderSettings(OwnModelSettings):
    """A user's function, ``module:function``, with the arguments that the grid gives it."""

    family: Literal["builder"] = "builder"
    builder: str
    arguments: dict[str, Any]


AnyModel = Annotated[
    CnnSettings | DenseSettings | HyperModelSettings | BuilderSettings, Field(discriminator="family")
]
MODEL_FAMILIES: dict[str, type[CnnSettings] | type[DenseSettings]] = {
    "cnn": CnnSettings,
    "dense": DenseSettings,
}


class EarlyStopping(Settings):
    """Stop after ``patience`` epochs in which ``monitor`` did not improve by more than ``min_delta``."""

    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    patience: Count = 5
    min_delta: Annotated[float, Field(ge=0)] = 0.0


class TrainingSettings(Settings):
    """How a model is compiled and trained.

    ``evaluate`` says which weights are the result of the trial, the ones that are tested and saved:
    those after the ``last`` epoch, or those of the ``best`` epoch, by validation accuracy. ``jit_compile``
    has the training steps compiled by XLA. Unset, they are so on a GPU, if XLA can train the model to the
    same bits each time (one without max pooling), and are not on a CPU.

    ``callbacks`` are called around training and around each of its epochs. They may keep a state that no
    checkpoint holds, so that an interrupted trial with callbacks starts anew.
    """

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 30
    batch_size: Count = 64
    optimizer: OptimizerName | Component = "adam"
    learning_rate: Annotated[float, Field(gt=0)] | Component = 0.001
    loss: LossName | Component = "categorical_crossentropy"
    metrics: Annotated[tuple[MetricName | Component, ...], AfterValidator(_a_column_each)] = ()
    callbacks: tuple[Component, ...] = ()
    early_stopping: EarlyStopping | None = None
    evaluate: Literal["last", "best"] = "last"
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    jit_compile: bool | None = None


class CompareSettings(Settings):
    """How variants are compared with the baseline; declared before the run.

    Attributes:
        metric: A column of the results.
        direction: Which values of the metric are the better ones, of a metric whose name does not say so; by
            default the higher ones.
        margin: The smallest difference that matters, in the metric's own unit; ``0.5pp`` is 0.005. A variant
            whose interval lies within plus and minus the margin is equivalent to the baseline. Only shares,
            like an accuracy, have one by default.
        alpha: The risk of calling any variant better or worse, or an effect real, where none is.
        correction: How that risk is held over all variants: ``holm``, or ``none`` for each on its own.
        looks: ``once``: intervals and p hold for a number of seeds that was fixed beforehand. ``any``: they
            hold however often one looks and adds seeds; they are wider.
    """

    metric: str = "test_accuracy"
    direction: Literal["higher", "lower"] | None = None
    margin: Annotated[float, BeforeValidator(_points), Field(gt=0)] = 0.005
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    correction: Literal["holm", "none"] = "holm"
    looks: Literal["once", "any"] = "once"

    @property
    def trouble(self) -> str:
        """What is missing, or too much, of a metric that there is; empty where nothing is."""
        if not self.in_points and "margin" not in self.model_fields_set:
            return f"needs a margin, the smallest difference in {self.metric} that matters."
        if self.direction and (self.in_points or self._is_known_as_lower):
            better = "higher" if self.higher_is_better else "lower"
            return f"{better} values of {self.metric} are the better ones; leave direction out."
        return ""

    @property
    def in_points(self) -> bool:
        """Whether the metric is a share, whose differences are told in percentage points."""
        return self._name in _SHARES

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value of the metric is the better one."""
        return not self._is_known_as_lower and (self.in_points or self.direction != "lower")

    @property
    def _is_known_as_lower(self) -> bool:
        return self.metric.startswith("gap_") or self._name in _LOWER_IS_BETTER

    @property
    def _name(self) -> str:
        """The metric without the part of the images that it is measured on."""
        return self.metric.partition("_")[2]
