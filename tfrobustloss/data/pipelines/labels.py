"""Label noise of a pipeline, and the format of its labels."""

import numpy as np

from tfrobustloss._core.labels import check_holds, class_ids, stochastic_matrix
from tfrobustloss._core.validation import ParameterError, Range
from tfrobustloss.data import noise
from tfrobustloss.data.noise import tensor_draws

_OWNER = "pipeline"
_IN_ORDER = "In the source's order; with indices in front, by them."


class LabelNoise:
    """Noisy labels by the index of an example: drawn, given, or none.

    Args:
        num_classes: Int >= 2.
        seed: Int in [0, 2 ** 64).
        transition_matrix: Shape `(num_classes, num_classes)`, to draw labels by; None.
        noisy_labels: Noisy class ids in the source's order, shape `(examples,)`, or
            masks of them, shape `(examples, rows, columns)`; None.

    Attributes:
        is_given: Whether labels may change at all.

    Raises:
        ValueError: Both are given, the matrix is not row-stochastic or of another
            number of classes, or the labels are not class ids.
    """

    def __init__(self, num_classes, seed, transition_matrix=None, noisy_labels=None):
        self._num_classes, self._seed = num_classes, seed
        self._matrix = self._labels = None
        if transition_matrix is not None and noisy_labels is not None:
            constraint = "None where a `transition_matrix` is given"
            shape = np.shape(noisy_labels)
            raise ParameterError(_OWNER, "noisy_labels", shape, constraint)
        if transition_matrix is not None:
            self._matrix = _checked_matrix(transition_matrix, num_classes)
        if noisy_labels is not None:
            ids = class_ids(_OWNER, "noisy_labels", noisy_labels, num_classes)
            self._labels = ids if ids.ndim > 2 else ids.reshape(-1)
        self.is_given = self._matrix is not None or self._labels is not None

    def of_array(self, clean):
        """Noisy labels of all examples at once.

        Args:
            clean: Class ids, shape `(examples,)`, or masks.

        Returns:
            Array with the shape and dtype of `clean`.

        Raises:
            ValueError: `clean` are not class ids, their type cannot hold a class, or
                given labels are not one per example.
        """
        clean = class_ids(_OWNER, "labels", clean, self._num_classes)
        if not self.is_given:
            return clean
        check_holds(_OWNER, "labels", clean.dtype, self._num_classes)
        if self._matrix is not None:
            return noise.corrupt(clean, self._matrix, self._seed)
        self._check_shape(clean.shape)
        return self._labels.astype(clean.dtype)

    def of_batches(self, num_examples):
        """The function that gives a batch of a stream its noisy labels.

        Labels of a stream are seen when it is read, and are checked there, batch by
        batch.

        Args:
            num_examples: Number of examples of the stream, None if unknown.

        Returns:
            Function of indices, images and clean labels that returns images, noisy and
            clean labels.

        Raises:
            ValueError: Given labels are not one an example.
        """
        import tensorflow as tf

        thresholds = table = None
        if self._matrix is not None:
            thresholds = noise.class_thresholds(self._matrix)
        if self._labels is not None:
            self._check_shape((num_examples, *self._labels.shape[1:]))
            table = tf.constant(self._labels)

        @tf.autograph.experimental.do_not_convert
        def with_noise(indices, images, clean):
            limit = Range(0, self._num_classes - 1, integer=True)
            text = str(ParameterError(_OWNER, "labels", "{}", limit))
            clean = _held(clean, self._num_classes, text)
            if not self.is_given:
                return images, clean, clean
            check_holds(_OWNER, "labels", clean.dtype.as_numpy_dtype, self._num_classes)
            if thresholds is not None:
                places = _places(indices, clean)
                noisy = tensor_draws.noisy_classes(
                    clean, places, thresholds, self._seed
                )
                return images, noisy, clean
            constraint = "above the index of every example"
            hint = f"{_IN_ORDER} Indices without one: {{}}"
            name, size = "len(noisy_labels)", len(self._labels)
            text = str(ParameterError(_OWNER, name, size, constraint, hint))
            indices = _held(indices, size, text)
            noisy = tf.cast(tf.gather(table, indices), clean.dtype)
            if not noisy.shape.is_compatible_with(clean.shape):
                self._check_shape((num_examples, *clean.shape[1:]))
            return images, noisy, clean

        return with_noise

    def _check_shape(self, shape):
        """Raises unless the given labels have a shape; its first size may be None."""
        own = self._labels.shape
        if own[1:] != tuple(shape[1:]) or shape[0] not in (None, own[0]):
            shown = ", ".join(map(str, shape))
            constraint = f"({shown}{',' * (len(shape) == 1)}), one an example"
            raise ParameterError(_OWNER, "noisy_labels.shape", own, constraint)


def _places(indices, labels):
    """Positions that `noise.corrupt` would count the labels of a batch by.

    Those of the examples themselves; in a mask, all pixels of the examples before and
    the pixel's own position. Masks have to be of one size.
    """
    import tensorflow as tf

    if labels.shape.rank == 1:
        return indices
    size = tf.cast(tf.size(labels[0]), tf.int64)
    pixels = tf.reshape(tf.range(size), tf.shape(labels)[1:])
    return tf.reshape(indices, (-1, 1, 1)) * size + pixels


def in_format(batches, num_classes, labels, keep_clean):
    """Batches with labels as class ids or rows, and clean ones only where wanted.

    Args:
        batches: `tf.data.Dataset` of images, noisy and, maybe, clean class ids.
        num_classes: Int >= 2.
        labels: `"sparse"` or `"one_hot"`.
        keep_clean: Whether to keep the clean labels.

    Returns:
        `tf.data.Dataset` of `(images, noisy)` or `(images, noisy, clean)`.
    """
    import tensorflow as tf

    if labels == "sparse" and len(batches.element_spec) == 2 + keep_clean:
        return batches

    def formatted(ids):
        if labels == "sparse":
            return ids
        return tf.one_hot(tf.cast(ids, tf.int64), num_classes)

    @tf.autograph.experimental.do_not_convert
    def wanted(images, noisy, *clean):
        kept = (noisy, *clean) if keep_clean else (noisy,)
        return images, *(formatted(each) for each in kept)

    return batches.map(wanted, num_parallel_calls=tf.data.AUTOTUNE)


def _checked_matrix(matrix, num_classes):
    matrix = stochastic_matrix(_OWNER, "transition_matrix", matrix)
    if len(matrix) != num_classes:
        constraint = f"({num_classes}, {num_classes}), as `num_classes` says"
        name = "transition_matrix.shape"
        raise ParameterError(_OWNER, name, matrix.shape, constraint)
    return matrix


def _held(numbers, size, text):
    """A tensor of whole numbers that fails at run time unless all are in [0, size)."""
    import tensorflow as tf

    wide = tf.cast(numbers, tf.int64)
    bad = tf.logical_or(wide < 0, wide >= size)

    def fail():
        found = tf.boolean_mask(wide, bad)
        received = tf.strings.format(text.replace("'{}'", "{}"), found)
        return tf.debugging.Assert(False, [received])

    with tf.control_dependencies([tf.cond(tf.reduce_any(bad), fail, tf.no_op)]):
        return tf.identity(numbers)
