"""The tempered softmax: an exact normaliser in a fixed number of Newton steps.

With s = t - 1 and b = max(a) - a >= 0 the probabilities are x ** (-1/s) where
x = 1 + s * (nu + b) and nu >= 0 is the one unknown. Newton's method on the power mean
(sum x ** (-1/s)) ** (-s) = 1 climbs to its root from below for every t, without
safeguards, and at t = 1 it is log-sum-exp. The number of steps is fixed beforehand
(measured to float32's floor in `tests/test_tempered.py`).
"""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable, with_closed_gradient
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.powers import is_half_integer, power
from tfrobustloss.losses.rows import quick_sum, row_max, row_sum

LIMITS = {"temperature": Range(0, 5, open_low=True)}

_NEAR_ONE = 1e-12  # stands for t - 1 = 0: every formula is at its limit in float64
_LARGEST_GAP = 1e30  # sums and products with it stay finite in float32
_IMPOSSIBLE = -1e4  # stands for log(0) where a temperature below 1 makes p 0


class Tempered:
    """Tempered softmax of logits, and cheap powers of it.

    Attributes:
        p: Probabilities, shape `(..., classes)`.
        p_to_t: `p ** temperature`, same shape.
        x: `p ** (1 - temperature)`, same shape; 0 where a `p` of 0 makes it so.
    """

    def __init__(self, logits, temperature):
        gap = row_max(logits) - logits
        gap = ops.minimum(gap, _LARGEST_GAP)
        if is_variable(temperature):
            s = ops.cast(temperature, gap.dtype) - 1
            self._s = ops.where(ops.abs(s) < _NEAR_ONE, _NEAR_ONE, s)
            self._far = False
        else:
            s = temperature - 1
            self._s = _NEAR_ONE if abs(s) < _NEAR_ONE else s
            self._far = abs(s) >= 0.1
        self._gap = gap
        level = self._start()
        dtype = keras.backend.standardize_dtype(gap.dtype)
        for _ in range(_num_steps(temperature, gap.shape[-1], dtype) - 1):
            level = level + self._newton_step(level, quick_sum)
        # the last step takes back what the quick sums rounded, and stays apart from
        # the level: where that is nearly -s * gap their difference has more digits
        self._solve(level, self._newton_step(level, row_sum))
        self._total = None
        if is_variable(temperature) or temperature < 1:
            # what is missing there is common to all classes and divides out
            self._total = row_sum(self.p)
            self.p = self.p / self._total

    def to_power(self, exponent):
        """`p ** exponent`; 0 where `p` is 0."""
        plain = not is_variable(exponent)
        if plain and self._far and is_half_integer(-exponent / self._s):
            result = power(self.x, -exponent / self._s)
        else:
            result = ops.exp(exponent * self.log_p())
        return ops.where(self.p > 0, result, 0)

    def log_p(self, pick=None):
        """`log(p)`, also where `p` underflows; `_IMPOSSIBLE` where it must be 0.

        With `pick`, which selects a class of each row of a tensor, that of the class.
        """
        common = 0.0 if self._total is None else ops.log(self._total)
        x = self._scaled if self._scaled is not None else self.x
        if pick is not None:
            x = pick(x)
            common = common if self._total is None else ops.squeeze(common, -1)
        if self._scaled is None:
            some = x > 0
            log_x = ops.log(ops.where(some, x, 1))
        else:
            some = x > -1
            log_x = ops.log1p(ops.where(some, x, 0))
        return ops.where(some, -log_x / self._s - common, _IMPOSSIBLE)

    # The level is u = 1 + s * nu where s is far from 0 (for t < 1, u is near 0, and
    # nu would round away its digits), and nu where it is not (u would be 1).

    def _start(self):
        """Where Newton's method starts: the tangent at equal logits, or `nu` = 0."""
        s, gap = self._s, self._gap
        log_count = math.log(gap.shape[-1])
        gap = ops.mean(gap, axis=-1, keepdims=True)
        if self._far:
            tangent = math.exp(s * log_count) - s * gap
            return (ops.maximum if s > 0 else ops.minimum)(tangent, 1.0)
        expm1 = ops.expm1 if is_variable(s) else math.expm1
        equal = expm1(s * log_count) / s
        return ops.maximum(equal - gap, 0.0)

    def _solve(self, level, step=0.0):
        """Sets `p`, `p_to_t` and `x` for a level of the normaliser plus a step."""
        s = self._s
        self._scaled = None
        if self._far:
            self.x = x = ops.maximum(level + s * self._gap + step, 0.0)
            self.p = power(x, -1 / s)
        else:
            self._scaled = scaled = s * (level + self._gap + step)
            inside = scaled > -1
            scaled = ops.where(inside, scaled, 0)
            self.p = ops.where(inside, ops.exp(-ops.log1p(scaled) / s), 0)
            self.x = x = 1 + scaled
        if self._far and s < 0:
            some = x > 0
            self.p_to_t = ops.where(some, self.p / ops.where(some, x, 1), 0)
        else:
            self.p_to_t = self.p / x

    def _newton_step(self, level, sum_over):
        self._solve(level)
        total, slope = sum_over(self.p), sum_over(self.p_to_t)
        step = total * ops.expm1(self._s * ops.log(total)) / slope
        return step if self._far else step / self._s


def _num_steps(temperature, num_classes, dtype):
    """Newton steps that reach the rounding floor for any logits."""
    steps = 8
    if not is_variable(temperature):
        table = _STEPS_BELOW if temperature < 1 else _STEPS_ABOVE
        distance = abs(temperature - 1)
        steps = next((n for limit, n in table if distance <= limit + 1e-6), steps)
    return steps + (num_classes > 1000) + (dtype == "float64")


# distance of the temperature from 1 -> steps enough for up to 1000 classes
_STEPS_ABOVE = ((0.02, 2), (0.2, 3), (0.3, 4), (0.5, 5), (0.75, 6))
_STEPS_BELOW = ((0.02, 2), (0.1, 3), (0.3, 4), (0.5, 5), (0.7, 6), (0.9, 7))


@keras_function
def tempered_softmax(logits, temperature):
    """Softmax with a heavier (`temperature` > 1) or a finite (< 1) tail.

        p = exp_t(logits - normalizer),   sum of p = 1

    At 1 it is the softmax. Above, far classes keep some probability, which keeps a
    wrong label from pulling forever; below, they get exactly 0. Exact to float32's
    rounding for any finite logits. The gradient is in closed form and holds
    `temperature` constant.

    One unit, shape `(..., 1)`, has the logits `(0, z)` of two classes, and the result
    is the probability of the second: a tempered sigmoid.

    Args:
        logits: Shape `(..., classes)`, or `(..., 1)` of one unit.
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
    check("tempered_softmax", LIMITS, temperature=temperature)
    logits = ops.convert_to_tensor(logits)
    given = keras.backend.standardize_dtype(logits.dtype)
    given = given if "float" in given else "float32"
    wide = ops.cast(logits, "float64" if given == "float64" else "float32")
    p = with_closed_gradient(_softmax, two_logits(wide), temperature)
    return ops.cast(p[..., 1:] if logits.shape[-1] == 1 else p, given)


def two_logits(logits):
    """Logits of all classes: `(0, z)` of one unit, which softmaxes take for any shift.

    Args:
        logits: Float tensor, shape `(..., classes)` or `(..., 1)`.

    Returns:
        Tensor of shape `(..., classes)`.
    """
    if logits.shape[-1] != 1:
        return logits
    return ops.concatenate([ops.zeros_like(logits), logits], axis=-1)


def _softmax(logits, temperature):
    tempered = Tempered(logits, temperature)
    p, p_to_t = tempered.p, tempered.p_to_t

    def along(direction):  # the Jacobian is symmetric: gradient and change are one
        weighted = p_to_t * direction
        return weighted - p_to_t * (quick_sum(weighted) / quick_sum(p_to_t))

    return p, along, along
