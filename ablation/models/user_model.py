"""A user's own model, from a builder or a HyperModel: built, checked, seeded by paths of layers."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError
from ablation.grid.builder import Builder, renaming
from ablation.grid.seeding import Randomness
from ablation.grid.settings import (
    AblatedModelSettings,
    BuilderSettings,
    FileSettings,
    HyperModelSettings,
    TrainingSettings,
    UserModelSettings,
)
from ablation.grid.user_code import error_summary
from ablation.models.ablated.account import Account, Size
from ablation.models.ablated.proposals import Proposal, proposals
from ablation.models.ablated.rebuild import edited
from ablation.models.augmentation import surrounded
from ablation.models.hypermodel import hyperparameters_with, load_hypermodel
from ablation.models.named_seeds import build_with_named_seeds
from ablation.models.own_compile import (
    keep_own_compile,
    outputs_logits,
    recorded_compiles,
    refuse_without_effect,
)
from ablation.models.own_inputs import refuse_other_inputs, refuse_raw_images
from ablation.models.own_methods import UNUSED_METHODS, refuse_unused_methods
from ablation.models.own_outputs import other_outputs, output_shape, refuse_no_classifier, symbolic_output
from ablation.models.saved_model import read_saved_model
from ablation.models.unseeded import seed_global_draws
from ablation.tensorflow_setup import nothing_computed, standard_keras, start_build, without_computing

if TYPE_CHECKING:
    import keras

Shape = tuple[int, int, int]


def build_user_model(
    settings: UserModelSettings,
    image_shape: Shape,
    classes: int,
    randomness: Randomness,
    multi_label: bool,
    training: TrainingSettings,
) -> keras.Model:
    """Build a user's model, which outputs probabilities and whose state depends only on the trial's seed.

    Args:
        settings: The user's code and its arguments.
        image_shape: The height, width and channels of an image.
        classes: The number of classes.
        randomness: The randomness of the trial.
        multi_label: Whether an image has several labels.
        training: The training settings of the trial.

    Raises:
        AblationError: The module was changed since the study was read, or its code does not return a
            classifier of these images, or compiles it with what the grid sets, or draws random numbers that
            do not follow the seed.
    """
    import keras

    name, call, hint = _code(settings, image_shape, classes)
    key = f"{settings.model_dump_json()}{image_shape}{classes}{training.precision}"

    def build() -> keras.Model:
        start_build(randomness.derive("init", "builder"), training.precision)
        with recorded_compiles():
            model = call()
        if not isinstance(model, keras.Model):
            raise AblationError(
                f"{name} returned an object of type {type(model).__name__}; expected a Keras model."
            )
        refuse_unused_methods(name, model)
        refuse_raw_images(name, model)
        model(keras.ops.zeros((2, *image_shape)), training=False)
        if not model.trainable_variables:
            raise AblationError(f"{name}: the model has no weights that can be trained.")
        return model

    try:
        model = build_with_named_seeds(name, build, key, randomness)
        if edits := getattr(settings, "edits", ()):
            whole = model
            model = build_with_named_seeds(name, lambda: edited(whole, edits), f"{key}edited", randomness)
            keep_own_compile(whole, model)
        refuse_without_effect(name, model, training)
        logits = outputs_logits(model, training)
        one_unit = refuse_no_classifier(name, model, image_shape, classes, multi_label, logits)
    except Exception as error:
        if hint:
            raise AblationError(f"{name} does not fit the images.{hint} {error_summary(error)}") from error
        raise
    seed_global_draws(name, model, image_shape, key, randomness)
    ending = ("sigmoid" if multi_label or one_unit else "softmax") if logits else ""
    return surrounded(model, settings, image_shape, randomness, ending)


def may_overrule(settings: BuilderSettings) -> bool:
    """Return whether a builder's file suggests that `refuse_overruled` would find something."""
    function = Builder.load(settings.builder, Path(settings.folder)).function
    try:
        text = Path(inspect.getsourcefile(inspect.unwrap(function)) or "").read_text("utf-8")
    except (OSError, TypeError, UnicodeDecodeError):
        return True
    return any(
        word in text
        for word in (
            "compile",
            "load_model",
            "Rescaling",
            "dtype",
            *(f"def {name}" for name in UNUSED_METHODS),
        )
    )


def refuse_overruled(
    settings: UserModelSettings,
    image_shape: Shape,
    classes: int,
    training: TrainingSettings,
) -> None:
    """Refuse a model with what would have no effect or darken images, without starting TensorFlow.

    A model that cannot be built in this way is left to the trial, which builds it as it is trained.

    Raises:
        AblationError: A setting of the grid, or a method of the model, would have no effect; or the model is
            for images with values from 0 to 255.
    """
    import keras

    try:
        name, call, _ = _code(settings, image_shape, classes)
        with nothing_computed(), recorded_compiles():
            model = call()
    except Exception:
        return
    if not isinstance(model, keras.Model):
        return
    refuse_unused_methods(name, model)
    refuse_raw_images(name, model)
    refuse_without_effect(name, model, training)


def account_of(
    settings: AblatedModelSettings, image_shape: Shape, classes: int, precision: str = "float32"
) -> Account:
    """Return what the edits of a user's model do to it, without computing anything.

    Args:
        settings: The settings of the model.
        image_shape: The height, width and channels of an image.
        classes: The number of classes.
        precision: The precision in which the model computes.

    Raises:
        AblationError: The model cannot be built, or is not for these images, or an edit means nothing in it.
    """
    import keras

    name, call, _ = _code(settings, image_shape, classes)

    def create() -> Account:
        model = call()
        refuse_other_inputs(name, model, image_shape)
        model(keras.ops.zeros((2, *image_shape)), training=False)
        before = Size.of(model)
        result = edited(model, settings.edits) if settings.edits else model
        if isinstance(settings, FileSettings):
            refuse_raw_images(name, result)
        shape = output_shape(symbolic_output(result))
        if shape and shape != (classes,) and not (shape == (1,) and classes == 2):
            raise other_outputs(name, shape, classes, "class")
        return Account(before, Size.of(result) if settings.edits else before)

    with standard_keras(precision):
        start_build(0, precision)  # so that layers without a name are numbered from the start
        return without_computing(create)


@dataclass(frozen=True)
class Parts:
    """What a user's model is for, and the parts that can be taken out of it."""

    image_shape: Shape
    classes: int
    proposals: list[Proposal]


def parts_of(settings: AblatedModelSettings, image_shape: Shape = (32, 32, 3), classes: int = 10) -> Parts:
    """Return the parts of a user's model, without computing anything.

    Args:
        settings: The settings of the model.
        image_shape: The height, width and channels of an image, for a function that has to be given them.
        classes: The number of classes, for such a function.

    Raises:
        AblationError: The model cannot be built, or cannot be taken apart.
    """
    name, call, _ = _code(settings, image_shape, classes)

    def create() -> Parts:
        model = call()
        refuse_other_inputs(name, model)
        found = proposals(model)
        outputs = output_shape(symbolic_output(model))
        if [type(side) for side in outputs] != [int]:
            raise other_outputs(name, outputs, None, "class")
        _, height, width, channels = model.inputs[0].shape
        sides = (height or image_shape[0], width or image_shape[1], channels or image_shape[2])
        return Parts(sides, outputs[0], found)

    with standard_keras():
        start_build(0, "float32")  # so that layers without a name are numbered from the start
        return without_computing(create)


def _code(
    settings: UserModelSettings, image_shape: Shape, classes: int
) -> tuple[str, Callable[[], Any], str]:
    """Return the name of a user's code, the code with its arguments, and what to rename if it fails."""
    if isinstance(settings, HyperModelSettings):
        hypermodel, source = load_hypermodel(settings.hypermodel, Path(settings.folder))
        if source != settings.source:
            raise AblationError(
                f"the file of {settings.hypermodel}, or of a module that it imports, was changed since the "
                "search began; the same `ablation search` command trains with its new version."
            )
        call = lambda: hypermodel.build(hyperparameters_with(hypermodel, settings.values))  # noqa: E731
        return settings.hypermodel, _staying_here(call), ""
    if isinstance(settings, FileSettings):
        return settings.file, read_saved_model(settings).build, ""
    assert isinstance(settings, BuilderSettings)
    builder = Builder.load(settings.builder, Path(settings.folder))
    if builder.source != settings.source:
        raise AblationError(
            f"the file of {settings.builder}, or of a module that it imports, was changed since the study "
            "began; the same `ablation run` command trains with its new version."
        )
    known_arguments = {"image_shape": image_shape, "classes": classes}
    parameters = inspect.signature(builder.function).parameters
    wanted_arguments = {name: value for name, value in known_arguments.items() if name in parameters}
    call = partial(builder.function, **wanted_arguments, **settings.arguments)
    return settings.builder, _staying_here(call), renaming(builder.arguments)


def _staying_here(call: Callable[[], Any]) -> Callable[[], Any]:
    """Return a call after which the process is in the working folder in which it was before."""

    def called() -> Any:
        with chdir(os.curdir):
            return call()

    return called
