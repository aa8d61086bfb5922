"""How good a loss is: accuracy on clean data after training on wrong labels."""

import math

import numpy as np

from tfrobustloss.experiments.trainer import Trainer


class Fitness:
    """Mean clean-validation accuracy over tasks, initial weights and learning rates.

    Args:
        tasks: List of `Prepared`.
        form: `Form` of the vectors.
        learning_rates: List of floats, each of which every candidate is trained with.
        noise_seeds: List of ints >= 0, of the draws of the noise.
        **training: Other arguments of `Trainer`.
    """

    def __init__(self, tasks, form, learning_rates, noise_seeds, **training):
        self.form = form
        self.learning_rates = learning_rates
        self._tasks = tasks
        self._trainers = [
            Trainer(
                task.network,
                form.family,
                task.train(noise_seeds),
                task.validation,
                label_draws=True,
                learning_rate=learning_rates[0],
                **training,
            )
            for task in tasks
        ]

    def score(self, vectors, seeds, draw=0, on_value=None):
        """Scores candidates, several at a time.

        Args:
            vectors: Sequence of vectors, as the search has them.
            seeds: List of ints, of initial weights and orders of batches.
            draw: Index of the noise seed.
            on_value: Called in this thread with `index, value` as soon as the value
                of a candidate is known.

        Returns:
            Array of values: NaN for a candidate of which a training diverged.
        """
        on_value = on_value or (lambda index, value: None)
        values = np.full(len(vectors), np.nan)
        scaled = [self.form.scaled(vector) for vector in vectors]
        sound = [i for i, vector in enumerate(scaled) if np.isfinite(vector).all()]
        for index in set(range(len(vectors))) - set(sound):
            on_value(index, math.nan)

        def enter(index, value):
            values[index] = value
            on_value(index, value)

        step = self._at_a_time(max(1, len(vectors)), len(seeds))
        for begin in range(0, len(sound), step):
            chunk = sound[begin : begin + step]
            self._score_chunk([(i, scaled[i]) for i in chunk], seeds, draw, enter)
        return values

    def _at_a_time(self, num_vectors, num_seeds):
        """How many candidates go through all trainings before the next ones begin.

        One training a candidate is known as it ends. Where there are several, few
        candidates at a time are finished and on disk sooner, and as many as there are
        cores keep these busy.
        """
        trainer = self._trainers[0]
        together = trainer.group_size > 1  # on an accelerator
        if together or len(self._trainers) * len(self.learning_rates) == 1:
            return num_vectors
        return max(1, math.ceil(trainer.num_threads / num_seeds))

    def _score_chunk(self, numbered, seeds, draw, enter):
        sums = {index: [] for index, _ in numbered}
        expected = len(self._trainers) * len(self.learning_rates) * len(seeds)

        def on_scores(row, scores):
            index = numbered[row % len(numbered)][0]
            sums[index] += [
                math.nan if one.diverged else one.accuracy for one in scores
            ]
            if len(sums[index]) == expected:
                # summed in one order, whatever the order in which they came
                enter(index, math.fsum(sums[index]) / expected)

        rates = [rate for rate in self.learning_rates for _ in numbered]
        for task, trainer in zip(self._tasks, self._trainers, strict=True):
            vectors = [vector for _, vector in numbered] * len(self.learning_rates)
            trainer.score_many(vectors, seeds, rates, on_scores, task.draw(draw))
