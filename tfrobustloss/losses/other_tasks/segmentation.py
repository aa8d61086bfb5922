"""Losses of segmentation: overlap of whole regions, and distance to their border.

Masks and predictions have shape `(batch, ..., classes)` with any number of axes
between, so images and volumes alike: masks one-hot, predictions probabilities, or
logits of a softmax. With one channel, the foreground alone, logits are a sigmoid's.

The losses are one an image or sequence, so a Keras mask of steps is refused. Steps that
have probabilities and targets of 0 do not count in `generalized_dice`, and are 0 in the
mean of `boundary`.
"""

import functools
import numbers

import keras
from keras import ops

from tfrobustloss._core import models
from tfrobustloss._core.backend import get_keras_mask
from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)
from tfrobustloss.losses.base import FunctionLoss, TaskLoss
from tfrobustloss.losses.nested import values
from tfrobustloss.losses.other_tasks import targets
from tfrobustloss.losses.rows import row_max

_DICE_LIMITS = {"smooth": Range(low=0)}
_COMBINED_LIMITS = {"alpha": Range(0, 1)}
_LARGEST = 1e30  # sums of it stay finite in float32


class MapLoss(TaskLoss):
    """A `TaskLoss` with one value an image, which a mask of its pixels does not fit."""

    def activation(self, logits):
        """Softmax over the channels, or the sigmoid of a single channel."""
        return probabilities(logits, from_logits=True)

    def _reduced(self, y_true, y_pred, sample_weight):
        mask = get_keras_mask(y_pred)
        if mask is not None and len(mask.shape) > 1:
            constraint = "without a mask of steps, which have no loss of their own"
            shown = f"a mask of shape {tuple(mask.shape)}"
            hint = (
                "End the model in a layer whose `compute_mask` returns None and that "
                "multiplies probabilities by the mask; steps with zeros for targets "
                "as well do not count."
            )
            owner = type(self).__name__
            raise ParameterError(owner, "y_pred", shown, constraint, hint)
        return super()._reduced(y_true, y_pred, sample_weight)


def probabilities(y_pred, from_logits):
    """Probabilities as they are, or of logits: a softmax's, a sigmoid's if alone."""
    if not from_logits:
        return y_pred
    logits = ops.clip(y_pred, -_LARGEST, _LARGEST)
    if logits.shape[-1] == 1:
        return ops.sigmoid(logits)
    return ops.softmax(logits, axis=-1)


def takes_logits(loss):
    """The `from_logits` of a loss: True, False, or None if it has none."""
    return getattr(loss, "from_logits", loss.get_config().get("from_logits"))


def channels(owner, classes, known=None):
    """`classes` as a list of ints, or None for all.

    Raises:
        ValueError: They are no channels, of the `known` ones where that is a number.
    """
    if classes is None:
        return None
    fits = isinstance(classes, list | tuple) and len(classes) > 0
    fits = fits and all(
        isinstance(k, numbers.Integral) and 0 <= k and (known is None or k < known)
        for k in classes
    )
    if not fits:
        range_ = f", 0 to {known - 1}" if known else ""
        constraint = f"None or a list of channels{range_}"
        raise ParameterError(owner, "classes", classes, constraint)
    return [int(k) for k in classes]


def side_by_side(owner, y_true, y_pred):
    """Masks, distances and predictions, each with as many channels."""
    y_true, y_pred = targets.as_floats(y_true, y_pred)
    shape, width = tuple(y_true.shape), y_pred.shape[-1]
    if width is None:
        constraint = "of a known number of channels"
        raise ParameterError(owner, "y_pred", tuple(y_pred.shape), constraint)
    if shape[-1] is None:  # known in the run alone, where another number fails here
        y_true = ops.reshape(y_true, (*ops.shape(y_true)[:-1], 2 * width))
    elif shape[-1] != 2 * width:
        constraint = f"masks and distances side by side, {2 * width} channels"
        raise ParameterError(owner, "y_true", shape, constraint)
    return y_true[..., :width], y_true[..., width:], y_pred


@keras_function
def generalized_dice(y_true, y_pred, smooth=0.0, from_logits=False):
    """Overlap of all classes, each weighted by its size so that small ones count.

        loss = 1 - (2 sum of w I + smooth) / (sum of w U + smooth), sums over classes
        I = sum of g p,   U = sum of g + p,   w = (smallest / sum of g)²

    where I, U and w sum over the pixels of one image, and smallest is the sum of g of
    the smallest class that the image has. It cancels where `smooth` is 0, as in the
    paper, whose w is 1 / (sum of g)². That would be infinite for a class that the image
    lacks, which has w = 1 here, as the smallest. With one channel and nothing in the
    mask, only `smooth` > 0 gives a slope.

    Args:
        y_true: One-hot or soft masks g in [0, 1], shape `(batch, ..., classes)`.
        y_pred: Probabilities p or logits, same shape.
        smooth: Float >= 0, in pixels of the smallest class.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per image, shape `(batch,)`, in [0, 1].

    Raises:
        ValueError: `smooth` is negative, or the shapes differ.

    Example:
        >>> mask = [[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]]
        >>> p = [[[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9]]]
        >>> round(float(generalized_dice(mask, p)[0]), 4)
        0.15

    Reference:
        Sudre et al., "Generalised Dice Overlap as a Deep Learning Loss Function for
        Highly Unbalanced Segmentations", DLMIA 2017.
    """
    check("generalized_dice", _DICE_LIMITS, smooth=smooth)
    mask, y_pred = targets.as_floats(y_true, y_pred)
    targets.check_shapes("generalized_dice", mask, y_pred, one_hot=True)
    hint = "Divide masks of 0 and 255 by 255, one-hot encode class ids."
    mask = targets.shares("generalized_dice", mask, hint)
    p = probabilities(y_pred, from_logits)
    axes = tuple(range(1, len(p.shape) - 1))
    size = ops.sum(mask, axis=axes)
    weight = ops.stop_gradient(_class_weights(size))
    union = ops.sum(mask + p, axis=axes)
    # what union lacks of twice the intersection: summed where nothing cancels
    missed = ops.sum(mask * (1 - p) + p * (1 - mask), axis=axes)
    total = ops.sum(weight * union, axis=-1) + smooth
    some = total > 0
    share = ops.sum(weight * missed, axis=-1) / ops.where(some, total, 1)
    return ops.where(some, share, 0)


def _class_weights(size):
    """(smallest / size)², 1 for size 0, of shape `(batch, classes)`."""
    present = size > 0
    smallest = -row_max(-ops.where(present, size, _LARGEST))
    ratio = smallest / ops.where(present, size, smallest)
    return ratio * ratio


@keras.saving.register_keras_serializable(package="tfrobustloss")
class GeneralizedDice(MapLoss):
    """`generalized_dice` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(generalized_dice)
    limits = _DICE_LIMITS
    purpose = "segmentation with small classes, by overlap"
    paper = "Sudre et al. 2017"
    paper_url = "https://arxiv.org/abs/1707.03237"

    def __init__(self, smooth=0.0, from_logits=False, **options):
        super().__init__(smooth=smooth, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, 1


@keras_function
def boundary(y_true, y_pred, classes=None, from_logits=False):
    """How far from the true border the predicted mass lies, inside counted negative.

        loss = mean over pixels and classes of distance * p

    The distances come with the data, by `data.signed_distance_map`: above 0 outside
    the region, below 0 inside. So the loss of a perfect prediction is negative, and
    predicting nothing at all costs 0: train it together with a region loss, as
    `region_boundary` does.

    Args:
        y_true: Signed distances, shape `(batch, ..., classes)`.
        y_pred: Probabilities or logits, same shape.
        classes: The channels that count, a list of ints; None for all. The paper
            takes the foreground alone of two classes, `[1]`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per image, shape `(batch,)`, in the unit of the distances, of either sign.

    Raises:
        ValueError: `classes` are no channels, or the shapes differ.

    Example:
        >>> distance = [[[1.0], [0.0], [-1.0], [0.0]]]
        >>> float(boundary(distance, [[[0.0], [1.0], [1.0], [1.0]]])[0])
        -0.25

    Reference:
        Kervadec et al., "Boundary Loss for Highly Unbalanced Segmentation", MIDL 2019.
    """
    distance, y_pred = targets.as_floats(y_true, y_pred)
    targets.check_shapes("boundary", distance, y_pred)
    classes = channels("boundary", classes, y_pred.shape[-1])
    distance = targets.numbers("boundary", distance)
    distance = ops.clip(distance, -_LARGEST, _LARGEST)
    products = distance * probabilities(y_pred, from_logits)
    if classes is not None:
        products = ops.stack([products[..., k] for k in classes], axis=-1)
    return targets.mean_per_example(products)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class Boundary(MapLoss):
    """`boundary` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(boundary)
    purpose = "the same, by distance to the border"
    paper = "Kervadec et al. 2019"
    paper_url = "https://arxiv.org/abs/1812.07032"

    def __init__(self, classes=None, from_logits=False, **options):
        classes = channels("Boundary", classes)
        super().__init__(classes=classes, from_logits=from_logits, **options)


@keras_function
def region_boundary(
    y_true,
    y_pred,
    region=None,
    alpha=0.01,
    rebalance=True,
    classes=None,
    from_logits=False,
):
    """A loss on regions and the boundary loss in one.

        loss = (1 - alpha) * region + alpha * boundary     with rebalance
        loss =               region + alpha * boundary     without

    Both are the paper's. The first is meant to shift from one to the other during
    training: give the class a `keras.Variable` as `alpha` and `fit` the callback
    `training.ShiftToBoundary`.

    Args:
        y_true: Masks and signed distances side by side, as
            `concatenate([mask, distance], axis=-1)`, shape `(batch, ..., 2 * classes)`.
        y_pred: Probabilities or logits, shape `(batch, ..., classes)`.
        region: Function of `(mask, y_pred)` that gives one loss per image or pixel, on
            what `y_pred` holds. None is `generalized_dice`.
        alpha: Weight of the boundary loss, in [0, 1].
        rebalance: Whether the region loss has weight `1 - alpha`, not 1.
        classes: As in `boundary`, for the boundary loss.
        from_logits: Whether `y_pred` holds logits, for the boundary loss and the region
            loss of None; a function must be one that agrees.

    Returns:
        Loss per image, shape `(batch,)`, of either sign.

    Raises:
        ValueError: `alpha` is outside [0, 1], or the shapes do not fit.

    Example:
        >>> both = [[[1.0, -1.0], [0.0, 1.0]]]
        >>> round(float(region_boundary(both, [[[0.5], [0.5]]], alpha=0.1)[0]), 4)
        0.45

    Reference:
        Kervadec et al., "Boundary Loss for Highly Unbalanced Segmentation", MIDL 2019.
    """
    check("region_boundary", _COMBINED_LIMITS, alpha=alpha)
    mask, distance, y_pred = side_by_side("region_boundary", y_true, y_pred)
    if region is None:
        region = functools.partial(generalized_dice, from_logits=from_logits)
    of_region = region(mask, y_pred)
    if len(of_region.shape):
        of_region = targets.mean_per_example(ops.cast(of_region, y_pred.dtype))
    of_boundary = boundary(distance, y_pred, classes, from_logits)
    weight = 1 - alpha if rebalance else 1
    return weight * of_region + alpha * of_boundary


@keras.saving.register_keras_serializable(package="tfrobustloss")
class RegionBoundary(MapLoss):
    """`region_boundary` as a `keras.losses.Loss`.

    Args:
        region: A `keras.losses.Loss` on one-hot masks: of this module, of this
            package's classification losses, or Keras'. Its own reduction plays no
            part. One without a `from_logits`, as `keras.losses.Dice`, is given
            probabilities in any case. `GeneralizedDice()` by default.
        alpha: See `region_boundary`; a `keras.Variable` if it is to change.
        rebalance: See `region_boundary`.
        classes: See `boundary`.
        from_logits: Whether `y_pred` holds logits.
        **options: `reduction`, `name`, `dtype`: see `TaskLoss`.

    Raises:
        TypeError: `region` is no loss.
        ValueError: `alpha` is outside [0, 1], or `region` disagrees on `from_logits`.
    """

    function = staticmethod(region_boundary)
    limits = _COMBINED_LIMITS
    purpose = "the same: any loss on regions and `Boundary` in one"
    paper = "Kervadec et al. 2019"
    paper_url = "https://arxiv.org/abs/1812.07032"

    def __init__(
        self,
        region=None,
        alpha=0.01,
        rebalance=True,
        classes=None,
        from_logits=False,
        **options,
    ):
        if region is None:
            region = GeneralizedDice(from_logits=from_logits)
        if not isinstance(region, keras.losses.Loss):
            wanted = "a `keras.losses.Loss` or None"
            raise ParameterTypeError("RegionBoundary", "region", region, wanted)
        if getattr(region, "ignore_class", None) is not None:
            wanted = "a loss without `ignore_class`, which masks do not have"
            raise ParameterError("RegionBoundary", "region", region, wanted)
        on_logits = takes_logits(region)
        if on_logits not in (None, from_logits):
            constraint = f"{on_logits}, as that of `region`"
            raise ParameterError(
                "RegionBoundary", "from_logits", from_logits, constraint
            )
        classes = channels("RegionBoundary", classes)
        super().__init__(
            alpha=alpha,
            rebalance=rebalance,
            classes=classes,
            from_logits=from_logits,
            **options,
        )
        self.region = region
        self._activates = from_logits and on_logits is None

    @property
    def activation(self):
        """The region loss' activation; None where that loss does not define one."""
        if takes_logits(self.region) is None:  # it is given probabilities
            return super().activation
        name = models.keras_activation(self.region)
        if name is not None:
            return getattr(ops, name)
        return getattr(self.region, "activation", None)

    def get_config(self):
        """The constructor arguments as plain values, the region loss as its config."""
        region = keras.losses.serialize(self.region)
        return {**super().get_config(), "region": region}

    @classmethod
    def from_config(cls, config):
        """The loss of a config; `region` may be a config or a loss."""
        region = config.get("region")
        if isinstance(region, dict):
            region = keras.losses.deserialize(region)
        return cls(**{**config, "region": region})

    def _parameters(self):
        return {**super()._parameters(), "region": self._region_losses}

    def _region_losses(self, mask, y_pred):
        y_pred = probabilities(y_pred, self._activates)
        if isinstance(self.region, FunctionLoss):  # whose `call` has a dtype of its own
            return values(self.region, mask, y_pred)
        return self.region.call(mask, y_pred)
