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
    return 8


def tempered_softmax(logits, temperature):
    wide = ops.cast(logits, "float32")
    s = Tempered(wide, temperature)
    return s.p
