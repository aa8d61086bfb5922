"""Active passive loss: the weighted sum of any two losses (Ma et al., ICML 2020)."""

import keras

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.labels import Labels, to_float
from tfrobustloss.losses.nested import NestedLoss, check_inner, on_logits, values
from tfrobustloss.losses.normalized import NormalizedCrossEntropy
from tfrobustloss.losses.symmetric import ReverseCrossEntropy

_LIMITS = {"alpha": Range(low=0), "beta": Range(low=0)}


@keras_function
def active_passive(y_true, y_pred, active, passive, alpha=1.0, beta=1.0):
    """A weighted sum of two losses: an active one and a passive one.

        loss = alpha * active + beta * passive

    Written as a sum over classes, an active loss has a term for the label alone
    (`NormalizedCrossEntropy`, `NormalizedFocal`: the other classes are in the
    denominator); a passive one has terms for the other classes, whose probabilities
    it lowers (`ReverseCrossEntropy`, `MeanAbsoluteError`). The sum of two symmetric
    losses is symmetric. Published weights: `recommended`.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, as the two losses say, shape
            `(..., classes)`, or `(..., 1)` of one unit.
        active: A classification loss of this package.
        passive: Another one.
        alpha: Float >= 0, weight of `active`.
        beta: Float >= 0, weight of `passive`.

    Returns:
        Loss per example, shape `(...)`.

    Raises:
        TypeError: `active` or `passive` is no classification loss of this package.
        ValueError: A weight is negative, one loss is on logits and the other on
            probabilities, or labels do not fit.

    Example:
        >>> active, passive = NormalizedCrossEntropy(), ReverseCrossEntropy()
        >>> loss = active_passive([0], [[0.7, 0.2, 0.1]], active, passive)
        >>> round(float(loss[0]), 4)
        2.8467

    Reference:
        Ma et al., "Normalized Loss Functions for Deep Learning with Noisy Labels",
        ICML 2020.
    """
    check("active_passive", _LIMITS, alpha=alpha, beta=beta)
    check_inner("active_passive", active=active, passive=passive)
    _check_same_kind("active_passive", active, passive)
    y_pred = to_float(y_pred)
    labels = y_true if isinstance(y_true, Labels) else Labels(y_true, y_pred)
    first, second = (values(loss, labels, y_pred) for loss in (active, passive))
    return alpha * first + beta * second


def _check_same_kind(owner, active, passive):
    if active.from_logits != passive.from_logits:
        raise ValueError(
            f"{owner}: `active` and `passive` must have the same `from_logits`. "
            f"Received: from_logits={active.from_logits!r} and "
            f"{passive.from_logits!r}."
        )


@keras.saving.register_keras_serializable(package="tfrobustloss")
class ActivePassive(NestedLoss):
    """`active_passive` as a `keras.losses.Loss`.

    Args:
        active: See `active_passive`; `NormalizedCrossEntropy()` by default.
        passive: See `active_passive`; `ReverseCrossEntropy()` by default.
        alpha: See `active_passive`.
        beta: See `active_passive`.
        from_logits: Whether `y_pred` holds logits; sets it in both losses. None to
            take what they say.
        **options: `ignore_class`, which the two losses must not have, `reduction`,
            `name` and `dtype`: see `FunctionLoss`.

    Raises:
        TypeError: As `active_passive`.
        ValueError: As `active_passive`; also if a loss has an `ignore_class`.
    """

    function = staticmethod(active_passive)
    limits = _LIMITS
    inner = ("active", "passive")
    purpose = "label noise: a loss that fits plus one that resists, any two"
    paper = "Ma et al. 2020"
    paper_url = "https://arxiv.org/abs/2006.13554"

    def __init__(
        self,
        active=None,
        passive=None,
        alpha=1.0,
        beta=1.0,
        from_logits=None,
        **options,
    ):
        given = [loss for loss in (active, passive) if loss is not None]
        kind = from_logits
        if kind is None and given:
            kind = getattr(given[0], "from_logits", False)
        active = NormalizedCrossEntropy(bool(kind)) if active is None else active
        passive = (
            ReverseCrossEntropy(from_logits=bool(kind)) if passive is None else passive
        )
        check_inner("ActivePassive", active=active, passive=passive)
        if from_logits is not None:
            active, passive = (on_logits(x, from_logits) for x in (active, passive))
        _check_same_kind("ActivePassive", active, passive)
        super().__init__(
            active=active, passive=passive, alpha=alpha, beta=beta, **options
        )
        self.from_logits = active.from_logits

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label, or None if not known."""
        both = [each.bounds(num_classes) for each in (self.active, self.passive)]
        if None in both:
            return None
        weights = self.alpha, self.beta
        return tuple(
            sum(w * end if w else 0 for w, end in zip(weights, ends, strict=True))
            for ends in zip(*both, strict=True)
        )

    def activation(self, logits):
        """The probabilities that the active loss sees in logits."""
        return self.active.activation(logits)

    def get_config(self):
        """The constructor arguments as plain JSON values."""
        return {**super().get_config(), "from_logits": self.from_logits}
