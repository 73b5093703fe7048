"""Models as users have them, taken apart: odd names, states, frozen layers, settings that meet in one layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from ablation.errors import AblationError
from ablation.grid.settings import Edit
from ablation.models.ablated.proposals import proposals
from ablation.models.ablated.rebuild import edited

SHAPE = (8, 8, 3)


def remove(target: str = "", **named: Any) -> Edit:
    return Edit(action="remove", target=target, **named)


def change(target: str, value: Any) -> Edit:
    return Edit(action="change", target=target, value=value)


def replace(target: str, value: str) -> Edit:
    return Edit(action="replace", target=target, value=value)


def names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]


def residual() -> keras.Model:
    x = inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", name="stem")(x)
    for k in (0, 1):
        y = layers.Conv2D(4, 3, padding="same", activation="relu", name=f"b{k}_conv")(x)
        y = layers.Dropout(0.2, name=f"b{k}_drop")(y)
        x = layers.Add(name=f"b{k}_add")([x, y])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(10, "softmax", name="out")(x))


def states() -> keras.Model:
    x = inputs = keras.Input(SHAPE)
    x = layers.Reshape((64, 3), name="tokens")(x)
    x, h, c = layers.LSTM(8, return_sequences=True, return_state=True, name="encode")(x)
    x = layers.LSTM(8, name="decode")(x, initial_state=[h, c])
    return keras.Model(inputs, layers.Dense(10, "softmax", name="out")(layers.Dropout(0.2, name="drop")(x)))


def backbone(frozen: tuple[str, ...]) -> keras.Model:
    x = inner = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, name="first")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dropout(0.3, name="drop")(x)
    x = layers.Conv2D(4, 3, name="second")(x)
    body = keras.Model(inner, x, name="body")
    for name in frozen:
        (body if name == "body" else body.get_layer(name)).trainable = False
    inputs = keras.Input(SHAPE)
    x = layers.Flatten(name="flat")(body(inputs, training=False))
    return keras.Model(inputs, layers.Dense(10, "softmax", name="out")(x))


@pytest.mark.parametrize("name", ["conv[1]", "conv*", "conv?"])
def test_a_name_that_a_layer_has_is_no_pattern(name: str) -> None:
    convolutions = [layers.Conv2D(3, 1, name=n) for n in ("conv[1]", "conv*", "conv?", "conv1")]
    head = [layers.Flatten(name="flat"), layers.Dense(10, "softmax", name="out")]
    model = keras.Sequential([keras.Input(SHAPE), *convolutions, *head])
    assert set(names(model)) - set(names(edited(model, [remove(layers=(name,))]))) == {name}
    changed = edited(model, [change(f"{name}.filters", 5)])
    assert {n for n in names(model)[:4] if changed.get_layer(n).filters == 5} == {name}


def test_a_pattern_of_branches_means_each_of_them() -> None:
    assert names(edited(residual(), [remove(branch="b*_add")])) == ["stem", "pool", "out"]
    assert names(edited(residual(), [remove(branch="b*")])) == ["stem", "pool", "out"]
    assert "b0_add" in names(edited(residual(), [remove(branch="b1_*")]))


def test_states_that_something_takes_are_not_lost() -> None:
    for edit in (remove(layers=("encode",)), replace("LSTM", "GRU")):
        with pytest.raises(AblationError) as caught:
            edited(states(), [edit])
        assert str(caught.value) == (
            "the layer encode returns several values, like the states of an LSTM, and without it some of them "
            "would be missing. Remove the layers that take them together with it."
        )
    with pytest.raises(AblationError, match="decode cannot be removed: it turns 64 × 3 into 8"):
        edited(states(), [remove("LSTM")])
    assert [p.written for p in proposals(states())] == ["Dropout", "Dropout.rate: 0.5", "tanh: relu"]


def test_frozen_layers_of_a_nested_model_stay_frozen_and_new_ones_learn() -> None:
    def learning(model: keras.Model) -> dict[str, bool]:
        body = model.get_layer("body")
        return {v.path.split("/")[-2]: True for v in body.trainable_variables}

    partly = backbone(("first", "norm"))
    assert list(learning(edited(partly, [remove("Dropout")]))) == ["second"]
    assert list(learning(edited(partly, [remove(layers=("body/first",))]))) == ["first_match", "second"]
    assert not learning(edited(backbone(("body",)), [remove("Dropout")]))
    assert list(learning(edited(backbone(("body",)), [remove(layers=("body/first",))]))) == ["first_match"]
    assert list(learning(edited(partly, [change("body/first.trainable", True)]))) == ["first", "second"]
    frozen = edited(backbone(()), [change("body/first.trainable", False)])
    assert list(learning(frozen)) == ["norm", "second"]


def test_a_layer_that_is_called_twice_is_matched_by_one_layer() -> None:
    inputs = keras.Input(SHAPE)
    conv = layers.Conv2D(4, 3, name="conv")
    x = layers.Add(name="sum")([conv(inputs), conv(layers.Dropout(0.2, name="drop")(inputs))])
    model = keras.Model(inputs, layers.Dense(10, "softmax", name="out")(layers.Flatten(name="flat")(x)))
    result = edited(model, [remove(layers=("conv",))])
    assert names(result).count("conv_match") == 1
    assert len(result.get_layer("conv_match")._inbound_nodes) == 2


def test_edits_that_meet_in_one_layer_are_all_done() -> None:
    both = edited(residual(), [replace("relu", "gelu"), replace("Conv2D", "SeparableConv2D")])
    assert type(both.get_layer("b0_conv")).__name__ == "SeparableConv2D"
    assert both.get_layer("b0_conv").activation is keras.activations.gelu
    rated = edited(residual(), [replace("Dropout", "GaussianDropout"), change("Dropout.rate", 0.5)])
    assert rated.get_layer("b0_drop").rate == 0.5


def test_a_layer_that_is_a_penalty_goes_with_the_penalties() -> None:
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(4, 3, activity_regularizer="l2", name="conv"),
            layers.ActivityRegularization(l2=0.1, name="activity"),
            layers.Flatten(name="flat"),
            layers.Dense(10, "softmax", name="out"),
        ]
    )
    result = edited(model, [remove(penalty="activity_regularizer")])
    assert names(result) == ["conv", "flat", "out"]
    result(np.ones((1, *SHAPE)))
    assert result.losses == []


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change("Dropout.rate", [0.3, 0.5]),
         "Dropout does not accept rate: [0.3, 0.5] in the layer b0_drop ('<=' not supported between instances of "
         "'int' and 'list')."),
        (change("Dropout.rate", 2),
         "Dropout does not accept rate: 2 in the layer b0_drop (Invalid value received for argument `rate`. Expected "
         "a float value between 0 and 1. Received: rate=2)."),
        (change("stem.activation", "gellu"),
         "Conv2D does not accept activation: gellu in the layer stem (Could not interpret activation function "
         "identifier: gellu)."),
        (change("Dropout.seed", 1), "'Dropout.seed' is not set here: random numbers follow the trial's seed."),
        (change("Conv2D.dtype", "float64"),
         "'Conv2D.dtype' is not set here: the precision is that of the trial, `training: {precision: …}`."),
        (change("Dropout.sed", 1), "Dropout has no argument 'sed'. Valid names: noise_shape, rate."),
    ],
)  # fmt: skip
def test_what_a_layer_does_not_accept_is_said_in_a_sentence(edit: Edit, message: str) -> None:
    with pytest.raises(AblationError) as caught:
        edited(residual(), [edit])
    assert str(caught.value) == message


def test_layers_that_cannot_be_widened_together_are_said_to_be_so() -> None:
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(8, 3, name="first"),
            layers.GroupNormalization(4, name="norm"),
            layers.Conv2D(8, 3, name="second"),
            layers.Flatten(name="flat"),
            layers.Dense(10, "softmax", name="out"),
        ]
    )
    with pytest.raises(AblationError) as caught:
        edited(model, [remove(layers=("second",)), Edit(action="match")])
    assert str(caught.value).startswith(
        "the hidden layers cannot be widened together: the layer norm cannot be"
    )
    assert str(caught.value).endswith("Set `matched: false` for this part.")
