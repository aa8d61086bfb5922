"""Intersection over union of paired boxes; Keras' own takes all combinations."""

import numpy as np
from keras import ops

from tfrobustloss._core.validation import ParameterError, check_choice

CORNERS = ("xyxy", "yxyx")
CENTERS = ("center_xywh", "center_yxhw")
FORMATS = (*CORNERS, "xywh", *CENTERS, "deltas")

_FARTHEST = 1e15  # an area stays finite in float32
_LARGEST_LOG = 30.0


def paired_iou(first, second, box_format, variance=None):
    """Intersection over union of each box with its partner.

    Boxes encoded against an anchor ("deltas") need no anchor here: decoding moves and
    stretches both boxes of a pair alike, which leaves their overlap as it is.

    Args:
        first: Boxes, shape `(..., 4)`.
        second: Their partners, same shape.
        box_format: One of `FORMATS`; names as in `keras.utils.bounding_boxes`.
        variance: Four numbers that deltas were divided by, or None.

    Returns:
        Tensor in [0, 1], shape `(...)`; 0 for a pair without area.
    """
    low_1, high_1 = _corners(first, box_format, variance)
    low_2, high_2 = _corners(second, box_format, variance)
    common = _area(ops.maximum(low_1, low_2), ops.minimum(high_1, high_2))
    union = _area(low_1, high_1) + _area(low_2, high_2) - common
    some = union > 0
    return ops.where(some, common / ops.where(some, union, 1), 0)


def check_format(owner, box_format, variance):
    """Raises for an unknown box format, or a variance that does not fit it.

    Raises:
        ValueError: The format is unknown, or `variance` is not four numbers above 0
            for deltas.
    """
    check_choice(owner, "box_format", box_format, FORMATS)
    if variance is None:
        return
    try:
        values = np.asarray(variance, "float64")
    except (TypeError, ValueError):  # texts, or rows of different lengths
        values = np.empty(0)
    fits = values.shape == (4,) and np.isfinite(values).all() and (values > 0).all()
    if not fits or box_format != "deltas":
        constraint = "None, or four numbers above 0 for deltas"
        raise ParameterError(owner, "variance", variance, constraint)


def _corners(boxes, box_format, variance):
    if box_format == "deltas" and variance is not None:
        boxes = boxes * ops.cast(variance, boxes.dtype)
    boxes = ops.clip(boxes, -_FARTHEST, _FARTHEST)
    first, second = boxes[..., :2], boxes[..., 2:]
    if box_format in CORNERS:
        return first, second
    if box_format == "xywh":
        return first, first + ops.maximum(second, 0)
    if box_format == "deltas":
        half = ops.exp(ops.clip(second, -_LARGEST_LOG, _LARGEST_LOG)) / 2
    else:
        half = ops.maximum(second, 0) / 2
    return first - half, first + half


def _area(low, high):
    sides = ops.maximum(high - low, 0)
    return sides[..., 0] * sides[..., 1]
