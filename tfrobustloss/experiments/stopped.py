"""Losses stopped by noisy labels held out, on a task of the compiled trainer."""

import concurrent.futures
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfrobustloss import data
from tfrobustloss._core import noisy_accuracy
from tfrobustloss.experiments import selection
from tfrobustloss.experiments.learning_rates import family_of_one
from tfrobustloss.experiments.retraining import Network
from tfrobustloss.experiments.task import Prepared, Task, prepare, validation_noise
from tfrobustloss.experiments.trainer import Trainer

__all__ = ["Stopped", "stopped_losses"]

_SHARE = 0.2  # of the training examples, where no noisy labels are held out yet


@dataclasses.dataclass(frozen=True)
class Stopped:
    """A loss whose learning rate and epochs were chosen by noisy labels.

    Attributes:
        learning_rate: The rate chosen, with the first seed.
        epochs: The epoch chosen with each seed, from 1.
        accuracy: Accuracy on the clean test set at these epochs, float array of shape
            `(seeds,)`, or None without a test set.
        worth: `selection.Worth` of the examples held out.
        num_labels: Number of noisy labels that chose.
        matrix: Transition matrix that corrects accuracy on them, or None.
    """

    learning_rate: float
    epochs: list[int]
    accuracy: np.ndarray | None
    worth: selection.Worth
    num_labels: int
    matrix: np.ndarray | None

    def estimate(self) -> tuple[float, float, float]:
        """Estimated accuracy on clean labels, and its 95 % interval."""
        values = noisy_accuracy.values_or_none("Stopped", self.matrix)
        estimate, error, count = self.worth.estimate()
        return estimate, *noisy_accuracy.interval(estimate, error, count, values)


def stopped_losses(
    task: Task | Prepared,
    losses: Mapping[str, Any],
    seeds: Sequence[int],
    learning_rates: Sequence[float],
    **training: Any,
) -> dict[str, Stopped]:
    """Trains each loss and stops it by noisy labels, as `compare` does.

    The labels that choose are the validation labels of the task where these are noisy;
    of a task with clean ones, the same with its simulated noise; without simulated
    noise, a fifth of the training examples. Rates are compared with the first seed.

    Args:
        task: A `Task` with validation data.
        losses: Dict of names to `keras.losses.Loss` on logits.
        seeds: Sequence of ints >= 0, one or more.
        learning_rates: Sequence of floats > 0 to choose from.
        **training: Other arguments of `Trainer`: `epochs`, `batch_size`, `momentum`.

    Returns:
        Dict of names to `Stopped`.

    Raises:
        ValueError: The data do not fit.

    Example:
        >>> from tfrobustloss.losses import CrossEntropy
        >>> task = Task("digits", train_size=200, validation_size=100)
        >>> loss = CrossEntropy(from_logits=True)
        >>> found = stopped_losses(task, {"ce": loss}, [0, 1], [0.1], epochs=2)["ce"]
        >>> found.learning_rate, len(found.epochs), found.accuracy.shape
        (0.1, 2, (2,))
    """
    prepared = task if isinstance(task, Prepared) else prepare(task)
    examples = _Examples(prepared, seeds)
    network = Network(_builder(prepared.network))
    return {
        name: _Contestant(prepared, examples, loss, network, training).stopped(
            seeds, learning_rates
        )
        for name, loss in losses.items()
    }


class _Examples:
    """Training examples, and the noisy labels that are held out."""

    def __init__(self, prepared: Prepared, seeds: Sequence[int]) -> None:
        self.train = prepared.train(seeds)
        self.matrix = None
        if prepared.description.get("validation") == "noisy":
            self.inputs, self.labels = prepared.validation
            self.matrix = prepared.validation_matrix
        elif prepared.matrix is not None or prepared.is_clean:
            self.inputs, labels = prepared.validation
            self.labels = validation_noise(labels, prepared.matrix)
        else:  # labels as they are, wrong already
            inputs, labels = prepared.inputs, prepared.labels
            kept, held_out = data.split_validation(labels, _SHARE)
            self.train = inputs[kept], self.train[1][kept]
            self.inputs, self.labels = inputs[held_out], labels[held_out]
        self.values = noisy_accuracy.values_or_none("stopped_losses", self.matrix)


class _Run:
    """One training: worth of the examples held out and test accuracy per epoch."""

    def __init__(
        self, seed: int, rate: float, draw: int, epochs: int, num_labels: int
    ) -> None:
        self.seed, self.rate, self.draw = seed, rate, draw
        self.progress: Any = None
        self.worth = np.zeros((epochs, num_labels))
        self.accuracy = np.zeros(epochs)

    @property
    def best_estimate(self) -> float:
        """Smoothed estimate of the best epoch."""
        scores = noisy_accuracy.smoothed(self.worth.mean(axis=1), selection.WINDOW)
        return float(scores.max())


class _Contestant:
    """A loss in training on a task."""

    def __init__(
        self,
        prepared: Prepared,
        examples: _Examples,
        loss: Any,
        network: Network,
        training: Mapping[str, Any],
    ) -> None:
        self._prepared, self._examples, self._network = prepared, examples, network
        self._epochs = training["epochs"]
        self._trainer = Trainer(
            prepared.network,
            family_of_one(loss),
            examples.train,
            (examples.inputs, examples.labels),
            label_draws=True,
            validation_matrix=examples.matrix,
            **training,
        )

    def stopped(self, seeds: Sequence[int], rates: Sequence[float]) -> Stopped:
        """Chooses the rate with the first seed, and trains with the others."""
        tried = self._train([self._run(0, seeds, rate) for rate in rates])
        best = max(tried, key=lambda run: run.best_estimate)
        others = [self._run(i, seeds, best.rate) for i in range(1, len(seeds))]
        runs = [best, *self._train(others)]
        num_labels = len(self._examples.labels)
        worth, everything = selection.Worth(num_labels), np.arange(num_labels)
        for run in runs:
            worth.add(everything, selection.cross_fitted(run.worth, run.seed))
        epochs = [selection.best_epoch(run.worth) for run in runs]
        accuracy = None
        if self._prepared.test is not None:
            pairs = zip(runs, epochs, strict=True)
            accuracy = np.array([run.accuracy[epoch] for run, epoch in pairs])
        return Stopped(
            best.rate,
            [epoch + 1 for epoch in epochs],
            accuracy,
            worth,
            num_labels,
            self._examples.matrix,
        )

    def _run(self, index: int, seeds: Sequence[int], rate: float) -> _Run:
        draw = self._prepared.draw(index)
        num_labels = len(self._examples.labels)
        run = _Run(seeds[index], rate, draw, self._epochs, num_labels)
        run.progress = self._trainer.begin(run.seed)
        return run

    def _train(self, runs: list[_Run]) -> list[_Run]:
        """Trains runs side by side, and measures them after every epoch."""
        trainer = self._trainer

        def advance(run: _Run) -> Any:
            steps = trainer.steps_per_epoch
            return trainer.advance(run.progress, [], steps, run.rate, run.draw)

        with concurrent.futures.ThreadPoolExecutor(trainer.num_threads) as pool:
            for epoch in range(self._epochs):
                for run, progress in zip(runs, pool.map(advance, runs), strict=True):
                    run.progress = progress
                    self._measure(run, epoch)
        return runs

    def _measure(self, run: _Run, epoch: int) -> None:
        if run.progress.diverged:
            run.worth[epoch] = self._trainer.worst
            return
        examples, test = self._examples, self._prepared.test
        self._network.set_weights(self._trainer.weights(run.progress))
        logits = self._network.predict(examples.inputs)
        run.worth[epoch] = selection.worth_of_logits(
            examples.labels, logits, examples.values
        )
        if test is not None:
            predicted = selection.classes(self._network.predict(test[0]))
            run.accuracy[epoch] = np.mean(predicted == test[1])


def _builder(network: Any) -> Any:
    """A function of a seed that returns a model of its own."""
    if isinstance(network, keras.Model):
        return lambda seed: keras.models.clone_model(network)
    return network
