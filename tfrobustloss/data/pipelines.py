"""Batches for `model.fit` whose wrong labels stay the same in every epoch."""

import keras
import numpy as np

from tfrobustloss import _limits
from tfrobustloss.data import _pipeline_devices, _pipeline_sources, _tensor_noise, noise
from tfrobustloss.data._checks import class_ids, stochastic_matrix
from tfrobustloss.data._draws import SEED, stream_seed
from tfrobustloss.data._image_dataset import ImageDataset
from tfrobustloss.data.datasets import load

_OWNER = "pipeline"
_LIMITS = {
    "num_classes": _limits.Range(low=2, integer=True),
    "batch_size": _limits.Range(low=1, integer=True),
    "seed": SEED,
}
_FORMATS = ("sparse", "one_hot")
_ORDER, _AUGMENTATION = range(2)  # what the seed is for, besides the noise


def pipeline(
    dataset,
    *,
    num_classes,
    transition_matrix=None,
    noisy_labels=None,
    augment=None,
    batch_size,
    shuffle=True,
    seed,
    labels="sparse",
    keep_clean=False,
    device=None,
    split="train",
    data_dir=None,
):
    """Batches with label noise that stays put, for `model.fit`.

    The noisy label of an example depends on its index in the source, `seed` and the
    matrix alone, and is the one that `noise.corrupt` gives on the arrays: the same in
    every epoch, under any shuffle, batch size, number of workers and on any machine.

    Arrays stay in memory and their noise is drawn once; batches are gathered by index.
    The examples of a `tf.data.Dataset` are counted before they are shuffled, and their
    noise is drawn in the graph, a batch at a time. Where the dataset is a shard of a
    larger one, count before sharding: an element `(index, (image, label))`, as
    `dataset.enumerate().shard(2, 0)` gives, keeps its index. For the same reason a
    dataset goes through the `tf.data` service undivided (`ShardingPolicy.OFF`); arrays
    may also be shared out (`DYNAMIC`). The service starts the order anew each time:
    give it `batches.repeat()`.

    Order and augmentation follow from `seed`, and, as all of `tf.data`, also from
    TensorFlow's global seed where one is set; the labels do not.

    Args:
        dataset: `(images, labels)` arrays, an `ImageDataset`, a `tf.data.Dataset` of
            single examples, `(image, class id)` or dicts with `image` and `label`, or
            a name for `data.load`.
        num_classes: Int >= 2.
        transition_matrix: Row-stochastic, shape `(num_classes, num_classes)`; None for
            no noise.
        noisy_labels: Ready noisy class ids in the source's order, shape
            `(examples,)`, in place of a matrix: from `noise.instance_dependent` or
            `load_human_labels`.
        augment: A recipe of `data.augment`, or a function `(images, labels, seed)` of
            a batch that returns `(images, labels)`; `seed` is a pair of integers,
            another one in every batch and every epoch. Recipes that mix labels need
            `labels="one_hot"`. Recipes that XLA can compile are compiled.
        batch_size: Int >= 1; the last batch may be smaller.
        shuffle: Whether to shuffle anew each epoch. Of a `tf.data.Dataset`, at most
            10,000 examples wait in memory; a number sets how many.
        seed: Int in [0, 2 ** 64).
        labels: `"sparse"` for class ids of the source's type, `"one_hot"` for float32
            rows.
        keep_clean: Whether batches are `(images, noisy, clean)` instead of
            `(images, noisy)`.
        device: `"gpu"` copies batches to the GPU ahead of time and augments them
            there; without one it warns and stays on the CPU. Not tried on a GPU yet.
        split: Split to load where `dataset` is a name.
        data_dir: Folder of the data where `dataset` is a name.

    Returns:
        `tf.data.Dataset`; images have the source's type unless `augment` changes it.

    Raises:
        TypeError: `dataset` or `augment` is of no such kind.
        ValueError: A parameter is out of its range, labels and images differ in
            number, or labels are not class ids.

    Example:
        >>> images, clean = np.zeros((6, 2, 2, 1)), np.arange(6) % 3
        >>> matrix = noise.symmetric(3, 0.5)
        >>> batches = pipeline(
        ...     (images, clean), num_classes=3, transition_matrix=matrix, batch_size=4,
        ...     shuffle=False, seed=1,
        ... )
        >>> [y.tolist() for x, y in batches.as_numpy_iterator()]
        [[0, 2, 0, 2], [0, 2]]
        >>> noise.corrupt(clean, matrix, seed=1).tolist()
        [0, 2, 0, 2, 0, 2]
    """
    import tensorflow as tf

    _limits.check(
        _OWNER, _LIMITS, num_classes=num_classes, batch_size=batch_size, seed=seed
    )
    seed = int(seed)
    _check_choices(labels, shuffle, transition_matrix, noisy_labels)
    _check_augment(augment, labels)
    if transition_matrix is not None:
        transition_matrix = _matrix(transition_matrix, num_classes)
    device = _pipeline_devices.resolve(device)
    if isinstance(dataset, str):
        dataset = load(dataset, split, data_dir)
    order = stream_seed(seed, _ORDER) >> 1  # TensorFlow's seeds are signed
    feed = (shuffle, batch_size, order)
    with tf.device("/cpu:0"):
        if isinstance(dataset, tf.data.Dataset):
            batches = _pipeline_sources.from_stream(dataset, *feed).map(
                _stream_noise(transition_matrix, noisy_labels, num_classes, seed),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        else:
            images, *both = _arrays(
                dataset, transition_matrix, noisy_labels, num_classes, seed
            )
            wanted = both if keep_clean else both[:1]
            batches = _pipeline_sources.from_arrays(images, wanted, *feed)
        width = num_classes if labels == "one_hot" else None
        if width or len(batches.element_spec) > 2 + keep_clean:
            formatted = _formatted(width, keep_clean)
            batches = batches.map(formatted, num_parallel_calls=tf.data.AUTOTUNE)
        options = tf.data.Options()
        # sharding by files would count the examples of each file from 0
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.DATA
        )
        batches = batches.with_options(options)
        return _run(batches, augment, keep_clean, seed, device)


def _run(batches, augment, keep_clean, seed, device):
    """Augmentation on its device, or none, and one batch ahead."""
    import tensorflow as tf

    step = None
    if augment is not None:
        step = _augmentation(augment, keep_clean)
        seeds = tf.data.Dataset.random(
            seed=stream_seed(seed, _AUGMENTATION) >> 1, rerandomize_each_iteration=True
        )
        batches = tf.data.Dataset.zip(batches, seeds)
    if device is not None:
        return _pipeline_devices.run_there(batches, step, device)
    if step is not None:
        batches = batches.map(step, num_parallel_calls=tf.data.AUTOTUNE)
    return batches.prefetch(tf.data.AUTOTUNE)


def _arrays(dataset, matrix, noisy_labels, num_classes, seed):
    """Images, noisy and clean labels of a source that is in memory."""
    if isinstance(dataset, ImageDataset):
        dataset = (dataset.images, dataset.labels)
    if not isinstance(dataset, tuple | list) or len(dataset) != 2:
        constraint = "(images, labels), a tf.data.Dataset or a name for `data.load`"
        kind = type(dataset).__name__
        raise TypeError(_limits.error(_OWNER, "dataset", constraint, kind))
    images, clean = _pipeline_sources.array_pair(*dataset)
    clean = class_ids(_OWNER, "labels", clean, num_classes)
    if matrix is not None:
        return images, noise.corrupt(clean, matrix, seed), clean
    if noisy_labels is None:
        return images, clean, clean
    noisy = class_ids(_OWNER, "noisy_labels", noisy_labels, num_classes).reshape(-1)
    if len(noisy) != len(clean):
        constraint = f"({len(clean)},), one an example"
        shape = noisy.shape
        raise ValueError(_limits.error(_OWNER, "noisy_labels.shape", constraint, shape))
    return images, noisy.astype(clean.dtype), clean


def _stream_noise(matrix, noisy_labels, num_classes, seed):
    """The function that gives a batch of a stream its noisy labels."""
    import tensorflow as tf

    thresholds = table = None
    if matrix is not None:
        thresholds = noise.class_thresholds(matrix)
    elif noisy_labels is not None:
        ids = class_ids(_OWNER, "noisy_labels", noisy_labels, num_classes)
        table = tf.constant(ids.reshape(-1))

    @tf.autograph.experimental.do_not_convert
    def with_noise(indices, images, clean):
        noisy = clean
        if thresholds is not None:
            noisy = _tensor_noise.noisy_classes(clean, indices, thresholds, seed)
        elif table is not None:
            noisy = tf.cast(tf.gather(table, indices), clean.dtype)
        return images, noisy, clean

    return with_noise


def _formatted(num_classes, keep_clean):
    """The function that puts labels into their format and drops what is not wanted."""
    import tensorflow as tf

    def rows(ids):
        return ids if num_classes is None else tf.one_hot(ids, num_classes)

    @tf.autograph.experimental.do_not_convert
    def formatted(images, noisy, *clean):
        wanted = (noisy, *clean) if keep_clean else (noisy,)
        return images, *(rows(each) for each in wanted)

    return formatted


def _augmentation(augment, keep_clean):
    """The function that augments a batch by its random number."""
    import tensorflow as tf

    mixes = getattr(augment, "mixes_labels", False)
    takes_jit = getattr(augment, "supports_jit", False)

    @tf.function(jit_compile=takes_jit or None, autograph=False)
    def augmented(images, labels, seed):
        if _is_recipe(augment) and not mixes:
            return (augment(images, seed=seed), *labels)
        mixed, noisy = augment(images, labels[0], seed)
        if not mixes:
            return (mixed, noisy, *labels[1:])
        # the same seed mixes the clean labels in the same way
        return (mixed, noisy, *(augment(images, each, seed)[1] for each in labels[1:]))

    @tf.autograph.experimental.do_not_convert
    def step(batch, number):
        images, *labels = batch
        return augmented(images, tuple(labels), tf.bitcast(number, tf.int32))

    return step


def _matrix(matrix, num_classes):
    matrix = stochastic_matrix(_OWNER, "transition_matrix", matrix)
    if len(matrix) != num_classes:
        constraint = f"({num_classes}, {num_classes}), as `num_classes` says"
        name = "transition_matrix.shape"
        raise ValueError(_limits.error(_OWNER, name, constraint, matrix.shape))
    return matrix


def _check_choices(labels, shuffle, matrix, noisy_labels):
    if labels not in _FORMATS:
        constraint = "'sparse' or 'one_hot'"
        raise ValueError(_limits.error(_OWNER, "labels", constraint, labels))
    if not isinstance(shuffle, bool):
        limit = {"shuffle": _limits.Range(low=1, integer=True)}
        _limits.check(_OWNER, limit, shuffle=shuffle)
    if matrix is not None and noisy_labels is not None:
        constraint = "None where a `transition_matrix` is given"
        shape = np.shape(noisy_labels)
        raise ValueError(_limits.error(_OWNER, "noisy_labels", constraint, shape))


def _is_recipe(augment):
    """Whether it says of itself what a recipe says; plain functions do not."""
    return hasattr(augment, "mixes_labels")


def _check_augment(augment, labels):
    if augment is None:
        return
    if not callable(augment):
        constraint = "a recipe of `data.augment` or another function of a batch"
        raise TypeError(_limits.error(_OWNER, "augment", constraint, augment))
    if not _is_recipe(augment):
        return
    if augment.mixes_labels and labels != "one_hot":
        constraint = "'one_hot' for a recipe that mixes labels"
        raise ValueError(_limits.error(_OWNER, "labels", constraint, labels))
    if keras.backend.backend() != "tensorflow":
        backend = keras.backend.backend()
        constraint = "None on a Keras backend other than TensorFlow"
        hint = f"Keras runs on {backend}: use `augment.attach(model, recipe)`."
        raise ValueError(
            _limits.error(_OWNER, "augment", constraint, type(augment).__name__, hint)
        )
