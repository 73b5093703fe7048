"""The settings of the dataset; the text below each field is its documentation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from ablation.grid.settings_group import STORED, Settings
from ablation.plugins import plugins


def _require_count_or_share(value: float) -> float:
    if value >= 1 and not value.is_integer():
        raise ValueError("expected a whole number of images, or a share below 1")
    return value


def _reject_repeated_names(names: tuple[str, ...]) -> tuple[str, ...]:
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ValueError(f"duplicate class '{name}'")
    return names


def _require_reader(name: str, info: ValidationInfo) -> str:
    """Refuse a name that no reader has; that of a stored study may be of a plug-in that is not here."""
    if name not in DATASETS and info.context is not STORED and name not in plugins("reader", DATASETS):
        valid = ", ".join([*DATASETS, *plugins("reader", DATASETS)])
        raise PydanticCustomError("literal_error", "no reader has this name", {"expected": valid})
    return name


def _as_height_and_width(value: Any) -> Any:
    """Convert a single number to a height and a width."""
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else _as_tuple(value)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Count = Annotated[int, Field(ge=1)]
CountOrShare = Annotated[float, Field(gt=0), AfterValidator(_require_count_or_share)]
LabelNoise = Annotated[float, Field(ge=0, lt=1)]

DATASETS = (
    "digits", "cifar10", "cifar100", "mnist", "fashion_mnist", "npz", "folder", "csv", "own", "tfds",
    "huggingface",
)  # fmt: skip
_PATHS = {
    "npz": "the file to read",
    "folder": "a folder that contains one folder per class",
    "csv": "a CSV file with the columns file and label",
}


class DatasetSettings(Settings):
    """Which images, and how they are split and normalised.

    The splits are the same for every seed, unless the study's ``vary`` contains ``split``: then, each seed
    draws its own training and validation images. The test images are the same for every seed, unless ``vary``
    contains ``test``, too. Splits are stratified by class, unless images have several labels.
    """

    name: Annotated[str, AfterValidator(_require_reader), Field(json_schema_extra={"enum": [*DATASETS]})] = (
        "digits"
    )
    """The name of the dataset. ``npz`` reads your own file, ``folder`` reads pictures from one folder per
    class, ``csv`` reads the pictures that a CSV file lists, and ``own`` calls your ``loader``. With a
    ``loader``, ``own`` is the default. Installed plug-ins may add further names."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """The path of the images of ``npz``, ``folder`` or ``csv``, or of a downloaded dataset, relative to the
    grid file."""
    loader: str | None = None
    """Your own function that returns the images, ``module:function``. Its module is looked for first in the
    folder of the grid file."""
    id: str | None = None
    """The name of a dataset of ``tfds`` (``name`` or ``name/config``) or ``huggingface`` (``owner/name`` or
    ``owner/name/subset``). In this case, ``path`` is the folder in which the library keeps its data, or a
    folder that Hugging Face's ``save_to_disk`` wrote."""
    image_size: (
        Annotated[
            tuple[Count, Count],
            BeforeValidator(_as_height_and_width, json_schema_input_type=Count | tuple[Count, Count]),
        ]
        | None
    ) = None
    """The height and width to which the images of ``folder``, ``csv``, ``tfds`` or ``huggingface`` are
    resized. A single number sets both."""
    class_names: (
        Annotated[
            tuple[str, ...],
            BeforeValidator(_as_tuple, json_schema_input_type=tuple[str, ...]),
            Field(min_length=2),
            AfterValidator(_reject_repeated_names),
        ]
        | None
    ) = None
    """The names of the classes, in their order. In ``npz`` or a ``loader``, they name the labels 0, 1, and so
    on; in ``folder`` and ``csv``, pictures of other classes are left out. By default, the source names them,
    or they are sorted by name."""
    on_error: Literal["stop", "skip"] = "stop"
    """What happens if a picture of ``folder``, ``csv`` or ``huggingface`` cannot be read: the study is not
    started (``stop``), or the picture is left out, counted and named in the report (``skip``)."""
    train_size: Count | None = None
    """The number of training images. By default, all images that are used neither for validation nor for
    testing."""
    validation_size: CountOrShare = 0.2
    """The number of validation images, or a share below 1. They are taken from the training images and
    measured after each epoch. If the dataset has validation images of its own, these are used: all of them
    or, if a whole number is given here, that many. With ``evaluate: best``, they determine the best epoch;
    with ``early_stopping``, they determine when training stops."""
    test_size: CountOrShare | None = None
    """The number of test images, or a share below 1. They are taken from the dataset's own test images or, if
    it has none, from all images. By default, all of its own test images are used, or 20% of all images. They
    are read once, at the end of a trial."""
    normalise: Literal["unit", "standard"] = "unit"
    """``unit`` scales pixels to the range from 0 to 1. ``standard`` scales each channel so that the training
    images have mean 0 and standard deviation 1."""
    label_noise: LabelNoise = 0.0
    """The share of training and validation labels that are made wrong on purpose. They are chosen at random,
    and each becomes one of the other classes. Test labels are never changed. The wrong labels are the same in
    every trial, unless the study's ``vary`` contains ``label_noise``. To compare shares, make ``label_noise``
    a factor instead."""
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """The seed of the splits. A different seed splits the images differently."""

    @model_validator(mode="before")
    @classmethod
    def _name_a_loader_own(cls, values: Any) -> Any:
        return {"name": "own", **values} if isinstance(values, dict) and values.get("loader") else values

    @model_validator(mode="after")
    def _path_fits_name(self) -> DatasetSettings:
        if (self.name == "own") != (self.loader is not None):
            raise ValueError("the name own needs a loader (module:function), and no other name accepts one")
        if self.loader is not None and ":" not in self.loader:
            raise ValueError(f"the loader '{self.loader}' is not of the form module:function")
        is_ours = self.name in DATASETS  # a plug-in decides itself which of its settings are valid
        if self.id is not None and is_ours and self.name not in ("tfds", "huggingface"):
            raise ValueError("an id is valid only for tfds and huggingface")
        if self.id is None and (self.name == "tfds" or (self.name == "huggingface" and self.path is None)):
            raise ValueError(f"a dataset named {self.name} needs an id, the name of the dataset there")
        resized = ("folder", "csv", "tfds", "huggingface")
        if self.image_size is not None and is_ours and self.name not in resized:
            raise ValueError("image_size is valid only for folder, csv, tfds and huggingface")
        if self.on_error == "skip" and self.name not in ("folder", "csv", "huggingface"):
            raise ValueError("on_error: skip is valid only for folder, csv and huggingface")
        if self.class_names is not None and is_ours and self.name not in ("npz", "folder", "csv", "own"):
            raise ValueError("class_names is valid only for npz, folder, csv and own")
        if self.name in _PATHS and self.path is None:
            raise ValueError(f"a dataset named {self.name} needs a path, {_PATHS[self.name]}")
        if self.path is not None and "name" not in self.model_fields_set:
            kind = {".npz": "npz", ".csv": "csv"}.get(self.path[-4:].lower(), "folder")
            raise ValueError(
                f"a path needs a name that says what it contains; write `name: {kind}` beside it"
            )
        if self.name == "digits" and self.path is not None:
            raise ValueError(
                "the digits come with scikit-learn and cannot be read from a path; a dataset of your own is "
                "named npz, folder or csv"
            )
        return self
