"""Which loss a search found: the best of a few when all is drawn anew."""

import math

import numpy as np

from tfrobustloss.losses import canonical_taylor

_NUM_BEST = 3  # candidates that are scored anew beside the mean


def choose(fitness, mean, told, first_draw, seeds):
    """Scores the distribution's mean and the best candidates with fresh seeds.

    Args:
        fitness: `Fitness`.
        mean: Vector.
        told: `CmaSearch.history()`.
        first_draw: Index of the noise of the first seed; those of others follow.
        seeds: Sequence of ints, of initial weights and orders of batches.

    Returns:
        Dict, as `TaylorLossSearch.best` says.

    Raises:
        ValueError: All of these trainings diverged.
    """
    finite = (record for record in told if math.isfinite(record.value))
    # of equally good candidates the latest, from the narrowest distribution
    ranked = sorted(finite, key=lambda one: (-one.value, -one.id))[:_NUM_BEST]
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
            f"learning_rates={fitness.learning_rates}. Begin anew with smaller "
            "learning rates, or with a smaller `sigma0`, and another journal."
        )
    accuracy[np.isnan(accuracy)] = 0.0  # diverged with that seed
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
