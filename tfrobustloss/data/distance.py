"""How far each pixel is from the border of a region, exactly.

The squared distance is built up axis by axis: along a line it is the lower envelope
of one parabola per pixel (Felzenszwalb and Huttenlocher, "Distance Transforms of
Sampled Functions", 2012), here for all lines at once.
"""

import numpy as np

from tfrobustloss._core.validation import ParameterError

_FAR = 1e30  # the squared distance to something that is not there
_CHUNK = 1 << 21  # numbers that a pass holds at a time


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
    space = tuple(range(1, regions.ndim))
    border = regions.any(axis=space) & ~regions.all(axis=space)
    maps = np.zeros(regions.shape, "float32")
    inside = regions[border]
    if inside.size:
        both = np.sqrt(_squared_distances(np.concatenate([inside, ~inside]), steps))
        outwards, inwards = np.split(both, 2)
        maps[border] = np.where(inside, min(steps) - inwards, outwards)
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


def _squared_distances(targets, steps):
    """Squared distance to the nearest True; the first axis is one of separate maps."""
    squares = _along_first(np.moveaxis(targets, 1, -1), steps[0])
    squares = np.moveaxis(squares, -1, 1)
    for axis, step in enumerate(steps[1:], start=2):
        lines = np.moveaxis(squares, axis, -1)
        shape = lines.shape
        lines = lines.reshape(-1, shape[-1])
        size = max(1, _CHUNK // shape[-1])
        parts = [
            _lower_envelope(lines[start : start + size], step)
            for start in range(0, len(lines), size)
        ]
        squares = np.moveaxis(np.concatenate(parts).reshape(shape), -1, axis)
    return squares


def _along_first(targets, step):
    """Squared distance to the nearest True on the same line, the last axis."""
    length = targets.shape[-1]
    positions = np.arange(length)
    before = np.where(targets, positions, -np.inf)
    after = np.where(targets, positions, np.inf)
    before = np.maximum.accumulate(before, axis=-1)
    after = np.minimum.accumulate(after[..., ::-1], axis=-1)[..., ::-1]
    nearest = np.minimum(positions - before, after - positions) * step
    return np.minimum(nearest * nearest, _FAR)


def _lower_envelope(heights, step):
    """Minimum over q of `heights[:, q] + (step (p - q))²` for every p."""
    count, length = heights.shape
    vertices = np.zeros((count, length), "int64")  # of the parabolas of the envelope
    starts = np.full((count, length), np.inf)  # where each begins to be the lowest
    starts[:, 0] = -np.inf
    last = np.zeros(count, "int64")
    lifted = heights + (step * np.arange(length)) ** 2
    for new in range(1, length):
        lines = np.arange(count)
        while lines.size:
            top = last[lines]
            vertex = vertices[lines, top]
            rise = lifted[lines, new] - lifted[lines, vertex]
            start = rise / (2 * step * step * (new - vertex))
            hidden = start <= starts[lines, top]
            stays, start = lines[~hidden], start[~hidden]
            last[stays] += 1
            vertices[stays, last[stays]] = new
            starts[stays, last[stays]] = start
            lines = lines[hidden]
            last[lines] -= 1
    # how many parabolas have begun at each position: the number of the lowest one
    used = np.arange(length) <= last[:, np.newaxis]
    used[:, 0] = False
    begins = np.clip(np.ceil(np.where(used, starts, length)), 0, length)
    slots = begins.astype("int64") + np.arange(count)[:, np.newaxis] * (length + 1)
    begun = np.bincount(slots[used], minlength=count * (length + 1))
    lowest = np.cumsum(begun.reshape(count, -1)[:, :length], axis=1)
    nearest = np.take_along_axis(vertices, lowest, axis=1)
    apart = step * (np.arange(length) - nearest)
    return np.take_along_axis(heights, nearest, axis=1) + apart * apart
