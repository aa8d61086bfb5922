"""Names of splits and their slices; validation splits, and how large they must be."""

import math
import re
import statistics

import numpy as np

from tfrobustloss._core.labels import flat_class_ids
from tfrobustloss._core.noisy_accuracy import values_or_none
from tfrobustloss._core.validation import ParameterError, Range, check

_OPEN = Range(0, 1, open_low=True, open_high=True)
_SPLIT_LIMITS = {"share": _OPEN, "seed": Range(0, 2**64 - 1, integer=True)}
_NEEDED_LIMITS = {
    "difference": _OPEN,
    "disagreement": Range(0, 1, open_low=True),
    "confidence": _OPEN,
    "power": Range(0.5, 1, open_high=True),
}
_SLICE = re.compile(r"(?P<base>[^\[\]]+)(\[(?P<low>-?\d+%?)?:(?P<high>-?\d+%?)?\])?")


def parse(name, split, splits):
    """Parses a split, for example `"train[:50000]"`, into its name and slice.

    Args:
        name: Name of the dataset, for the error.
        split: Name of a split, or a slice of one in numbers of examples or percent.
        splits: Names of the splits there are.

    Returns:
        The name of the split, and a function of its number of examples that returns
        the slice with both ends, neither negative.

    Raises:
        ValueError: The dataset has no split of that name.
    """
    found = _SLICE.fullmatch(split) if isinstance(split, str) else None
    if found is None or found["base"] not in splits:
        known = ", ".join(f"'{one}'" for one in splits)
        constraint = f"one of {known}, the splits of {name!r}"
        hint = "A slice of one is written 'train[:50000]' or 'train[80%:]'."
        raise ParameterError("load", "split", split, constraint, hint)

    def place(text, count):
        if text is None:
            return None
        if text.endswith("%"):
            return round(int(text[:-1]) * count / 100)
        return int(text)

    def part(count):
        low, high = place(found["low"], count), place(found["high"], count)
        chosen = range(count)[low:high]
        return slice(chosen.start, max(chosen.start, chosen.stop))

    return found["base"], part


def every_kth(labels, k, split):
    """Splits a dataset: of each class, every k-th example is for testing.

    Args:
        labels: Class ids in the stored order, shape `(examples,)`.
        k: Int >= 2.
        split: `"train"` or `"test"`.

    Returns:
        Ascending indices of the split's examples.
    """
    labels = np.asarray(labels)
    is_test = np.zeros(len(labels), bool)
    for class_id in np.unique(labels):
        is_test[np.flatnonzero(labels == class_id)[k - 1 :: k]] = True
    return np.flatnonzero(is_test if split == "test" else ~is_test)


def split_validation(labels, share=0.2, seed=0):
    """Splits examples into training and validation, stratified by noisy label.

    The validation labels are as noisy as the others, which is what
    `training.StopOnNoisyValidation` and `metrics.NoisyAccuracy` are for. Each class has
    `share` of its examples in the validation part, rounded so that the whole has it
    too; at least one where it has two or more, and never all.

    Args:
        labels: Noisy class ids, shape `(examples,)` or `(examples, 1)`, or one-hot
            rows, shape `(examples, classes)`.
        share: Float in (0, 1), of the examples that are for validation.
        seed: Int in [0, 2 ** 64); the same split for the same labels.

    Returns:
        `(train_indices, validation_indices)`, ascending int64 arrays.

    Raises:
        ValueError: `share` or `seed` is out of range, the labels are no class ids, are
            of one class, or no class has two examples.

    Example:
        >>> train, validation = split_validation([0, 0, 0, 0, 0, 1, 1, 1, 1, 2], 0.25)
        >>> len(train), len(validation)
        (8, 2)
    """
    owner = "split_validation"
    check(owner, _SPLIT_LIMITS, share=share, seed=seed)
    ids, num_classes = flat_class_ids(owner, labels)
    counts = np.bincount(ids, minlength=num_classes)
    if (counts > 0).sum() < 2:
        value = f"{len(ids)} of class {ids[0]}"
        constraint = "of two classes or more"
        raise ParameterError(owner, "labels", value, constraint)
    if counts.max() < 2:
        value = f"{len(ids)} of as many classes"
        constraint = "two or more of a class, one of them for training"
        raise ParameterError(owner, "labels", value, constraint)
    taken = np.floor(share * counts).astype(np.int64)
    missing = round(share * len(ids)) - taken.sum()
    largest = np.argsort(taken - share * counts, kind="stable")  # remainders
    taken[largest[:missing]] += 1
    taken = np.clip(taken, np.minimum(counts // 2, 1), np.maximum(counts - 1, 0))
    shuffled = np.random.default_rng(int(seed)).permutation(len(ids))
    shuffled = shuffled[np.argsort(ids[shuffled], kind="stable")]
    rank = np.arange(len(ids)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = rank < np.repeat(taken, counts)
    return np.sort(shuffled[~chosen]), np.sort(shuffled[chosen])


def examples_needed(
    difference, transition_matrix=None, disagreement=0.2, confidence=0.95, power=0.8
):
    """Noisy validation examples that it takes to tell two models apart.

        n = (z_confidence + z_power)² * (disagreement * S - difference²) / difference²
        S = max over y, a != b of  sum over j of T[y, j] * (W[j, a] - W[j, b])²

    Both models predict for the same examples, and are judged by
    `metrics.NoisyAccuracy`: by the difference d = W[n, a] - W[n, b] of an example of
    noisy label n with the predictions a and b, W the inverse of the matrix T. Its mean
    over examples is the difference of clean accuracies, and its variance is the mean
    of d² less that difference squared. Where the models agree, d is 0; where they do
    not, the mean of d² for a clean class y is at most S, so that the number errs on
    the large side. It takes for granted the matrix, examples drawn independently, noise
    that depends on the class alone, a difference that is normally distributed (from
    some hundred examples on), and two models chosen beforehand: of the best of many,
    the difference is overrated.

    For symmetric noise of rate r, S is `(1 - r + e) / (1 - r - e)²` with
    `e = r / (classes - 1)`: 4.2 at a rate of 0.6 in 10 classes, and 1 without noise.

    Args:
        difference: Float in (0, 1), of the clean accuracies.
        transition_matrix: `T[i, j] = P(noisy label j | class i)`, shape `(classes,
            classes)`, for example `data.noise.symmetric(10, 0.6)`; None without noise.
        disagreement: Float in (0, 1], share of examples on which the two predict
            different classes: at most the sum of their error rates, 1 if nothing is
            known.
        confidence: Float in (0, 1), two-sided.
        power: Float in [0.5, 1), probability that a difference of that size is seen.

    Returns:
        Int.

    Raises:
        ValueError: A number is out of range, `difference` is above `disagreement`, or
            the matrix is not row-stochastic or makes classes too much alike.

    Example:
        >>> from tfrobustloss.data import noise
        >>> examples_needed(0.05), examples_needed(0.05, noise.symmetric(10, 0.6))
        (621, 2630)

    Reference:
        Connor, "Sample Size for Testing Differences in Proportions for the
        Paired-Sample Design", Biometrics 1987, for the formula without noise.
    """
    owner = "examples_needed"
    given = {"difference": difference, "disagreement": disagreement, "power": power}
    check(owner, _NEEDED_LIMITS, confidence=confidence, **given)
    if difference > disagreement:
        constraint = f"at most `disagreement`, {disagreement}"
        hint = "Models differ in accuracy only where they predict different classes."
        raise ParameterError(owner, "difference", difference, constraint, hint)
    square = 1.0
    values = values_or_none(owner, transition_matrix)
    if values is not None:
        matrix = np.linalg.inv(values)
        square = max(_largest_square(row, values) for row in matrix)
    quantile = statistics.NormalDist().inv_cdf
    z = quantile((1 + confidence) / 2) + quantile(power)
    variance = disagreement * square - difference**2
    return max(1, math.ceil(z**2 * variance / difference**2))


def _largest_square(row, values):
    """Largest mean of `(W[j, a] - W[j, b])²` over labels j of one clean class."""
    products = values.T @ (row[:, np.newaxis] * values)
    squares = np.diag(products)
    return (squares[:, np.newaxis] + squares - 2 * products).max()
