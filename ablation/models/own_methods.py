"""Methods of a user's model that only Keras's own `fit` and `evaluate` would call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablation.errors import AblationError

if TYPE_CHECKING:
    import keras

_LOSS = 'name your loss in the grid (`training: {loss: "module:function"}`), or use `add_loss` in `call`'
_METRIC = 'name your metric in the grid (`training: {metrics: ["module:function"]}`)'
_STEP = f"move what it does into `call` or into a layer, {_LOSS}"
_EPOCHS = 'name a callback in the grid (`training: {callbacks: ["module:Class"]}`)'
UNUSED_METHODS = {
    "train_step": _STEP,
    "make_train_function": _STEP,
    "compute_loss": _LOSS,
    "compute_metrics": _METRIC,
    "test_step": f"move what it does into `call`, or {_METRIC}",
    "make_test_function": f"move what it does into `call`, or {_METRIC}",
    "predict_step": "move what it does into `call`",
    "make_predict_function": "move what it does into `call`",
    "evaluate": _METRIC,
    "fit": _EPOCHS,
}


def refuse_unused_methods(name: str, model: keras.Model) -> None:
    """Refuse a model with methods of its own that are never called here.

    Args:
        name: The code that built the model, ``module:object``.
        model: The model.

    Raises:
        AblationError: The model, or a class of it that is none of Keras's, defines such a method.
    """
    for method, instead in UNUSED_METHODS.items():
        if _is_own(method, model):
            raise AblationError(
                f"{name}: the model has a method `{method}` of its own, which is never called: trials train "
                f"and measure with compiled graphs of their own. Remove it, and {instead}."
            )


def _is_own(method: str, model: keras.Model) -> bool:
    if method in vars(model) and not method.startswith("make_"):
        return True
    definer = next(kind for kind in type(model).__mro__ if method in vars(kind))
    return not definer.__module__.startswith("keras.")
