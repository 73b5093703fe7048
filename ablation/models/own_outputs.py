"""What a user's model outputs for an image: one probability per class, or logits if its loss expects them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError

if TYPE_CHECKING:
    import keras

Shape = tuple[int, int, int]


def refuse_no_classifier(
    name: str, model: keras.Model, image_shape: Shape, classes: int, multi_label: bool, logits: bool
) -> bool:
    """Raise an error unless a model outputs one probability per class, or one logit if its loss expects them.

    For two classes, a model may output the probability, or the logit, of the second class alone.

    Returns:
        Whether it does the latter.
    """
    import keras

    # The images lie far from zero, so that outputs without an activation cannot pass as probabilities.
    images = keras.random.normal((8, *image_shape), stddev=10, seed=0)
    outputs = model(images, training=False)
    shape = output_shape(outputs)
    one_unit = shape == (1,) and classes == 2 and not multi_label
    if shape != (classes,) and not one_unit:
        raise other_outputs(name, shape, classes, "label" if multi_label else "class")
    outputs = keras.ops.cast(outputs, "float32")
    lie_between = bool(keras.ops.min(outputs) >= 0 and keras.ops.max(outputs) <= 1)
    rounding = 1e-3 if model.compute_dtype == "float32" else 3e-2
    add_up = float(keras.ops.max(keras.ops.abs(keras.ops.sum(outputs, axis=-1) - 1))) < rounding
    _refuse_outputs(name, lie_between, add_up, multi_label, one_unit, logits)
    return one_unit


def symbolic_output(model: Any) -> Any:
    """Return the output of a Sequential or functional model without computing it; None of another one."""
    outputs = getattr(model, "outputs", None)
    if not outputs:
        return None
    arranged = getattr(model, "_outputs_struct", outputs[0])
    return arranged if len(outputs) > 1 or isinstance(arranged, dict) else outputs[0]


def output_shape(outputs: Any) -> tuple[Any, ...]:
    """Return the shape of a model's output for an image; empty if it is not known."""
    if outputs is None:
        return ()
    return tuple(getattr(outputs, "shape", ("several outputs", "several outputs")))[1:]


def other_outputs(name: str, shape: tuple[Any, ...], classes: int | None, kind: str) -> AblationError:
    """Return the error for a model with outputs of another shape than that of a classifier."""
    wanted = f"({classes},), " if classes else ""
    return AblationError(
        f"{name}: the model's output for an image has the shape {shape}; expected {wanted}one probability "
        f"per {kind}."
    )


def _refuse_outputs(
    name: str, lie_between: bool, add_up: bool, multi_label: bool, one_unit: bool, logits: bool
) -> None:
    ending = "sigmoid" if multi_label or one_unit else "softmax"
    if logits:
        if lie_between and (add_up or ending == "sigmoid"):
            raise AblationError(
                f"{name}: the loss expects logits, but the model's outputs are probabilities. Remove "
                f"`from_logits` from the loss, or the {ending} from the end of the model."
            )
        return
    remedy = f"end the model with {ending}, or declare logits by a Keras loss with `from_logits: true`."
    if multi_label or one_unit:
        if not lie_between:
            raise AblationError(
                f"{name}: the model's outputs do not lie between 0 and 1, so they are not probabilities; "
                f"{remedy}"
            )
        if multi_label and add_up:
            raise AblationError(
                f"{name}: the model's outputs sum to 1, as those of softmax do, but these images have any "
                "number of labels; end the model with sigmoid."
            )
    elif not add_up:
        raise AblationError(
            f"{name}: the model's outputs do not sum to 1, so they are not probabilities; {remedy}"
        )
