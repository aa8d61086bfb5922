"""Instance-dependent label noise (Xia et al., NeurIPS 2020)."""

import numpy as np

from tfrobustloss._core.labels import check_holds, class_ids, plain_array
from tfrobustloss._core.validation import ParameterError, Range, check
from tfrobustloss.data.noise.draws import SEED, normal_draws, stream_seed, uniform_draws

_LIMITS = {
    "rate": Range(low=0, high=1),
    "seed": SEED,
    "num_classes": Range(low=2, integer=True, optional=True),
}
_SPREAD = 0.1  # standard deviation of the flip rates, as in the paper
_WEIGHTS, _IS_WRONG, _WHICH, _FLIP_RATE = range(4)  # the streams of draws
_CHUNK = 4096


def instance_dependent(features, labels, rate, seed, num_classes=None):
    """Draws noisy labels that depend on features and class of each example.

    An example with features `x` and label `y` goes wrong with its own probability
    `q`, and then to class `j` in proportion to the softmax of a random projection:

        q ~ Normal(rate, 0.1 ** 2), kept to [0, 1]
        P(wrong label j) = q * softmax(x @ W[y], without class y)[j],   W ~ Normal(0, 1)

    Cutting `q` to [0, 1] raises its mean where `rate` is near 0, as in the authors'
    code: to .129 at .1, .206 at .2 and .300 at .3. The scale of the features decides
    how sharp the softmax is: the authors' code feeds pixels from 0 to 255, whose wrong
    class is all but certain. The noise of example `i` depends on `i`, `seed`, its
    features and its label alone; it is the same on every machine up to the rounding of
    a matrix product.

    Args:
        features: Array of finite numbers, shape `(examples, ...)`: images or
            embeddings, flattened to rows.
        labels: Integer class ids in [0, num_classes), shape `(examples,)` or
            `(examples, 1)`.
        rate: In [0, 1]: the centre of the examples' probabilities of a wrong label.
            0 leaves every label as it is.
        seed: Int in [0, 2 ** 64).
        num_classes: Int >= 2; None is the highest label plus one.

    Returns:
        Array with the shape and dtype of `labels`.

    Raises:
        ValueError: `features` and `labels` differ in length, `features` are not finite
            numbers, labels are not class ids or their type cannot hold the highest
            class, or a parameter is out of its range.

    Example:
        >>> pixels = np.arange(40.0).reshape(10, 4) / 40
        >>> clean = np.arange(10) % 3
        >>> noisy = instance_dependent(pixels, clean, rate=0.4, seed=0)
        >>> int((noisy != clean).sum())
        2

    Reference:
        Xia et al., "Part-dependent Label Noise: Towards Instance-dependent Label
        Noise", NeurIPS 2020; sampling as in the authors' released code.
    """
    owner = "instance_dependent"
    check(owner, _LIMITS, rate=rate, seed=seed, num_classes=num_classes)
    labels = class_ids(owner, "labels", labels, num_classes)
    flat = labels.reshape(-1)
    rows = _rows(owner, features, flat.size)
    if rate == 0 or not flat.size:
        return labels.copy()
    if num_classes is None:
        num_classes = max(2, int(flat.max()) + 1)
    num_classes = int(num_classes)
    check_holds(owner, "labels", labels.dtype, num_classes)
    counters = np.arange(flat.size)
    flip_rates = _flip_rates(flat.size, rate, seed)
    is_wrong = uniform_draws(counters, stream_seed(seed, _IS_WRONG)) < flip_rates
    which = uniform_draws(counters, stream_seed(seed, _WHICH))
    noisy = flat.copy()
    for clean in np.unique(flat[is_wrong]):
        members = np.flatnonzero(is_wrong & (flat == clean))
        weights = _weights(clean, rows.shape[1], num_classes, seed)
        for start in range(0, members.size, _CHUNK):
            chunk = members[start : start + _CHUNK]
            scores = rows[chunk].astype(np.float64) @ weights
            noisy[chunk] = _pick(scores, clean, which[chunk])
    return noisy.reshape(labels.shape)


def _rows(owner, features, num_examples):
    features = plain_array(owner, "features", features)
    if features.dtype.kind not in "fiu":
        dtype = str(features.dtype)
        raise ParameterError(owner, "features.dtype", dtype, "numeric")
    if not features.ndim or len(features) != num_examples:
        constraint = f"({num_examples}, ...), one row a label"
        shape = features.shape
        raise ParameterError(owner, "features.shape", shape, constraint)
    for place in np.argwhere(~np.isfinite(features))[:1].tolist():
        value = float(features[tuple(place)])
        raise ParameterError(owner, f"features{place}", value, "finite")
    return features.reshape(num_examples, -1) if num_examples else features


def _flip_rates(count, rate, seed):
    """Truncated normal draws: those outside [0, 1] are redrawn, by their own index."""
    rates = np.empty(count)
    waiting, stream = np.arange(count), _FLIP_RATE
    while waiting.size:
        drawn = rate + _SPREAD * normal_draws(waiting, stream_seed(seed, stream))
        inside = (drawn >= 0) & (drawn <= 1)
        rates[waiting[inside]] = drawn[inside]
        waiting, stream = waiting[~inside], stream + 1
    return rates


def _weights(clean, width, num_classes, seed):
    size = width * num_classes
    counters = np.arange(size) + int(clean) * size
    drawn = normal_draws(counters, stream_seed(seed, _WEIGHTS))
    return drawn.reshape(width, num_classes)


def _pick(scores, clean, draws):
    """The wrong class of each draw: the number of cumulative sums that are <= it."""
    scores[:, clean] = -np.inf
    sums = np.cumsum(np.exp(scores - scores.max(axis=1, keepdims=True)), axis=1)
    sums /= sums[:, -1:]  # the last is 1 exactly: no draw falls behind it
    return (sums <= draws[:, np.newaxis]).sum(axis=1)
