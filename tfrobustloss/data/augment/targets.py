"""Targets of a model whose images move: labels stay, segmentation masks move along."""

import re

import keras
import numpy as np

from tfrobustloss._core.tensors import visible
from tfrobustloss._core.validation import ParameterError

LABELS, MASKS = "labels", "segmentation_masks"
KINDS = (LABELS, MASKS)
_PLACES = re.compile(r"box|keypoint|landmark|mask|segment|heatmap", re.IGNORECASE)
_CHECKED = 256  # examples of an array that are looked at
_FEWEST_PIXELS = 64  # below, a label row may well be as long as an image has pixels
_WAY_OUT = (
    "Class ids and one-hot masks move along: `attach(model, recipe, "
    'targets="segmentation_masks")`, or a recipe called with `{"images": images, '
    '"segmentation_masks": masks}`. Boxes, keypoints and distance maps do not: compute '
    "a distance map from the moved mask, move boxes by Keras' own layers in "
    "`dataset.map`, or use a recipe that moves no pixels. Targets that belong to the "
    'whole image after all: `targets="labels"`.'
)


def check_kinds(owner, targets):
    """Raises a ValueError unless `targets` is None, a kind, or a nest of kinds."""
    for kind in keras.tree.flatten(targets):
        if kind is not None and kind not in KINDS:
            constraint = f"None, or one of {', '.join(map(repr, KINDS))} per target"
            raise ParameterError(owner, "targets", targets, constraint)


def with_kinds(owner, targets, values):
    """Pairs of the name and the kind of each target, in the order of `keras.tree`.

    Args:
        owner: Name of the function that took `targets`.
        targets: None, a kind for all targets, or a list or dict of them like `values`.
        values: Targets: a tensor, or a list or dict of them.

    Returns:
        List of pairs: a name such as `y['mask']`, and a kind or None.

    Raises:
        ValueError: `targets` is nested in another way than `values`.
    """
    found = []

    def visit(name, kind, value):
        if isinstance(value, dict):
            if isinstance(kind, dict) and not kind.keys() <= value.keys():
                constraint = f"keys of the targets: {', '.join(map(repr, value))}"
                raise ParameterError(owner, "targets", targets, constraint)
            for key in sorted(value):
                one = kind.get(key) if isinstance(kind, dict) else kind
                visit(f"{name}[{key!r}]", one, value[key])
        elif isinstance(value, list | tuple):
            listed = isinstance(kind, list | tuple)
            if listed and len(kind) != len(value):
                constraint = f"{len(value)} kinds, one per target"
                raise ParameterError(owner, "targets", targets, constraint)
            for index, one in enumerate(value):
                visit(f"{name}[{index}]", kind[index] if listed else kind, one)
        else:
            if isinstance(kind, dict | list | tuple):
                constraint = f"a kind, not several: `{name}` is a single target"
                raise ParameterError(owner, "targets", targets, constraint)
            found.append((name, kind))

    visit("y", targets, values)
    return found


def check_stays(owner, name, shape, image_shape):
    """Raises a ValueError for a target with places in the image.

    Args:
        owner: Name of the function that took the target.
        name: Name of the target.
        shape: Its shape, batch first; None for unknown sizes.
        image_shape: `(batch, height, width, channels)`, or None if not known.
    """
    if _PLACES.search(name) or has_places(shape, image_shape):
        constraint = "a label of the whole image where a recipe moves pixels"
        received = tuple(shape)
        raise ParameterError(owner, f"{name}.shape", received, constraint, _WAY_OUT)


def check_labels(owner, name, labels, image_shape):
    """`check_stays` for each array of a nest of labels."""
    arrays = [each for each in keras.tree.flatten(labels) if hasattr(each, "shape")]
    if not arrays and labels is not None:
        arrays = [np.asarray(labels)]  # nested lists of numbers
    for each in arrays:
        check_stays(owner, name, tuple(each.shape), image_shape)


def has_places(shape, image_shape=None):
    """Whether a target of this shape says something about places in the image.

    Labels of a whole image are of shape `(batch,)`, `(batch, classes)`, or the same
    with axes of 1 where the image has rows and columns.
    """
    rest = tuple(shape[1:])
    if len(rest) > 1:
        is_row = len(rest) == 3 and rest[:2] == (1, 1)  # a 1 x 1 map of class scores
        return not is_row and any(size != 1 for size in rest)
    if image_shape is None or not rest or None in (*rest, *image_shape[1:]):
        return False
    height, width, channels = image_shape[1:]
    pixels = height * width  # a flattened map
    return pixels >= _FEWEST_PIXELS and rest[0] in (pixels, pixels * channels)


def check_mask(owner, name, mask, image_shape, num_classes=None):
    """Raises a ValueError for a target that cannot be moved as a segmentation mask.

    Args:
        owner: Name of the function that took the mask.
        name: Name of the mask.
        mask: Array or tensor.
        image_shape: `(batch, height, width, channels)`.
        num_classes: Number of the model's output channels, None if not known.
    """
    shape = tuple(mask.shape)
    size = tuple(image_shape[1:3])
    fits = len(shape) in (3, 4) and shape[1:3] == size and None not in shape[1:]
    if not fits:
        rows, columns = size
        constraint = (
            f"(batch, {rows}, {columns}) or (batch, {rows}, {columns}, classes), the "
            "size of the images"
        )
        hint = "Resize masks to the images; reduce them after they have moved."
        raise ParameterError(owner, f"{name}.shape", shape, constraint, hint)
    if num_classes and len(shape) == 4 and shape[3] not in (1, num_classes):
        constraint = f"1 channel of class ids or {num_classes}, as the model's output"
        hint = (
            "Distance maps cannot be moved by nearest neighbours: compute them from "
            "the moved masks."
        )
        raise ParameterError(owner, f"{name}.shape", shape, constraint, hint)
    check_mask_values(owner, name, mask)


def check_mask_values(owner, name, mask):
    """Raises a ValueError for a map of distances, where its values can be seen."""
    if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(mask.dtype)):
        return
    values = visible(mask[:_CHECKED] if hasattr(mask, "__getitem__") else None)
    if values is None or values.dtype.kind not in "fiu":
        return
    values = values.astype("float32")
    bad = (values != np.floor(values)) & ((values < 0) | (values > 1))
    if bad.any():
        constraint = "class ids or shares in [0, 1]"
        hint = (
            "A distance map changes with scale and border, so it cannot be moved: "
            "compute it from the moved mask."
        )
        shown = values[bad][:5].tolist()
        raise ParameterError(owner, name, shown, constraint, hint)


def fill_of(owner, mask, fill):
    """Values of the pixels that no pixel of a mask has moved to.

    Args:
        owner: Name of the step.
        mask: Tensor, shape `(batch, height, width, channels)`.
        fill: Class id. In a one-hot mask it is the row of that class, or zeros where
            the mask has no such class.

    Returns:
        Array of shape `(channels,)` and of the dtype of `mask`.

    Raises:
        ValueError: The dtype of `mask` cannot hold `fill`.
    """
    dtype = keras.backend.standardize_dtype(mask.dtype)
    channels = mask.shape[-1]
    if channels > 1:
        return (np.arange(channels) == fill).astype("float32")
    if "int" in dtype:
        limits = np.iinfo(dtype)
        if not limits.min <= fill <= limits.max:
            constraint = f"a value that masks of dtype {dtype} can hold"
            hint = 'Cast the masks: `.astype("int32")`.'
            raise ParameterError(owner, "mask_fill_value", fill, constraint, hint)
    return np.full(1, fill, "float32")


def pixel_weights(owner, weights, image_shape):
    """Positions of the sample weights that are one per pixel of the images.

    Raises:
        ValueError: Weights have places in the image but not its size.
    """
    found, size = [], tuple(image_shape[1:3])
    for index, weight in enumerate(weights):
        shape = () if weight is None else tuple(weight.shape)
        if len(shape) in (3, 4) and shape[1:3] == size:
            found.append(index)
        elif has_places(shape):
            constraint = "(batch,), or begin with (batch, height, width) of the images"
            name = "sample_weight.shape"
            raise ParameterError(owner, name, shape, constraint, _WAY_OUT)
    return found
