"""Scores a population of candidates in threads, with successive halving."""

import concurrent.futures
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from tfrobustloss.experiments.trainer.options import Halving, Score
from tfrobustloss.experiments.trainer.runner import Job, Runner

Result = TypeVar("Result")
Item = TypeVar("Item")


class Population:
    """Candidates to be scored, each with each seed.

    Args:
        runner: The `Runner` of the problem.
        num_threads: Number of jobs that run at the same time.
        on_scores: None, or called in this thread with `index, scores` when all seeds
            of a candidate are done.
    """

    def __init__(
        self,
        runner: Runner,
        num_threads: int,
        on_scores: Callable[[int, list[Score]], Any] | None = None,
    ) -> None:
        self._runner = runner
        self._num_threads = num_threads
        self._on_scores = on_scores or (lambda index, scores: None)
        self._rows: list[list] = []

    def score(
        self,
        vectors: Sequence[np.ndarray],
        rates: Sequence[float],
        seeds: Sequence[int],
        draw: int,
        halving: Halving | None = None,
    ) -> list[list[Score]]:
        """List of one list per vector of one `Score` per seed.

        Args:
            vectors: Checked vectors.
            rates: Learning rate of each.
            seeds: List of ints.
            draw: Index of the draw of the labels.
            halving: None or a `Halving`.
        """
        self._rows = [[None] * len(seeds) for _ in vectors]
        jobs = self._jobs(vectors, rates, seeds, draw)
        if halving is not None:
            for rung in halving.rungs:
                stop = math.ceil(rung * self._runner.total_steps)
                jobs = self._halve(jobs, stop, halving.keep)
        jobs.sort(key=lambda job: job.cells[0])  # completes one candidate at a time
        self._in_threads(self._runner.finish, jobs, self._enter)
        return self._rows

    def _jobs(
        self,
        vectors: Sequence[np.ndarray],
        rates: Sequence[float],
        seeds: Sequence[int],
        draw: int,
    ) -> list[Job]:
        jobs = []
        for column, seed in enumerate(seeds):
            for rows in _chunks(range(len(vectors)), self._runner.group_size):
                jobs.append(
                    Job(
                        vectors=[vectors[row] for row in rows],
                        rates=[rates[row] for row in rows],
                        seed=seed,
                        draw=draw,
                        cells=[(row, column) for row in rows],
                    )
                )
        return jobs

    def _halve(self, jobs: list[Job], stop: int, keep: float) -> list[Job]:
        """Trains to a rung; returns the better candidates and enters the others."""

        def train_and_measure(job: Job) -> list[Score]:
            self._runner.train(job, stop)
            return self._runner.measure(job)

        measured = self._in_threads(train_and_measure, jobs)
        scores: dict[tuple[int, int], Score] = {}
        for job, found in zip(jobs, measured, strict=True):
            scores.update(zip(job.cells, found, strict=True))
        total = dict.fromkeys(sorted({row for row, _ in scores}), 0.0)
        for (row, _), score in scores.items():
            total[row] += score.accuracy
        ranked = sorted(total, key=total.__getitem__, reverse=True)
        kept = set(ranked[: math.ceil(keep * len(ranked))])
        for cell, score in scores.items():
            if cell[0] not in kept:
                self._enter_one(cell, dataclasses.replace(score, stopped=True))
        survivors: dict[tuple[int, int], list[tuple[Job, int]]] = {}
        for job in jobs:
            for index, (row, column) in enumerate(job.cells):
                if row in kept:
                    survivors.setdefault((column, job.seed), []).append((job, index))
        return [
            self._runner.merge(seed, chunk)
            for (_, seed), members in survivors.items()
            for chunk in _chunks(members, self._runner.group_size)
        ]

    def _in_threads(
        self,
        function: Callable[[Job], Result],
        jobs: list[Job],
        on_result: Callable[[Job, Result], None] | None = None,
    ) -> list[Result]:
        """Results of `function` for each job; `on_result` is called in this thread."""
        on_result = on_result or (lambda job, result: None)
        if self._num_threads == 1 or len(jobs) < 2:
            results = []
            for job in jobs:
                results.append(function(job))
                on_result(job, results[-1])
            return results
        pool = concurrent.futures.ThreadPoolExecutor(self._num_threads)
        try:
            futures = {pool.submit(function, job): job for job in jobs}
            for future in concurrent.futures.as_completed(futures):
                on_result(futures[future], future.result())
        finally:  # after an error or Ctrl-C, jobs that have not started are dropped
            pool.shutdown(cancel_futures=True)
        return [future.result() for future in futures]

    def _enter(self, job: Job, scores: list[Score]) -> None:
        for cell, score in zip(job.cells, scores, strict=True):
            self._enter_one(cell, score)

    def _enter_one(self, cell: tuple[int, int], score: Score) -> None:
        row, column = cell
        self._rows[row][column] = score
        if None not in self._rows[row]:
            self._on_scores(row, self._rows[row])


def _chunks(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[begin : begin + size] for begin in range(0, len(items), size)]
