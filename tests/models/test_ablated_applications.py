"""Every part that is proposed of 21 architectures of Keras can be taken out, and what is left trains."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from ablation.models.ablated.account import Account, Size
from ablation.models.ablated.proposals import Proposal, proposals
from ablation.models.ablated.rebuild import edited

SIDES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}  # the smallest images that they take
ARCHITECTURES = (
    "VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet50V2", "ResNet101V2", "DenseNet121", "DenseNet169",
    "MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "EfficientNetB0", "EfficientNetB1",
    "EfficientNetV2B0", "EfficientNetV2B1", "InceptionV3", "InceptionResNetV2", "Xception", "NASNetMobile",
    "ConvNeXtTiny",
)  # fmt: skip


def _architecture(name: str) -> keras.Model:
    side = SIDES.get(name, 32)
    options: dict[str, Any] = {}
    if name.startswith(("MobileNetV3", "EfficientNetV2", "ConvNeXt")):
        options["include_preprocessing"] = False
    return getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), classes=10, **options)


def _names(model: keras.Model) -> list[str]:
    """Return the names of all layers and other operations, in the test's own way."""
    found: list[str] = []
    for layer in getattr(model, "operations", model.layers):
        found.append(layer.name)
        if isinstance(layer, keras.Model):
            found += [f"{layer.name}/{name}" for name in _names(layer)]
    return found


def _train_one_step(model: keras.Model) -> None:
    """Train on one batch, and leave the weights as they were: they are those of the whole model, too."""
    side, weights = model.input_shape[1], model.get_weights()
    model.compile("sgd", "categorical_crossentropy", run_eagerly=True)
    images, labels = np.random.default_rng(0).random((2, side, side, 3)), np.eye(10)[[1, 2]]
    loss = model.train_on_batch(images, labels)
    model.set_weights(weights)
    assert np.isfinite(loss)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_part_that_is_proposed_can_be_taken_out(name: str) -> None:
    keras.utils.clear_session()
    model = _architecture(name)
    found = proposals(model)
    kinds = {proposal.kind for proposal in found}
    assert "layer" in kinds
    assert "regulariser" in kinds or name.startswith("VGG")
    for proposal in found:
        _check(model, proposal)


def _check(model: keras.Model, proposal: Proposal) -> None:
    before = Size.of(model)
    result = edited(model, [proposal.edit])
    account = Account(before, Size.of(result))
    old, new = _names(model), _names(result)
    assert {layer.name for layer in account.removed} == {n for n in old if n not in new}, proposal
    assert {layer.name for layer in account.added} == {n for n in new if n not in old}, proposal
    assert account.removed or account.changed, proposal
    assert account.after.parameters == result.count_params()
    _train_one_step(result)
