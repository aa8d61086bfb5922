"""Signed distance maps: the exact distance of each pixel to the border of a region."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from tfrobustloss._core.validation import ParameterError


def signed_distance_map(mask, spacing=1.0):
    """Distance to the border of a region, negative inside.

        outside: distance to the nearest pixel of the region
        inside: smallest spacing less the distance to the nearest pixel outside it

    between the centres of pixels, exactly. A region that is empty or fills everything
    has no border and a map of zeros. The authors' code subtracts 1 inside whatever the
    spacing, which is the same for a spacing of 1.

    The length of `spacing` says whether the last axis of `mask` is one of classes: a
    one-hot mask of an image needs two numbers, as `spacing=(1, 1)`, of a volume three.
    With a single number, the default, every axis is one of space, that of classes too.

    Make the maps once, with the data; they are the targets of `losses.Boundary` and,
    beside the masks, of `losses.RegionBoundary`. In a `tf.data` pipeline, before it
    makes batches, for an image and its one-hot mask of `(rows, columns, classes)`:

        def with_distance(image, mask):
            per_class = functools.partial(signed_distance_map, spacing=(1, 1))
            distance = tf.numpy_function(per_class, [mask], tf.float32)
            return image, tf.ensure_shape(distance, mask.shape)

        def with_both(image, mask):
            image, distance = with_distance(image, mask)
            return image, tf.concat([tf.cast(mask, tf.float32), distance], axis=-1)

    Args:
        mask: Zeros and ones, or booleans: one region, shape `(...)`, or a region per
            class, shape `(..., classes)`, as `spacing` says.
        spacing: Distance of neighbouring pixels, above 0: one number for every axis of
            `mask`; or a sequence with a number per axis of space, which are all axes of
            `mask`, or all but the last.

    Returns:
        Float32 array of the shape of `mask`.

    Raises:
        ValueError: `mask` holds other numbers or has no axis of space, or `spacing`
            does not fit it.

    Example:
        >>> signed_distance_map([0, 0, 1, 1, 1, 1, 0]).tolist()
        [2.0, 1.0, 0.0, -1.0, -1.0, 0.0, 1.0]
        >>> one_hot = np.eye(2)[[[0, 0, 1, 1]]]  # an image of one row
        >>> signed_distance_map(one_hot, spacing=(1, 1))[0, :, 1].tolist()
        [2.0, 1.0, 0.0, -1.0]

    Reference:
        Kervadec et al., "Boundary Loss for Highly Unbalanced Segmentation", MIDL 2019.
    """
    mask = np.asarray(mask)
    is_number = mask.dtype.kind in "buif"
    bad = mask[~np.isin(mask, (0, 1))] if is_number else mask
    if bad.size or not is_number:
        shown = bad[:5].tolist() if is_number else str(mask.dtype)
        constraint = "an array of zeros and ones"
        hint = "Compare: `mask == 255`, or `ids == k` for the region of class k."
        raise ParameterError("signed_distance_map", "mask", shown, constraint, hint)
    steps = _steps(mask, spacing)
    regions = mask.astype(bool)
    per_class = len(steps) < mask.ndim
    regions = np.moveaxis(regions, -1, 0) if per_class else regions[np.newaxis]
    maps = np.zeros(regions.shape, "float32")
    for region, distance in zip(regions, maps, strict=True):
        if region.any() and not region.all():  # else there is no border
            outwards = distance_transform_edt(~region, steps)
            inwards = distance_transform_edt(region, steps)
            distance[...] = np.where(region, min(steps) - inwards, outwards)
    return np.moveaxis(maps, 0, -1) if per_class else maps[0]


def _steps(mask, spacing):
    """One spacing per axis of space, as floats."""
    steps = np.asarray(spacing, "float64")
    steps = np.broadcast_to(steps, mask.ndim) if steps.ndim == 0 else steps
    fits = steps.ndim == 1 and len(steps) in (mask.ndim, mask.ndim - 1) and len(steps)
    if not fits or not np.isfinite(steps).all() or (steps <= 0).any():
        constraint = (
            "a number above 0, or one per axis of space: all axes of `mask`, of shape "
            f"{mask.shape}, or all but the last"
        )
        raise ParameterError("signed_distance_map", "spacing", spacing, constraint)
    return steps.tolist()
