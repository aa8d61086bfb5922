"""Batches for `model.fit` whose wrong labels stay the same in every epoch."""

import numpy as np

from tfrobustloss._core.validation import (
    ParameterError,
    Range,
    check,
    check_choice,
    check_flag,
)
from tfrobustloss.data.datasets import load
from tfrobustloss.data.noise import SEED, stream_seed
from tfrobustloss.data.pipelines import augmentation, devices, sources
from tfrobustloss.data.pipelines import labels as _pipeline_labels

_OWNER = "pipeline"
_LIMITS = {
    "num_classes": Range(low=2, integer=True),
    "batch_size": Range(low=1, integer=True),
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
        augment: A recipe of `data.augment` or a step of one, or a function
            `(images, labels, seed)` of a batch that returns `(images, labels)`; `seed`
            is a pair of integers, another one in every batch and every epoch. Recipes
            that mix labels need `labels="one_hot"`. Recipes that XLA can compile are
            compiled.
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
        TypeError: `dataset`, `augment` or a flag is of no such kind.
        ValueError: A parameter is out of its range, labels and images differ in
            number, or labels are not class ids. What a `tf.data.Dataset` holds is
            seen when it is read: TensorFlow's `InvalidArgumentError` then says so.

    Example:
        >>> from tfrobustloss.data import noise
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

    check(_OWNER, _LIMITS, num_classes=num_classes, batch_size=batch_size, seed=seed)
    num_classes, batch_size, seed = int(num_classes), int(batch_size), int(seed)
    check_choice(_OWNER, "labels", labels, _FORMATS)
    check_flag(_OWNER, "keep_clean", keep_clean)
    shuffle = _check_shuffle(shuffle)
    _check_one_noise(transition_matrix, noisy_labels)
    augment = augmentation.prepare(augment, labels)
    transition_matrix = _pipeline_labels.check_matrix(transition_matrix, num_classes)
    device = devices.resolve(device)
    if isinstance(dataset, str):
        dataset = load(dataset, split, data_dir)
    order = stream_seed(seed, _ORDER) >> 1  # TensorFlow's seeds are signed
    feed = (shuffle, batch_size, order)
    told = (transition_matrix, noisy_labels, num_classes, seed)
    with tf.device("/cpu:0"):
        if isinstance(dataset, tf.data.Dataset):
            is_noisy = transition_matrix is not None or noisy_labels is not None
            batches = sources.from_stream(dataset, *feed, is_noisy)
            count = sources.count_examples(dataset)
            with_noise = _pipeline_labels.stream_noise(*told, count)
            batches = batches.map(with_noise, num_parallel_calls=tf.data.AUTOTUNE)
        else:
            images, *both = _pipeline_labels.from_arrays(dataset, *told)
            wanted = both if keep_clean else both[:1]
            batches = sources.from_arrays(images, wanted, *feed)
        width = num_classes if labels == "one_hot" else None
        if width or len(batches.element_spec) > 2 + keep_clean:
            in_format = _pipeline_labels.formatted(width, keep_clean)
            batches = batches.map(in_format, num_parallel_calls=tf.data.AUTOTUNE)
        options = tf.data.Options()
        # sharding by files would count the examples of each file from 0
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.DATA
        )
        batches = batches.with_options(options)
        return _run(batches, augment, seed, device)


def _run(batches, augment, seed, device):
    """Augmentation on its device, or none, and one batch ahead."""
    import tensorflow as tf

    step = None
    if augment is not None:
        step = augmentation.step(augment)
        seeds = tf.data.Dataset.random(
            seed=stream_seed(seed, _AUGMENTATION) >> 1, rerandomize_each_iteration=True
        )
        batches = tf.data.Dataset.zip(batches, seeds)
    if device is not None:
        return devices.run_there(batches, step, device)
    if step is not None:
        batches = batches.map(step, num_parallel_calls=tf.data.AUTOTUNE)
    return batches.prefetch(tf.data.AUTOTUNE)


def _check_shuffle(shuffle):
    """True or False, or the number of examples to shuffle among."""
    if isinstance(shuffle, bool | np.bool_):
        return bool(shuffle)
    limit = {"shuffle": Range(low=1, integer=True)}
    check(_OWNER, limit, shuffle=shuffle)
    return int(shuffle)


def _check_one_noise(matrix, noisy_labels):
    if matrix is not None and noisy_labels is not None:
        constraint = "None where a `transition_matrix` is given"
        shape = np.shape(noisy_labels)
        raise ParameterError(_OWNER, "noisy_labels", shape, constraint)
