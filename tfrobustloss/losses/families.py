"""Families of losses: a loss per example as a function of a vector of parameters."""

import dataclasses
import functools
import math
from collections.abc import Callable

from tfrobustloss._core.validation import ParameterError, Range, check
from tfrobustloss.losses import canonical_taylor as canonical
from tfrobustloss.losses.adma import Adma
from tfrobustloss.losses.adma import adma as adma_loss
from tfrobustloss.losses.generalized import GeneralizedCrossEntropy
from tfrobustloss.losses.generalized import (
    generalized_cross_entropy as generalized_loss,
)
from tfrobustloss.losses.taylor import TaylorLoss, taylor_loss
from tfrobustloss.losses.tempered import BiTemperedLogistic
from tfrobustloss.losses.tempered import bi_tempered_logistic as bi_tempered_loss

__all__ = [
    "LossFamily",
    "adma",
    "bi_tempered_logistic",
    "canonical_taylor",
    "generalized_cross_entropy",
    "taylor",
]

_NUM_PARAMETERS = (12, 16)
_CLASSES = {"num_classes": Range(low=2, integer=True)}


@dataclasses.dataclass(frozen=True)
class LossFamily:
    """A loss per example with a vector of parameters, which a search explores.

    Attributes:
        name: Name of the family.
        function: `(y_true, y_pred, vector) -> losses`, from logits unless the family
            was made otherwise. The vector may be a tensor, so that a program compiled
            once computes every member.
        names: Name of each parameter.
        initial: Where a search starts.
        low: Smallest value of each parameter, maybe `-inf`.
        high: Largest value of each parameter, maybe `inf`.
        make: Function of the vector that returns the member as a `keras.losses.Loss`.

    Example:
        >>> family = generalized_cross_entropy()
        >>> family.names, family.dimension, family.initial
        (('q',), 1, (0.7,))
        >>> family.build([0.4]).q
        0.4
    """

    name: str
    function: Callable
    names: tuple[str, ...]
    initial: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    make: Callable = dataclasses.field(repr=False)

    def __post_init__(self):  # noqa: D105
        for name in ("initial", "low", "high"):
            values = getattr(self, name)
            if len(values) != len(self.names):
                constraint = f"{len(self.names)} numbers, one a parameter"
                raise ParameterError("LossFamily", name, values, constraint)

    @property
    def dimension(self):
        """Number of parameters."""
        return len(self.names)

    def build(self, vector):
        """The member of these parameters as a `keras.losses.Loss`, for use anywhere.

        Raises:
            ValueError: The vector has another length or a value outside the limits.
        """
        vector = [float(value) for value in vector]
        if len(vector) != self.dimension:
            constraint = f"{self.dimension} numbers: {', '.join(self.names)}"
            raise ParameterError(self.name, "vector", vector, constraint)
        return self.make(vector)


def taylor(num_parameters=12, from_logits=True):
    """`TaylorLoss` with all its parameters free; starts at the absolute error.

    Args:
        num_parameters: 12, or 16 for the paper's four further terms, which change
            the value of a loss and not its gradient.
        from_logits: Whether the network's output is logits.
    """
    if num_parameters not in _NUM_PARAMETERS:
        raise ParameterError("taylor", "num_parameters", num_parameters, "12 or 16")
    initial = [0.0] * num_parameters
    initial[2], initial[6] = 1.0, -2.0
    return LossFamily(
        name=f"taylor{num_parameters}",
        function=functools.partial(_taylor, from_logits=from_logits),
        names=tuple(f"theta{i}" for i in range(num_parameters)),
        initial=tuple(initial),
        low=(-math.inf,) * num_parameters,
        high=(math.inf,) * num_parameters,
        make=functools.partial(TaylorLoss, from_logits=from_logits),
    )


def canonical_taylor(num_classes, from_logits=True):
    """The six numbers that matter of a Taylor loss on one-hot labels.

    See `canonical.canonical_loss` for the formula. A member is built as the
    `TaylorLoss` that equals it on one-hot labels. Starts at 1.5 times the cubic fit
    of `GeneralizedCrossEntropy(0.7)`.

    Args:
        num_classes: Int >= 2.
        from_logits: Whether the network's output is logits.
    """
    check("canonical_taylor", _CLASSES, num_classes=num_classes)
    start = canonical.fit(GeneralizedCrossEntropy(0.7), num_classes)

    def make(vector):
        theta = canonical.to_theta(vector, num_classes)
        return TaylorLoss(theta, from_logits=from_logits)

    return LossFamily(
        name="canonical_taylor",
        function=functools.partial(canonical.canonical_loss, from_logits=from_logits),
        names=canonical.NAMES,
        initial=tuple((1.5 * start).tolist()),
        low=(-math.inf,) * 6,
        high=(math.inf,) * 6,
        make=make,
    )


def adma(from_logits=True):
    """`Adma` by its scaling factor, in [0.01, 1]; the paper's range ends at 0.5."""
    return LossFamily(
        name="adma",
        function=functools.partial(_adma, from_logits=from_logits),
        names=("scaling_factor",),
        initial=(0.2624,),
        low=(0.01,),
        high=(1.0,),
        make=lambda vector: Adma(*vector, from_logits=from_logits),
    )


def generalized_cross_entropy(from_logits=True):
    """`GeneralizedCrossEntropy` by `q` in [0, 1]."""
    return LossFamily(
        name="generalized_cross_entropy",
        function=functools.partial(_generalized, from_logits=from_logits),
        names=("q",),
        initial=(0.7,),
        low=(0.0,),
        high=(1.0,),
        make=lambda vector: GeneralizedCrossEntropy(*vector, from_logits=from_logits),
    )


def bi_tempered_logistic(from_logits=True):
    """`BiTemperedLogistic` by `t1` in [0, 1] and `t2` in [0.1, 5]."""
    return LossFamily(
        name="bi_tempered_logistic",
        function=functools.partial(_bi_tempered, from_logits=from_logits),
        names=("t1", "t2"),
        initial=(0.8, 1.2),
        low=(0.0, 0.1),
        high=(1.0, 5.0),
        make=lambda vector: BiTemperedLogistic(*vector, from_logits=from_logits),
    )


def _taylor(y_true, y_pred, vector, from_logits):
    return taylor_loss(y_true, y_pred, vector, from_logits=from_logits)


def _adma(y_true, y_pred, vector, from_logits):
    return adma_loss(y_true, y_pred, vector[0], from_logits=from_logits)


def _generalized(y_true, y_pred, vector, from_logits):
    return generalized_loss(y_true, y_pred, vector[0], from_logits=from_logits)


def _bi_tempered(y_true, y_pred, vector, from_logits):
    return bi_tempered_loss(
        y_true, y_pred, vector[0], vector[1], from_logits=from_logits
    )
