"""A population of candidates: spread over threads, halved on the way."""

import concurrent.futures
import dataclasses
import math

from tfrobustloss.experiments.trainer.runner import Job


class Population:
    """Candidates to be scored, each with each seed.

    Args:
        runner: The `Runner` of the task.
        num_threads: Jobs to run at the same time.
        on_scores: None, or called in this thread with `index, scores` when all seeds
            of a candidate are done.
    """

    def __init__(self, runner, num_threads, on_scores=None):
        self._runner = runner
        self._num_threads = num_threads
        self._on_scores = on_scores or (lambda index, scores: None)
        self._rows = []

    def score(self, vectors, rates, seeds, halving=None):
        """List of one list per vector of one `Score` per seed.

        Args:
            vectors: Checked vectors.
            rates: Learning rate of each.
            seeds: List of ints.
            halving: None or a `Halving`.
        """
        self._rows = [[None] * len(seeds) for _ in vectors]
        jobs = self._jobs(vectors, rates, seeds)
        for rung in halving.rungs if halving else ():
            stop = math.ceil(rung * self._runner.total_steps)
            jobs = self._halve(jobs, stop, halving.keep)
        jobs.sort(key=lambda job: job.cells[0])  # completes a candidate after another
        self._in_threads(self._runner.finish, jobs, self._enter)
        return self._rows

    def _jobs(self, vectors, rates, seeds):
        jobs = []
        for column, seed in enumerate(seeds):
            for rows in _chunks(list(range(len(vectors))), self._runner.group_size):
                jobs.append(
                    Job(
                        vectors=[vectors[row] for row in rows],
                        rates=[rates[row] for row in rows],
                        seed=seed,
                        cells=[(row, column) for row in rows],
                    )
                )
        return jobs

    def _halve(self, jobs, stop, keep):
        """Trains to a rung; returns the better candidates and enters the others."""

        def train_and_measure(job):
            self._runner.train(job, stop)
            return self._runner.measure(job)

        measured = self._in_threads(train_and_measure, jobs)
        scores = {}
        for job, row in zip(jobs, measured, strict=True):
            scores.update(zip(job.cells, row, strict=True))
        total = dict.fromkeys(sorted({row for row, _ in scores}), 0.0)
        for (row, _), score in scores.items():
            total[row] += score.accuracy
        ranked = sorted(total, key=total.get, reverse=True)
        kept = set(ranked[: math.ceil(keep * len(ranked))])
        for cell, score in scores.items():
            if cell[0] not in kept:
                self._enter_one(cell, dataclasses.replace(score, stopped=True))
        survivors = {}
        for job in jobs:
            for index, (row, column) in enumerate(job.cells):
                if row in kept:
                    survivors.setdefault((column, job.seed), []).append((job, index))
        return [
            self._runner.merge(seed, chunk)
            for (_, seed), members in survivors.items()
            for chunk in _chunks(members, self._runner.group_size)
        ]

    def _in_threads(self, function, jobs, on_result=None):
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
        finally:  # after an error or Ctrl-C, what has not begun never does
            pool.shutdown(cancel_futures=True)
        return [future.result() for future in futures]

    def _enter(self, job, scores):
        for cell, score in zip(job.cells, scores, strict=True):
            self._enter_one(cell, score)

    def _enter_one(self, cell, score):
        row, column = cell
        self._rows[row][column] = score
        if None not in self._rows[row]:
            self._on_scores(row, self._rows[row])


def _chunks(items, size):
    return [items[begin : begin + size] for begin in range(0, len(items), size)]
