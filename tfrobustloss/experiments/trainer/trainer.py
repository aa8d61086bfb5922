"""Trains one network with many losses, in a program that is compiled once."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tfrobustloss._core import noisy_accuracy
from tfrobustloss._core.models import check_built
from tfrobustloss._core.validation import ParameterError, Range, check, check_flag
from tfrobustloss.experiments.trainer.initial_weights import (
    InitialValues,
    Values,
    mixed_precision_twin,
)
from tfrobustloss.experiments.trainer.options import (
    LIMITS,
    Halving,
    Score,
    check_options,
)
from tfrobustloss.experiments.trainer.population import Population
from tfrobustloss.experiments.trainer.problem import Examples, make_problem
from tfrobustloss.experiments.trainer.runner import Job, Runner
from tfrobustloss.losses import families

__all__ = ["Halving", "Progress", "Score", "Trainer"]


@dataclasses.dataclass(frozen=True)
class Progress:
    """State of a run; `Trainer.advance` returns the next one.

    Attributes:
        seed: Seed of the initial weights and of the order of batches.
        step: Steps taken.
        diverged: Whether a loss was not finite.
    """

    seed: int
    step: int
    diverged: bool
    _job: Job = dataclasses.field(repr=False)


class Trainer:
    """Trains a network with any loss of a family, in one compiled program.

    The program's arguments are the parameters of the loss, the initial weights, the
    order of batches, the draw of the labels, the learning rate and the number of
    steps. A step is that of `model.fit(shuffle=False)` with `keras.optimizers.SGD`; a
    run stops when its loss is not finite. The same seed gives the same accuracy, bit
    for bit, with any number of threads.

    On TensorFlow candidates run one by one in `num_threads` threads that share the
    program; on JAX one program trains a chunk of them, along an axis of its own.

    Args:
        model: A built `keras.Model` whose output is what the family takes (logits for
            the ready ones, of two classes also a single one), or a function of a seed
            that returns one. A model's variables are never changed: each seed clones it
            from its config, with its own initializers. Frozen weights keep their
            values.
        family: A `LossFamily`.
        train: `(inputs, labels)`, arrays, or structures of arrays for the inputs.
        validation: The same, on which accuracy is measured.
        validation_matrix: None, or the transition matrix of noisy validation labels,
            shape `(classes, classes)`: the accuracy is then an unbiased estimate of
            that on clean labels, as `metrics.NoisyAccuracy` makes it, and may lie
            outside [0, 1].
        epochs: Int >= 1.
        batch_size: Int >= 1; the last batch of an epoch may be smaller.
        learning_rate: Float > 0, unless a candidate brings its own.
        momentum: Float in [0, 1).
        label_draws: Whether the training labels were drawn several times, along an
            axis after the examples: shape `(examples, draws, ...)`. Each training
            uses the draw that it is given.
        compute_dtype: None for the model's own, or `"bfloat16"`: weights, their
            updates and the loss stay in float32.
        num_threads: Candidates trained at the same time; None for one a core.
        halving: None, or a `Halving` that `score_many` follows.
        chunk_size: Candidates in one JAX program; None for 1 on a CPU, else 64.
        xla: Whether a run is one XLA program; None to choose by the types of layers.

    Attributes:
        family: As given.
        num_draws: Number of draws of the labels, 1 without `label_draws`.
        steps_per_epoch: Batches of an epoch.
        total_steps: Steps of a whole run.
        num_threads: Trainings at a time.
        group_size: Losses that one program trains; 1 except on an accelerator.

    Raises:
        ValueError: A setting is outside its range, or the data do not fit.

    Example:
        >>> from tfrobustloss import architectures
        >>> from tfrobustloss.losses import families
        >>> images = np.random.default_rng(0).random((64, 4, 4, 1), "float32")
        >>> labels = (images.mean((1, 2, 3)) > 0.5).astype(int)
        >>> trainer = Trainer(
        ...     architectures.mlp2((4, 4, 1), 2),
        ...     families.generalized_cross_entropy(),
        ...     train=(images, labels),
        ...     validation=(images, labels),
        ...     epochs=2,
        ... )
        >>> for scores in trainer.score_many([[0.3], [0.9]], seeds=[0]):
        ...     print(scores[0].steps, scores[0].diverged)
        2 False
        2 False
    """

    def __init__(
        self,
        model: Any,
        family: families.LossFamily,
        train: Examples,
        validation: Examples,
        *,
        epochs: int,
        batch_size: int = 128,
        learning_rate: float = 0.01,
        momentum: float = 0.9,
        label_draws: bool = False,
        validation_matrix: Any = None,
        compute_dtype: str | None = None,
        num_threads: int | None = None,
        halving: Halving | None = None,
        chunk_size: int | None = None,
        xla: bool | None = None,
    ) -> None:
        check(
            "Trainer",
            LIMITS,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            momentum=momentum,
        )
        options: dict[str, Any] = {"num_threads": num_threads, "xla": xla}
        options |= {"chunk_size": chunk_size, "halving": halving}
        check_options("Trainer", {**options, "compute_dtype": compute_dtype})
        check_flag("Trainer", "label_draws", label_draws)
        _check_data("train", train, label_draws)
        _check_data("validation", validation)
        build = None
        if not isinstance(model, keras.Model):
            build, model = model, model(0)
        check_built("Trainer", "model", model)
        self.family = family
        self._model = model
        self._learning_rate = learning_rate
        self._halving = halving
        self.num_threads = num_threads or _num_cores()
        traced = mixed_precision_twin(model) if compute_dtype else model
        problem = make_problem(
            traced,
            family,
            train,
            validation,
            batch_size=batch_size,
            momentum=momentum,
            label_draws=label_draws,
            worth=noisy_accuracy.values_or_none("Trainer", validation_matrix),
            xla=xla,
        )
        initial_values = InitialValues(model, build)
        self._runner = Runner(problem, initial_values, epochs, chunk_size)
        self.num_draws = problem.num_draws or 1
        self.steps_per_epoch = problem.steps_per_epoch
        self.total_steps = self._runner.total_steps
        self.group_size = self._runner.group_size

    def score(
        self,
        vector: Any,
        seed: int = 0,
        learning_rate: float | None = None,
        draw: int = 0,
    ) -> Score:
        """Trains with one loss and measures its accuracy on the validation data.

        Args:
            vector: The family's parameters.
            seed: Int >= 0, of the initial weights and the order of batches.
            learning_rate: Float > 0, or None for the trainer's.
            draw: Int in [0, num_draws), of the labels to train on.

        Returns:
            A `Score`.
        """
        return self._runner.finish(self._job(vector, seed, learning_rate, draw))[0]

    def score_many(
        self,
        vectors: Sequence[Any],
        seeds: Sequence[int] = (0,),
        learning_rates: Sequence[float | None] | None = None,
        on_scores: Callable[[int, list[Score]], Any] | None = None,
        draw: int = 0,
    ) -> list[list[Score]]:
        """Scores each loss with each seed, several at a time.

        Args:
            vectors: Sequence of the family's parameters.
            seeds: Sequence of ints >= 0.
            learning_rates: None, or one a vector.
            on_scores: Called in this thread with `index, scores` when all seeds of a
                vector are done, in the order in which that happens.
            draw: Int in [0, num_draws), of the labels to train all of them on.

        Returns:
            List of one list per vector of one `Score` per seed.
        """
        vectors = [self._check_vector(vector) for vector in vectors]
        if learning_rates is None:
            learning_rates = [None] * len(vectors)
        if len(learning_rates) != len(vectors):
            constraint = f"{len(vectors)} numbers, one a vector"
            raise ParameterError(
                "Trainer", "learning_rates", learning_rates, constraint
            )
        rates = [self._check_rate(rate) for rate in learning_rates]
        for seed in seeds:
            check("Trainer", LIMITS, seed=seed)
        self._check_draw(draw)
        population = Population(self._runner, self.num_threads, on_scores)
        return population.score(vectors, rates, list(seeds), draw, self._halving)

    def begin(self, seed: int = 0) -> Progress:
        """A run of a seed before its first step, for `advance`."""
        job = self._job(self.family.initial, seed, None, 0)
        self._runner.start(job)
        return Progress(seed, 0, False, job)

    def advance(
        self,
        progress: Progress,
        vector: Any,
        steps: int | None = None,
        learning_rate: float | None = None,
        draw: int = 0,
    ) -> Progress:
        """Continues a run; the result does not depend on how it is cut into parts.

        Args:
            progress: Result of `begin` or `advance`; it is not changed.
            vector: The family's parameters.
            steps: Int >= 0, or None for all that are left.
            learning_rate: Float > 0, or None for the trainer's.
            draw: Int in [0, num_draws), of the labels to train on.

        Returns:
            A new `Progress`.
        """
        check("Trainer", LIMITS, steps=steps)
        job = self._job(vector, progress.seed, learning_rate, draw)
        job.group = progress._job.group
        self._runner.train(job, None if steps is None else progress.step + steps)
        step, finite = self._runner.position(job)
        return Progress(progress.seed, step, not finite, job)

    def accuracy(self, progress: Progress) -> float:
        """Accuracy on the validation data at a run's present step; 0 if diverged."""
        return self._runner.measure(progress._job)[0].accuracy

    def weights(self, progress: Progress) -> list[np.ndarray]:
        """A run's weights, as `model.set_weights` takes them."""
        return self._in_order(self._runner.values(progress._job), self._model.weights)

    def weights_after(
        self,
        vector: Any,
        seed: int = 0,
        steps: int | None = None,
        learning_rate: float | None = None,
        draw: int = 0,
    ) -> list[np.ndarray]:
        """Weights after some steps, by default all; arguments as in `advance`."""
        progress = self.advance(self.begin(seed), vector, steps, learning_rate, draw)
        return self.weights(progress)

    def initial_values(self, seed: int = 0) -> list[np.ndarray]:
        """Initial values of `model.variables`: weights and random states."""
        return self._in_order(self._runner.initial(seed), self._model.variables)

    def batch_order(self, seed: int = 0, epoch: int = 0) -> np.ndarray:
        """Indices of the training examples in the order of an epoch."""
        return self._runner.batch_order(seed, epoch)

    def _in_order(self, values: Values, variables: list) -> list[np.ndarray]:
        """The values of `variables`, in their order."""
        trainable, others = values
        model = self._model
        known = [*model.trainable_variables, *model.non_trainable_variables]
        by_id = {
            id(variable): value
            for variable, value in zip(known, [*trainable, *others], strict=True)
        }
        return [by_id[id(variable)] for variable in variables]

    def _job(
        self, vector: Any, seed: int, learning_rate: float | None, draw: int
    ) -> Job:
        check("Trainer", LIMITS, seed=seed)
        self._check_draw(draw)
        vector, rate = self._check_vector(vector), self._check_rate(learning_rate)
        return Job([vector], [rate], seed, draw)

    def _check_draw(self, draw: int) -> None:
        limit = Range(0, self.num_draws - 1, integer=True)
        check("Trainer", {"draw": limit}, draw=draw)

    def _check_vector(self, vector: Any) -> np.ndarray:
        vector = np.asarray(vector, "float32")
        if vector.shape != (self.family.dimension,):
            names = ", ".join(self.family.names)
            constraint = f"{self.family.dimension} numbers: {names}"
            raise ParameterError("Trainer", "vector", vector.tolist(), constraint)
        return vector

    def _check_rate(self, learning_rate: float | None) -> float:
        if learning_rate is None:
            return self._learning_rate
        check("Trainer", LIMITS, learning_rate=learning_rate)
        return learning_rate


def _check_data(name: str, data: Examples, label_draws: bool = False) -> None:
    inputs, labels = data
    lengths = {len(values) for values in keras.tree.flatten(inputs)} | {len(labels)}
    if len(lengths) > 1 or 0 in lengths:
        constraint = "inputs and labels of one length, above 0"
        raise ParameterError("Trainer", name, sorted(lengths), constraint)
    shape = np.shape(labels)
    if label_draws and (len(shape) < 2 or not shape[1]):
        constraint = "inputs and labels of shape (examples, draws, ...)"
        raise ParameterError("Trainer", name, shape, constraint)


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
