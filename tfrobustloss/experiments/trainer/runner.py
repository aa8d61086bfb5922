"""Runs of one task: started from a seed, trained to a step, measured."""

import collections
import dataclasses
import importlib
import threading
import time
from typing import Any

import keras
import numpy as np

from tfrobustloss.experiments.trainer.options import Score

_SEEDS_KEPT = 16


@dataclasses.dataclass
class Job:
    """Candidates of one seed that are trained together.

    Attributes:
        vectors: Parameters of each one's loss.
        rates: Learning rate of each.
        seed: Of the initial weights and the order of batches.
        cells: What the caller knows each by.
        group: The backend's state of the candidates; None before the first step.
        seconds: Time spent on all of them.
    """

    vectors: list
    rates: list
    seed: int
    cells: list = dataclasses.field(default_factory=list)
    group: Any = None
    seconds: float = 0.0


class Runner:
    """The compiled programs of a task with the seeds they start from.

    Args:
        task: A `Task`.
        starts: The `Starts` of its model.
        epochs: Number of epochs of a whole run.
        chunk_size: Candidates in one JAX program, or None.
    """

    def __init__(self, task, starts, epochs, chunk_size=None):
        self._task = task
        self._starts = starts
        self._epochs = epochs
        self.total_steps = epochs * task.steps_per_epoch
        self._programs = _programs(task, self.total_steps, chunk_size)
        self.group_size = self._programs.group_size
        self._seeds = collections.OrderedDict()
        self._lock = threading.Lock()

    def initial(self, seed):
        """Initial values of the trainable and of the other variables."""
        return self._seed(seed)[0]

    def batch_order(self, seed, epoch):
        """Indices of the training examples in the order of an epoch."""
        generator = np.random.default_rng((seed, epoch))
        return generator.permutation(self._task.num_examples)

    def start(self, job):
        """Puts the candidates of a job before their first step."""
        trainable, others = self.initial(job.seed)
        job.group = self._programs.begin(trainable, others, len(job.vectors))

    def train(self, job, stop=None):
        """Trains a job up to step `stop`, by default the last."""
        begin = time.perf_counter()
        if job.group is None:
            self.start(job)
        stop = self.total_steps if stop is None else min(stop, self.total_steps)
        order = self._seed(job.seed)[1]
        job.group = self._programs.train(job.group, job.vectors, job.rates, order, stop)
        job.seconds += time.perf_counter() - begin

    def measure(self, job):
        """A `Score` for each of a job's candidates, as far as they are."""
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
            accuracy = correct[index] / self._task.num_validation
            accuracy = 0.0 if diverged else accuracy
            scores.append(Score(accuracy, diverged, steps[index], share))
        return scores

    def finish(self, job):
        """Trains a job to the end and measures it."""
        self.train(job)
        return self.measure(job)

    def position(self, job):
        """Steps of a job's first candidate, and whether its losses were finite."""
        steps, finite = self._programs.describe(job.group)
        return steps[0], finite[0]

    def values(self, job):
        """Values of the variables of a job's first candidate, as arrays."""
        return self._programs.values(job.group, 0)

    def merge(self, seed, members):
        """A job of some candidates, `(job, index)` each, as far as they are."""
        return Job(
            vectors=[job.vectors[index] for job, index in members],
            rates=[job.rates[index] for job, index in members],
            seed=seed,
            cells=[job.cells[index] for job, index in members],
            group=self._programs.regroup([(job.group, i) for job, i in members]),
            seconds=sum(job.seconds / len(job.vectors) for job, _ in members),
        )

    def _seed(self, seed):
        """Initial values and the program's order of batches, kept for a few seeds."""
        with self._lock:
            if seed not in self._seeds:
                order = self._programs.order(self._batches(seed))
                self._seeds[seed] = self._starts.values(seed), order
            self._seeds.move_to_end(seed)
            while len(self._seeds) > _SEEDS_KEPT:
                self._seeds.popitem(last=False)
            return self._seeds[seed]

    def _batches(self, seed):
        """Indices of every batch; a partial one is filled up with its own rows."""
        size, per_epoch = self._task.batch_size, self._task.steps_per_epoch
        position = np.arange(per_epoch * size)
        if self._task.remainder:
            last = position[-size:]
            position[-size:] = last[0] + np.arange(size) % self._task.remainder
        orders = [
            self.batch_order(seed, epoch)[position] for epoch in range(self._epochs)
        ]
        return np.concatenate(orders).reshape(-1, size).astype("int32")


def _programs(task, total_steps, chunk_size):
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
    return module.Programs(task, total_steps, chunk_size)
