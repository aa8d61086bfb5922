"""Negative learning, from complementary labels (Kim et al., ICCV 2019)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import SMALLEST_PROBABILITY, decode, most_nats
from tfrobustloss.losses.rows import row_max

_BELOW_ALL = -2e30


@keras_function
def negative_learning(y_true, y_pred, complementary=False, from_logits=False):
    """Teaches that an example is not of some other class, which is rarely wrong.

        loss = -mean over classes other than the label of log(1 - p)

    The authors draw one of these at random for each example and step; this is the
    mean over all draws, which is what a random one estimates. Of several draws (their
    help names 110 for CIFAR-100) their code takes the sum: so many times this loss.
    With `complementary` the labels say themselves what an example is not:

        loss = -sum over classes of label * log(1 - p)

    With two classes both are cross-entropy, the latter of the other label. The
    authors go on with the examples whose `p`, a mean over the last epochs, exceeds
    1 / classes alone, then with cross-entropy for the sure ones: weights of 0 for the
    others, not parts of the loss. Their weights of classes are sample weights as well.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        complementary: Whether `y_true` names what the examples are not.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example in nats, shape `(...)`, at least 0.

    Raises:
        ValueError: Labels do not fit the predictions.

    Example:
        >>> loss = negative_learning([1], [[0.7, 0.2, 0.1]], complementary=True)
        >>> round(float(loss[0]), 4)
        0.2231

    Reference:
        Kim et al., "NLNL: Negative Learning for Noisy Labels", ICCV 2019. As in the
        authors' code (main_NL.py and args.py, read), which keeps `1 - p` above 1e-5.
    """
    labels, prediction = decode(y_true, y_pred, from_logits)
    if from_logits:
        loss = -_log_of_others(prediction)
    else:
        others = 1 - prediction.probabilities()
        clipped = ops.clip(others, SMALLEST_PROBABILITY, 1.0)
        loss = -ops.log(others + ops.stop_gradient(clipped - others))
    if complementary:
        return labels.pick(loss)
    if labels.rows is None:
        total = ops.sum(ops.where(labels.hot(), 0, loss), axis=-1)
    else:
        mass = ops.expand_dims(labels.total(), -1) - labels.rows
        total = ops.sum(mass * loss, axis=-1)
    return total / (labels.num_classes - 1)


def _log_of_others(prediction):
    """`log(1 - p)` of every class, from logits, exact where `p` is nearly 1."""
    p, scores = prediction.probabilities(), prediction.scores
    likely = p > 0.5  # one class at most: the others' sum is taken without it
    rest = ops.where(likely, _BELOW_ALL, scores)
    largest = ops.stop_gradient(row_max(rest))
    total = ops.sum(ops.exp(rest - largest), axis=-1, keepdims=True)
    log_sum = row_max(scores) - ops.expand_dims(prediction.max_log(), -1)
    log_rest = ops.log(total) + largest - log_sum
    return ops.where(likely, log_rest, ops.log1p(-ops.where(likely, 0, p)))


@keras.saving.register_keras_serializable(package="tfrobustloss")
class NegativeLearning(FunctionLoss):
    """`negative_learning` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(negative_learning)
    purpose = "label noise: teaches what an example is not; complementary labels"
    paper = "Kim et al. 2019"

    def __init__(self, complementary=False, from_logits=False, **options):
        super().__init__(
            complementary=complementary, from_logits=from_logits, **options
        )

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        if self.from_logits or self.complementary:
            return 0, math.inf
        return 0, most_nats(False) / (num_classes - 1)
