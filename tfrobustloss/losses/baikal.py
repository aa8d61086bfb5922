"""Baikal, a loss found by genetic programming (Gonzalez and Miikkulainen 2019)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import SMALLEST_PROBABILITY, decode

_LOG_SMALLEST = math.log(SMALLEST_PROBABILITY)


@keras_function
def baikal(y_true, y_pred, from_logits=False):
    """A logarithm that keeps all classes alive, and a pole at the label.

        loss = sum over classes of label / p - log(p)

    `-log(p)` of every class pushes the prediction away from certainty, which
    regularises. `1 / p` grows fast for labels that the model doubts: not a loss for
    wrong labels, but an early one that was evolved. In `1 / p`, a `p` below 1e-7
    counts as that, and keeps its gradient.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, above `classes * log(classes) + 1`.

    Raises:
        ValueError: Labels do not fit the predictions.

    Example:
        >>> loss = baikal([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        5.6973

    Reference:
        Gonzalez, Miikkulainen, "Improved Training Speed, Accuracy, and Data
        Utilization Through Loss Function Optimization", arXiv 1905.11528, 2019. The
        sum over classes is that of the code of Morgan and Hougen's
        NeuralLossFunctionEvolution (read), which adds 1e-7 to `p`. The tuned
        variant, BaikalCMA, is left out: its coefficients could not be checked.
    """
    labels, prediction = decode(y_true, y_pred, from_logits)

    def inverse(log_p):
        clipped = ops.maximum(log_p, _LOG_SMALLEST)
        # the gradient is that of `log_p`, whose difference from itself is exactly 0
        kept = ops.stop_gradient(clipped) + (log_p - ops.stop_gradient(log_p))
        return ops.exp(-kept)

    all_logs = labels.num_classes * prediction.mean_log()
    return prediction.pick_of_log(labels, inverse) - all_logs


@keras.saving.register_keras_serializable(package="tfrobustloss")
class Baikal(FunctionLoss):
    """`baikal` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(baikal)
    purpose = "nothing: an early evolved loss, a regulariser"
    paper = "Gonzalez and Miikkulainen 2019"
    paper_url = "https://arxiv.org/abs/1905.11528"

    def __init__(self, from_logits=False, **options):
        super().__init__(from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return num_classes * math.log(num_classes) + 1, math.inf
