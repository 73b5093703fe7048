"""The shape of a built-in model, derived from its settings without building it."""

from __future__ import annotations

from ablation.grid.settings import CnnSettings, DenseSettings, ModelSettings


def pooled_blocks(settings: CnnSettings, image_shape: tuple[int, int, int]) -> int:
    """Count the blocks that end in pooling; a block whose images are one pixel high or wide does not."""
    side, pooled = min(image_shape[:2]), 0
    while pooled < len(settings.blocks) and side >= 2:
        side, pooled = side // 2, pooled + 1
    return pooled


def block_filters(settings: CnnSettings) -> list[list[int]]:
    """Return the filters of every convolution, one list per block, with depth and width applied."""
    repeated = [(*block, *block[-1:] * (settings.depth - 1)) for block in settings.blocks]
    return [[wide(filters, settings) for filters in block] for block in repeated]


def dense_units(settings: CnnSettings | DenseSettings) -> list[int]:
    """Return the units of every hidden Dense layer, with depth and width applied."""
    further = settings.depth - 1 if isinstance(settings, DenseSettings) else 0
    return [wide(units, settings) for units in (*settings.dense, *settings.dense[-1:] * further)]


def wide(units: int, settings: ModelSettings) -> int:
    """Return the units of a hidden layer with the settings' width applied, at least 1."""
    return max(1, round(units * settings.width))
