"""Losses that reward confidence, whatever the label: unhinged and CORES."""

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode

_LIMITS = {"beta": Range(low=0)}


@keras_function
def unhinged(y_true, y_pred, from_logits=False):
    """The label's logit against the mean logit: symmetric, convex, linear.

        loss = mean over classes of z - z of the label

    Logarithms of probabilities stand for logits: a shift of `z` does not matter. The
    sum over all labels is 0. The loss falls for ever as logits grow, so it needs
    something that holds them: weight decay, or logits of a fixed length.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, of either sign.

    Raises:
        ValueError: Labels do not fit the predictions.

    Example:
        >>> loss = unhinged([0], [[2.0, 0.0, -1.0]], from_logits=True)
        >>> round(float(loss[0]), 4)
        -1.6667

    Reference:
        van Rooyen, Menon, Williamson, "Learning with Symmetric Label Noise: The
        Importance of Being Unhinged", NeurIPS 2015, for two classes: `1 - v`. For
        more classes this is cross-entropy less its mean over all labels, as in
        "Symmetrization of Loss Functions for Robust Training of Neural Networks ...",
        arXiv 2605.20347, 2026, of which the abstract alone was read; derived here.
    """
    labels, prediction = decode(y_true, y_pred, from_logits)
    scores = prediction.scores
    mean = ops.sum(scores, axis=-1) / scores.shape[-1]  # see `Prediction.mean_log`
    return labels.total() * mean - labels.pick(scores)


@keras_function
def confidence_regularized(y_true, y_pred, beta=2.0, from_logits=False):
    """Cross-entropy, less a multiple of its mean over all labels.

        loss = beta * mean over classes of log(p) - sum over classes of label * log(p)

    The second part pushes the model to be sure of something, and takes from the loss
    what uniform wrong labels add. The authors raise `beta` from 0, at epoch 10, to
    its full value, at epoch 40: make it a `keras.Variable` and let a callback do so.
    After epoch 30 they also drop the examples with `unhinged` above 0, which is a
    weight of 0 for them, not a part of the loss.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        beta: Float >= 0. 0 is cross-entropy, 1 is `unhinged`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example in nats, shape `(...)`, of either sign.

    Raises:
        ValueError: `beta` is negative, or labels do not fit.

    Example:
        >>> loss = confidence_regularized([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        -2.4891

    Reference:
        Cheng et al., "Learning with Instance-Dependent Label Noise: A Sample Sieve
        Approach" (CORES), ICLR 2021. As in the authors' code (loss.py, read), which
        adds 1e-8 to the probabilities.
    """
    check("confidence_regularized", _LIMITS, beta=beta)
    labels, prediction = decode(y_true, y_pred, from_logits)
    return beta * prediction.mean_log() - prediction.pick_log(labels)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class Unhinged(FunctionLoss):
    """`unhinged` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(unhinged)
    purpose = "symmetric noise; linear in logits, which something must hold"
    paper = "van Rooyen et al. 2015"
    paper_url = "https://arxiv.org/abs/1505.07634"

    def __init__(self, from_logits=False, **options):
        super().__init__(from_logits=from_logits, **options)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class ConfidenceRegularized(FunctionLoss):
    """`confidence_regularized` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(confidence_regularized)
    limits = _LIMITS
    purpose = "noise that depends on the example; `beta` grows in training"
    paper = "Cheng et al. 2021"

    def __init__(self, beta=2.0, from_logits=False, **options):
        super().__init__(beta=beta, from_logits=from_logits, **options)
