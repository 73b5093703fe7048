"""A built model without parts of it: what goes, what is added so that the rest fits, what stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from ablation.errors import AblationError
from ablation.grid.settings import Edit
from ablation.models.ablated.account import Account, Size
from ablation.models.ablated.graph import operations
from ablation.models.ablated.proposals import proposals
from ablation.models.ablated.rebuild import edited
from ablation.models.layer_paths import layer_paths

SHAPE = (8, 8, 3)


def remove(target: str = "", **named: Any) -> Edit:
    return Edit(action="remove", target=target, **named)


def sequential() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(4, 3, padding="same", activation="relu", kernel_regularizer="l2", name="conv1"),
            layers.BatchNormalization(name="norm1"),
            layers.Conv2D(6, 3, activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool"),
            layers.Dropout(0.3, name="drop1"),
            layers.Flatten(name="flat"),
            layers.Dense(5, activation="relu", name="dense"),
            layers.Dropout(0.3, name="drop2"),
            layers.Dense(10, activation="softmax", name="out"),
        ],
        name="stack",
    )


def residual() -> keras.Model:
    x = inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", name="stem")(x)
    for k in (1, 2):
        y = layers.BatchNormalization(name=f"block{k}_norm")(x)
        y = layers.ReLU(name=f"block{k}_relu")(y)
        y = layers.Conv2D(4 * k, 3, strides=k, padding="same", name=f"block{k}_conv")(y)
        if k == 2:
            x = layers.Conv2D(8, 1, strides=2, name="block2_shortcut")(x)
        x = layers.Add(name=f"block{k}_add")([x, y])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(10, "softmax", name="out")(x), name="residual")


def operators() -> keras.Model:
    """A skip connection that is written as a sum, with layers that have no names."""
    x = inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same")(x)
    x = x + layers.Dropout(0.5)(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(10, "softmax")(x))


def squeezed() -> keras.Model:
    x = inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", name="conv")(x)
    weights = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    weights = layers.Conv2D(2, 1, activation="relu", name="reduce")(weights)
    weights = layers.Conv2D(4, 1, activation="sigmoid", name="expand")(weights)
    x = layers.Multiply(name="excite")([x, weights])
    return keras.Model(inputs, layers.Dense(10, "softmax", name="out")(layers.Flatten(name="flat")(x)))


def inception() -> keras.Model:
    x = inputs = keras.Input(SHAPE)
    small = layers.Conv2D(2, 1, name="small")(x)
    middle = layers.Conv2D(3, 3, padding="same", name="middle")(x)
    large = layers.Conv2D(4, 5, padding="same", name="large")(x)
    x = layers.Concatenate(name="mixed")([small, middle, large])
    return keras.Model(inputs, layers.Dense(10, "softmax", name="out")(layers.Flatten(name="flat")(x)))


def nested() -> keras.Model:
    """A model with another one in it, whose layers Keras has numbered."""
    i = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same")(i)
    x = layers.Dropout(0.2)(layers.BatchNormalization()(x))
    x = layers.Conv2D(4, 3, padding="same")(x)
    backbone = keras.Model(i, x, name="backbone")
    head = keras.Sequential([layers.Dropout(0.4), layers.Dense(10, "softmax")], name="head")
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, head(layers.Flatten(name="flat")(backbone(inputs))))


def shared() -> keras.Model:
    """One layer that is called twice."""
    x = inputs = keras.Input(SHAPE)
    conv, drop = layers.Conv2D(3, 3, padding="same", name="twice"), layers.Dropout(0.2, name="drop")
    x = drop(conv(drop(conv(x))))
    return keras.Model(inputs, layers.Dense(10, "softmax", name="out")(layers.Flatten(name="flat")(x)))


def attention() -> keras.Model:
    x = inputs = keras.Input(SHAPE)
    x = layers.Reshape((64, 3), name="tokens")(x)
    x = layers.Dense(8, name="embed")(x)
    y = layers.LayerNormalization(name="norm")(x)
    x = layers.Add(name="add")([x, layers.MultiHeadAttention(2, 4, name="attend")(y, y)])
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(10, "softmax", name="out")(x))


def dense_block() -> keras.Model:
    x = inputs = keras.Input(SHAPE)
    for k in (1, 2):
        x = layers.Concatenate(name=f"concat{k}")(
            [x, layers.Conv2D(4, 3, padding="same", name=f"conv{k}")(x)]
        )
    x = layers.SpatialDropout2D(0.2, name="drop")(layers.GaussianNoise(0.1, name="noise")(x))
    return keras.Model(inputs, layers.Dense(10, "softmax", name="out")(layers.Flatten(name="flat")(x)))


MODELS = (
    sequential, residual, operators, squeezed, inception, nested, shared, attention, dense_block,
)  # fmt: skip
Build = Callable[[], keras.Model]


def names(model: keras.Model) -> list[str]:
    """Return the names of all layers, of nested models too, in the test's own way."""
    found: list[str] = []
    for layer in model.layers:
        found.append(layer.name)
        if isinstance(layer, keras.Model):
            found += [f"{layer.name}/{name}" for name in names(layer) if "input" not in name]
    return found


def train_one_step(model: keras.Model) -> None:
    model.compile("sgd", "categorical_crossentropy", run_eagerly=True)
    images, labels = np.random.default_rng(0).random((2, *SHAPE)), np.eye(10)[[1, 2]]
    assert np.isfinite(model.train_on_batch(images, labels))


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_every_part_that_is_proposed_can_be_taken_out_and_the_rest_trains(build: Build) -> None:
    keras.utils.clear_session()
    model = build()
    found = proposals(model)
    assert found
    for proposal in found:
        before = Size.of(model)
        result = edited(model, [proposal.edit])
        account = Account(before, Size.of(result))
        gone = operations(model).keys() - operations(result).keys()
        assert {layer.name for layer in account.removed} == gone
        assert account.removed or account.changed
        assert account.after.parameters == sum(int(np.prod(w.shape)) for w in result.weights)
        assert type(result) is type(model) or not isinstance(model, keras.Sequential)
        train_one_step(result)


def test_a_class_goes_and_everything_else_stays_as_it_was() -> None:
    model = sequential()
    result = edited(model, [remove("Dropout")])
    assert names(result) == ["conv1", "norm1", "conv2", "pool", "flat", "dense", "out"]
    for layer in result.layers:
        assert layer is model.get_layer(layer.name)  # with its weights
    images = np.random.default_rng(0).random((2, *SHAPE))
    np.testing.assert_array_equal(result(images), model(images, training=False))


def test_a_layer_that_changes_the_shape_is_replaced_by_the_least_that_fits() -> None:
    account = account_of(sequential(), [remove(layers=("conv2",))])
    assert [(layer.name, layer.kind, layer.output) for layer in account.added] == [
        ("conv2_crop", "Cropping2D", "6 × 6 × 4"),
        ("conv2_match", "Conv2D", "6 × 6 × 6"),
    ]
    assert account.after.parameters == account.before.parameters - (9 * 4 * 6 + 6) + 4 * 6
    assert [layer.name for layer in account_of(sequential(), [remove(layers=("dense",))]).added] == [
        "dense_match"
    ]


def test_a_block_is_matched_once_at_its_end() -> None:
    account = account_of(sequential(), [remove(layers=("conv*", "norm1", "pool"))])
    assert [layer.name for layer in account.removed] == ["conv1", "norm1", "conv2", "pool"]
    assert [(layer.name, layer.output) for layer in account.added] == [
        ("pool_crop", "5 × 5 × 3"),  # no convolution has a remainder
        ("pool_match", "3 × 3 × 6"),
    ]


def test_without_a_residual_branch_the_shortcut_stays() -> None:
    model = residual()
    first = edited(model, [remove(branch="block1_add")])
    assert names(first)[1:3] == ["stem", "block2_norm"]  # the shortcut is the identity
    second = edited(model, [remove(branch="block2_add")])
    assert [name for name in names(second) if name.startswith("block2")] == ["block2_shortcut"]
    assert "block1_add" in names(second)


def test_a_whole_residual_block_leaves_one_projection() -> None:
    account = account_of(residual(), [remove(layers=("block2_*",))])
    assert [layer.name for layer in account.added] == ["block2_add_crop", "block2_add_match"]
    assert [layer.output.partition(" × ")[0] for layer in account.added] == ["7", "4"]


def test_a_sum_is_a_joint_too() -> None:
    keras.utils.clear_session()
    model = operators()
    result = edited(model, [remove("Add")])
    assert [type(layer).__name__ for layer in result.layers] == ["InputLayer", "Conv2D", "Flatten", "Dense"]


def test_without_attention_the_features_pass() -> None:
    assert names(edited(squeezed(), [remove(branch="excite")]))[1:] == ["conv", "flat", "out"]


def test_one_of_several_branches_is_named_by_a_layer_of_it() -> None:
    account = account_of(inception(), [remove(branch="mixed", through="large")])
    assert [layer.name for layer in account.removed] == ["large"]
    assert [(layer.name, layer.output) for layer in account.added] == [("mixed_match", "8 × 8 × 9")]


def test_a_shared_layer_goes_wherever_it_is_called() -> None:
    result = edited(shared(), [remove("Dropout")])
    assert names(result)[1:] == ["twice", "flat", "out"]
    assert len(result.layers[1].weights) == 2


def test_layers_of_a_nested_model_go_too_and_the_others_keep_their_paths() -> None:
    keras.utils.clear_session()
    model = nested()
    result = edited(model, [remove(layers=("backbone/conv2d",)), remove("BatchNormalization")])
    kept = {path: id(layer) for path, layer in layer_paths(result).items()}
    before = {path: id(layer) for path, layer in layer_paths(model).items()}
    assert kept["backbone/conv2d_1"] == before["backbone/conv2d_1"]
    assert "backbone/batch_normalization_match" in kept
    assert "backbone/batch_normalization" not in kept
    assert names(edited(model, [remove("Dropout")]))[-2:] == ["head", "head/dense"]


def test_penalties_activations_and_arguments() -> None:
    model = sequential()
    unpenalised = edited(model, [remove(penalty="kernel_regularizer")])
    assert unpenalised.get_layer("conv1").kernel_regularizer is None
    assert model.get_layer("conv1").kernel_regularizer is not None
    gelu = edited(model, [Edit(action="replace", target="relu", value="gelu")])
    assert [gelu.get_layer(n).activation.__name__ for n in ("conv1", "conv2", "dense", "out")] == [
        "gelu", "gelu", "gelu", "softmax",
    ]  # fmt: skip
    stronger = edited(model, [Edit(action="change", target="Dropout.rate", value=0.5)])
    assert [stronger.get_layer(n).rate for n in ("drop1", "drop2")] == [0.5, 0.5]
    assert type(edited(residual(), [Edit(action="replace", target="relu", value="silu")]).get_layer(
        "block1_relu")).__name__ == "Activation"  # fmt: skip
    pooled = edited(model, [Edit(action="replace", target="MaxPooling2D", value="AveragePooling2D")])
    assert type(pooled.get_layer("pool")).__name__ == "AveragePooling2D"


def test_changed_widths_reach_the_layers_behind() -> None:
    result = edited(sequential(), [Edit(action="change", target="conv1.filters", value=7)])
    assert result.get_layer("conv2").kernel.shape == (3, 3, 7, 6)


@pytest.mark.parametrize("edit", [remove(layers=("block1_*",)), remove(layers=("block1_conv",))])
def test_a_matched_model_has_as_many_parameters(edit: Edit) -> None:
    model = residual()
    result = edited(model, [edit, Edit(action="match")])
    smaller = edited(model, [edit])
    assert smaller.count_params() < model.count_params()
    assert abs(result.count_params() / model.count_params() - 1) < 0.1
    assert result.get_layer("out").units == 10
    train_one_step(result)


class Block(layers.Layer):
    """A layer with layers of its own, which cannot be taken apart."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.conv, self.drop = layers.Conv2D(3, 3, padding="same"), layers.Dropout(0.1)

    def build(self, shape: Any) -> None:
        self.conv.build(shape)

    def call(self, x: Any) -> Any:
        return self.drop(self.conv(x))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.flat, self.out = layers.Flatten(), layers.Dense(10, "softmax")

    def call(self, x: Any) -> Any:
        return self.out(self.flat(x))


def with_block() -> keras.Model:
    return keras.Sequential(
        [keras.Input(SHAPE), Block(name="block"), layers.Flatten(), layers.Dense(10, "softmax", name="out")]
    )


def subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros((1, *SHAPE)))
    return model


def account_of(model: keras.Model, edits: list[Edit]) -> Account:
    before = Size.of(model)
    return Account(before, Size.of(edited(model, edits)))


@pytest.mark.parametrize(
    ("build", "edit", "message"),
    [
        (sequential, remove("Dropuot"), "the model has no layer of the class 'Dropuot'. Did you mean 'Dropout'?"),
        (sequential, remove(layers=("conv3",)), "the model has no layer 'conv3'. Did you mean 'conv2'?"),
        (
            sequential, remove(layers=("pool",)),
            "the layer pool cannot be removed: it turns 6 × 6 × 6 into 3 × 3 × 6, and it has no weights that a "
            "linear layer could stand for. Remove it together with the layers around it, or change its "
            "arguments.",
        ),
        (
            sequential, remove(layers=("flat", "dense")),
            "the layer dense cannot be removed: it turns 3 × 3 × 6 into 5, and a linear layer does not change "
            "the number of axes. Remove it together with the layers around it, or change its arguments.",
        ),
        (
            sequential, remove(layers=("out",)),
            "the layer out returns the model's output, so that without it nothing would be left to learn from.",
        ),
        (
            sequential, remove(branch="pool"),
            "the layer 'pool' joins no branches. No layer of this model does.",
        ),
        (
            residual, remove(branch="stem"),
            "the layer 'stem' joins no branches. These do: block1_add, block2_add.",
        ),
        (
            inception, remove(branch="mixed"),
            "the layer 'mixed' joins 3 branches, and which one to remove is not clear. Name a layer of it, "
            "{branch: mixed, through: …}. The branches are: small; middle; large.",
        ),
        (
            inception, remove(branch="mixed", through="out"),
            "the layer 'out' is in no branch that 'mixed' joins. The branches are: small; middle; large.",
        ),
        (sequential, remove(penalty="bias_regularizer"), "no layer has a bias_regularizer."),
        (
            sequential, Edit(action="change", target="Dropout.rates", value=1),
            "Dropout has no argument 'rates'. Did you mean 'rate'?",
        ),
        (
            sequential, Edit(action="change", target="Dropout.rate", value=0.3),
            "Dropout.rate is 0.3 in the model already.",
        ),
        (
            sequential, Edit(action="change", target="rate", value=0.3),
            "'rate' names no argument; write class.argument, like Dropout.rate.",
        ),
        (
            sequential, Edit(action="change", target="Dropuot.rate", value=0.3),
            "the model has no layer and no class of layers 'Dropuot'. Did you mean 'Dropout'?",
        ),
        (
            sequential, Edit(action="replace", target="relu", value="gellu"),
            "there is no activation 'gellu'. Did you mean 'gelu'?",
        ),
        (
            sequential, Edit(action="replace", target="rellu", value="gelu"),
            "the model has neither an activation nor a class 'rellu'. Did you mean 'relu'?",
        ),
        (
            sequential, Edit(action="replace", target="MaxPooling2D", value="AveragePoling2D"),
            "there is no class of layers 'AveragePoling2D'. Did you mean 'AveragePooling2D'?",
        ),
        (
            with_block, remove("Dropout"),
            "the layer block (Block) contains Dropout, and what is inside of a layer that is no model cannot be "
            "taken apart. Remove the whole layer, or change one of its arguments.",
        ),
        (
            subclassed, remove("Dense"),
            "the model is a Subclassed, which computes in a `call` of its own. Only Sequential and functional "
            "models can be taken apart; give the function that builds the model an argument for each part, and "
            "list these under `factors:`.",
        ),
    ],
)  # fmt: skip
def test_what_means_nothing_in_a_model_is_refused_with_the_reason(
    build: Build, edit: Edit, message: str
) -> None:
    with pytest.raises(AblationError) as caught:
        edited(build(), [edit])
    assert str(caught.value) == message


def test_a_match_without_a_loss_of_parameters_is_refused() -> None:
    with pytest.raises(AblationError) as caught:
        edited(sequential(), [remove("Dropout"), Edit(action="match")])
    assert str(caught.value) == (
        "nothing that is removed has parameters, so that a matched variant would be the same model. Set "
        "`matched: false` for this part."
    )
