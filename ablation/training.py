"""One trial, trained and measured: the only loop in the house that touches weights.

An epoch is a few calls of a compiled graph. The images stay in memory as they are stored; a batch is
gathered by index and normalised inside the graph. There is no tf.data here: at the end of each epoch its
autotuning thread would be waited for, at times for longer than the epoch took.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ablation.datasets import Dataset, Part
from ablation.models import build_model
from ablation.provenance import worker_provenance
from ablation.randomness import batch_order
from ablation.settings import EarlyStopping, TrainingSettings
from ablation.trial import EpochRecord, Trial, TrialResult

if TYPE_CHECKING:
    import keras

_CHUNK_STEPS = 16  # steps a compiled call: short enough that progress stays live
_PREDICT_BATCH = 256  # fixed, for the size of a batch can change the last bit of a prediction

OnEpoch = Callable[[EpochRecord], None]


def configure_tensorflow(threads: int) -> None:
    """Give TensorFlow its threads; must come before the first operation of the process."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def run_trial(
    trial: Trial, dataset: Dataset, folder: Path, save_model: bool = False, on_epoch: OnEpoch = lambda _: None
) -> TrialResult:
    """Train, validate after every epoch, and read the test set once, at the end.

    Leaves ``test_probabilities.npy`` ((test images, classes), float32) and, where asked, ``model.keras``
    in ``folder``.

    Args:
        trial: What to train.
        dataset: What to train it on; its digest is the trial's.
        folder: Where the trial's files go.
        save_model: Keep the trained model.
        on_epoch: Is told of each epoch as it ends.
    """
    import keras

    started = time.perf_counter()
    keras.utils.clear_session(free_memory=True)
    keras.config.set_dtype_policy(trial.training.precision)
    model = compiled_model(trial, dataset)
    loop = _CompiledLoop(model, dataset, trial.training)
    history, best_weights, diverged = _fit(loop, trial, dataset, on_epoch)
    best = max(history, key=lambda record: record.val_accuracy)  # the first of equals
    kept = history[-1]
    if trial.training.evaluate == "best" and not diverged:
        model.set_weights(best_weights)
        kept = best
    metrics = {
        key: value
        for key, value in (kept.model_dump(exclude={"extra"}) | kept.extra).items()
        if key.startswith(("train_", "val_"))
    }
    if not diverged:
        probabilities = loop.predict(dataset.test)
        metrics |= {f"test_{k}": v for k, v in loop.measure(dataset.test, probabilities).items()}
        np.save(folder / "test_probabilities.npy", probabilities)
        if save_model:
            model.save(folder / "model.keras")
    return TrialResult(
        trial_id=trial.id,
        status="diverged" if diverged else "completed",
        history=tuple(history),
        metrics=metrics,
        best_epoch=best.epoch,
        parameters=model.count_params(),
        seconds=time.perf_counter() - started,
        cause=f"the training loss became {history[-1].loss} in epoch {len(history)}" if diverged else "",
        provenance=worker_provenance(trial.threads),
    )


def compiled_model(trial: Trial, dataset: Dataset) -> keras.Sequential:
    """Build a trial's model and compile it: loss, optimizer, metrics."""
    import keras

    model = build_model(trial.model, dataset.image_shape, len(dataset.class_names), trial.seed)
    optimizer = keras.optimizers.get(
        {"class_name": trial.training.optimizer, "config": {"learning_rate": trial.training.learning_rate}}
    )
    metrics = ["categorical_accuracy", *trial.training.metrics]
    model.compile(optimizer=optimizer, loss=trial.training.loss, metrics=metrics, jit_compile=False)
    return model


def _fit(
    loop: _CompiledLoop, trial: Trial, dataset: Dataset, on_epoch: OnEpoch
) -> tuple[list[EpochRecord], list[NDArray[Any]], bool]:
    """Train epoch by epoch; return the history, the best epoch's weights, and whether it diverged."""
    stopping = trial.training.early_stopping
    history: list[EpochRecord] = []
    best_weights: list[NDArray[Any]] = []
    for epoch in range(1, trial.training.epochs + 1):
        started = time.perf_counter()
        loss, accuracy = loop.train(batch_order(trial.seed, epoch, len(dataset.train)))
        train = loop.measure(dataset.train_probe)
        val = loop.measure(dataset.val)
        record = EpochRecord(
            epoch=epoch,
            loss=loss,
            accuracy=accuracy,
            train_loss=train.pop("loss"),
            train_accuracy=train.pop("accuracy"),
            val_loss=val.pop("loss"),
            val_accuracy=val.pop("accuracy"),
            seconds=time.perf_counter() - started,
            extra={f"train_{k}": v for k, v in train.items()} | {f"val_{k}": v for k, v in val.items()},
        )
        if trial.training.evaluate == "best" and all(
            record.val_accuracy > past.val_accuracy for past in history
        ):
            best_weights = loop.model.get_weights()
        history.append(record)
        on_epoch(record)
        if not math.isfinite(loss):
            return history, best_weights, True
        if stopping and _has_stalled(history, stopping):
            break
    return history, best_weights, False


def _has_stalled(history: list[EpochRecord], stopping: EarlyStopping) -> bool:
    """Tell whether the last ``patience`` epochs brought no improvement on the best before them."""
    sign = -1 if stopping.monitor == "val_loss" else 1
    scores = [sign * float(getattr(record, stopping.monitor)) for record in history]
    best, best_at = scores[0], 0
    for at, score in enumerate(scores):
        if score > best + stopping.min_delta:
            best, best_at = score, at
    return len(history) - 1 - best_at >= stopping.patience


class _CompiledLoop:
    """The training and prediction loops of one model on one dataset, as TensorFlow graphs."""

    def __init__(self, model: keras.Sequential, dataset: Dataset, training: TrainingSettings) -> None:
        import keras
        import tensorflow as tf

        self.model = model
        self._classes = len(dataset.class_names)
        self._batch = training.batch_size
        self._loss = keras.losses.get(training.loss)
        self._extra = {name: keras.metrics.get(name) for name in training.metrics}
        self._running_loss = keras.metrics.Mean()
        self._running_accuracy = keras.metrics.CategoricalAccuracy()
        self._scale, self._offset = tf.constant(dataset.scale), tf.constant(dataset.offset)
        self._images = tf.constant(dataset.train.images)
        self._labels = tf.constant(dataset.train.labels, tf.int32)
        model.optimizer.build(model.trainable_variables)
        number, images = tf.TensorSpec((), tf.int32), dataset.train.images
        self._train_steps = tf.function(
            self._build_train_steps(),
            input_signature=[tf.TensorSpec((len(images),), tf.int32), number, number],
        )
        self._predict = tf.function(
            self._build_predict(), input_signature=[tf.TensorSpec((None, *dataset.image_shape), images.dtype)]
        )

    def train(self, order: NDArray[np.int32]) -> tuple[float, float]:
        """Train one epoch; return loss and accuracy as Keras logs them: running means, dropout active."""
        import tensorflow as tf

        self._running_loss.reset_state()
        self._running_accuracy.reset_state()
        steps = math.ceil(len(order) / self._batch)
        order_tensor = tf.constant(order)
        for first in range(0, steps, _CHUNK_STEPS):
            self._train_steps(order_tensor, tf.constant(first), tf.constant(min(first + _CHUNK_STEPS, steps)))
        return float(self._running_loss.result()), float(self._running_accuracy.result())

    def predict(self, part: Part) -> NDArray[np.float32]:
        """Return the class probabilities in inference mode: (images, classes)."""
        import tensorflow as tf

        probabilities: NDArray[np.float32] = self._predict(tf.constant(part.images)).numpy()
        return probabilities

    def measure(self, part: Part, probabilities: NDArray[np.float32] | None = None) -> dict[str, float]:
        """Return loss, accuracy and the further metrics of a part, in inference mode."""
        import keras

        if probabilities is None:
            probabilities = self.predict(part)
        one_hot = keras.ops.one_hot(part.labels, self._classes)
        measured = {
            "loss": float(np.mean(self._loss(one_hot, probabilities))),
            "accuracy": float(np.mean(probabilities.argmax(axis=1) == part.labels)),
        }
        for name, metric in self._extra.items():
            metric.reset_state()
            metric.update_state(one_hot, probabilities)
            measured[name] = float(metric.result())
        return measured

    def _normalise(self, images: Any) -> Any:
        import tensorflow as tf

        return tf.cast(images, tf.float32) * self._scale + self._offset

    def _build_train_steps(self) -> Callable[[Any, Any, Any], None]:
        import tensorflow as tf

        model, optimizer, variables = self.model, self.model.optimizer, self.model.trainable_variables

        def train_steps(order: Any, first: Any, last: Any) -> None:
            for step in tf.range(first, last):
                indices = order[step * self._batch : (step + 1) * self._batch]
                images = self._normalise(tf.gather(self._images, indices))
                one_hot = tf.one_hot(tf.gather(self._labels, indices), self._classes)
                with tf.GradientTape() as tape:
                    probabilities = model(images, training=True)
                    loss = tf.reduce_mean(self._loss(one_hot, probabilities))
                    scaled = optimizer.scale_loss(loss)
                optimizer.apply(tape.gradient(scaled, variables), variables)
                self._running_loss.update_state(loss, sample_weight=tf.size(indices))
                self._running_accuracy.update_state(one_hot, probabilities)

        return train_steps

    def _build_predict(self) -> Callable[[Any], Any]:
        import tensorflow as tf

        def predict(images: Any) -> Any:
            count = tf.shape(images)[0]
            batches = (count + _PREDICT_BATCH - 1) // _PREDICT_BATCH
            out = tf.TensorArray(
                tf.float32, size=batches, element_shape=(None, self._classes), infer_shape=False
            )
            for batch in tf.range(batches):
                chunk = images[batch * _PREDICT_BATCH : (batch + 1) * _PREDICT_BATCH]
                out = out.write(batch, self.model(self._normalise(chunk), training=False))
            return out.concat()

        return predict
