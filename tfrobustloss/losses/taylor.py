"""Taylor-polynomial loss, the family that the search explores (Gao et al. 2021)."""

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable, visible
from tfrobustloss._core.validation import ParameterError, Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import count_classes, decode
from tfrobustloss.losses.rows import quick_sum
from tfrobustloss.losses.taylor_polynomial import class_terms, find_bounds

_ETA = Range(low=0, open_low=True, optional=True)
_NUM_CLASSES = Range(low=2, integer=True, optional=True)


@keras_function
def taylor_loss(y_true, y_pred, theta, eta=None, bounds=None, from_logits=False):
    """A fourth-order polynomial in prediction and label around a learned point.

        loss = mean over classes of l(u, v),   u = p - theta[0],  v = label - theta[1]

        l = theta[2] u + theta[3] u^2 / 2 + theta[4] u^3 / 6 + theta[5] u^4 / 24
            + theta[6] u v + theta[7] u v^2 / 2 + theta[8] u^2 v / 2
            + theta[9] u^3 v / 6 + theta[10] u v^3 / 6 + theta[11] u^2 v^2 / 4

    and, with 16 parameters, `theta[12] v + theta[13] v^2 / 2 + theta[14] v^3 / 6 +
    theta[15] v^4 / 24`, which shift the value but not the gradient. From zeros,
    theta[2] = 1, theta[6] = -2 is the absolute error of one-hot labels and
    theta[3] = 2, theta[6] = -2 the squared error, both up to a constant.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        theta: 12 or 16 finite numbers, or a `keras.Variable` of that many.
        eta: None, or the range > 0 to which the loss is scaled: eq. 5 of the paper,
            `eta * (loss - low) / (high - low)`.
        bounds: `(low, high)` of the plain loss, needed with `eta`; see `find_bounds`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, of either sign; in [0, eta] if scaled
        (to about 1e-5 of it, for one-hot labels).

    Raises:
        ValueError: `theta` has another length or is not finite, `eta` is not above
            0 or has no `bounds`, or labels do not fit.

    Example:
        >>> squared = [0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 0, 0]
        >>> loss = taylor_loss([0], [[0.7, 0.2, 0.1]], squared)
        >>> round(float(loss[0]), 4)  # (0.14 - 1) / 3
        -0.2867

    Reference:
        Gao, Gouk, Hospedales, "Searching for Robustness: Loss Learning for Noisy
        Classification Tasks", ICCV 2021.
    """
    _check_theta("taylor_loss", theta)
    check("taylor_loss", {"eta": _ETA}, eta=eta)
    if eta is not None and bounds is None:
        raise ParameterError(
            "taylor_loss",
            "bounds",
            bounds,
            "(low, high) when `eta` is given",
            "`TaylorLoss(theta, eta, num_classes)` finds them.",
        )
    labels, prediction = decode(y_true, y_pred, from_logits)
    p = prediction.probabilities()
    if is_variable(theta):
        theta = ops.unstack(ops.cast(theta, p.dtype), num=theta.shape[0])
    loss = _mean_over_classes(theta, labels, p)
    if eta is None:
        return loss
    low, high = bounds
    return (loss - low) * (eta / (high - low))


def _mean_over_classes(theta, labels, p):
    u = p - theta[0]
    if labels.rows is not None:
        terms = _horner(class_terms(theta, labels.rows - theta[1]), u)
        return ops.squeeze(quick_sum(terms), -1) / labels.num_classes
    # one-hot: the polynomial of label 0 everywhere, and at the label the difference
    zero = class_terms(theta, -theta[1])
    one = class_terms(theta, 1 - theta[1])
    others = ops.squeeze(quick_sum(_horner(zero, u)), -1)
    own = _horner([a - b for a, b in zip(one, zero, strict=True)], labels.pick(u))
    return (others + own) / labels.num_classes


def _horner(coefficients, u):
    result = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        result = coefficient + u * result
    return result


def _check_theta(owner, theta):
    if is_variable(theta):
        shape, values = tuple(theta.shape), visible(theta)
    else:
        values = np.asarray(theta, "float64")
        shape = values.shape
    if shape not in ((12,), (16,)):
        raise ValueError(
            f"{owner}: `theta` must hold 12 or 16 numbers. Received: theta of shape "
            f"{shape}."
        )
    if values is not None and not np.isfinite(values).all():
        raise ParameterError(owner, "theta", values.tolist(), "finite")


@keras.saving.register_keras_serializable(package="tfrobustloss")
class TaylorLoss(FunctionLoss):
    """`taylor_loss` as a `keras.losses.Loss`, which finds its own bounds.

    Args:
        theta: See `taylor_loss`.
        eta: See `taylor_loss`. Needs `num_classes` and a `theta` that is no variable.
        num_classes: Int >= 2, on which the bounds of eq. 5 depend; predictions
            of another number of classes are then refused.
        bounds: `(low, high)` from an earlier config; found when not given.
        from_logits: See `taylor_loss`.
        **options: `ignore_class`, `reduction`, `name`, `dtype`: see `FunctionLoss`.

    Raises:
        ValueError: As `taylor_loss`; also if `eta` comes without `num_classes`, with
            a variable, or with a `theta` whose loss is constant.
    """

    function = staticmethod(taylor_loss)
    purpose = "what it was searched for"
    paper = "Gao et al. 2021"
    paper_url = "https://arxiv.org/abs/2103.00243"

    def __init__(
        self,
        theta,
        eta=None,
        num_classes=None,
        bounds=None,
        from_logits=False,
        **options,
    ):
        owner = type(self).__name__
        _check_theta(owner, theta)
        if not is_variable(theta):
            theta = [float(value) for value in theta]
        limits = {"eta": _ETA, "num_classes": _NUM_CLASSES}
        check(owner, limits, eta=eta, num_classes=num_classes)
        if eta is None:
            bounds = None
        elif bounds is None:
            bounds = self._find_bounds(theta, num_classes)
        elif len(bounds) != 2 or not bounds[0] < bounds[1]:
            raise ParameterError(owner, "bounds", bounds, "two numbers, low < high")
        super().__init__(theta=theta, eta=eta, from_logits=from_logits, **options)
        self.num_classes = num_classes
        self._range = None if bounds is None else [float(value) for value in bounds]

    def _find_bounds(self, theta, num_classes):
        owner = type(self).__name__
        if num_classes is None:
            raise ParameterError(
                owner, "num_classes", num_classes, "given when `eta` is"
            )
        if is_variable(theta):
            raise ValueError(
                f"{owner}: `eta` cannot be combined with a variable `theta`, whose "
                "bounds would change with it. Received: theta=a variable. Give "
                "`theta` as numbers, or leave `eta` out and scale `theta`."
            )
        low, high = find_bounds(theta, num_classes)
        if high - low < 1e-12 * max(1.0, abs(low)):
            raise ParameterError(
                owner, "theta", theta, "a loss that is not constant when `eta` is given"
            )
        return low, high

    def call(self, y_true, y_pred):
        """Loss per example, for as many classes as `num_classes` says."""
        classes = count_classes(y_pred)
        if self.num_classes not in (None, classes):
            raise ParameterError(
                type(self).__name__,
                "num_classes",
                self.num_classes,
                f"{classes}, the classes of `y_pred`",
            )
        return super().call(y_true, y_pred)

    def get_config(self):
        """The constructor arguments as plain values, the bounds included."""
        own = {"bounds": self._range, "num_classes": self.num_classes}
        return {**super().get_config(), **own}

    def _parameters(self):
        return {**super()._parameters(), "bounds": self._range}
