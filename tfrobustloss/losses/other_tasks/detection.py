"""Losses of object detection: a rare positive among many easy anchors.

Targets of the two IoU-balanced losses are rows `[box, classes]`, one per anchor, of
width 4 + classes: the matched box and its class, one-hot. A row whose classes are all 0
is background, whatever its box.

The losses are one per anchor, and so is a `sample_weight`: shape `(batch, anchors)`, or
`(batch, 1)` for one an image. Of shape `(batch,)` it would run along the anchors, as in
Keras' own losses of several axes. The number of positives and `norm` do not look at it;
under a `tf.distribute` strategy they are those of each replica.
"""

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import TaskLoss
from tfrobustloss.losses.labels import SMALLEST_PROBABILITY
from tfrobustloss.losses.other_tasks.boxes import check_format, paired_iou
from tfrobustloss.losses.other_tasks.targets import (
    as_floats,
    check_shapes,
    numbers,
    shares,
)

_FOCAL_LIMITS = {
    "gamma": Range(low=0),
    "alpha": Range(0, 1, optional=True),
}
_CLASSIFICATION_LIMITS = {"eta": Range(low=0), **_FOCAL_LIMITS}
_LOCALIZATION_LIMITS = {
    "lam": Range(low=0),
    "beta": Range(low=1e-6, high=1e6),
}
_LARGEST = 1e30  # sums of it stay finite in float32
_LARGEST_NORM = 1e6
_ONE_HOT = "Give a column per class: 1 where the box holds it, 0 elsewhere."


def focal_terms(targets, y_pred, gamma, alpha, from_logits):
    """Focal loss of each class as a positive, and as a negative."""
    if from_logits:
        logits = ops.clip(y_pred, -_LARGEST, _LARGEST)
        log_p, log_rest = -ops.softplus(-logits), -ops.softplus(logits)
    else:
        log_p, log_rest = _log(y_pred), _log(1 - y_pred)
    hit = -targets * ops.exp(gamma * log_rest) * log_p
    miss = -(1 - targets) * ops.exp(gamma * log_p) * log_rest
    if alpha is None:
        return hit, miss
    return alpha * hit, (1 - alpha) * miss


def _log(p):
    """Logarithm of a probability, at least that of 1e-7, with a gradient below it."""
    clipped = ops.stop_gradient(ops.clip(p, SMALLEST_PROBABILITY, 1.0))
    return ops.log(clipped + (p - ops.stop_gradient(p)))


def balance(hit, targets, iou, eta):
    """Weights of the positives' terms by their overlap that keep the terms' sum."""
    if 0 in hit.shape:  # no anchors, and Keras refuses the maximum of nothing
        return ops.ones_like(hit)
    best = ops.max(ops.where(targets > 0, iou, 0))
    overlaps = best > 0  # without any, all count alike
    weight = ops.power(ops.where(overlaps, iou / ops.where(overlaps, best, 1), 1), eta)
    total, weighted = ops.sum(hit), ops.sum(hit * weight)
    divisor = ops.maximum(weighted, total / _LARGEST_NORM)
    some = divisor > 0
    norm = ops.where(some, total / ops.where(some, divisor, 1), 1)
    return ops.stop_gradient(weight * norm)


def positives(y_true):
    """Whether a row `[box, classes]` has a class; None for boxes alone."""
    return ops.any(y_true[..., 4:] > 0, axis=-1) if y_true.shape[-1] > 4 else None


def over_positives(losses, targets):
    """The losses, scaled so that their mean is their sum over the positive rows."""
    found = ops.cast(ops.any(targets > 0, axis=-1), losses.dtype)
    rows = ops.sum(ops.ones_like(found))
    return losses * (rows / ops.maximum(ops.sum(found), 1))


@keras_function
def sigmoid_focal(
    y_true, y_pred, gamma=2.0, alpha=0.25, from_logits=False, per_positive=False
):
    """Cross-entropy of independent classes that looks away from easy anchors.

        loss = -sum over classes of   t alpha (1 - p)^gamma log(p)
                                    + (1 - t) (1 - alpha) p^gamma log(1 - p)

    A detector's class outputs start at p = 0.01: give them the bias
    `-log((1 - 0.01) / 0.01)`, or the easy negatives drown the first steps.

    Args:
        y_true: Targets t in [0, 1], shape `(..., classes)`: one-hot, zeros for
            background, several ones for several labels. The loss is linear in them.
        y_pred: Probabilities of each class on its own, or logits, same shape.
        gamma: Float >= 0. 0 is weighted cross-entropy.
        alpha: Weight of a 1 against a 0, in [0, 1]; None for weights of 1.
        from_logits: Whether `y_pred` holds logits.
        per_positive: Whether the mean is over the rows with a target above 0 instead
            of all rows, as the paper has it: each value is multiplied by the number
            of rows in the batch over that of these rows, whatever their sample weights.

    Returns:
        Loss per anchor, shape `(...)`, at least 0.

    Raises:
        ValueError: `gamma` or `alpha` is out of range, or the shapes differ.

    Example:
        >>> loss = sigmoid_focal([[1.0], [0.0]], [[1.0], [1.0]], from_logits=True)
        >>> [round(float(value), 4) for value in loss]
        [0.0057, 0.5264]

    Reference:
        Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
    """
    check("sigmoid_focal", _FOCAL_LIMITS, gamma=gamma, alpha=alpha)
    y_true, y_pred = as_floats(y_true, y_pred)
    check_shapes("sigmoid_focal", y_true, y_pred, one_hot=True)
    y_true = shares("sigmoid_focal", y_true, _ONE_HOT)
    hit, miss = focal_terms(y_true, y_pred, gamma, alpha, from_logits)
    losses = ops.sum(hit + miss, axis=-1)
    return over_positives(losses, y_true) if per_positive else losses


@keras.saving.register_keras_serializable(package="tfrobustloss")
class SigmoidFocal(TaskLoss):
    """`sigmoid_focal` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(sigmoid_focal)
    limits = _FOCAL_LIMITS
    purpose = "detection: rare objects among easy anchors"
    paper = "Lin et al. 2017"
    paper_url = "https://arxiv.org/abs/1708.02002"

    def __init__(
        self, gamma=2.0, alpha=0.25, from_logits=False, per_positive=False, **options
    ):
        super().__init__(
            gamma=gamma,
            alpha=alpha,
            from_logits=from_logits,
            per_positive=per_positive,
            **options,
        )

    def activation(self, logits):
        """Sigmoid: each class has a probability of its own."""
        return ops.sigmoid(logits)


@keras_function
def iou_balanced_classification(
    y_true,
    y_pred,
    eta=1.5,
    gamma=2.0,
    alpha=0.25,
    from_logits=False,
    box_format="deltas",
    variance=None,
    per_positive=False,
):
    """Focal loss whose positives count the more, the better their predicted box.

        weight of a positive = IoU^eta * norm,   IoU of its predicted and matched box

    `norm` keeps the sum over the batch's positives, before any sample weights, as it
    was; background has weight 1. Weights are constants for the gradient. If no
    positive's box overlaps its match, all have weight 1. Rule and `norm` were read in
    the authors' code; it adds 1e-6 to the divisor of `norm` where this stops `norm` at
    1e6.

    Args:
        y_true: Rows `[box, classes]`, shape `(..., 4 + classes)`; see the module.
        y_pred: Rows `[predicted box, class probabilities or logits]`, same shape.
        eta: Float >= 0. 0 is `sigmoid_focal`; the authors' settings are 1.25 to 1.7.
        gamma: As in `sigmoid_focal`; with `alpha=None`, 0 is cross-entropy.
        alpha: As in `sigmoid_focal`.
        from_logits: Whether `y_pred` holds logits.
        box_format: `"deltas"`, `(dx, dy, log dw, log dh)` against an anchor that need
            not be known, `"xyxy"`, `"yxyx"`, `"xywh"`, `"center_xywh"` or
            `"center_yxhw"`.
        variance: Four numbers by which deltas were divided, or None.
        per_positive: As in `sigmoid_focal`.

    Returns:
        Loss per anchor, shape `(...)`, at least 0. It depends on the whole batch.

    Raises:
        ValueError: A parameter is out of range, or the shapes do not fit.

    Example:
        >>> box = [0.0, 0.0, 0.0, 0.0]
        >>> loss = iou_balanced_classification([[*box, 1.0]], [[*box, 0.5]])
        >>> round(float(loss[0]), 4)  # one positive: the focal loss
        0.0433

    Reference:
        Wu, Yang, Wang, Li, "IoU-balanced Loss Functions for Single-stage Object
        Detection", arXiv 1908.05641.
    """
    owner = "iou_balanced_classification"
    check(owner, _CLASSIFICATION_LIMITS, eta=eta, gamma=gamma, alpha=alpha)
    check_format(owner, box_format, variance)
    y_true, y_pred = as_floats(y_true, y_pred)
    check_shapes(owner, y_true, y_pred, narrowest=5)
    boxes = numbers(owner, y_true[..., :4])
    targets = shares(owner, y_true[..., 4:], _ONE_HOT)
    hit, miss = focal_terms(targets, y_pred[..., 4:], gamma, alpha, from_logits)
    iou = paired_iou(boxes, y_pred[..., :4], box_format, variance)
    hit = hit * balance(hit, targets, ops.expand_dims(iou, -1), eta)
    losses = ops.sum(hit + miss, axis=-1)
    return over_positives(losses, targets) if per_positive else losses


@keras.saving.register_keras_serializable(package="tfrobustloss")
class IoUBalancedClassification(TaskLoss):
    """`iou_balanced_classification` as a `Loss`, with the same arguments."""

    function = staticmethod(iou_balanced_classification)
    limits = _CLASSIFICATION_LIMITS
    purpose = "the same; anchors count by the overlap of their box"
    paper = "Wu et al. 2019"
    paper_url = "https://arxiv.org/abs/1908.05641"

    def __init__(
        self,
        eta=1.5,
        gamma=2.0,
        alpha=0.25,
        from_logits=False,
        box_format="deltas",
        variance=None,
        per_positive=False,
        **options,
    ):
        check_format("IoUBalancedClassification", box_format, variance)
        super().__init__(
            eta=eta,
            gamma=gamma,
            alpha=alpha,
            from_logits=from_logits,
            box_format=box_format,
            variance=variance,
            per_positive=per_positive,
            **options,
        )

    def activation(self, logits):
        """Sigmoid of the class logits alone, without the four numbers of the box."""
        return ops.sigmoid(logits)


@keras_function
def iou_balanced_localization(
    y_true, y_pred, lam=1.5, beta=0.11, box_format="deltas", variance=None
):
    """Smooth L1 of the positives' boxes that counts the more, the better the box.

        loss = IoU^lam * sum over the 4 numbers of smooth L1(predicted - matched)
        smooth L1(d) = d² / (2 beta) if |d| < beta, else |d| - beta / 2

    The weight is a constant for the gradient. It makes the loss smaller: the authors
    multiply it by 3.049 (RetinaNet, ResNet-50), 2.878 (ResNet-101) or 2.4 (Faster
    R-CNN) so that it starts as large as without; `loss_weights` of `model.compile`.

    Args:
        y_true: Rows `[box, classes]`, shape `(..., 4 + classes)`, see the module; or
            boxes alone, `(..., 4)`, all of them positives.
        y_pred: Predicted boxes in the first four numbers, shape `(..., >= 4)`.
        lam: Float >= 0, λ in the paper. 0 is smooth L1.
        beta: Float in [1e-6, 1e6]: where the square turns into a line.
        box_format: As in `iou_balanced_classification`.
        variance: As in `iou_balanced_classification`.

    Returns:
        Loss per anchor, shape `(...)`, at least 0; 0 for background. The mean of the
        class is over positives, whatever their sample weights, and 0 without any.

    Raises:
        ValueError: A parameter is out of range, or the shapes do not fit.

    Example:
        >>> matched, predicted = [[0.0, 0.0, 2.0, 2.0]], [[0.0, 0.0, 2.0, 1.0]]
        >>> loss = iou_balanced_localization(matched, predicted, box_format="xyxy")
        >>> round(float(loss[0]), 4)  # 0.5 ** 1.5 * (1 - 0.055)
        0.3341

    Reference:
        Wu, Yang, Wang, Li, "IoU-balanced Loss Functions for Single-stage Object
        Detection", arXiv 1908.05641.
    """
    owner = "iou_balanced_localization"
    check(owner, _LOCALIZATION_LIMITS, lam=lam, beta=beta)
    check_format(owner, box_format, variance)
    y_true, y_pred = as_floats(y_true, y_pred)
    check_shapes(owner, y_true[..., :4], y_pred[..., :4], narrowest=4)
    y_true = numbers(owner, y_true)
    matched, predicted = y_true[..., :4], y_pred[..., :4]
    iou = ops.stop_gradient(paired_iou(matched, predicted, box_format, variance))
    distance = ops.abs(ops.clip(predicted - matched, -_LARGEST, _LARGEST))
    near = ops.minimum(distance, beta)
    smooth = near * near / (2 * beta) + (distance - near)
    losses = ops.power(iou, lam) * ops.sum(smooth, axis=-1)
    positive = positives(y_true)
    return losses if positive is None else ops.where(positive, losses, 0)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class IoUBalancedLocalization(TaskLoss):
    """`iou_balanced_localization` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(iou_balanced_localization)
    limits = _LOCALIZATION_LIMITS
    purpose = "boxes that are nearly right, not outliers"
    paper = "Wu et al. 2019"
    paper_url = "https://arxiv.org/abs/1908.05641"

    def __init__(
        self, lam=1.5, beta=0.11, box_format="deltas", variance=None, **options
    ):
        check_format("IoUBalancedLocalization", box_format, variance)
        super().__init__(
            lam=lam, beta=beta, box_format=box_format, variance=variance, **options
        )

    def counted(self, y_true):
        """Which anchors are positives, or None for boxes alone."""
        return positives(ops.convert_to_tensor(y_true))
