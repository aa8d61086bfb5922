"""Powers of numbers >= 0, cheap where the exponent allows it."""

from keras import ops

from tfrobustloss._core.tensors import is_variable

_MOST_MULTIPLICATIONS = 16
_ROUNDING = 1e-12  # 1 / (1.2 - 1) is 5.000000000000001


def power(x, exponent):
    """`x ** exponent` for `x` > 0 (0 is fine with a whole `exponent` >= 0).

    A plain number that is a multiple of 1/2 is done by multiplication, which in a
    compiled program is several times faster; anything else by `exp(exponent log x)`.
    """
    if is_variable(exponent):
        exponent = ops.cast(exponent, x.dtype)  # a number would pass through float32
    elif is_half_integer(exponent):
        return _by_multiplication(x, round(2 * exponent))
    return ops.exp(exponent * ops.log(x))


def is_half_integer(exponent):
    """Whether `power` takes its short way for this plain number."""
    halves = 2 * exponent
    return (
        abs(halves - round(halves)) < _ROUNDING and abs(halves) < _MOST_MULTIPLICATIONS
    )


def _by_multiplication(x, halves):
    if halves < 0:
        x, halves = 1 / x, -halves
    whole, half = divmod(halves, 2)
    result = ops.sqrt(x) if half else None
    while whole:
        if whole & 1:
            result = x if result is None else result * x
        whole >>= 1
        x = x * x if whole else x
    return ops.ones_like(x) if result is None else result
