"""A folder with a study and its own model, in versions that a merge gate compares."""

from __future__ import annotations

import re
from pathlib import Path

GRID = """\
study: guarded
dataset: {name: digits, train_size: 120, validation_size: 60, test_size: 200}
model: {builder: my_models:build}
training: {epochs: 3, batch_size: 16, learning_rate: 0.02}
compare: {margin: 2pp}
seeds: 3
"""

MODULE = """\
import json
from pathlib import Path

import keras
from keras import layers


def build(image_shape, classes):
    import my_layers

    scale = json.loads(Path(__file__).with_name("scale.json").read_text())
    outputs = my_layers.hidden(layers.Rescaling(scale)(inputs := keras.Input(image_shape)))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="out")(outputs))
"""

LAYERS = """\
from keras import layers


def hidden(inputs):
    return layers.Dense(16, activation="relu", name="hidden")(layers.Flatten()(inputs))
"""

FILES = {"grid.yaml": GRID, "my_models.py": MODULE, "my_layers.py": LAYERS, "scale.json": "1.0"}


def checkout(folder: Path, **changed: str | None) -> Path:
    """Write a checkout whose study is in a subfolder; None leaves a file out."""
    (folder / "study").mkdir(parents=True)
    for name, text in (FILES | {key.replace("_dot_", "."): text for key, text in changed.items()}).items():
        if text is not None:
            (folder / "study" / name).write_text(text, "utf-8")
    return folder


def masked(summary: str) -> str:
    """Leave out the numbers that another processor may round otherwise."""
    return re.sub(r"[+−]?\d+\.\d(?!\d)", "#", summary)


BROKEN = """\
## Merge gate: failed

**branch is worse than base in test accuracy.**

- branch is worse than base in test accuracy (# points, 95% interval # to #, n = 3 pairs). Training collapsed in branch (seeds 0, 1, 2); without this, no pair is left. base was still improving, so this holds for this budget of epochs.

| variant | base | branch | difference | interval | pairs | verdict |
| --- | ---: | ---: | ---: | ---: | ---: | --- |
| plain | #% | #% | # | # to # | 3 | ▼ worse |

The test accuracy of the study guarded with the seeds 0, 1, 2, as means over the pairs. The difference is branch minus base, in percentage points, seed by seed on the same images: paired t-test over seeds and test images, alpha 0.05, Holm, margin # pp, as the grid file of base declares.
"""

UNCHANGED = """\
## Merge gate: passed

- branch is identical to base: all numbers of all pairs are the same to the last bit (n = 3 pairs).

| variant | base | branch | difference | interval | pairs | verdict |
| --- | ---: | ---: | ---: | ---: | ---: | --- |
| plain | #% | #% | +0.00 | – | 3 | = identical |

The test accuracy of the study guarded with the seeds 0, 1, 2, as means over the pairs. The difference is branch minus base, in percentage points, seed by seed on the same images: paired t-test over seeds and test images, alpha 0.05, Holm, margin # pp, as the grid file of base declares.
"""
