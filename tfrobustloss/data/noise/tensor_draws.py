"""The draws of `corrupt` and `corrupt_multi_hot` in TensorFlow, equal bit by bit."""

from tfrobustloss.data.noise.draws import _MIX_1, _MIX_2, _STEP


def uniform_draws(indices, seed):
    """`noise.uniform_draws` of tensors: the same 53 bits.

    Args:
        indices: Int64 tensor of numbers >= 0, any shape.
        seed: Int in [0, 2 ** 64).

    Returns:
        Float64 tensor in [0, 1), of the shape of `indices`.
    """
    import tensorflow as tf

    step = tf.constant(int(_STEP), tf.uint64)
    start = _mix(tf.constant(seed, tf.uint64) + step)
    counters = tf.cast(indices, tf.uint64) + tf.constant(1, tf.uint64)
    bits = _mix(start + counters * step)
    upper = tf.bitwise.right_shift(bits, tf.constant(11, tf.uint64))
    return tf.cast(upper, tf.float64) * 2.0**-53


def noisy_classes(labels, indices, thresholds, seed):
    """The noisy labels that `noise.corrupt` gives the examples of these indices.

    Args:
        labels: Integer tensor of clean class ids, shape `(batch,)`.
        indices: Int64 tensor of the examples' indices, shape `(batch,)`.
        thresholds: `noise.class_thresholds` of the matrix.
        seed: Int in [0, 2 ** 64).

    Returns:
        Tensor with the shape and dtype of `labels`.
    """
    import tensorflow as tf

    # wide first: narrow integers can neither index nor be summed
    rows = tf.gather(tf.constant(thresholds, tf.float64), tf.cast(labels, tf.int64))
    passed = rows <= uniform_draws(indices, seed)[..., tf.newaxis]
    classes = tf.reduce_sum(tf.cast(passed, tf.int64), axis=-1)
    return tf.cast(classes, labels.dtype)


def noisy_multi_hot(labels, indices, thresholds, seed):
    """The noisy labels that `noise.corrupt_multi_hot` gives the rows of these indices.

    For a dataset of `(image, labels)` in a fixed order:

        def noisy(index, example):
            image, labels = example
            return image, noisy_multi_hot(labels, index, thresholds, seed)

        dataset.enumerate().map(noisy)

    Args:
        labels: Tensor of 0, 1 and -1, shape `(..., classes)`, of a signed type.
        indices: Int64 tensor of the rows' indices, shape `(...)`.
        thresholds: `noise.flip_thresholds` of the rates.
        seed: Int in [0, 2 ** 64).

    Returns:
        Tensor with the shape and dtype of `labels`.
    """
    import tensorflow as tf

    classes = len(thresholds)
    bounds = tf.constant(thresholds, tf.float64)
    first = tf.cast(indices, tf.int64)[..., tf.newaxis] * classes
    draws = uniform_draws(first + tf.range(classes, dtype=tf.int64), seed)
    positive = labels == tf.constant(1, labels.dtype)
    lost, changed = (
        draws < tf.where(positive, bounds[:, 1, kind], bounds[:, 0, kind])
        for kind in range(2)
    )
    noisy = tf.cast(tf.not_equal(positive, changed), labels.dtype)
    missing = tf.constant(-1, labels.dtype)
    return tf.where(lost | (labels == missing), missing, noisy)


def _mix(bits):
    import tensorflow as tf

    def mixed(bits, shift, factor=None):
        bits ^= tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint64))
        return bits if factor is None else bits * tf.constant(int(factor), tf.uint64)

    return mixed(mixed(mixed(bits, 30, _MIX_1), 27, _MIX_2), 31)
