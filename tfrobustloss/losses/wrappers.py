"""Wrappers of any loss that clip its logits or add a bias to them."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.absolute import MeanAbsoluteError
from tfrobustloss.losses.cross_entropy import CrossEntropy
from tfrobustloss.losses.labels import Labels, class_logits, to_float
from tfrobustloss.losses.nested import NestedLoss, check_inner, values
from tfrobustloss.losses.rows import quick_sum, row_max

_CLIP = {"max_norm": Range(0, 1e6, open_low=True)}
_BIAS = {"bias": Range(0, 100, optional=True)}
_PLAIN_CLASSES = 10  # up to which MAE learns without a bias


@keras_function
def logit_clip(y_true, y_pred, loss, max_norm=1.0):
    """Any loss on logits whose length is at most `max_norm`: bounded.

        logits = logits * min(1, max_norm / ||logits||),   then `loss`

    The formula is the paper's. The authors' code (hongxin001/LogitClip) clips above
    `temp` but scales to length `1 / temp`: the same at 1 only.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Logits, shape `(..., classes)`, or `(..., 1)` of one unit, which stands
            for `(log(1 - p), log(p))`.
        loss: A classification loss of this package on logits.
        max_norm: Float in (0, 1e6], `tau` in the paper, the largest Euclidean length.

    Returns:
        Loss per example, shape `(...)`.

    Raises:
        TypeError: `loss` is no classification loss of this package.
        ValueError: `max_norm` is outside its range, `loss` is not on logits, or labels
            do not fit.

    Example:
        >>> inner = CrossEntropy(from_logits=True)
        >>> loss = logit_clip([0], [[2.0, 0.0, -1.0]], inner, max_norm=1.0)
        >>> round(float(loss[0]), 4)
        0.513

    Reference:
        Wei et al., "Mitigating Memorization of Noisy Labels by Clipping the Model
        Prediction", ICML 2023.
    """
    check("logit_clip", _CLIP, max_norm=max_norm)
    _check_logits("logit_clip", loss)
    labels, logits = _decode(y_true, y_pred)
    return values(loss, labels, _clipped(logits, max_norm))


def _clipped(logits, max_norm):
    # relative to the largest, so that nothing overflows; the scale is a constant of
    # the gradient, because the result does not depend on it
    scale = ops.stop_gradient(ops.maximum(row_max(ops.abs(logits)), 1e-30))
    norm = quick_sum(ops.square(logits * (1 / scale)))
    norm = ops.sqrt(ops.maximum(norm, 0.5))  # at least 1, or 0
    return logits * ops.where(norm * scale > max_norm, max_norm / norm / scale, 1)


@keras_function
def logit_bias(y_true, y_pred, loss, bias=None):
    """Any loss on logits that have `bias` added at the label.

        logits = logits + bias * label,   then `loss`

    A bounded loss has no gradient where the label's probability is near 0, which with
    many classes is where training starts; the bias moves the start to where it has
    one. With `MeanAbsoluteError` this is the paper's MAE*. The model itself, and what
    it predicts, has no bias.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Logits, shape `(..., classes)`, or `(..., 1)` of one unit.
        loss: A classification loss of this package on logits.
        bias: Float in [0, 100], `epsilon` in the paper. None is our own choice, not a
            published number: `log((classes - 1) / 9)`, 0 up to 10 classes, which for
            equal logits gives the label the probability 1 / 10.

    Returns:
        Loss per example, shape `(...)`.

    Raises:
        TypeError: `loss` is no classification loss of this package.
        ValueError: `bias` is outside its range, `loss` is not on logits, or labels do
            not fit.

    Example:
        >>> inner = MeanAbsoluteError(from_logits=True)
        >>> loss = logit_bias([0], [[2.0, 0.0, -1.0]], inner, bias=2.4)
        >>> round(float(loss[0]), 4)
        0.033

    Reference:
        Staats, Thamm, Rosenow, "Enhancing Noise-Robust Losses for Large-Scale Noisy
        Data Learning", AAAI 2025.
    """
    check("logit_bias", _BIAS, bias=bias)
    _check_logits("logit_bias", loss)
    labels, logits = _decode(y_true, y_pred)
    if bias is None:
        bias = max(0.0, math.log((labels.num_classes - 1) / (_PLAIN_CLASSES - 1)))
    if labels.rows is None:
        biased = ops.where(labels.hot(), logits + bias, logits)
    else:
        biased = logits + bias * labels.rows
    return values(loss, labels, biased)


def _decode(y_true, y_pred):
    """Labels, and logits as they were given: their length or origin matters."""
    y_pred = to_float(y_pred)
    labels = y_true if isinstance(y_true, Labels) else Labels(y_true, y_pred)
    return labels, class_logits(y_pred)


def _check_logits(owner, loss):
    check_inner(owner, loss=loss)
    if not loss.from_logits:
        raise ValueError(
            f"{owner}: `loss` must be on logits. Received: {type(loss).__name__} with "
            "from_logits=False. Build it with from_logits=True."
        )


class _OnLogits(NestedLoss):
    """A loss around another one that reads logits, and only logits."""

    inner = ("loss",)
    from_logits = True

    def __init__(self, loss, **options):
        _check_logits(type(self).__name__, loss)
        super().__init__(loss=loss, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label: the inner loss's."""
        return self.loss.bounds(num_classes)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class LogitClip(_OnLogits):
    """`logit_clip` as a `keras.losses.Loss`, on logits only.

    Args:
        loss: See `logit_clip`; `CrossEntropy(from_logits=True)` by default.
        max_norm: See `logit_clip`.
        **options: `ignore_class`, which `loss` must not have, `reduction`, `name` and
            `dtype`: see `FunctionLoss`.
    """

    function = staticmethod(logit_clip)
    limits = _CLIP
    purpose = "label noise: any loss on logits of bounded length"
    paper = "Wei et al. 2023"
    paper_url = "https://arxiv.org/abs/2212.04055"

    def __init__(self, loss=None, max_norm=1.0, **options):
        loss = CrossEntropy(from_logits=True) if loss is None else loss
        super().__init__(loss, max_norm=max_norm, **options)

    def activation(self, logits):
        """The probabilities that the inner loss sees in the clipped logits."""
        clipped = _clipped(class_logits(logits), self.max_norm)
        probabilities = self.loss.activation(clipped)
        return probabilities[..., 1:] if logits.shape[-1] == 1 else probabilities


@keras.saving.register_keras_serializable(package="tfrobustloss")
class LogitBias(_OnLogits):
    """`logit_bias` as a `keras.losses.Loss`, on logits only.

    Args:
        loss: See `logit_bias`; `MeanAbsoluteError(from_logits=True)` by default.
        bias: See `logit_bias`.
        **options: `ignore_class`, which `loss` must not have, `reduction`, `name` and
            `dtype`: see `FunctionLoss`.
    """

    function = staticmethod(logit_bias)
    limits = _BIAS
    purpose = "many classes: any bounded loss, started where it has a gradient"
    paper = "Staats et al. 2025"
    paper_url = "https://arxiv.org/abs/2306.05497"

    def __init__(self, loss=None, bias=None, **options):
        loss = MeanAbsoluteError(from_logits=True) if loss is None else loss
        super().__init__(loss, bias=bias, **options)

    def activation(self, logits):
        """The probabilities that the inner loss sees in logits without the bias."""
        return self.loss.activation(logits)
