"""Segmentation losses for masks that are partly wrong.

Masks and predictions as in `segmentation`: `(batch, ..., classes)`, one value an image.
The classification losses of this package take masks too, pixel by pixel.
"""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import Range, check, check_flag
from tfrobustloss.losses.other_tasks import targets
from tfrobustloss.losses.other_tasks.segmentation import (
    MapLoss,
    channels,
    probabilities,
)
from tfrobustloss.losses.powers import power

_DICE_LIMITS = {"gamma": Range(1, 2), "smooth": Range(low=0)}
_T_LIMITS = {"nu": Range(1e-3, 1e6), "scale": Range(1e-3, 1e3)}
_MASKS = "Divide masks of 0 and 255 by 255, one-hot encode class ids."
_SHIFT = 8  # from which on a few terms give the gamma function


def _decoded(owner, y_true, y_pred, classes, from_logits):
    """Masks and probabilities of the channels that count."""
    mask, y_pred = targets.as_floats(y_true, y_pred)
    targets.check_shapes(owner, mask, y_pred, one_hot=True)
    classes = channels(owner, classes, y_pred.shape[-1])
    mask = targets.shares(owner, mask, _MASKS)
    p = probabilities(y_pred, from_logits)
    if classes is None:
        return mask, p
    return tuple(ops.take(each, classes, axis=-1) for each in (mask, p))


@keras_function
def noise_robust_dice(
    y_true,
    y_pred,
    gamma=1.5,
    smooth=1e-5,
    squared=True,
    classes=None,
    from_logits=False,
):
    """Between the Dice loss and mean absolute error: pixels far off count less.

        loss = mean over classes of sum of |p - g|^gamma / (sum of p² + g² + smooth)

    where the sums run over the pixels of one image. 2 is the Dice loss with squares,
    1 the absolute error over the size of the regions.

    Classes that the image lacks are left out while it has others. Where it has none of
    `classes`, the formula stands as it is, and below `gamma` = 2 its slope is not that
    of a loss: of N pixels of one p it is 1 / sqrt(p) for `gamma` = 1.5, least at p = 1.
    With one channel and a foreground of less than 1/7 of the pixels, p = 1 everywhere
    is a minimum. So take all channels of a softmax, or `squared=False`, where neither
    is so.

    Args:
        y_true: One-hot or soft masks g in [0, 1], shape `(batch, ..., classes)`.
        y_pred: Probabilities p or logits, same shape.
        gamma: Float in [1, 2].
        smooth: Float >= 0, ε in the paper, in pixels.
        squared: Whether the divisor has squares, as in the paper. False: sum of p + g,
            as in the authors' later code (PyMIC).
        classes: The channels that count, a list of ints; None for all.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per image, shape `(batch,)`, at least 0.

    Raises:
        ValueError: A parameter is out of range, `classes` are no channels, or the
            shapes differ.

    Example:
        >>> mask = [[[1.0], [1.0], [0.0], [0.0]]]
        >>> p = [[[0.9], [0.8], [0.2], [0.1]]]
        >>> round(float(noise_robust_dice(mask, p)[0]), 4)
        0.0692

    Reference:
        Wang et al., "A Noise-robust Framework for Automatic Segmentation of COVID-19
        Pneumonia Lesions from CT Images", IEEE TMI 2020 (COPLE-Net).
    """
    owner = "noise_robust_dice"
    check(owner, _DICE_LIMITS, gamma=gamma, smooth=smooth)
    check_flag(owner, "squared", squared)
    mask, p = _decoded(owner, y_true, y_pred, classes, from_logits)
    axes = tuple(range(1, len(p.shape) - 1))
    off = ops.abs(p - mask)
    some = off > 0  # where the power has a slope that is finite
    missed = ops.where(some, power(ops.where(some, off, 1), gamma), 0)
    missed = ops.sum(missed, axis=axes)
    size = ops.sum(mask, axis=axes)
    both = p * p + mask * mask if squared else p + mask
    total = ops.sum(both, axis=axes) + smooth
    known = total > 0
    ratio = ops.where(known, missed / ops.where(known, total, 1), 0)
    present = ops.cast(size > 0, p.dtype)
    count = ops.sum(present, axis=-1, keepdims=True)
    weight = ops.where(count > 0, present, 1)
    return ops.sum(weight * ratio, axis=-1) / ops.sum(weight, axis=-1)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class NoiseRobustDice(MapLoss):
    """`noise_robust_dice` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(noise_robust_dice)
    limits = _DICE_LIMITS
    purpose = "segmentation with wrong masks: from Dice (2) to absolute error (1)"
    paper = "Wang et al. 2020"
    paper_url = "https://doi.org/10.1109/TMI.2020.3000314"

    def __init__(
        self,
        gamma=1.5,
        smooth=1e-5,
        squared=True,
        classes=None,
        from_logits=False,
        **options,
    ):
        super().__init__(
            gamma=gamma,
            smooth=smooth,
            squared=squared,
            classes=channels("NoiseRobustDice", classes),
            from_logits=from_logits,
            **options,
        )

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, math.inf


@keras_function
def t_loss(y_true, y_pred, nu=1.0, scale=1.0, classes=None, from_logits=False):
    """Negative log-likelihood of a mask under Student's t around the prediction.

        loss = log Γ(nu / 2) - log Γ((nu + D) / 2) + D / 2 * log(pi * nu) + D log(scale)
             + (nu + D) / 2 * log(1 + S / nu),    S = sum of (p - g)² / scale²

    One distribution of D dimensions for the D numbers of a mask (pixels times
    channels), with covariance `scale² I` and `nu` degrees of freedom. The weight of a
    pixel's error is (nu + D) / (nu + S): it is the masks far off as a whole that
    count less, not single pixels. Large `nu` is squared error.

    `training.LearnedTLoss` learns `nu` with the network, as the paper does. The value
    is of the order of D: take Adam or its like.

    Args:
        y_true: One-hot or soft masks g in [0, 1], shape `(batch, ..., classes)`.
        y_pred: Probabilities p or logits, same shape.
        nu: Float in [1e-3, 1e6], degrees of freedom ν; a scalar tensor gets a gradient.
            e at the start of the authors' code.
        scale: Float in [1e-3, 1e3]. The authors' code has `exp(-0.5)`.
        classes: The channels that count, a list of ints; None for all. The paper has
            the foreground alone.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per image in nats, shape `(batch,)`, of either sign.

    Raises:
        ValueError: A parameter is out of range, `classes` are no channels, or the
            shapes differ.

    Example:
        >>> mask = [[[1.0], [1.0], [0.0], [0.0]]]
        >>> p = [[[0.9], [0.8], [0.2], [0.1]]]
        >>> round(float(t_loss(mask, p)[0]), 4)
        2.8154

    Reference:
        Gonzalez-Jimenez et al., "Robust T-Loss for Medical Image Segmentation", MICCAI
        2023.
    """
    check("t_loss", _T_LIMITS, nu=nu, scale=scale)
    mask, p = _decoded("t_loss", y_true, y_pred, classes, from_logits)
    nu, scale = (ops.cast(ops.convert_to_tensor(x), p.dtype) for x in (nu, scale))
    axes = tuple(range(1, len(p.shape)))
    distance = ops.sum(ops.square((p - mask) / scale), axis=axes)
    half = _count(p) / 2
    # D / 2 log(nu) is inside of D / 2 log(nu + S), where nothing cancels
    spread = half * (math.log(math.pi) + ops.log(nu + distance) + 2 * ops.log(scale))
    return spread - log_gamma_ratio(nu / 2, half) + nu / 2 * ops.log1p(distance / nu)


def _count(values):
    """Numbers in an example: an int, or a float tensor where shapes are not known."""
    shape = values.shape[1:]
    if None not in shape:
        return math.prod(shape)
    sizes = ops.convert_to_tensor(ops.shape(values)[1:], "int32")
    return ops.cast(ops.prod(sizes), values.dtype)


def log_gamma_ratio(a, m):
    """log(Γ(a + m) / Γ(a)) for a > 0 and m >= 0, to float64's 1e-10, differentiable.

    By Stirling's series for the difference, in which the large terms are gone, and the
    recurrence up to where a few of its terms will do.

    Args:
        a: Float tensor.
        m: Tensor or number.
    """
    result = 0.0
    for i in range(_SHIFT):
        result = result - ops.log1p(m / (a + i))
    a = a + _SHIFT
    result = result + (a - 0.5) * ops.log1p(m / a) + m * (ops.log(a + m) - 1)
    return result + _stirling(a + m) - _stirling(a)


def _stirling(x):
    """Remainder of Stirling's formula: log Γ(x) less its leading terms."""
    inverse = 1 / x
    square = inverse * inverse
    terms = 1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))
    return inverse * terms


@keras.saving.register_keras_serializable(package="tfrobustloss")
class TLoss(MapLoss):
    """`t_loss` as a `keras.losses.Loss`, with the same arguments.

    `nu` is fixed; `training.LearnedTLoss` learns it.
    """

    function = staticmethod(t_loss)
    limits = _T_LIMITS
    purpose = "the same: Student's t, for masks that are wrong as a whole"
    paper = "Gonzalez-Jimenez et al. 2023"
    paper_url = "https://arxiv.org/abs/2306.00753"

    def __init__(self, nu=1.0, scale=1.0, classes=None, from_logits=False, **options):
        super().__init__(
            nu=nu,
            scale=scale,
            classes=channels("TLoss", classes),
            from_logits=from_logits,
            **options,
        )
