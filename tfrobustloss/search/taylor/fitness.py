"""Fitness of a loss: accuracy on validation data after training on wrong labels."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfrobustloss.experiments.trainer import Trainer
from tfrobustloss.losses import canonical_taylor
from tfrobustloss.search.ask_tell import Record
from tfrobustloss.search.taylor.parametrization import Form

_NUM_FINALISTS = 3  # candidates that are scored again, in addition to the mean


class Fitness:
    """Mean validation accuracy over tasks, initial weights and learning rates.

    With noisy validation it is plain accuracy on noisy labels, or corrected by the
    task's `validation_matrix`.

    Args:
        tasks: List of `Prepared`.
        form: `Form` of the vectors.
        learning_rates: List of floats, each of which every candidate is trained with.
        noise_seeds: List of ints >= 0, of the draws of the noise.
        **training: Other arguments of `Trainer`.
    """

    def __init__(
        self,
        tasks: Sequence[Any],
        form: Form,
        learning_rates: Sequence[float],
        noise_seeds: Sequence[int],
        **training: Any,
    ) -> None:
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
                validation_matrix=task.validation_matrix,
                learning_rate=learning_rates[0],
                **training,
            )
            for task in tasks
        ]

    def score(
        self,
        vectors: Sequence[np.ndarray],
        seeds: Sequence[int],
        draw: int = 0,
        on_value: Callable[[int, float], Any] | None = None,
    ) -> np.ndarray:
        """Scores candidates, several at a time.

        Args:
            vectors: Sequence of vectors of the search, not yet scaled.
            seeds: List of ints, of initial weights and orders of batches.
            draw: Index of the noise seed.
            on_value: Called in this thread with `index, value` as soon as the value
                of a candidate is known.

        Returns:
            Array of values, NaN for a candidate with a training that diverged.
        """
        report = on_value or (lambda index, value: None)
        values = np.full(len(vectors), np.nan)
        scaled = [self.form.scaled(vector) for vector in vectors]
        sound = [i for i, vector in enumerate(scaled) if np.isfinite(vector).all()]
        for index in set(range(len(vectors))) - set(sound):
            report(index, math.nan)

        def enter(index: int, value: float) -> None:
            values[index] = value
            report(index, value)

        step = self._at_a_time(max(1, len(vectors)), len(seeds))
        for begin in range(0, len(sound), step):
            chunk = sound[begin : begin + step]
            self._score_chunk([(i, scaled[i]) for i in chunk], seeds, draw, enter)
        return values

    @property
    def worst(self) -> float:
        """The lowest value that a candidate can have."""
        return float(np.mean([trainer.worst for trainer in self._trainers]))

    def _at_a_time(self, num_vectors: int, num_seeds: int) -> int:
        """How many candidates go through all trainings before the next ones begin.

        A candidate with a single training has its value when that ends. Where there
        are several trainings, few candidates at a time have their values on disk
        sooner, and as many as there are cores keep these busy.
        """
        trainer = self._trainers[0]
        together = trainer.group_size > 1  # on an accelerator
        if together or len(self._trainers) * len(self.learning_rates) == 1:
            return num_vectors
        return max(1, math.ceil(trainer.num_threads / num_seeds))

    def _score_chunk(
        self,
        numbered: Sequence[tuple[int, np.ndarray]],
        seeds: Sequence[int],
        draw: int,
        enter: Callable[[int, float], None],
    ) -> None:
        sums: dict[int, list[float]] = {index: [] for index, _ in numbered}
        expected = len(self._trainers) * len(self.learning_rates) * len(seeds)

        def on_scores(row: int, scores: Sequence[Any]) -> None:
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


def choose(
    fitness: Fitness,
    mean: np.ndarray,
    records: Sequence[Record[np.ndarray]],
    first_draw: int,
    seeds: Sequence[int],
) -> dict[str, Any]:
    """Picks the winner by scoring the mean and the best candidates with fresh seeds.

    Args:
        fitness: `Fitness`.
        mean: Mean of the distribution.
        records: `CmaSearch.history()`.
        first_draw: Index of the noise of the first seed; those of others follow.
        seeds: Sequence of ints, of initial weights and orders of batches.

    Returns:
        Dict, see `TaylorLossSearch.best`.

    Raises:
        ValueError: All of these trainings diverged.
    """
    finite = (record for record in records if math.isfinite(record.value))
    # of equally good candidates the latest, from the narrowest distribution
    ranked = sorted(finite, key=lambda one: (-one.value, -one.id))[:_NUM_FINALISTS]
    names = ["mean", *(f"candidate {one.id}" for one in ranked)]
    vectors = [mean, *(one.x for one in ranked)]
    accuracy = np.array(
        [
            fitness.score(vectors, [seed], first_draw + index)
            for index, seed in enumerate(seeds)
        ]
    )
    if np.isnan(accuracy).all():
        raise ValueError(
            "search: there is no best loss, as every training diverged. Received: "
            f"learning_rates={fitness.learning_rates}. Start again with smaller "
            "learning rates, or with a smaller `sigma0`, and another journal."
        )
    accuracy[np.isnan(accuracy)] = fitness.worst  # diverged with that seed
    means = accuracy.mean(axis=0)
    chosen = int(means.argmax())
    theta = fitness.form.theta(vectors[chosen])
    vector = fitness.form.coefficients(vectors[chosen])
    return {
        "theta": theta,
        "coefficients": dict(zip(canonical_taylor.NAMES, vector.tolist(), strict=True)),
        "accuracy": float(means[chosen]),
        "chosen": names[chosen],
        "candidates": dict(zip(names, means.tolist(), strict=True)),
        "seeds": list(seeds),
    }
