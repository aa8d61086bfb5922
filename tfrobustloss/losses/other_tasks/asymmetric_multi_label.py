"""Losses of many labels at once that treat positives and negatives differently.

Most labels of an example are negative, and many of those are positives that nobody
marked. Each loss is a sum of a term for positives and one for negatives, linear in
targets between 0 and 1, with the true gradient of both factors of a term.
"""

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.other_tasks.multi_hot import (
    MultiLabelLoss,
    Sigmoid,
    aggregated,
    decode_multi_hot,
)

_GAMMA = Range(low=0, high=1e6)
_ASYMMETRIC_LIMITS = {
    "gamma_positive": _GAMMA,
    "gamma_negative": _GAMMA,
    "margin": Range(0, 1, open_high=True),
}
_HILL_LIMITS = {
    "lam": Range(low=1, high=1e6),
    "margin": Range(low=0, high=100),
    "gamma": _GAMMA,
}
_SELF_PACED_LIMITS = {
    "threshold": Range(0, 1),
    "margin": Range(low=0, high=100),
    "gamma": _GAMMA,
    "correction": Range(0, 1),
}


@keras_function
def asymmetric_multi_label(
    y_true,
    y_pred,
    gamma_positive=0.0,
    gamma_negative=4.0,
    margin=0.05,
    aggregate="mean",
    class_weights=None,
    from_logits=False,
):
    """Cross-entropy of independent labels that fades out easy negatives.

        positive: -(1 - p)^gamma_positive log(p)
        negative: -p_m^gamma_negative log(1 - p_m),   p_m = max(p - margin, 0)

    A negative below `margin` has no loss and no gradient, and one near 1, which may be
    a positive that nobody marked, a small gradient. With both exponents and `margin` 0
    it is Keras' binary cross-entropy, with equal exponents and `margin` 0 the focal
    loss. The gradient goes through both factors; the authors' code can leave it out of
    the first one.

    Args:
        y_true: Targets in [0, 1], shape `(..., classes)`: multi-hot or soft, -1 for a
            missing label.
        y_pred: Probabilities of each class on its own, or logits, same shape.
        gamma_positive: Float in [0, 1e6]. 0 in the paper, 1 in the authors' code.
        gamma_negative: Float in [0, 1e6].
        margin: Float in [0, 1), `m` in the paper.
        aggregate: `"mean"` over the known labels of an example, or their `"sum"`, as in
            the authors' code.
        class_weights: Numbers >= 0, one a class, or None.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, at least 0.

    Raises:
        TypeError: A parameter is of the wrong kind.
        ValueError: A parameter is out of range, a target is none, or the shapes differ.

    Example:
        >>> y_true, logits = [[1.0, 0.0, -1.0]], [[1.0, 1.0, 5.0]]
        >>> loss = asymmetric_multi_label(y_true, logits, from_logits=True)
        >>> round(float(loss[0]), 4)  # (0.3133 + 0.2459) / 2
        0.2796

    Reference:
        Ridnik et al., "Asymmetric Loss For Multi-Label Classification", ICCV 2021.
    """
    owner = "asymmetric_multi_label"
    check(
        owner,
        _ASYMMETRIC_LIMITS,
        gamma_positive=gamma_positive,
        gamma_negative=gamma_negative,
        margin=margin,
    )
    targets, y_pred, known = decode_multi_hot(owner, y_true, y_pred)
    given = Sigmoid(y_pred, from_logits)
    hit = _focal(gamma_positive, given.log_rest, given.log_p)
    over, log_shifted, log_rest = _shifted(given, margin)
    miss = ops.where(over, _focal(gamma_negative, log_shifted, log_rest), 0)
    losses = targets * hit + (1 - targets) * miss
    return aggregated(owner, losses, known, aggregate, class_weights)


def _focal(gamma, log_factor, log_term):
    """-factor^gamma * term of their logarithms: finite where the factor is 0."""
    return -ops.exp(gamma * log_factor) * log_term


def _shifted(given, margin):
    """Where p > margin, and the logarithms of p_m and 1 - p_m there."""
    margin = ops.cast(margin, given.p.dtype)
    over, wide = given.p > margin, margin > 0
    p_m = ops.where(over, given.p - margin, 1)
    log_margin = ops.log(ops.where(wide, margin, 1))
    # log(1 - p + margin) for p near 1, where 1 - p is known by its logarithm only
    log_rest = log_margin + ops.softplus(given.log_rest - log_margin)
    log_rest = ops.where(p_m < 0.5, ops.log1p(-ops.minimum(p_m, 0.5)), log_rest)
    log_rest = ops.where(wide, log_rest, given.log_rest)
    return over, ops.where(wide, ops.log(p_m), given.log_p), log_rest


@keras.saving.register_keras_serializable(package="tfrobustloss")
class AsymmetricMultiLabel(MultiLabelLoss):
    """`asymmetric_multi_label` as a `keras.losses.Loss`, with the same arguments.

    An example without any known label does not count in the mean. Mean average
    precision is `keras.metrics.AUC(curve="PR", multi_label=True)`, on complete labels.
    """

    function = staticmethod(asymmetric_multi_label)
    limits = _ASYMMETRIC_LIMITS
    purpose = "many labels at once: few positives, negatives that may be wrong"
    paper = "Ridnik et al. 2021"
    paper_url = "https://arxiv.org/abs/2009.14119"

    def __init__(
        self,
        gamma_positive=0.0,
        gamma_negative=4.0,
        margin=0.05,
        aggregate="mean",
        class_weights=None,
        from_logits=False,
        **options,
    ):
        super().__init__(
            gamma_positive=gamma_positive,
            gamma_negative=gamma_negative,
            margin=margin,
            aggregate=aggregate,
            class_weights=class_weights,
            from_logits=from_logits,
            **options,
        )


@keras_function
def hill(
    y_true,
    y_pred,
    lam=1.5,
    margin=1.0,
    gamma=2.0,
    aggregate="mean",
    class_weights=None,
    from_logits=False,
):
    """Loss of independent labels of which positives are missing: a hill of negatives.

        positive: -(1 - p')^gamma log(p'),   p' = sigmoid(logit - margin)
        negative: (lam - p) p^2

    The gradient of a negative by its probability rises and, for `lam` of 1.5, falls to
    0 at p = 1: a negative that looks like a positive is taken for one that nobody
    marked.

    Args:
        y_true: Targets in [0, 1], shape `(..., classes)`: multi-hot or soft, -1 for a
            missing label. Unmarked positives are 0.
        y_pred: Probabilities of each class on its own, or logits, same shape.
        lam: Float in [1, 1e6], λ in the paper.
        margin: Float in [0, 100], on the scale of logits.
        gamma: Float in [0, 1e6].
        aggregate: `"mean"` over the known labels of an example, or their `"sum"`, as in
            the authors' code.
        class_weights: Numbers >= 0, one a class, or None.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, at least 0.

    Raises:
        TypeError: A parameter is of the wrong kind.
        ValueError: A parameter is out of range, a target is none, or the shapes differ.

    Example:
        >>> loss = hill([[1.0, 0.0]], [[1.0, 1.0]], from_logits=True)
        >>> round(float(loss[0]), 4)  # (0.1733 + 0.4110) / 2
        0.2921

    Reference:
        Zhang et al., "Simple and Robust Loss Design for Multi-Label Learning with
        Missing Labels", arXiv 2112.07368; formula read in the authors' code.
    """
    check("hill", _HILL_LIMITS, lam=lam, margin=margin, gamma=gamma)
    targets, y_pred, known = decode_multi_hot("hill", y_true, y_pred)
    given = Sigmoid(y_pred, from_logits)
    shifted = given.with_margin(margin)
    hit = _focal(gamma, shifted.log_rest, shifted.log_p)
    miss = (lam - given.p) * ops.square(given.p)
    losses = targets * hit + (1 - targets) * miss
    return aggregated("hill", losses, known, aggregate, class_weights)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class Hill(MultiLabelLoss):
    """`hill` as a `keras.losses.Loss`, with the same arguments.

    An example without any known label does not count in the mean. Mean average
    precision is `keras.metrics.AUC(curve="PR", multi_label=True)`, on complete labels.
    """

    function = staticmethod(hill)
    limits = _HILL_LIMITS
    purpose = "many labels at once, of which positives are missing"
    paper = "Zhang et al. 2021"
    paper_url = "https://arxiv.org/abs/2112.07368"

    def __init__(
        self,
        lam=1.5,
        margin=1.0,
        gamma=2.0,
        aggregate="mean",
        class_weights=None,
        from_logits=False,
        **options,
    ):
        super().__init__(
            lam=lam,
            margin=margin,
            gamma=gamma,
            aggregate=aggregate,
            class_weights=class_weights,
            from_logits=from_logits,
            **options,
        )


@keras_function
def self_paced_correction(
    y_true,
    y_pred,
    threshold=0.6,
    margin=1.0,
    gamma=2.0,
    correction=1.0,
    aggregate="mean",
    class_weights=None,
    from_logits=False,
):
    """Loss of independent labels that takes confident negatives for positives.

        positive: -(1 - p')^gamma log(p'),   p' = sigmoid(logit - margin)
        negative: -p^gamma log(1 - p)                     up to `threshold`, else
                  correction * -(1 - p)^gamma log(p) + (1 - correction) * the former

    The network finds the positives that nobody marked once it has learnt something:
    the authors correct from the second epoch on. Give the class a `keras.Variable` as
    `correction`, and `fit` the callback
    `training.ParameterScheduler(correction, {0: 0.0, 1: 1.0})`.

    Args:
        y_true: Targets in [0, 1], shape `(..., classes)`: multi-hot or soft, -1 for a
            missing label. Unmarked positives are 0.
        y_pred: Probabilities of each class on its own, or logits, same shape.
        threshold: Float in [0, 1], τ in the paper: a negative of a higher probability
            is taken for a positive.
        margin: Float in [0, 100], on the scale of logits.
        gamma: Float in [0, 1e6].
        correction: Float in [0, 1]: 0 corrects nothing, 1 is the paper's loss.
        aggregate: `"mean"` over the known labels of an example, or their `"sum"`, as in
            the authors' code.
        class_weights: Numbers >= 0, one a class, or None.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, at least 0.

    Raises:
        TypeError: A parameter is of the wrong kind.
        ValueError: A parameter is out of range, a target is none, or the shapes differ.

    Example:
        >>> y_true, logits = [[0.0]], [[1.0]]  # p = 0.73
        >>> for correction in (0.0, 1.0):
        ...     loss = self_paced_correction(
        ...         y_true, logits, correction=correction, from_logits=True
        ...     )
        ...     print(round(float(loss[0]), 4))
        0.7019
        0.0227

    Reference:
        Zhang et al., "Simple and Robust Loss Design for Multi-Label Learning with
        Missing Labels", arXiv 2112.07368; formula read in the authors' code.
    """
    owner = "self_paced_correction"
    check(
        owner,
        _SELF_PACED_LIMITS,
        threshold=threshold,
        margin=margin,
        gamma=gamma,
        correction=correction,
    )
    targets, y_pred, known = decode_multi_hot(owner, y_true, y_pred)
    given = Sigmoid(y_pred, from_logits)
    shifted = given.with_margin(margin)
    hit = _focal(gamma, shifted.log_rest, shifted.log_p)
    miss = _focal(gamma, given.log_p, given.log_rest)
    corrected = _focal(gamma, given.log_rest, given.log_p)
    mixed = correction * corrected + (1 - correction) * miss
    miss = ops.where(given.p > threshold, mixed, miss)
    losses = targets * hit + (1 - targets) * miss
    return aggregated(owner, losses, known, aggregate, class_weights)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class SelfPacedCorrection(MultiLabelLoss):
    """`self_paced_correction` as a `keras.losses.Loss`, with the same arguments.

    An example without any known label does not count in the mean. Mean average
    precision is `keras.metrics.AUC(curve="PR", multi_label=True)`, on complete labels.
    """

    function = staticmethod(self_paced_correction)
    limits = _SELF_PACED_LIMITS
    purpose = "the same; takes confident negatives for positives, after a warm-up"
    paper = "Zhang et al. 2021"
    paper_url = "https://arxiv.org/abs/2112.07368"

    def __init__(
        self,
        threshold=0.6,
        margin=1.0,
        gamma=2.0,
        correction=1.0,
        aggregate="mean",
        class_weights=None,
        from_logits=False,
        **options,
    ):
        super().__init__(
            threshold=threshold,
            margin=margin,
            gamma=gamma,
            correction=correction,
            aggregate=aggregate,
            class_weights=class_weights,
            from_logits=from_logits,
            **options,
        )
