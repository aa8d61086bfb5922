"""Jobs of one problem: started from a seed, trained to a step, measured."""

import collections
import dataclasses
import importlib
import threading
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfrobustloss.experiments.trainer.initial_weights import InitialValues, Values
from tfrobustloss.experiments.trainer.options import Score
from tfrobustloss.experiments.trainer.problem import Problem

_SEEDS_KEPT = 16


@dataclasses.dataclass
class Job:
    """Candidates of one seed that are trained together.

    Attributes:
        vectors: Parameters of each candidate's loss.
        rates: Learning rate of each.
        seed: Seed of the initial weights and of the order of batches.
        draw: Index of the draw of the labels that all are trained on.
        cells: The caller's key of each, a pair of row and column.
        group: The backend's state of the candidates; None before the first step.
        seconds: Time spent on all of them.
    """

    vectors: list[np.ndarray]
    rates: list[float]
    seed: int
    draw: int = 0
    cells: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    group: Any = None
    seconds: float = 0.0


class Runner:
    """The compiled programs of a problem, and the seeds that runs start from.

    Args:
        problem: A `Problem`.
        initial_values: The `InitialValues` of its model.
        epochs: Number of epochs of a whole run.
        chunk_size: Candidates in one JAX program, or None.
    """

    def __init__(
        self,
        problem: Problem,
        initial_values: InitialValues,
        epochs: int,
        chunk_size: int | None = None,
    ) -> None:
        self._problem = problem
        self._initial_values = initial_values
        self._epochs = epochs
        self.total_steps = epochs * problem.steps_per_epoch
        self._programs = _programs(problem, self.total_steps, chunk_size)
        self.group_size: int = self._programs.group_size
        self._seeds: collections.OrderedDict = collections.OrderedDict()
        self._lock = threading.Lock()

    def initial(self, seed: int) -> Values:
        """Initial values of the trainable and of the other variables."""
        return self._seed(seed)[0]

    def batch_order(self, seed: int, epoch: int) -> np.ndarray:
        """Indices of the training examples in the order of an epoch."""
        generator = np.random.default_rng((seed, epoch))
        return generator.permutation(self._problem.num_examples)

    def start(self, job: Job) -> None:
        """Puts the candidates of a job before their first step."""
        trainable, others = self.initial(job.seed)
        job.group = self._programs.begin(trainable, others, len(job.vectors))

    def train(self, job: Job, stop: int | None = None) -> None:
        """Trains a job up to step `stop`, by default the last."""
        begin = time.perf_counter()
        if job.group is None:
            self.start(job)
        stop = self.total_steps if stop is None else min(stop, self.total_steps)
        order = self._seed(job.seed)[1]
        job.group = self._programs.train(
            job.group, job.vectors, job.rates, job.draw, order, stop
        )
        job.seconds += time.perf_counter() - begin

    def measure(self, job: Job) -> list[Score]:
        """The `Score` of each of a job's candidates at its present step."""
        begin = time.perf_counter()
        steps, finite = self._programs.describe(job.group)
        correct = sound = [False] * len(finite)
        if any(finite):
            correct, sound = self._programs.evaluate(job.group)
        job.seconds += time.perf_counter() - begin
        share = job.seconds / len(job.vectors)
        scores = []
        for index in range(len(job.vectors)):
            diverged = not (finite[index] and sound[index])
            accuracy = correct[index] / self._problem.num_validation
            accuracy = self._problem.worst if diverged else accuracy
            scores.append(Score(accuracy, diverged, steps[index], share))
        return scores

    def finish(self, job: Job) -> list[Score]:
        """Trains a job to the end and measures it."""
        self.train(job)
        return self.measure(job)

    def position(self, job: Job) -> tuple[int, bool]:
        """Steps of a job's first candidate, and whether its losses were finite."""
        steps, finite = self._programs.describe(job.group)
        return steps[0], finite[0]

    def values(self, job: Job) -> Values:
        """Values of the variables of a job's first candidate, as arrays."""
        return self._programs.values(job.group, 0)

    def merge(self, seed: int, members: Sequence[tuple[Job, int]]) -> Job:
        """One job of several candidates, each given as `(job, index)`."""
        return Job(
            vectors=[job.vectors[index] for job, index in members],
            rates=[job.rates[index] for job, index in members],
            seed=seed,
            draw=members[0][0].draw,
            cells=[job.cells[index] for job, index in members],
            group=self._programs.regroup([(job.group, i) for job, i in members]),
            seconds=sum(job.seconds / len(job.vectors) for job, _ in members),
        )

    def _seed(self, seed: int) -> tuple[Values, Any]:
        """Initial values and the program's order of batches, kept for a few seeds."""
        with self._lock:
            if seed not in self._seeds:
                order = self._programs.order(self._batches(seed))
                self._seeds[seed] = self._initial_values.values(seed), order
            self._seeds.move_to_end(seed)
            while len(self._seeds) > _SEEDS_KEPT:
                self._seeds.popitem(last=False)
            return self._seeds[seed]

    def _batches(self, seed: int) -> np.ndarray:
        """Indices of every batch; a partial one is filled up with its own rows."""
        size, per_epoch = self._problem.batch_size, self._problem.steps_per_epoch
        position = np.arange(per_epoch * size)
        if self._problem.remainder:
            last = position[-size:]
            position[-size:] = last[0] + np.arange(size) % self._problem.remainder
        orders = [
            self.batch_order(seed, epoch)[position] for epoch in range(self._epochs)
        ]
        return np.concatenate(orders).reshape(-1, size).astype("int32")


def _programs(problem: Problem, total_steps: int, chunk_size: int | None) -> Any:
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise ValueError(
            "Trainer: the Keras backend must be tensorflow or jax. Received: "
            f"{backend}. Set the environment variable KERAS_BACKEND before Keras is "
            "imported."
        )
    module = importlib.import_module(
        f"tfrobustloss.experiments.trainer.programs_{backend}"
    )
    return module.Programs(problem, total_steps, chunk_size)
