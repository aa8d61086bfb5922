"""Bootstrapping: targets mixed with the model's own predictions (Reed et al. 2014)."""

import keras

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode, most_nats

_LIMITS = {"beta": Range(0, 1)}


@keras_function
def soft_bootstrap(y_true, y_pred, beta=0.95, from_logits=False):
    """Cross-entropy towards a mixture of label and predicted probabilities.

        loss = -sum over classes of (beta * label + (1 - beta) * p) * log(p)

    The gradient flows through `p` in the target too: the second part is
    `1 - beta` times the entropy of the prediction.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        beta: Float in [0, 1], trust in the label. 1 is cross-entropy.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example in nats, shape `(...)`, at least 0.

    Raises:
        ValueError: `beta` is outside [0, 1], or labels do not fit.

    Example:
        >>> loss = soft_bootstrap([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        0.3789

    Reference:
        Reed et al., "Training Deep Neural Networks on Noisy Labels with
        Bootstrapping", arXiv 1412.6596, 2014.
    """
    check("soft_bootstrap", _LIMITS, beta=beta)
    labels, prediction = decode(y_true, y_pred, from_logits)
    return (1 - beta) * prediction.entropy() - beta * prediction.pick_log(labels)


@keras_function
def hard_bootstrap(y_true, y_pred, beta=0.8, from_logits=False):
    """Cross-entropy towards a mixture of label and predicted class.

        loss = -beta * sum over classes of label * log(p)
               -(1 - beta) * log(p of the most probable class)

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        beta: Float in [0, 1], trust in the label. 1 is cross-entropy.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example in nats, shape `(...)`, at least 0.

    Raises:
        ValueError: `beta` is outside [0, 1], or labels do not fit.

    Example:
        >>> loss = hard_bootstrap([1], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        1.3589

    Reference:
        Reed et al., "Training Deep Neural Networks on Noisy Labels with
        Bootstrapping", arXiv 1412.6596, 2014.
    """
    check("hard_bootstrap", _LIMITS, beta=beta)
    labels, prediction = decode(y_true, y_pred, from_logits)
    return -beta * prediction.pick_log(labels) - (1 - beta) * prediction.max_log()


@keras.saving.register_keras_serializable(package="tfrobustloss")
class SoftBootstrap(FunctionLoss):
    """`soft_bootstrap` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(soft_bootstrap)
    limits = _LIMITS
    purpose = "mild label noise: trusts its own prediction in part"
    paper = "Reed et al. 2014"
    paper_url = "https://arxiv.org/abs/1412.6596"

    def __init__(self, beta=0.95, from_logits=False, **options):
        super().__init__(beta=beta, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, most_nats(self.from_logits)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class HardBootstrap(FunctionLoss):
    """`hard_bootstrap` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(hard_bootstrap)
    limits = _LIMITS
    purpose = "mild label noise: trusts its own decision in part"
    paper = "Reed et al. 2014"
    paper_url = "https://arxiv.org/abs/1412.6596"

    def __init__(self, beta=0.8, from_logits=False, **options):
        super().__init__(beta=beta, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, most_nats(self.from_logits)
