"""What losses on maps share: probabilities, channels, and one loss an image."""

import numbers

from keras import ops

from tfrobustloss._core.backend import get_keras_mask
from tfrobustloss._core.validation import ParameterError
from tfrobustloss.losses.base import TaskLoss
from tfrobustloss.losses.other_tasks import targets

LARGEST = 1e30  # sums of it stay finite in float32


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
    logits = ops.clip(y_pred, -LARGEST, LARGEST)
    if logits.shape[-1] == 1:
        return ops.sigmoid(logits)
    return ops.softmax(logits, axis=-1)


def takes_logits(loss):
    """What a loss says of `from_logits`: True, False, or None if it knows no such."""
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
