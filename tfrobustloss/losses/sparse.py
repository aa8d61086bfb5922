"""Cross-entropy of a sharp prediction that is rewarded for being sparse (ICCV 2021)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import Prediction, decode
from tfrobustloss.losses.rows import row_max

_LIMITS = {
    "temperature": Range(0.01, 100),
    "exponent": Range(0, 1, open_low=True),
    "weight": Range(low=0),
}
_SHORTEST = 1e-3


@keras_function
def sparse_regularized(
    y_true,
    y_pred,
    temperature=0.5,
    exponent=0.1,
    weight=1.2,
    normalize=True,
    from_logits=False,
):
    """Cross-entropy of a sharpened softmax, plus a norm that is small where it is sure.

        loss = -sum over classes of label * log(p) + weight * sum over classes of
               p ** exponent,   p = softmax(z / (temperature * length of z))

    An almost one-hot prediction makes any loss almost symmetric. `z` are the logits,
    or the logarithms of given probabilities. The authors multiply `weight` by 1.03
    (CIFAR-10) or 1.02 (CIFAR-100) after each epoch: make it a `keras.Variable` and
    let a callback do so. Their (temperature, exponent, weight): CIFAR-10
    (.5, .1, 1.2), CIFAR-100 (.5, .01, 4; with asymmetric noise 10), and MNIST
    (.1, .1, 4), not normalised, where they double the weight every 5 epochs.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        temperature: Float in [0.01, 100]; smaller is sharper.
        exponent: Float in (0, 1], `p` in the paper.
        weight: Float >= 0, lambda in the paper.
        normalize: Whether logits are divided by their Euclidean length, all but those
            shorter than 1e-3, which are multiplied by 1000. A shift of the logits
            then matters: logits and their softmax give different losses. One unit
            stands for `(log(1 - p), log(p))` in either case.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, at least 0.

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = sparse_regularized(
        ...     [0], [[0.7, 0.2, 0.1]], temperature=1.0, weight=1.0, normalize=False
        ... )
        >>> round(float(loss[0]), 4)
        2.9673

    Reference:
        Zhou et al., "Learning with Noisy Labels via Sparse Regularization", ICCV
        2021. Formula and settings are those of the authors' code (main.py, norm.py
        and config.py, read), which keeps `p` above 1e-7 in the norm; this matters
        for their setting of MNIST alone.
    """
    check(
        "sparse_regularized",
        _LIMITS,
        temperature=temperature,
        exponent=exponent,
        weight=weight,
    )
    labels, prediction = decode(y_true, y_pred, from_logits)
    scores = prediction.scores
    if normalize:
        scores = _unit_length(prediction.logits())
    sharp = Prediction(scores / temperature, from_logits=True)
    norm = ops.sum(ops.exp(exponent * sharp.log()), axis=-1)
    return weight * norm - sharp.pick_log(labels)


def _unit_length(scores):
    """Scores divided by their Euclidean length, or by `_SHORTEST` if that is more."""
    size = ops.stop_gradient(row_max(ops.abs(scores)))
    size = ops.maximum(size, _SHORTEST)  # squares neither overflow nor vanish
    scores = scores / size
    square = ops.sum(ops.square(scores), axis=-1, keepdims=True)
    return scores / ops.sqrt(ops.maximum(square, ops.square(_SHORTEST / size)))


@keras.saving.register_keras_serializable(package="tfrobustloss")
class SparseRegularized(FunctionLoss):
    """`sparse_regularized` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(sparse_regularized)
    limits = _LIMITS
    purpose = "label noise, by sharp and sparse predictions"
    paper = "Zhou et al. 2021"

    def __init__(
        self,
        temperature=0.5,
        exponent=0.1,
        weight=1.2,
        normalize=True,
        from_logits=False,
        **options,
    ):
        super().__init__(
            temperature=temperature,
            exponent=exponent,
            weight=weight,
            normalize=normalize,
            from_logits=from_logits,
            **options,
        )

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, math.inf
