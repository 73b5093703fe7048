"""Losses of one-hot labels and probabilities, made of those that expect integer labels or logits."""

from __future__ import annotations

from typing import Any

from ablation.errors import AblationError

_MEANS = ("mean", "sum_over_batch_size", "mean_with_sample_weight")


_ONE_HOT = "expects integer labels, but labels are one-hot here; use CategoricalCrossentropy."
UNFIT = {
    "CTC": "is for sequences; use CategoricalCrossentropy.",
    "Circle": _ONE_HOT,
    "CategoricalGeneralizedCrossEntropy": _ONE_HOT,
}
"""Losses of Keras that cannot be computed of one-hot labels and probabilities, and what to use instead."""


def require_usable(name: str, loss: Any) -> None:
    """Refuse a loss that adds up over images, gives one value per image, or computes in another precision.

    Raises:
        AblationError: The reduction of the loss is no mean, or its type is not float32.
    """
    import keras

    reduction, dtype = getattr(loss, "reduction", "mean"), getattr(loss, "dtype", "float32")
    if reduction not in _MEANS:
        raise AblationError(
            f"{name} has the reduction {reduction}, which is not a mean over images, so that "
            "losses of parts of different sizes cannot be compared. Remove `reduction`."
        )
    if dtype not in ("float32", keras.config.floatx()):  # the latter is what keras.json says, and is not used
        raise AblationError(
            f"{name} has the dtype {dtype}, but losses are computed in float32 here, whatever the precision "
            "of the model is. Remove `dtype`."
        )


def _refuse_unfit(loss: Any) -> None:
    """Refuse a loss of Keras, a function or an object, that is for other labels or outputs."""
    function = getattr(loss, "fn", loss)
    if not str(getattr(function, "__module__", "")).startswith("keras."):
        return
    plain = str(getattr(function, "__name__", "")).replace("_", "")
    for name, reason in UNFIT.items():
        if plain == name.lower():
            raise AblationError(f"{name} {reason}")


def one_hot_loss(loss: Any) -> tuple[Any, bool]:
    """Return a loss as trials compute it, and whether the loss that was given expects logits.

    Trials have one-hot labels, and their models output probabilities: the logits of a user's model are
    converted by softmax or sigmoid. Keras takes the logits behind such an activation for its crossentropies,
    so that nothing is lost by the conversion.

    Args:
        loss: The name of a Keras loss, a Keras loss, a function, or a list of one of these.

    Returns:
        A loss of one-hot labels and probabilities, and whether the given one expects logits. Of a user's own
        loss, the second is known only if its `get_config` contains ``from_logits``.

    Raises:
        AblationError: There are several losses, or the loss has options that trials do not support.
    """
    import keras

    losses = keras.losses
    if isinstance(loss, dict | list | tuple):
        parts = list(loss.values()) if isinstance(loss, dict) else list(loss)
        if len(parts) != 1:
            raise AblationError(f"expected one loss, not {len(parts)}: a classifier has one output.")
        (loss,) = parts
    loss = losses.get(loss)
    _refuse_unfit(loss)
    if loss is losses.sparse_categorical_crossentropy:
        return losses.categorical_crossentropy, False
    if not isinstance(loss, losses.Loss):
        return loss, False
    require_usable(type(loss).__name__, loss)
    config = loss.get_config()
    if type(loss) is losses.SparseCategoricalCrossentropy:
        if config.get("ignore_class") is not None:
            raise AblationError("SparseCategoricalCrossentropy: `ignore_class` is not supported; remove it.")
        logits = bool(config["from_logits"])
        return losses.CategoricalCrossentropy(reduction=config["reduction"], name=loss.name), logits
    if config.get("from_logits"):
        return type(loss).from_config(config | {"from_logits": False}), True
    return loss, False
