"""Callbacks that move a loss' hyper-parameter from epoch to epoch."""

import keras

from tfrobustloss import _limits

_LIMITS = {
    "start": _limits.Range(0, 1),
    "step": _limits.Range(-1, 1),
    "end": _limits.Range(0, 1),
}


class ShiftToBoundary(keras.callbacks.Callback):
    """Moves the weight of `losses.RegionBoundary` from the region to the boundary.

        weight in epoch e (from 0) = start + step * e, as far as end

    The weight depends on the epoch's number alone, so `fit(initial_epoch=...)` goes on
    where it stopped. The defaults are those of the authors' Keras code, whose region
    weight falls from 1 by 0.01 an epoch to 0.01 (they begin at 0 where this begins at
    0.01, their weight for the form without rebalance).

    Args:
        weight: `keras.Variable` that is the loss' `alpha`. (On JAX, make it an
            attribute of the model too.)
        start: Weight of the boundary loss in the first epoch, in [0, 1].
        step: What an epoch adds, in [-1, 1].
        end: Where it stops, in [0, 1].

    Raises:
        TypeError: `weight` is no `keras.Variable`.
        ValueError: A number is out of range.

    Example:
        >>> weight = keras.Variable(0.01, trainable=False)
        >>> shift = ShiftToBoundary(weight, step=0.1)
        >>> for epoch in range(12):
        ...     shift.on_epoch_begin(epoch)
        >>> round(float(weight), 4)
        0.99

    Reference:
        Kervadec et al., "Boundary Loss for Highly Unbalanced Segmentation", MIDL 2019.
    """

    def __init__(self, weight, start=0.01, step=0.01, end=0.99):
        super().__init__()
        if not isinstance(weight, keras.Variable):
            constraint = "the `keras.Variable` that the loss has as `alpha`"
            raise TypeError(
                _limits.error("ShiftToBoundary", "weight", constraint, weight)
            )
        _limits.check("ShiftToBoundary", _LIMITS, start=start, step=step, end=end)
        self.weight = weight
        self.start, self.step, self.end = start, step, end

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the weight of this epoch."""
        weight = self.start + self.step * epoch
        low, high = sorted((self.start, self.end))
        self.weight.assign(min(max(weight, low), high))
