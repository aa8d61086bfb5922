"""The labels of a pipeline: checked, made noisy, put into their format."""

import numpy as np

from tfrobustloss._core.labels import class_ids, stochastic_matrix
from tfrobustloss._core.validation import ParameterError, ParameterTypeError, Range
from tfrobustloss.data import noise
from tfrobustloss.data.datasets import ImageDataset
from tfrobustloss.data.noise import tensor_draws
from tfrobustloss.data.pipelines import sources

_OWNER = "pipeline"
_IN_ORDER = "In the source's order; with indices in front, by them."


def check_matrix(matrix, num_classes):
    """A transition matrix of `num_classes` classes, or None as it is."""
    if matrix is None:
        return None
    matrix = stochastic_matrix(_OWNER, "transition_matrix", matrix)
    if len(matrix) != num_classes:
        constraint = f"({num_classes}, {num_classes}), as `num_classes` says"
        name = "transition_matrix.shape"
        raise ParameterError(_OWNER, name, matrix.shape, constraint)
    return matrix


def from_arrays(dataset, matrix, noisy_labels, num_classes, seed):
    """Images, noisy and clean labels of a source that is in memory."""
    if isinstance(dataset, ImageDataset):
        dataset = (dataset.images, dataset.labels)
    if not isinstance(dataset, tuple | list) or len(dataset) != 2:
        constraint = "(images, labels), a tf.data.Dataset or a name for `data.load`"
        kind = type(dataset).__name__
        raise ParameterTypeError(_OWNER, "dataset", kind, constraint)
    images, clean = sources.array_pair(*dataset)
    clean = class_ids(_OWNER, "labels", clean, num_classes)
    if matrix is not None:
        return images, noise.corrupt(clean, matrix, seed), clean
    if noisy_labels is None:
        return images, clean, clean
    noisy = class_ids(_OWNER, "noisy_labels", noisy_labels, num_classes).reshape(-1)
    _check_length(noisy, len(clean))
    _check_holds(clean.dtype, num_classes)
    return images, noisy.astype(clean.dtype), clean


def stream_noise(matrix, noisy_labels, num_classes, seed, count):
    """The function that gives a batch of a stream its noisy labels.

    Labels of a stream are seen when it is read, and there are held against the number
    of classes, a batch at a time.

    Args:
        matrix: What `check_matrix` returned.
        noisy_labels: Noisy class ids in the source's order, or None.
        num_classes: Int >= 2.
        seed: Int in [0, 2 ** 64).
        count: Number of examples of the stream, None where it is not known.

    Returns:
        Function of indices, images and clean labels: images, noisy and clean labels.

    Raises:
        ValueError: `noisy_labels` are no class ids, or not one an example.
    """
    import tensorflow as tf

    thresholds = table = None
    if matrix is not None:
        thresholds = noise.class_thresholds(matrix)
    elif noisy_labels is not None:
        ids = class_ids(_OWNER, "noisy_labels", noisy_labels, num_classes).reshape(-1)
        _check_length(ids, count)
        table = tf.constant(ids)

    @tf.autograph.experimental.do_not_convert
    def with_noise(indices, images, clean):
        limit = Range(0, num_classes - 1, integer=True)
        text = str(ParameterError(_OWNER, "labels", "{}", limit))
        clean = _held(clean, num_classes, text)
        noisy = clean
        if thresholds is not None or table is not None:
            _check_holds(np.dtype(clean.dtype.as_numpy_dtype), num_classes)
        if thresholds is not None:
            noisy = tensor_draws.noisy_classes(clean, indices, thresholds, seed)
        elif table is not None:
            constraint = "above the index of every example"
            hint = f"{_IN_ORDER} Indices without one: {{}}"
            name, size = "len(noisy_labels)", len(ids)
            text = str(ParameterError(_OWNER, name, size, constraint, hint))
            indices = _held(indices, size, text)
            noisy = tf.cast(tf.gather(table, indices), clean.dtype)
        return images, noisy, clean

    return with_noise


def formatted(num_classes, keep_clean):
    """The function that puts labels into their format and drops what is not wanted."""
    import tensorflow as tf

    def rows(ids):
        if num_classes is None:
            return ids
        return tf.one_hot(tf.cast(ids, tf.int64), num_classes)

    @tf.autograph.experimental.do_not_convert
    def in_format(images, noisy, *clean):
        wanted = (noisy, *clean) if keep_clean else (noisy,)
        return images, *(rows(each) for each in wanted)

    return in_format


def _check_length(noisy_labels, count):
    if count is not None and len(noisy_labels) != count:
        constraint = f"({count},), one an example"
        name, shape = "noisy_labels.shape", noisy_labels.shape
        raise ParameterError(_OWNER, name, shape, constraint)


def _check_holds(dtype, num_classes):
    """Raises unless noisy labels fit into the type of the clean ones."""
    if np.iinfo(dtype).max < num_classes - 1:
        constraint = f"a type that can hold class {num_classes - 1}"
        raise ParameterError(_OWNER, "labels.dtype", dtype.name, constraint)


def _held(numbers, size, text):
    """A tensor of whole numbers, once all are seen to be in [0, size)."""
    import tensorflow as tf

    wide = tf.cast(numbers, tf.int64)
    bad = tf.logical_or(wide < 0, wide >= size)

    def fail():
        found = tf.boolean_mask(wide, bad)
        received = tf.strings.format(text.replace("'{}'", "{}"), found)
        return tf.debugging.Assert(False, [received])

    with tf.control_dependencies([tf.cond(tf.reduce_any(bad), fail, tf.no_op)]):
        return tf.identity(numbers)
