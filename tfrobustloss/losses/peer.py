"""Peer loss inside one batch, in closed form (Liu and Guo, ICML 2020)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.batch import BatchLoss, weighted_rows
from tfrobustloss.losses.labels import decode

_LIMITS = {"alpha": Range(low=0)}


@keras_function
def peer(y_true, y_pred, sample_weight=None, alpha=1.0, from_logits=False):
    """Cross-entropy less what it would be with labels dealt at random: one number.

        loss = mean over i of -log(p[i, label i])
               - alpha * mean over i and j of -log(p[i, label j])

    The second mean pairs each prediction of the batch with the label of every example,
    which the authors sample by shuffling the batch twice. Here it is exact: `sum over
    classes of h * -log(p)`, where `h` is the share of each label in the batch. It takes
    away what a prediction gains by the labels' frequencies alone, to which noise
    belongs. Where `h` is even, the loss is the mean of `confidence_regularized` with
    `beta = alpha`.

    With `alpha` above 0 the loss has no lower bound: it falls as predictions grow sure.
    And where the share of a label is above `1 / alpha`, it lowers the probability of
    that label at its own examples, so that a large `alpha` takes even classes. The
    authors train with plain cross-entropy first and then raise `alpha`: give a
    `keras.Variable` of 0 and raise it by a `training.ParameterScheduler`.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        sample_weight: None, or how often each example counts, shape `(...)`.
        alpha: Float >= 0. 0 is cross-entropy.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss of the batch, shape `()`, of either sign; 0 if no example counts.

    Raises:
        ValueError: `alpha` is negative, or labels do not fit the predictions.

    Example:
        >>> loss = peer([0, 1], [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])
        >>> round(float(loss), 4)
        -0.7611

    Reference:
        Liu, Guo, "Peer Loss Functions: Learning from Noisy Labels without Knowing Noise
        Rates", ICML 2020. The closed form is derived here.
    """
    check("peer", _LIMITS, alpha=alpha)
    labels, prediction = decode(y_true, y_pred, from_logits)
    log_p = prediction.log()
    rows = weighted_rows(labels, sample_weight, log_p.dtype)
    flat = (-1, labels.num_classes)
    rows, log_p = ops.reshape(rows, flat), ops.reshape(log_p, flat)
    weight = ops.sum(rows, axis=-1, keepdims=True)  # 0 as well where there is no label
    count = ops.sum(weight)
    count = ops.where(count > 0, count, 1)
    share = ops.sum(rows, axis=0) / count
    return ops.sum((alpha * weight * share - rows) / count * log_p)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class Peer(BatchLoss):
    """`peer` as a `keras.losses.Loss`, one number a batch whatever `reduction` says.

    Sample weights, masks and `ignore_class` decide how often an example counts, in both
    means. Under `tf.distribute` each replica deals its own labels.
    """

    function = staticmethod(peer)
    limits = _LIMITS
    purpose = "noise of any class matrix, a batch at a time; after a warm-up"
    paper = "Liu and Guo 2020"
    paper_url = "https://arxiv.org/abs/1910.03231"

    def __init__(self, alpha=1.0, from_logits=False, **options):
        super().__init__(alpha=alpha, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return -math.inf, math.inf
