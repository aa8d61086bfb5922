"""The tempered softmax: a normaliser exact to rounding, with no loop on the data.

With s = t - 1 and b = max(a) - a >= 0 the probabilities are x ** (-1/s) where
x = 1 + s * (nu + b) and nu >= 0 is the one unknown. Newton's method on the power mean
(sum x ** (-1/s)) ** (-s) = 1 climbs to its root from below for every t, without
safeguards, and at t = 1 it is log-sum-exp. The number of steps is fixed beforehand
(measured to float32's floor in `tests/test_tempered.py`).
"""

import math

import keras
from keras import ops

from tfrobustloss import _limits
from tfrobustloss._powers import is_half_integer, power

LIMITS = {"temperature": _limits.Range(0, 5, open_low=True)}

_NEAR_ONE = 1e-12  # stands for t - 1 = 0: every formula is at its limit in float64
_LARGEST_LOGIT = 1e30


class Tempered:
    """Tempered softmax of logits, and cheap powers of it.

    Attributes:
        p: Probabilities, shape `(..., classes)`.
        p_to_t: `p ** temperature`, same shape.
    """

    def __init__(self, logits, temperature):
        logits = ops.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)
        gap = ops.max(logits, axis=-1, keepdims=True) - logits
        dtype = keras.backend.standardize_dtype(gap.dtype)
        if _limits.is_variable(temperature):
            s = ops.cast(temperature, gap.dtype) - 1
            s = ops.where(ops.abs(s) < _NEAR_ONE, _NEAR_ONE, s)
            self._whole = False
        else:
            s = temperature - 1
            s = _NEAR_ONE if abs(s) < _NEAR_ONE else s
            self._whole = abs(s) >= 0.1 and is_half_integer(1 / s)
        self._s = s
        nu = self._start(gap)
        for _ in range(_num_steps(temperature, gap.shape[-1], dtype)):
            nu = self._newton(gap, nu)
        self._solve(gap, nu)
        if _limits.is_variable(temperature) or s < 0:
            # below 1, x is a difference of numbers near 1: its rounding is common to
            # all classes and divides out
            self.p = self.p / ops.sum(self.p, axis=-1, keepdims=True)

    def to_power(self, exponent):
        """`p ** exponent`; 0 where `p` is 0."""
        if not _limits.is_variable(exponent) and exponent == 0:
            return ops.where(self.p > 0, ops.ones_like(self.p), 0)
        scaled = -exponent / self._s
        if not _limits.is_variable(scaled) and is_half_integer(scaled) and self._whole:
            result = power(self._x, scaled)
        else:
            result = ops.exp(ops.cast(exponent, self.p.dtype) * self.log_p())
        return ops.where(self.p > 0, result, 0)

    def log_p(self):
        """`log(p)`, with the logarithm of 1e-30 where `p` is smaller."""
        return ops.log(ops.maximum(self.p, 1e-30))

    def _start(self, gap):
        """A lower bound of `nu`: the tangent of the power mean at equal logits."""
        log_count = math.log(gap.shape[-1])
        equal = ops.expm1(ops.cast(self._s * log_count, gap.dtype)) / self._s
        return ops.maximum(equal - ops.mean(gap, axis=-1, keepdims=True), 0.0)

    def _solve(self, gap, nu):
        """Sets `p`, `p_to_t` and `x` for a normaliser `nu`."""
        s = self._s
        scaled = s * (nu + gap)
        if self._whole:
            self._x = x = ops.maximum(1 + scaled, 0.0)
            self.p = power(x, -1 / s)
            self.p_to_t = self.p / x if s > 0 else power(x, -1 / s - 1)
            return
        inside = scaled > -1
        scaled = ops.where(inside, scaled, 0)
        self.p = ops.where(inside, ops.exp(-ops.log1p(scaled) / s), 0)
        self._x = 1 + scaled
        self.p_to_t = self.p / self._x

    def _newton(self, gap, nu):
        self._solve(gap, nu)
        total = ops.sum(self.p, axis=-1, keepdims=True)
        slope = ops.sum(self.p_to_t, axis=-1, keepdims=True)
        return nu + total * ops.expm1(self._s * ops.log(total)) / (self._s * slope)


def _num_steps(temperature, num_classes, dtype):
    """Newton steps that reach the rounding floor for any logits."""
    steps = 8
    if not _limits.is_variable(temperature):
        distance = abs(temperature - 1)
        steps = next((n for limit, n in _STEPS if distance <= limit + 1e-6), steps)
    return steps + (num_classes > 1000) + (dtype == "float64")


# distance of the temperature from 1 -> steps enough for up to 1000 classes
_STEPS = ((0.02, 2), (0.1, 3), (0.2, 4), (0.5, 5), (0.75, 6))


def tempered_softmax(logits, temperature):
    """Softmax with a heavier (`temperature` > 1) or a finite (< 1) tail.

        p = exp_t(logits - normalizer),   sum of p = 1

    At 1 it is the softmax. Above, far classes keep some probability, which keeps a
    wrong label from pulling forever; below, they get exactly 0. Exact to float32's
    rounding for any finite logits. The gradient is in closed form and holds
    `temperature` constant.

    Args:
        logits: Shape `(..., classes)`.
        temperature: Float in (0, 5], `t` in the paper, or a `keras.Variable`.

    Returns:
        Probabilities of the shape and dtype of `logits` (float32 for integers).

    Raises:
        ValueError: `temperature` is outside (0, 5].

    Example:
        >>> p = tempered_softmax([[2.0, 0.0, -1.0]], 1.2)
        >>> [round(float(x), 4) for x in p[0]]
        [0.7659, 0.1535, 0.0806]

    Reference:
        Amid, Warmuth, Anil, Koren, "Robust Bi-Tempered Logistic Loss Based on
        Bregman Divergences", NeurIPS 2019.
    """
    _limits.check("tempered_softmax", LIMITS, temperature=temperature)
    logits = ops.convert_to_tensor(logits)
    given = keras.backend.standardize_dtype(logits.dtype)
    given = given if "float" in given else "float32"
    wide = ops.cast(logits, "float64" if given == "float64" else "float32")
    return ops.cast(with_closed_gradient(_softmax, wide, temperature), given)


def _softmax(logits, temperature):
    tempered = Tempered(logits, temperature)
    p, p_to_t = tempered.p, tempered.p_to_t

    def gradient(upstream):
        weighted = p_to_t * upstream
        total = ops.sum(p_to_t, axis=-1, keepdims=True)
        return weighted - p_to_t * ops.sum(weighted, axis=-1, keepdims=True) / total

    return p, gradient


def with_closed_gradient(function, logits, *constants):
    """`function(logits, *constants)` with the gradient that it returns beside it.

    `function` gives its result and `gradient(upstream)`, the gradient with respect to
    `logits`. Constants may be tensors or plain values; they get no gradient.
    """
    tensors = [c for c in constants if _limits.is_variable(c)]

    @ops.custom_gradient
    def wrapped(logits, *tensors):
        rest = iter(tensors)
        values = [next(rest) if _limits.is_variable(c) else c for c in constants]
        result, gradient = function(logits, *values)

        def backward(*args, upstream=None):
            first = gradient(args[0] if upstream is None else upstream)
            others = tuple(ops.zeros_like(tensor) for tensor in tensors)
            return (first, *others) if others else first

        return result, backward

    return wrapped(logits, *[ops.stop_gradient(_tensor(c)) for c in tensors])


def _tensor(value):
    return ops.convert_to_tensor(value)
