"""Losses of one-hot labels and probabilities, made of those that expect integer labels or logits."""

from __future__ import annotations

from typing import Any

from ablation.errors import AblationError

_MEANS = ("mean", "sum_over_batch_size", "mean_with_sample_weight")


def require_mean(name: str, loss: Any) -> None:
    """Refuse a loss that adds up over images, or gives one value per image.

    Raises:
        AblationError: The reduction of the loss is no mean.
    """
    reduction = getattr(loss, "reduction", "mean")
    if reduction not in _MEANS:
        raise AblationError(
            f"{name} has the reduction {reduction}, which is not a mean over images, so that "
            "losses of parts of different sizes cannot be compared. Remove `reduction`."
        )


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
    if loss is losses.sparse_categorical_crossentropy:
        return losses.categorical_crossentropy, False
    if not isinstance(loss, losses.Loss):
        return loss, False
    require_mean(type(loss).__name__, loss)
    config = loss.get_config()
    if type(loss) is losses.SparseCategoricalCrossentropy:
        if config.get("ignore_class") is not None:
            raise AblationError("SparseCategoricalCrossentropy: `ignore_class` is not supported; remove it.")
        logits = bool(config["from_logits"])
        return losses.CategoricalCrossentropy(reduction=config["reduction"], name=loss.name), logits
    if config.get("from_logits"):
        return type(loss).from_config(config | {"from_logits": False}), True
    return loss, False
