"""The training and prediction of several seeds, compiled as one program, which holds their weights.

Each seed has a lane. All lanes take the same steps with their own numbers: weights, batches, draws, and
images where seeds draw them. `jax.vmap` computes a step of all lanes at once, and `jax.lax.scan` the steps of
an epoch without returning to Python. The images stay on the device as they are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.datasets import Dataset, Part
from ablation.grid.settings import TrainingSettings
from ablation.models.own_compile import loss_of
from ablation.training.class_weights import class_weights
from ablation.training.fused.state import State, stacked, state_of, variables_of
from ablation.training.fused.steps import Steps
from ablation.training.objective import Objective
from ablation.training.outputs import Outputs

if TYPE_CHECKING:
    import keras

_PREDICT_BATCH = 64  # images per lane: all lanes together fill a device with them


class FusedProgram:
    """The training and prediction of one model per lane.

    Args:
        models: Compiled models that differ only in the values of their variables, one per lane.
        datasets: The images of each lane, alike in number and type.
        training: The training settings, which all lanes share.
    """

    def __init__(
        self, models: Sequence[keras.Model], datasets: Sequence[Dataset], training: TrainingSettings
    ) -> None:
        self._training = training
        self._batch = training.batch_size
        self._programs: dict[Any, Any] = {}
        self._compiled: dict[Any, Any] = {}
        first = datasets[0]
        objective = Objective(loss_of(models[0], training))
        self._steps = Steps(models[0], objective, len(first.class_names), first.is_multi_label)
        self.start(models, datasets)

    def start(self, models: Sequence[keras.Model], datasets: Sequence[Dataset]) -> None:
        """Begin with the state of other models of the same settings; what is compiled is used again.

        Args:
            models: As many models as before.
            datasets: The images of each lane, in number and type as those before.
        """
        self._models = list(models)
        self._device: dict[Any, Any] = {}
        training = self._training
        self._scale = self._lanes([dataset.scale for dataset in datasets])
        self._offset = self._lanes([dataset.offset for dataset in datasets])
        self._images = self._lanes([d.train.images for d in datasets])
        self._labels = self._lanes([d.train.labels.astype(np.int32) for d in datasets])
        weights = [class_weights(training.class_weight, dataset) for dataset in datasets]
        self._weights = self._lanes(weights) if training.class_weight else None
        self.state: State = stacked([state_of(model) for model in models])
        self._on_host: State | None = None

    def pull(self, lane: int) -> keras.Model:
        """Give a lane's model the lane's state, and return the model."""
        import jax

        if self._on_host is None:  # one copy of all lanes takes as long as that of one
            self._on_host = jax.device_get(self.state)
        for values, variables in zip(self._on_host, variables_of(self._models[lane]), strict=True):
            for value, variable in zip(values, variables, strict=True):
                variable.assign(value[lane])
        return self._models[lane]

    def push(self, lane: int) -> None:
        """Give a lane the state of its model."""
        trainable, other, optimizer = (
            [value.at[lane].set(new) for value, new in zip(values, own, strict=True)]
            for values, own in zip(self.state, state_of(self._models[lane]), strict=True)
        )
        self.state, self._on_host = (trainable, other, optimizer), None

    def compile(self, predicted: Sequence[tuple[Sequence[Part], bool]]) -> None:
        """Compile what training and some predictions need; programs are compiled beside each other.

        Args:
            predicted: Parts, one per lane, and whether they are predicted in training mode.
        """
        images = len(self._images[0]) if self._images[1] is None else self._images[0].shape[1]
        calls = self._train_calls([np.zeros(images, np.int32)] * len(self._models))
        calls += [self._predict_call(parts, active) for parts, active in predicted]
        lowered = {
            key: program.lower(state, *arguments)
            for key, program, state, arguments in calls
            if key not in self._compiled
        }  # tracing changes Keras for a moment, so that it cannot be done beside other tracing
        with ThreadPoolExecutor() as pool:
            programs = pool.map(lambda key: lowered[key].compile(), lowered)
            self._compiled |= dict(zip(lowered, programs, strict=True))

    def train(self, orders: Sequence[NDArray[np.int32]]) -> list[tuple[float, float]]:
        """Train one epoch; return each lane's loss and accuracy as Keras logs them.

        They are running means over the epoch with dropout active.

        Args:
            orders: The indices of the training images in the order of the epoch, (images,), one per lane.
        """
        sums = np.zeros((2, len(self._models)))
        for key, program, _, arguments in self._train_calls(orders):
            self.state, of_steps = self._run(key, program, self.state, arguments)
            self._on_host = None
            size = arguments[0].shape[-1]
            sums += size * np.asarray(of_steps, np.float64).sum(axis=-1)
        return [(float(loss), float(right)) for loss, right in (sums / len(orders[0])).T]

    def predict(self, parts: Sequence[Part], active: bool = False) -> list[Outputs]:
        """Return the outputs of each lane's model; the state is left as it was.

        Args:
            parts: The images and labels of each lane.
            active: Whether to predict in training mode.
        """
        stacked_outputs, penalties = (np.asarray(o) for o in self._run(*self._predict_call(parts, active)))
        return [
            Outputs(units[:, 0], units[:, 1] if units.shape[1] == 2 else None, float(penalty))
            for units, penalty in zip(stacked_outputs, penalties, strict=True)
        ]

    def _train_calls(self, orders: Sequence[NDArray[np.int32]]) -> list[Any]:
        """Return the calls that train an epoch: one of the whole batches, and one of what is left over."""
        order = np.stack(orders)
        whole = order.shape[1] // self._batch * self._batch
        batches = [order[:, :whole].reshape(len(order), -1, self._batch)] if whole else []
        batches += [order[:, None, whole:]] if whole < order.shape[1] else []
        data = [self._images, self._labels, self._weights or (None, None), self._scale, self._offset]
        axes = (0, 0, *(axis for _, axis in data))
        program = self._program("train", self._steps.train, axes, donate=(0,))
        return [
            (("train", part.shape, axes), program, self.state, (part, *(values for values, _ in data)))
            for part in batches
        ]

    def _predict_call(self, parts: Sequence[Part], active: bool) -> Any:
        images, axis = self._lanes([part.images for part in parts])
        size = self._batch if active else _PREDICT_BATCH
        (scale, scale_axis), (offset, offset_axis) = self._scale, self._offset
        name = "predict", active
        predict = partial(self._steps.predict, batch_size=size, training=active)
        axes = (0, axis, scale_axis, offset_axis)
        program = self._program(name, predict, axes)
        return (*name, images.shape, axes), program, self.state[:2], (images, scale, offset)

    def _program(self, name: Any, steps: Callable[..., Any], axes: Any, donate: tuple[int, ...] = ()) -> Any:
        """Return a function of all lanes from one of a lane; the axes say which arguments lanes share."""
        import jax

        key = name, axes
        if key not in self._programs:
            self._programs[key] = jax.jit(jax.vmap(steps, in_axes=axes), donate_argnums=donate)
        return self._programs[key]

    def _run(self, key: Any, program: Any, state: Any, arguments: Any) -> Any:
        if key not in self._compiled:
            self._compiled[key] = program.lower(state, *arguments).compile()
        return self._compiled[key](state, *arguments)

    def _lanes(self, arrays: Sequence[NDArray[Any]]) -> tuple[Any, int | None]:
        """Return arrays on the device, and the axis of the lanes; None if all lanes share one array."""
        import jax

        places = [(a.__array_interface__["data"][0], a.shape, a.strides, a.dtype.str) for a in arrays]
        key = tuple(places)
        if key not in self._device:
            is_shared = len(set(places)) == 1 or all(np.array_equal(arrays[0], a) for a in arrays[1:])
            values = jax.device_put(arrays[0] if is_shared else np.stack(arrays))
            self._device[key] = (
                values,
                None if is_shared else 0,
                arrays,
            )  # kept, so that no place is used again
        values, axis, _ = self._device[key]
        return values, axis
