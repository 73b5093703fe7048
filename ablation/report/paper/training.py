"""The sentences of a paper on how models were trained: epochs, batches, optimizer, loss."""

from __future__ import annotations

from ablation.grid.settings import Component
from ablation.grid.value_text import counted, setting_text
from ablation.report.paper.components import setting_name
from ablation.report.paper.environment import listed
from ablation.report.paper.latex import breakable
from ablation.results.run import Run

_OPTIMIZERS = {
    "adam": "kingma2015adam", "adamax": "kingma2015adam", "adamw": "loshchilov2019decoupled",
    "nadam": "dozat2016incorporating", "sgd": "robbins1951stochastic", "rmsprop": "tieleman2012rmsprop",
    "adagrad": "duchi2011adaptive", "lion": "chen2023symbolic",
}  # fmt: skip
_OPTIMIZER_NAMES = {
    "adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop", "nadam": "Nadam",
    "adamax": "Adamax", "adagrad": "Adagrad", "lion": "Lion",
}  # fmt: skip


def training(run: Run) -> list[str]:
    """Return the sentences on the training as LaTeX, with citations of the optimizers."""
    study = run.study
    settings = next(v for v in study.variants if v.name == study.baseline).training
    varied = [
        name
        for name in type(settings).model_fields
        if len({setting_text(getattr(v.training, name)) for v in study.variants}) > 1
    ]
    epochs, batch = counted(settings.epochs, "epoch"), counted(settings.batch_size, "image")
    rate, loss = _shown(settings.learning_rate), _shown(settings.loss).replace("_", " ")
    unless = f", unless a variant changes {listed(map(setting_name, varied))}" if varied else ""
    sentences = [
        f"Models were trained for {epochs} with batches of {batch}, by {_optimizer(settings.optimizer)} with "
        f"a learning rate of {breakable(rate)}, to minimise the {breakable(f'{loss}{unless}')}."
    ]
    others = {_optimizer(v.training.optimizer): None for v in study.variants}
    if len(others) > 1:
        sentences.append(f"Optimizers are {listed(others)}.")
    if augmentation := next((v.model.augmentation for v in study.variants if v.name == study.baseline), ()):
        sentences.append(f"Training images were augmented: {breakable(', '.join(map(str, augmentation)))}.")
    if stop := settings.early_stopping:
        sentences.append(
            f"Training stopped when the {stop.monitor.replace('val_', 'validation ')} had not improved for "
            f"{counted(stop.patience, 'epoch')}."
        )
    if settings.class_weight:
        sentences.append("The loss was weighted by class.")
    if settings.precision != "float32":
        sentences.append(f"The precision was {breakable(settings.precision)}.")
    tested = (
        "after the last epoch"
        if settings.evaluate == "last"
        else "of the epoch with the best validation accuracy"
    )
    sentences.append(f"We tested the weights {tested}.")
    return sentences


def _optimizer(optimizer: str | Component) -> str:
    """Return an optimizer with its arguments and citation, as LaTeX."""
    name = optimizer if isinstance(optimizer, str) else optimizer.snake_case.replace("_", "")
    shown = _OPTIMIZER_NAMES.get(name, name) if isinstance(optimizer, str) else str(optimizer)
    keys = [_OPTIMIZERS[name]] if name in _OPTIMIZERS else []
    if isinstance(optimizer, Component) and name == "sgd" and optimizer.arguments.get("momentum"):
        keys.append("sutskever2013importance")
    return breakable(shown) + (rf"~\cite{{{','.join(keys)}}}" if keys else "")


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
