"""The range of each loss on hard labels, as a function of its parameters.

Written from the docstrings and the formulas, not from the code: what the random cases
hold every value against, for any predictions and any number of classes.
"""

import math

from tfrobustloss import losses

_CLIPPED = -math.log(1e-7)  # given probabilities count as 1e-7 at least


def bounds(loss, num_classes):
    """`(low, high)` of a loss per example on a hard label, or None if none is known.

    Args:
        loss: The loss, its parameters attributes of it.
        num_classes: Int.
    """
    known = _BOUNDS.get(type(loss))
    return known and known(loss, num_classes)


def steepness(loss):
    """How much an error of the logarithms, relative to them or to 1, moves a loss."""
    if isinstance(loss, losses.Adma):
        return loss.scaling_factor * loss.base * math.log(loss.base)
    if isinstance(loss, losses.ConfidenceRegularized):
        return 1 + loss.beta
    return 1.0


def _top(loss):
    """The most that `-log(p)` can be."""
    return math.inf if loss.from_logits else _CLIPPED


def _power(x, q):
    """`(1 - x ** q) / q`, at q = 0 its limit."""
    if x == 0:
        return 1 / q if q else math.inf
    q = max(q, 1e-12)
    return -math.expm1(q * math.log(x)) / q


def _between(high, low, q):
    """`(high ** q - low ** q) / q`, at q = 0 its limit."""
    q = max(q, 1e-12)
    return low**q * math.expm1(q * math.log(high / low)) / q


def _bi_tempered(loss, _):
    if loss.t1 == 1:
        return 0, math.inf
    return 0, 1 / (1 - loss.t1) + (1 / (2 - loss.t1) if loss.label_smoothing else 0)


def _huberized_generalized(loss, _):
    q = loss.q
    if q == 1:
        return 0, 1
    corner = loss.tau ** (-1 / (1 - q))
    return 0, _power(corner, q) + corner**q


def _jensen_shannon(loss, _):
    rest = 1 - loss.pi
    return 0, 1 + loss.pi * math.log(loss.pi) / (rest * math.log(rest))


def _asymmetric_squared(loss, num_classes):
    return (loss.a - 1) ** 2 / num_classes, (loss.a**2 + 1) / num_classes


def _joint(loss, num_classes):
    low, high = _asymmetric_squared(loss, num_classes)
    return loss.beta * low, loss.alpha + loss.beta * high


def _sum(loss, num_classes):
    active, passive = (
        bounds(each, num_classes) for each in (loss.active, loss.passive)
    )
    return tuple(
        sum(w * b if w else 0 for w, b in ((loss.alpha, one), (loss.beta, other)))
        for one, other in zip(active, passive, strict=True)
    )


def _inner(loss, num_classes):
    return bounds(loss.loss, num_classes)


def _robust(loss, num_classes):
    low = -loss.temperature * math.log(num_classes)
    return low, num_classes + loss.margin if loss.normalize else math.inf


def _negative(loss, num_classes):
    if loss.from_logits or loss.complementary:
        return 0, math.inf
    return 0, _CLIPPED / (num_classes - 1)


def _weights(loss, _):
    return 0, loss.alpha + loss.beta


def _one(loss, _):
    return 0, 1


def _two(loss, _):
    return 0, 2


def _positive(loss, _):
    return 0, math.inf


def _logarithm(loss, _):
    return 0, _top(loss)


_BOUNDS = {
    losses.CrossEntropy: _logarithm,
    losses.MeanAbsoluteError: _two,
    losses.GeneralizedCrossEntropy: lambda loss, _: (0, _power(0, loss.q)),
    losses.SymmetricCrossEntropy: lambda loss, _: (
        0,
        (loss.alpha and loss.alpha * _top(loss)) - loss.beta * loss.log_zero,
    ),
    losses.SoftBootstrap: _logarithm,
    losses.HardBootstrap: _logarithm,
    losses.ForwardCorrection: _positive,
    losses.Focal: _positive,
    losses.Adma: lambda loss, _: (0, loss.base - 1),
    losses.BiTemperedLogistic: _bi_tempered,
    losses.ReverseCrossEntropy: lambda loss, _: (0, -loss.log_zero),
    losses.NormalizedCrossEntropy: _one,
    losses.NormalizedFocal: _one,
    losses.NormalizedGeneralizedCrossEntropy: _one,
    losses.AsymmetricGeneralizedCrossEntropy: lambda loss, _: (
        0,
        _between(loss.a + 1, loss.a, loss.q),
    ),
    losses.AsymmetricUnhinged: lambda loss, _: (
        0,
        _between(loss.a, loss.a - 1, loss.q),
    ),
    losses.AsymmetricExponential: lambda loss, _: (math.exp(-1 / loss.a), 1),
    losses.AsymmetricMeanSquaredError: _asymmetric_squared,
    losses.JointAsymmetric: _joint,
    losses.PartiallyHuberizedCrossEntropy: lambda loss, _: (0, 1 + math.log(loss.tau)),
    losses.PartiallyHuberizedGeneralizedCrossEntropy: _huberized_generalized,
    losses.ActiveNegativeCrossEntropy: _weights,
    losses.ActiveNegativeFocal: _weights,
    losses.JensenShannon: _jensen_shannon,
    losses.ActivePassive: _sum,
    losses.LogitClip: _inner,
    losses.LogitBias: _inner,
    losses.TaylorCrossEntropy: lambda loss, _: (
        0,
        sum(1 / i for i in range(1, loss.order + 1)),
    ),
    losses.PolyCrossEntropy: lambda loss, _: (0, _top(loss) + max(loss.epsilon, 0)),
    losses.EpsilonSoftmaxCrossEntropy: lambda loss, _: (0, _power(loss.floor, 0)),
    losses.TruncatedGeneralizedCrossEntropy: lambda loss, _: (
        0,
        _power(loss.k, loss.q),
    ),
    losses.MeanSquaredError: _two,
    losses.SquaredHinge: lambda loss, k: (1 - 1 / k, 1 + 3 / k),
    losses.Baikal: lambda loss, k: (k * math.log(k) + 1, math.inf),
    losses.NegativeLearning: _negative,
    losses.SparseRegularized: _positive,
    losses.LabelDistributionallyRobust: _robust,
    losses.DeterminantMutualInformation: lambda loss, _: (-math.inf, -math.log(1e-3)),
}
