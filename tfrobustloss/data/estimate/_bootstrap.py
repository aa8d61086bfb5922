"""The interval of an estimate, from estimates of resampled examples."""

import numpy as np

_MOST = 5_000


def interval(estimate, confidence, resamples, seed):
    """A rate with its bootstrap interval.

    Args:
        estimate: Has `labels`, `rate` and `rate_of(indices)`.
        confidence: Float in (0, 1).
        resamples: How many times examples are drawn with replacement.
        seed: Of the draws.

    Returns:
        Rate, lower and upper end. The quantiles of the resampled rates are taken
        relative to their median, so that the estimate is always inside.
    """
    examples = len(estimate.labels)
    drawn = min(examples, _MOST)
    generator = np.random.default_rng(seed)
    rates = [
        estimate.rate_of(generator.integers(examples, size=drawn))
        for _ in range(resamples)
    ]
    tail = 100 * (1 - confidence) / 2
    low, middle, high = np.percentile(rates, [tail, 50, 100 - tail])
    scale = np.sqrt(drawn / examples)
    low = max(0.0, estimate.rate - scale * (middle - low))
    high = min(1.0, estimate.rate + scale * (high - middle))
    return estimate.rate, float(low), float(high)
