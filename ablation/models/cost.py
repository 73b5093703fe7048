"""What a trial costs: the multiply-adds of its model, and an estimate of its seconds before it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ablation.data.datasets import Dataset
from ablation.grid.settings import AnyModel, CnnSettings, TrainingSettings, UserModelSettings
from ablation.models.architecture import block_filters, dense_units, pooled_blocks

_DROPOUT, _BATCH_NORM = 0.12, 0.12  # the share that each adds to the time of that model (benchmark/steps.py)
_SECONDS_A_STEP = 0.006  # of overhead, by which small models are bound
_SECONDS_A_TRIAL = 1.0


@dataclass(frozen=True)
class Speed:
    """How fast one core computes.

    By default, it is that of a server of 2024, which trains the notebook's model, of 34 million multiply-adds
    per image forward and three times that in all, on about 550 images per second.

    Attributes:
        multiply_adds: Multiply-adds a second in float32, within a training step.
        bfloat16_share: The share of the time in float32 that convolutions take in bfloat16.
    """

    multiply_adds: float = 5.5e10
    bfloat16_share: float = 1.0


SERVER = Speed()

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")  # a SeparableConv2D has the last two


def multiply_adds(model: AnyModel, image_shape: tuple[int, int, int], classes: int) -> int:
    """Count the multiply-adds of convolutions and Dense layers for one image in inference mode.

    Returns:
        The count, or 0 for a user's own model, whose layers are not known before it is built.
    """
    height, width, channels = image_shape
    total = 0
    if isinstance(model, UserModelSettings):
        return 0
    if isinstance(model, CnnSettings):
        pooled = pooled_blocks(model, image_shape)
        for number, filters in enumerate(block_filters(model), 1):
            for count in filters:
                total += height * width * 9 * channels * count
                channels = count
            if number <= pooled:
                height, width = height // 2, width // 2
    inputs = height * width * channels
    for units in (*dense_units(model), classes):
        total += inputs * units
        inputs = units
    return total


def updates(training: TrainingSettings, images: int) -> int:
    """Return the number of optimizer steps of a trial that trains on so many images."""
    return training.epochs * math.ceil(images / training.batch_size)


def guess_seconds(
    model: AnyModel, training: TrainingSettings, dataset: Dataset, speed: Speed = SERVER
) -> float:
    """Estimate the seconds of a trial on one core: training costs three passes, measuring costs one.

    Dropout and batch normalisation take the same time in float32 and bfloat16, because moving values takes
    longer than computing them.

    Args:
        model: The settings of the model.
        training: The training settings.
        dataset: The images.
        speed: How fast the core computes.
    """
    dataset = dataset.first(training.train_size)
    once = multiply_adds(model, dataset.image_shape, len(dataset.class_names))
    active = len(dataset.train_probe) if model.dropout or model.batch_norm or model.augmentation else 0
    passes = 3 * len(dataset.train) + len(dataset.train_probe) + len(dataset.val) + active
    computing = training.epochs * passes * once / speed.multiply_adds
    multiplying = speed.bfloat16_share if training.precision == "mixed_bfloat16" else 1.0
    computing *= multiplying + _DROPOUT * bool(model.dropout) + _BATCH_NORM * model.batch_norm
    return computing + updates(training, len(dataset.train)) * _SECONDS_A_STEP + _SECONDS_A_TRIAL


def counted_multiply_adds(model: Any) -> int:
    """Count the multiply-adds of a built Keras model's kernels for one image in inference mode.

    Args:
        model: A Sequential or functional model, of which convolutions and Dense layers are counted.

    Returns:
        The count; layers of a subclassed model, whose shapes are not known, count as 0.
    """
    total = 0
    for layer in model._flatten_layers(include_self=False):
        kernels = [getattr(layer, name, None) for name in _KERNELS]
        try:
            positions = math.prod(layer.output.shape[1:-1])
        except (AttributeError, ValueError):
            continue
        total += sum(positions * math.prod(kernel.shape) for kernel in kernels if kernel is not None)
    return total
