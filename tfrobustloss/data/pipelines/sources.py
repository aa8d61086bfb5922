"""Where a pipeline's examples come from: always with their index in the source."""

from tfrobustloss._core.labels import class_ids, plain_array
from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.data.datasets import ImageFiles
from tfrobustloss.data.pipelines.order import check_numbering, check_order

_OWNER = "pipeline"
_SHUFFLE_BUFFER = 10_000  # examples; of a stream, where memory has to hold them
_STREAM = (
    "a dataset of single examples `(image, class id)`, of dicts with `image` and "
    "`label`, or of such with their index in front, `dataset.enumerate()`"
)


def from_arrays(images, labels, shuffle, batch_size, seed):
    """Batches `(images, *labels)` gathered from arrays that stay in memory.

    Only indices are shuffled and batched. The source is one range, so that the
    `tf.data` service can give out parts of it.

    Args:
        images: Array or `ImageFiles`, shape `(examples, ...)`.
        labels: Sequence of arrays, shape `(examples,)` each.
        shuffle: Whether to shuffle, all examples at once, anew each epoch.
        batch_size: Int >= 1.
        seed: Int >= 0 of the order.

    Returns:
        `tf.data.Dataset`.
    """
    import tensorflow as tf

    count = len(labels[0])
    indices = tf.data.Dataset.range(count)
    if shuffle:
        indices = indices.shuffle(max(count, 1), seed=seed)
    labels = [tf.constant(each) for each in labels]

    def gather(tables, index):
        return tuple(tf.gather(table, index) for table in tables)

    if isinstance(images, ImageFiles):
        paths = tf.constant(images.paths)
        files = indices.map(
            lambda index: (images.decode(paths[index]), *gather(labels, index)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return files.batch(batch_size)
    tables = [tf.constant(images), *labels]
    return indices.batch(batch_size).map(
        lambda index: gather(tables, index), num_parallel_calls=tf.data.AUTOTUNE
    )


def from_stream(dataset, shuffle, batch_size, seed, is_noisy=True):
    """Batches `(indices, images, labels)` of a `tf.data.Dataset` of examples.

    Args:
        dataset: `tf.data.Dataset`; counted from 0 unless it brings its index along.
        shuffle: Whether to shuffle, or the number of examples to shuffle among.
        batch_size: Int >= 1.
        seed: Int >= 0 of the order.
        is_noisy: Whether labels depend on the index, so that the order has to be fixed.

    Returns:
        `tf.data.Dataset`.

    Raises:
        TypeError: The dataset holds something else.
        ValueError: Its order changes between epochs.
    """
    import tensorflow as tf

    spec = dataset.element_spec
    has_index = _has_index(spec)
    _check_example(spec[1] if has_index else spec)
    if is_noisy and has_index:
        check_numbering(dataset, _has_index)
    elif is_noisy:
        check_order(dataset, lambda example: _pair(example)[1])
    if not has_index:
        dataset = dataset.enumerate()
    dataset = dataset.map(
        lambda index, example: (index, *_pair(example)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    if shuffle:
        buffer = shuffle
        if shuffle is True:
            count = int(dataset.cardinality())
            buffer = min(count, _SHUFFLE_BUFFER) if count > 0 else _SHUFFLE_BUFFER
        dataset = dataset.shuffle(buffer, seed=seed)
    return dataset.batch(batch_size)


def count_examples(dataset):
    """Number of examples of a `tf.data.Dataset` that counts from 0, else None."""
    if _has_index(dataset.element_spec):
        return None
    count = int(dataset.cardinality())
    return None if count < 0 else count  # negative: endless, or not known


def _has_index(spec):
    if not isinstance(spec, tuple) or len(spec) != 2:
        return False
    index, example = spec
    is_number = hasattr(index, "dtype") and index.shape == () and index.dtype.is_integer
    return is_number and isinstance(example, tuple | dict)


def _pair(example):
    if isinstance(example, dict):
        return example["image"], example["label"]
    return example


def _check_example(spec):
    is_dict = isinstance(spec, dict) and {"image", "label"} <= set(spec)
    is_pair = isinstance(spec, tuple) and len(spec) == 2
    if not is_dict and not is_pair:
        raise ParameterTypeError(_OWNER, "dataset", spec, _STREAM)
    _, label = _pair(spec)
    if not hasattr(label, "dtype") or label.shape != () or not label.dtype.is_integer:
        hint = "Unbatch a batched dataset; turn one-hot rows into ids by `tf.argmax`."
        raise ParameterTypeError(_OWNER, "dataset", spec, _STREAM, hint)


def array_pair(images, labels):
    """Images as they are and labels as flat class ids, checked for their lengths."""
    if not isinstance(images, ImageFiles):
        images = plain_array(_OWNER, "images", images)
    labels = plain_array(_OWNER, "labels", labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    elif labels.ndim == 2:
        class_ids(_OWNER, "labels", labels)  # one-hot rows have an error of their own
    if labels.ndim != 1 or not images.ndim or len(images) != len(labels):
        constraint = "(images, labels) of one length"
        shapes = (tuple(images.shape), labels.shape)
        raise ParameterError(_OWNER, "dataset", shapes, constraint)
    return images, labels
