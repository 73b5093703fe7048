"""Whether the training settings of a trial fit its model and each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ablation.errors import AblationError
from ablation.grid.label_kinds import is_of_any_labels
from ablation.grid.settings import Component, TrainingSettings
from ablation.grid.user_code import error_summary
from ablation.training.objective import Objective, keras_name

_IMAGES = 8  # drawn to try a loss out


def refuse_binary(training: TrainingSettings, own_loss: Any = None) -> None:
    """Refuse losses and metrics that judge each output by itself, for a model whose outputs sum to 1.

    Keras would take the logits of the softmax for those of sigmoids, and compute neither loss.

    Args:
        training: The training settings of the trial.
        own_loss: The loss of its model, if a user's code may have compiled it.

    Raises:
        AblationError: There is such a loss or metric.
    """
    about = (
        "treats the outputs as independent probabilities, like those of sigmoid, but this model's outputs "
        "sum to 1, like those of softmax"
    )
    chosen = keras_name(own_loss) if own_loss else training.loss
    if is_of_any_labels(chosen):
        instead = str(chosen).replace("binary", "categorical").replace("Binary", "Categorical")
        raise AblationError(f"the loss {chosen} {about}. Use {instead}.")
    for metric in training.metrics:
        if is_of_any_labels(metric):
            raise AblationError(
                f"the metric {metric} {about}. Remove it from `training: {{metrics: [...]}}`."
            )


def declares_averages(training: TrainingSettings) -> bool:
    """Return whether the settings of an optimizer of Keras ask for moving averages of the weights."""
    return isinstance(training.optimizer, Component) and bool(training.optimizer.arguments.get("use_ema"))


def refuse_idle_average(training: TrainingSettings, averages: bool) -> None:
    """Refuse moving averages of the weights that would never become the weights that are tested.

    Args:
        training: The training settings of the trial.
        averages: Whether its optimizer keeps such averages.

    Raises:
        AblationError: They would have no effect, or there are none.
    """
    swaps = [c for c in training.callbacks if c.name == "SwapEMAWeights"]
    arguments = training.optimizer.arguments if isinstance(training.optimizer, Component) else {}
    idle = sorted({"ema_momentum", "ema_overwrite_frequency"} & arguments.keys())
    if idle and not averages:
        raise AblationError(f"`{idle[0]}` has no effect without `use_ema: true` beside it.")
    if swaps and not averages:
        raise AblationError(
            "SwapEMAWeights needs an optimizer that averages the weights, like "
            "`optimizer: {Adam: {use_ema: true}}`."
        )
    if averages and training.evaluate == "best" and not swaps:
        raise AblationError(
            "with `use_ema`, the averages of the weights take effect at the end of training, but "
            "`evaluate: best` tests the weights of one epoch. Add `callbacks: [SwapEMAWeights]`, so that "
            "each epoch is measured with its averages, or remove `evaluate: best`."
        )
    stops = training.early_stopping or any(c.name == "EarlyStopping" for c in training.callbacks)
    if stops and any(c.arguments.get("swap_on_epoch") for c in swaps):
        raise AblationError(
            "with `swap_on_epoch`, Keras takes the averages of the weights in the last planned epoch, which "
            "early stopping may never reach. Remove `swap_on_epoch`: each epoch is measured with the "
            "averages without it, too."
        )


def refuse_sum(name: str, loss: Any, classes: int) -> None:
    """Refuse a custom loss that adds up over images, by computing it for some images and for the same twice.

    Args:
        name: The name of the loss, for errors.
        loss: The loss; those of Keras are never refused.
        classes: The number of classes.

    Raises:
        AblationError: It does, or it cannot be computed.
    """
    if isinstance(loss, str) or keras_name(loss):
        return
    objective, draw = Objective(loss), np.random.default_rng(0)
    one_hot = np.eye(classes, dtype=np.float32)[draw.integers(classes, size=_IMAGES)]
    probabilities = draw.dirichlet(np.ones(classes), _IMAGES).astype(np.float32)
    try:
        once = float(objective(one_hot, probabilities))
        twice = float(objective(np.tile(one_hot, (2, 1)), np.tile(probabilities, (2, 1))))
    except Exception as error:
        raise AblationError(
            f"{name} cannot be computed: {error_summary(error).rstrip('.')}. It receives one-hot "
            f"labels and probabilities, two tensors of the shape (images, {classes})."
        ) from error
    if once and abs(twice / once - 2) < 1e-3:
        raise AblationError(
            f"{name} adds up over images: it is {once:.4g} for {_IMAGES} images, and {twice:.4g} "
            "for the same images twice. Return one value per image, or their mean, so that losses of parts "
            "of different size can be compared."
        )
