"""Sources of a pipeline: arrays and `tf.data.Dataset`s, each example with its index."""

import dataclasses

from tfrobustloss._core.labels import class_ids, plain_array
from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.data.datasets import ImageDataset, ImageFiles, load
from tfrobustloss.data.pipelines.order import check_numbering, check_order

_OWNER = "pipeline"
_SHUFFLE_BUFFER = 10_000  # examples of a stream, which memory has to hold
_ANY = "(images, labels), a tf.data.Dataset or a name for `data.load`"
_STREAM = (
    "a dataset of single examples `(image, class id)` or `(image, mask of class ids)`, "
    "of dicts with `image` and `label`, or of either with an index in front, "
    "`dataset.enumerate()`"
)


@dataclasses.dataclass(frozen=True)
class Feed:
    """How examples become batches.

    Attributes:
        shuffle: Whether to shuffle in every epoch; of a stream, a number is the size
            of the buffer.
        batch_size: Int >= 1.
        seed: Int >= 0, of the order.
    """

    shuffle: bool | int
    batch_size: int
    seed: int


def source(dataset, split, data_dir):
    """The `ArraySource` or `StreamSource` of what `pipeline` was given.

    Args:
        dataset: As in `pipeline`.
        split: Split to load where `dataset` is a name.
        data_dir: Folder of the data where `dataset` is a name.

    Returns:
        An object with `batches(noise, feed, keep_clean)`.

    Raises:
        TypeError: `dataset` is of another kind.
        ValueError: Its parts do not fit together.
    """
    import tensorflow as tf

    if isinstance(dataset, str):
        dataset = load(dataset, split, data_dir)
    if isinstance(dataset, tf.data.Dataset):
        return StreamSource(dataset)
    if isinstance(dataset, ImageDataset):
        return ArraySource(dataset.images, dataset.labels)
    if isinstance(dataset, dict) and {"image", "label"} <= set(dataset):
        return ArraySource(*_pair(dataset))
    if not isinstance(dataset, tuple | list) or len(dataset) != 2:
        kind = type(dataset).__name__
        raise ParameterTypeError(_OWNER, "dataset", kind, _ANY)
    return ArraySource(*dataset)


class ArraySource:
    """Arrays that stay in memory; their noise is drawn once.

    Args:
        inputs: Array or `ImageFiles`, shape `(examples, ...)`, or a dict or tuple of
            them, as in `tf.data`.
        labels: Class ids, shape `(examples,)` or `(examples, 1)`, or masks of them,
            shape `(examples, rows, columns)` or `(examples, rows, columns, 1)`.

    Raises:
        ValueError: Inputs and labels differ in length.
    """

    def __init__(self, inputs, labels):
        labels = plain_array(_OWNER, "labels", labels)
        if labels.ndim in (2, 4) and labels.shape[-1] == 1:
            labels = labels[..., 0]
        elif labels.ndim == 2:
            class_ids(_OWNER, "labels", labels)  # one-hot rows have their own error
        self._inputs, self._labels = _plain("images", inputs), labels
        arrays = self._arrays()
        if not arrays:
            raise ParameterError(_OWNER, "images", inputs, "at least one array")
        for each in arrays:
            is_mask = labels.ndim == 3 and each.ndim == 4
            fits = (labels.ndim == 1 or is_mask) and each.ndim
            if not fits or len(each) != len(labels):
                constraint = "(images, labels) of one length"
                shapes = (tuple(each.shape), labels.shape)
                raise ParameterError(_OWNER, "dataset", shapes, constraint)

    def batches(self, noise, feed, keep_clean):
        """Batches `(inputs, noisy)` or `(inputs, noisy, clean)`, gathered by index.

        Only indices are shuffled and batched. They come from one range, so that the
        `tf.data` service can give out parts of it.

        Args:
            noise: `LabelNoise`.
            feed: `Feed`.
            keep_clean: Whether to add the clean labels.

        Returns:
            `tf.data.Dataset`.
        """
        import tensorflow as tf

        count = len(self._labels)
        labels = [noise.of_array(self._labels), self._labels][: 1 + keep_clean]
        labels = [tf.constant(each) for each in labels]
        inputs = tf.nest.map_structure(_lookup, self._inputs)
        indices = tf.data.Dataset.range(count)
        if feed.shuffle:
            indices = indices.shuffle(max(count, 1), seed=feed.seed)

        def gather(index):
            found = tf.nest.map_structure(lambda lookup: lookup(index), inputs)
            return found, *(tf.gather(each, index) for each in labels)

        parallel = dict(num_parallel_calls=tf.data.AUTOTUNE)
        if any(isinstance(each, ImageFiles) for each in self._arrays()):
            return indices.map(gather, **parallel).batch(feed.batch_size)
        return indices.batch(feed.batch_size).map(gather, **parallel)

    def _arrays(self):
        import tensorflow as tf

        return tf.nest.flatten(self._inputs)


class StreamSource:
    """A `tf.data.Dataset` of examples; counted from 0 unless they bring an index.

    Args:
        dataset: `tf.data.Dataset`.

    Raises:
        TypeError: It does not hold single examples.
    """

    def __init__(self, dataset):
        spec = dataset.element_spec
        self._dataset, self._has_index = dataset, _has_index(spec)
        _check_example(spec[1] if self._has_index else spec)

    def batches(self, noise, feed, keep_clean):
        """Batches `(inputs, noisy, clean)`, their noise drawn in the graph.

        Args:
            noise: `LabelNoise`.
            feed: `Feed`.
            keep_clean: Not used: clean labels are there in any case.

        Returns:
            `tf.data.Dataset`.

        Raises:
            ValueError: The order of the examples changes between epochs, and so would
                their noise.
        """
        import tensorflow as tf

        if noise.is_given:
            self._check_order()
        count = int(self._dataset.cardinality())
        dataset = self._dataset if self._has_index else self._dataset.enumerate()
        parallel = dict(num_parallel_calls=tf.data.AUTOTUNE)

        def plain(index, example):
            image, label = _pair(example)
            return index, image, _without_channel(label)

        dataset = dataset.map(plain, **parallel)
        if feed.shuffle:
            buffer = feed.shuffle
            if buffer is True:
                buffer = min(count, _SHUFFLE_BUFFER) if count > 0 else _SHUFFLE_BUFFER
            dataset = dataset.shuffle(buffer, seed=feed.seed)
        known = count >= 0 and not self._has_index  # else a part of them, or endless
        with_noise = noise.of_batches(count if known else None)
        return dataset.batch(feed.batch_size).map(with_noise, **parallel)

    def _check_order(self):
        if self._has_index:
            check_numbering(self._dataset, _has_index)
        else:
            check_order(self._dataset, lambda example: _pair(example)[1])


def _plain(name, inputs):
    """Inputs as arrays; dicts and tuples stay, lists become arrays, as in `tf.data`."""
    if isinstance(inputs, dict):
        return {key: _plain(f"{name}[{key!r}]", each) for key, each in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(_plain(f"{name}[{i}]", each) for i, each in enumerate(inputs))
    return (
        inputs if isinstance(inputs, ImageFiles) else plain_array(_OWNER, name, inputs)
    )


def _lookup(values):
    """The function that looks up values by index, of one example or a batch."""
    import tensorflow as tf

    if isinstance(values, ImageFiles):
        paths = tf.constant(values.paths)
        return lambda index: values.decode(paths[index])
    values = tf.constant(values)
    return lambda index: tf.gather(values, index)


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


def _without_channel(label):
    """A label, or a mask without the axis of its one channel."""
    return label[..., 0] if label.shape.rank == 3 else label


def _check_example(spec):
    is_dict = isinstance(spec, dict) and {"image", "label"} <= set(spec)
    is_pair = isinstance(spec, tuple) and len(spec) == 2
    if not is_dict and not is_pair:
        raise ParameterTypeError(_OWNER, "dataset", spec, _STREAM)
    image, label = _pair(spec)
    shape = getattr(label, "shape", None)
    is_mask = getattr(getattr(image, "shape", None), "rank", None) == 3 and (
        shape is not None and (shape.rank == 2 or (shape.rank == 3 and shape[-1] == 1))
    )
    if not (shape == () or is_mask) or not label.dtype.is_integer:
        hint = "Unbatch a batched dataset; turn one-hot rows into ids by `tf.argmax`."
        raise ParameterTypeError(_OWNER, "dataset", spec, _STREAM, hint)
