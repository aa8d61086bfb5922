"""A plain Keras network that is compiled once and trained from many seeds."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

PREDICT_BATCH = 1000


class Network:
    """A network that starts again from the weights of a seed, without recompiling.

    Args:
        build: Function of a seed that returns the model.
    """

    def __init__(self, build: Callable[[int], Any]) -> None:
        self._build = build
        self._model = build(0)
        self._initial_weights: dict[int, list[np.ndarray]] = {}
        self._initial_state: list[tuple[Any, np.ndarray]] = []

    def compile(self, optimizer: Any, loss: Any) -> None:
        """Sets the optimizer and the loss; `restart` comes next."""
        # XLA on a CPU costs seconds a loss to compile and gains nothing here
        jit = False if keras.backend.backend() == "tensorflow" else "auto"
        self._model.compile(optimizer, loss, jit_compile=jit)
        self._model.optimizer.build(self._model.trainable_variables)
        # copied to numpy: a step on JAX invalidates the buffers that it is given
        self._initial_state = [
            (variable, np.array(keras.ops.convert_to_numpy(variable.value)))
            for variable in self._model.optimizer.variables
        ]

    @property
    def num_outputs(self) -> int:
        """Width of the network's output."""
        return self._model.output_shape[-1]

    @property
    def learning_rate(self) -> float:
        """Learning rate of the optimizer, which can be set after `compile`."""
        return float(keras.ops.convert_to_numpy(self._model.optimizer.learning_rate))

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._model.optimizer.learning_rate = value
        rate = self._model.optimizer.learning_rate
        self._initial_state = [
            (variable, initial)
            for variable, initial in self._initial_state
            if variable is not rate
        ]

    def restart(self, seed: int) -> None:
        """Sets the initial weights of a seed, and resets the optimizer."""
        if seed not in self._initial_weights:
            self._initial_weights[seed] = self._build(seed).get_weights()
        self._model.set_weights(self._initial_weights[seed])
        for variable, value in self._initial_state:
            variable.assign(value)

    def train(
        self,
        inputs: np.ndarray,
        labels: np.ndarray,
        order: np.ndarray,
        batch_size: int,
    ) -> None:
        """Trains for one epoch.

        `train_on_batch` takes the same steps as `fit` without the work that `fit` does
        per epoch, which takes longer than training on a set as small as the digits.

        Args:
            inputs: Array.
            labels: Array.
            order: Indices of the examples; the last batch may be smaller.
            batch_size: Int >= 1.
        """
        for begin in range(0, len(order), batch_size):
            batch = order[begin : begin + batch_size]
            self._model.train_on_batch(inputs[batch], labels[batch])

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Outputs of the network, in batches of 1000."""
        return np.concatenate(
            [
                self._model.predict_on_batch(inputs[begin : begin + PREDICT_BATCH])
                for begin in range(0, len(inputs), PREDICT_BATCH)
            ]
        )
