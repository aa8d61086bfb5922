"""Regression with outliers: one loss from squared error to Welsch, by its shape.

Huber and log-cosh are Keras' own: `keras.losses.Huber` and `keras.losses.LogCosh`.
"""

import functools
import math

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable, visible
from tfrobustloss._core.validation import Range, check, check_flag
from tfrobustloss.losses.base import TaskLoss
from tfrobustloss.losses.other_tasks import targets

_LIMITS = {"alpha": Range(infinite=True), "scale": Range(1e-7, 1e7)}
_NORMALIZED = {"alpha": Range(0, 2, hint="Other shapes are no density's.")}
_LARGEST = 1e30  # of a target: differences stay finite in float32
_FARTHEST = 1e12  # of an error in scales: so do squares, and the slope in the scale
_MOST = 60.0  # logarithm of the largest loss where alpha > 2
_ENDLESS = 1e10  # alpha that is infinite for float32
_TINY = 1e-12  # of alpha from 0 or 2: none
_CELLS, _DEGREE = 256, 7  # of the polynomials for log Z


@keras_function
def general_robust(y_true, y_pred, alpha=1.0, scale=1.0, normalized=False):
    """Squared error near 0; further out, `alpha` says how much an outlier costs.

        loss = mean over the last axis of rho(error / scale),   b = |alpha - 2|
        rho(x) = b / alpha * ((x² / b + 1) ** (alpha / 2) - 1)

    | alpha | rho(x) | name |
    |---|---|---|
    | 2 | x² / 2 | squared error |
    | 1 | sqrt(x² + 1) - 1 | Charbonnier, pseudo-Huber |
    | 0 | log(x² / 2 + 1) | Cauchy, Lorentzian |
    | -2 | 2 x² / (x² + 4) | Geman-McClure |
    | -inf | 1 - exp(-x² / 2) | Welsch, Leclerc |

    The pull of an outlier grows with its distance for alpha > 1, stays for 1, and dies
    out below. All are x² / 2 for small x, so the slope at 0 does not depend on alpha;
    it does on the scale. (`keras.losses.Huber(delta)`, which has the same tails as
    alpha = 1, is scaled otherwise: compare `scale ** 2` times this.)

    To learn alpha and the scale by gradient, add what makes `exp(-loss)` a density:
    `normalized=True` adds `log(scale) + log Z(alpha)`, Z the integral of `exp(-rho)`.
    Without it the loss falls by alpha and scale alone, whatever the model predicts.
    `training.AdaptiveRobust` does this.

    Args:
        y_true: Finite numbers, shape `(N,)`, `(..., D)` or, of one output,
            `y_pred.shape[:-1]`.
        y_pred: Predictions, shape `(N,)` or `(..., D)`.
        alpha: Float, `-inf` and `inf` included, or a tensor of shape `(D,)`. In [0, 2]
            with `normalized=True`.
        scale: Float in [1e-7, 1e7], c in the paper, or a tensor of shape `(D,)`: the
            error from which on one is an outlier.
        normalized: Whether to add `log(scale) + log Z(alpha)`.

    Returns:
        Loss per example, shape `(N,)` or `y_pred.shape[:-1]`, at least 0 without
        `normalized`; below `(alpha - 2) / alpha` for negative alpha. Errors beyond 1e12
        scales count as that, as do those whose loss is above 1e26 for alpha > 2; their
        slope is that of the farthest that counts.

    Raises:
        ValueError: `alpha` or `scale` is out of range, a target that can be seen is not
            finite, or the shapes differ.

    Example:
        >>> loss = general_robust([0.0, 0.0], [1.0, 100.0], alpha=0.0)
        >>> [round(float(value), 4) for value in loss]
        [0.4055, 8.5174]

    Reference:
        Barron, "A General and Adaptive Robust Loss Function", CVPR 2019.
    """
    owner = "general_robust"
    _check(owner, alpha, scale, normalized)
    y_true, y_pred = _rows(*targets.as_floats(y_true, y_pred))
    targets.check_shapes(owner, y_true, y_pred)
    y_true = targets.numbers(owner, y_true)
    alpha, scale = (_plain(value, y_pred.dtype) for value in (alpha, scale))
    error = held(y_pred, _LARGEST) - ops.clip(y_true, -_LARGEST, _LARGEST)
    # not a quotient, whose slope in `scale` overflows on JAX before it is multiplied
    x = held(error, _farthest(alpha) * _constant(scale)) * (1 / scale)
    losses = _rho(ops.square(x), alpha)
    if normalized:
        losses = losses + (_log(scale) + log_normalizer(alpha, losses.dtype))
    # not `ops.mean`, which rounds float64 to float32 on JAX and torch
    return ops.sum(losses, axis=-1) / ops.cast(ops.shape(losses)[-1], losses.dtype)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class GeneralRobust(TaskLoss):
    """`general_robust` as a `keras.losses.Loss`; `alpha` and `scale` are scalars here.

    Named members: `GeneralRobust.charbonnier(scale)`, `.cauchy(scale)`,
    `.geman_mcclure(scale)` and `.welsch(scale)`. Huber and log-cosh are
    `keras.losses.Huber` and `keras.losses.LogCosh`.

    Args:
        alpha: See `general_robust`; a `keras.Variable` if it is to change.
        scale: As `alpha`.
        normalized: See `general_robust`.
        **options: `reduction`, `name`, `dtype`: see `TaskLoss`.

    Raises:
        TypeError: A parameter is of the wrong kind.
        ValueError: A parameter is out of range.

    Example:
        >>> loss = GeneralRobust.geman_mcclure(scale=0.5)
        >>> (loss.name, loss.alpha, round(float(loss([1.0], [2.0])), 4))
        ('geman_mcclure', -2.0, 1.0)
    """

    function = staticmethod(general_robust)
    limits = _LIMITS
    purpose = "regression with outliers, from squared error (2) to Welsch (-inf)"
    paper = "Barron 2019"
    paper_url = "https://arxiv.org/abs/1701.03077"

    def __init__(self, alpha=1.0, scale=1.0, normalized=False, **options):
        _check_density("GeneralRobust", alpha, normalized)
        super().__init__(alpha=alpha, scale=scale, normalized=normalized, **options)

    @classmethod
    def charbonnier(cls, scale=1.0, **options):
        """Charbonnier, alpha = 1: `sqrt(x² + 1) - 1`, or pseudo-Huber."""
        return cls(1.0, scale, **{"name": "charbonnier", **options})

    @classmethod
    def cauchy(cls, scale=1.0, **options):
        """Cauchy, alpha = 0: `log(x² / 2 + 1)`, also called Lorentzian."""
        return cls(0.0, scale, **{"name": "cauchy", **options})

    @classmethod
    def geman_mcclure(cls, scale=1.0, **options):
        """Geman-McClure, alpha = -2: `2 x² / (x² + 4)`, at most 2."""
        return cls(-2.0, scale, **{"name": "geman_mcclure", **options})

    @classmethod
    def welsch(cls, scale=1.0, **options):
        """Welsch, alpha = -inf: `1 - exp(-x² / 2)`, at most 1; also called Leclerc."""
        return cls(-math.inf, scale, **{"name": "welsch", **options})


def held(values, limit):
    """Values brought into ±limit, with the slope of 1 outside too.

    A plain clip would give what is outside no gradient, so that it stays there.
    """
    inside = ops.clip(values, -limit, limit)
    # the difference is exactly 0, and its gradient that of `values`
    return ops.stop_gradient(inside) + (values - ops.stop_gradient(values))


def log_normalizer(alpha, dtype="float32"):
    """Logarithm of Z(alpha), the integral of exp(-rho) at a scale of 1.

    By polynomials that were fitted to a quadrature: right to 1e-9 in float64. Their
    coefficients keep the slope as exact in float32, which differences of a table's
    values would not.

    Args:
        alpha: Float or tensor in [0, 2].
        dtype: Type of the result.

    Returns:
        Tensor of the shape of `alpha`, between log(sqrt(2 pi)) and log(sqrt(2) pi).
    """
    alpha = ops.clip(ops.convert_to_tensor(alpha, dtype), 0.0, 2.0)
    place = ops.sqrt(ops.sqrt(ops.maximum(2 - alpha, _TINY) / 2)) * _CELLS
    cell = ops.clip(ops.floor(ops.stop_gradient(place)), 0, _CELLS - 1)
    coefficients = ops.convert_to_tensor(_coefficients(), dtype)
    coefficients = ops.take(coefficients, ops.cast(cell, "int32"), axis=0)
    u, result = 2 * (place - cell) - 1, 0
    for k in range(_DEGREE, -1, -1):
        result = result * u + coefficients[..., k]
    return result


@functools.cache
def _coefficients():
    """Polynomials for log Z in t, alpha = 2 - 2 t⁴: array of shape (cells, degree + 1).

    t⁴ since near 2 log Z behaves as (2 - alpha) log(2 - alpha), which no polynomial in
    alpha follows. Each is in u in [-1, 1] over its cell, through Chebyshev's points.
    """
    u = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
    t = (np.arange(_CELLS)[:, np.newaxis] + (u + 1) / 2) / _CELLS
    values = _log_normalizers(t.ravel()).reshape(t.shape)
    return np.linalg.solve(np.vander(u, increasing=True), values.T).T


def _log_normalizers(t):
    """The quadrature: log Z at alpha = 2 - 2 t⁴, t in (0, 1), float64 arrays.

    With x = sqrt(b) sinh(y) the integrand falls exponentially on both sides for all
    alpha, where the trapezoidal rule is exact to float64's rounding.
    """
    step = 0.1
    y = np.arange(0, 45, step)
    log_cosh = np.logaddexp(y, -y) - math.log(2)
    gap = 2 * t[:, np.newaxis] ** 4
    alpha = 2 - gap
    terms = np.exp(log_cosh - gap / alpha * np.expm1(alpha * log_cosh))
    terms[:, 0] /= 2  # the other half is that of y < 0
    return np.log(2 * step * np.sqrt(gap[:, 0]) * terms.sum(axis=1))


def _rho(s, alpha):
    """Values of rho at the squared errors `s`, exact in its limits."""
    if not is_variable(alpha):
        return _rho_of_number(s, alpha)
    alpha = ops.clip(alpha, -_ENDLESS, _ENDLESS)
    # each form at an alpha that it is made for, so that neither spoils the gradient
    steep = alpha > 1
    form = _upper(s, ops.where(steep, alpha, 2)), _lower(s, ops.where(steep, 1, alpha))
    return ops.where(steep, *form)


def _upper(s, alpha):
    """For alpha above about 1, also at 2, where b = 0.

    b (s / b + 1) ** (alpha / 2) = (s + b) exp(-v) with v small near 2.
    """
    from_2 = 2 - alpha
    gap = ops.maximum(ops.abs(from_2), _TINY)
    v = from_2 / 2 * ops.log1p(s / gap)
    return (s * ops.exp(-v) + gap * ops.expm1(-v)) / alpha


def _lower(s, alpha):
    """For alpha below about 1, also at 0: b / 2 * log * (exp(u) - 1) / u."""
    gap = 2 - alpha
    log = ops.log1p(s / gap)
    u = alpha / 2 * log
    far = ops.abs(u) > 0.5
    some = ops.where(far, u, 1)
    near, series = ops.where(far, 0, u), 0
    for factorial in range(14, 0, -1):  # sum of u^(k-1) / k!, by Horner
        series = (1 + near * series) / factorial
    return gap / 2 * log * ops.where(far, ops.expm1(some) / some, series)


def _rho_of_number(s, alpha):
    """The same for a plain number, with a short form where there is one."""
    if abs(alpha - 2) < _TINY:
        return s / 2
    if abs(alpha) < _TINY:
        return ops.log1p(s / 2)
    if abs(alpha) >= _ENDLESS:
        return math.copysign(1, alpha) * ops.expm1(math.copysign(1, alpha) * s / 2)
    if alpha == 1:
        return s / (ops.sqrt(s + 1) + 1)
    if alpha == -2:
        return 2 * (s / (s + 4))
    gap = abs(alpha - 2)
    log = ops.log1p(s / gap)
    if alpha < 1:
        return gap / alpha * ops.expm1(alpha / 2 * log)
    v = (2 - alpha) / 2 * log
    return (s * ops.exp(-v) + gap * ops.expm1(-v)) / alpha


def _farthest(alpha):
    """The largest error in scales whose loss is finite in float32."""
    if not is_variable(alpha):
        if alpha <= 2:
            return _FARTHEST
        alpha = min(alpha, _ENDLESS)
        farthest = math.sqrt((alpha - 2) * math.expm1(2 * _MOST / alpha))
        return min(farthest, _FARTHEST)
    alpha = ops.clip(ops.stop_gradient(alpha), -_ENDLESS, _ENDLESS)
    beyond = ops.where(alpha > 2, alpha, 4)
    farthest = ops.sqrt((beyond - 2) * ops.expm1(2 * _MOST / beyond))
    return ops.where(alpha > 2, ops.minimum(farthest, _FARTHEST), _FARTHEST)


def _rows(y_true, y_pred):
    """Both with a last axis over which to average."""
    ranks = len(y_true.shape), len(y_pred.shape)
    if ranks == (1, 1):  # a number an example: Keras' own would average over examples
        return ops.expand_dims(y_true, -1), ops.expand_dims(y_pred, -1)
    if ranks[0] == ranks[1] - 1 and y_pred.shape[-1] == 1:
        return ops.expand_dims(y_true, -1), y_pred
    if ranks[1] == ranks[0] - 1 and y_true.shape[-1] == 1:
        return y_true, ops.expand_dims(y_pred, -1)
    return y_true, y_pred


def _check(owner, alpha, scale, normalized):
    check_flag(owner, "normalized", normalized)
    for name, value in (("alpha", alpha), ("scale", scale)):
        for each in _ends(value):
            check(owner, _LIMITS, **{name: each})
    for each in _ends(alpha):
        _check_density(owner, each, normalized)


def _check_density(owner, alpha, normalized):
    if normalized is True:
        check(owner, _NORMALIZED, alpha=alpha)


def _ends(value):
    """A number as it is, the ends of an array, nothing where they cannot be seen."""
    if not is_variable(value) and np.ndim(value) == 0:
        return [value]
    seen = visible(value)
    if seen is None or not seen.size:
        return []
    return [float(seen.min()), float(seen.max())]


def _plain(value, dtype):
    """A number as a float, anything else as a tensor."""
    if is_variable(value) or np.ndim(value):
        return ops.cast(ops.convert_to_tensor(value), dtype)
    return float(value)


def _constant(scale):
    return ops.stop_gradient(scale) if is_variable(scale) else scale


def _log(scale):
    return ops.log(scale) if is_variable(scale) else math.log(scale)
