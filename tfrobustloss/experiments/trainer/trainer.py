"""Trains one network with many losses by a program that is compiled once."""

import dataclasses
import os

import keras
import numpy as np

from tfrobustloss._core.validation import ParameterError, check
from tfrobustloss.experiments.trainer.initial_weights import (
    Starts,
    mixed_precision_twin,
)
from tfrobustloss.experiments.trainer.options import (
    LIMITS,
    Halving,
    Score,
    check_options,
)
from tfrobustloss.experiments.trainer.population import Population
from tfrobustloss.experiments.trainer.problem import make_task
from tfrobustloss.experiments.trainer.runner import Job, Runner

__all__ = ["Halving", "Progress", "Score", "Trainer"]


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a run stands; `Trainer.advance` makes a new one of it.

    Attributes:
        seed: Of the initial weights and the order of batches.
        step: Steps taken.
        diverged: Whether a loss was not finite.
    """

    seed: int
    step: int
    diverged: bool
    _job: Job = dataclasses.field(repr=False)


class Trainer:
    """Trains a network with any loss of a family, at little more than the arithmetic.

    The training program is compiled once. The loss' parameters, the initial weights,
    the order of batches, the learning rate and the steps to take are its arguments.
    A step is that of `model.fit(shuffle=False)` with `keras.optimizers.SGD`; a run
    ends at once when its loss is not finite. The same seed gives the same accuracy,
    bit for bit, however many threads there are.

    On TensorFlow candidates run one by one in `num_threads` threads that share the
    program; on JAX a chunk of them is one program with an axis more.

    Args:
        model: A built `keras.Model` whose output is what the family takes (logits for
            the ready ones), or a function of a seed that returns one. A model's
            variables are never changed: a seed builds it again from its config, with
            its own initialisers. Frozen weights keep their values.
        family: A `LossFamily`.
        train: `(inputs, labels)`, arrays, or structures of arrays for the inputs.
        validation: The same, on which accuracy is measured.
        epochs: Int >= 1.
        batch_size: Int >= 1; the last batch of an epoch may be smaller.
        learning_rate: Float > 0, unless a candidate brings its own.
        momentum: Float in [0, 1).
        compute_dtype: None for the model's own, or `"bfloat16"`: weights, their
            updates and the loss stay in float32.
        num_threads: Candidates trained at the same time; None for one a core.
        halving: None, or a `Halving` that `score_many` follows.
        chunk_size: Candidates in one JAX program; None for 1 on a CPU, else 64.
        xla: Whether a run is one XLA program; None to choose by the types of layers.

    Attributes:
        family: As given.
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
        model,
        family,
        train,
        validation,
        *,
        epochs,
        batch_size=128,
        learning_rate=0.01,
        momentum=0.9,
        compute_dtype=None,
        num_threads=None,
        halving=None,
        chunk_size=None,
        xla=None,
    ):
        check(
            "Trainer",
            LIMITS,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            momentum=momentum,
        )
        options = {"num_threads": num_threads, "chunk_size": chunk_size, "xla": xla}
        options |= {"compute_dtype": compute_dtype, "halving": halving}
        check_options("Trainer", options)
        _check_data("train", train)
        _check_data("validation", validation)
        build = None
        if not isinstance(model, keras.Model):
            build, model = model, model(0)
        if not model.built:
            constraint, hint = "built", "Give it a `keras.Input`, or call it once."
            raise ParameterError("Trainer", "model", model.name, constraint, hint)
        self.family = family
        self._model = model
        self._learning_rate = learning_rate
        self._halving = halving
        self.num_threads = num_threads or _num_cores()
        traced = mixed_precision_twin(model) if compute_dtype else model
        task = make_task(traced, family, train, validation, batch_size, momentum, xla)
        self._runner = Runner(task, Starts(model, build), epochs, chunk_size)
        self.steps_per_epoch = task.steps_per_epoch
        self.total_steps = self._runner.total_steps
        self.group_size = self._runner.group_size

    def score(self, vector, seed=0, learning_rate=None):
        """Trains with one loss and measures its accuracy on the validation data.

        Args:
            vector: The family's parameters.
            seed: Int >= 0, of the initial weights and the order of batches.
            learning_rate: Float > 0, or None for the trainer's.

        Returns:
            A `Score`.
        """
        return self._runner.finish(self._job(vector, seed, learning_rate))[0]

    def score_many(self, vectors, seeds=(0,), learning_rates=None, on_scores=None):
        """Scores each loss with each seed, several at a time.

        Args:
            vectors: Sequence of the family's parameters.
            seeds: Sequence of ints >= 0.
            learning_rates: None, or one a vector.
            on_scores: Called in this thread with `index, scores` when all seeds of a
                vector are done, in the order in which that happens.

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
        population = Population(self._runner, self.num_threads, on_scores)
        return population.score(vectors, rates, list(seeds), self._halving)

    def begin(self, seed=0):
        """A run of a seed before its first step, for `advance`."""
        job = self._job(self.family.initial, seed, None)
        self._runner.start(job)
        return Progress(seed, 0, False, job)

    def advance(self, progress, vector, steps=None, learning_rate=None):
        """Trains on; in parts it comes to the same, bit for bit, as in one go.

        Args:
            progress: What `begin` or `advance` returned; it stays as it is.
            vector: The family's parameters.
            steps: Int >= 0, or None for all that are left.
            learning_rate: Float > 0, or None for the trainer's.

        Returns:
            A new `Progress`.
        """
        check("Trainer", LIMITS, steps=steps)
        job = self._job(vector, progress.seed, learning_rate)
        job.group = progress._job.group
        self._runner.train(job, None if steps is None else progress.step + steps)
        step, finite = self._runner.position(job)
        return Progress(progress.seed, step, not finite, job)

    def accuracy(self, progress):
        """Accuracy on the validation data of a run as far as it is; 0 if diverged."""
        return self._runner.measure(progress._job)[0].accuracy

    def weights(self, progress):
        """A run's weights, as `model.set_weights` takes them."""
        return self._in_order(self._runner.values(progress._job), self._model.weights)

    def weights_after(self, vector, seed=0, steps=None, learning_rate=None):
        """Weights after some steps, by default all; see `advance`."""
        progress = self.advance(self.begin(seed), vector, steps, learning_rate)
        return self.weights(progress)

    def initial_values(self, seed=0):
        """Values of `model.variables` at the start: weights and random states."""
        return self._in_order(self._runner.initial(seed), self._model.variables)

    def batch_order(self, seed=0, epoch=0):
        """Indices of the training examples in the order of an epoch."""
        return self._runner.batch_order(seed, epoch)

    def _in_order(self, values, variables):
        """Those of the values that belong to `variables`, in their order."""
        trainable, others = values
        model = self._model
        known = [*model.trainable_variables, *model.non_trainable_variables]
        by_id = {
            id(variable): value
            for variable, value in zip(known, [*trainable, *others], strict=True)
        }
        return [by_id[id(variable)] for variable in variables]

    def _job(self, vector, seed, learning_rate):
        check("Trainer", LIMITS, seed=seed)
        vector, rate = self._check_vector(vector), self._check_rate(learning_rate)
        return Job([vector], [rate], seed)

    def _check_vector(self, vector):
        vector = np.asarray(vector, "float32")
        if vector.shape != (self.family.dimension,):
            names = ", ".join(self.family.names)
            constraint = f"{self.family.dimension} numbers: {names}"
            raise ParameterError("Trainer", "vector", vector.tolist(), constraint)
        return vector

    def _check_rate(self, learning_rate):
        if learning_rate is None:
            return self._learning_rate
        check("Trainer", LIMITS, learning_rate=learning_rate)
        return learning_rate


def _check_data(name, data):
    inputs, labels = data
    lengths = {len(values) for values in keras.tree.flatten(inputs)} | {len(labels)}
    if len(lengths) > 1 or 0 in lengths:
        constraint = "inputs and labels of one length, above 0"
        raise ParameterError("Trainer", name, sorted(lengths), constraint)


def _num_cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
