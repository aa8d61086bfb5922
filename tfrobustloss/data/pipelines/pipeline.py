"""`tf.data` pipelines for `model.fit` with label noise that epochs do not change."""

import numpy as np

from tfrobustloss._core.validation import (
    ParameterTypeError,
    Range,
    check,
    check_choice,
    check_flag,
)
from tfrobustloss.data.noise import SEED, stream_seed
from tfrobustloss.data.pipelines import augmentation, devices
from tfrobustloss.data.pipelines.labels import LabelNoise, in_format
from tfrobustloss.data.pipelines.sources import Feed, source

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
    """Batches with fixed label noise, for `model.fit`.

    The noisy label of an example depends on its index in the source, `seed` and the
    matrix alone, and is the one that `noise.corrupt` gives on the arrays: the same in
    every epoch, under any shuffle, batch size, number of workers and on any machine.

    Arrays stay in memory and their noise is drawn once; batches are gathered by index.
    The examples of a `tf.data.Dataset` are counted before they are shuffled, and their
    noise is drawn in the graph, batch by batch. Its order therefore has to be the same
    in every epoch: a dataset that shuffles, repeats or reads in parallel without order
    is refused, unless its elements bring an index, `(index, (image, label))`, as
    `dataset.enumerate().shuffle(1000)` gives. So are a Python generator and random
    filters if their first examples differ between two iterations.

    Where the dataset is a shard of a larger one, enumerate before sharding:
    `dataset.enumerate().shard(2, 0)`. For the same reason a dataset goes through the
    `tf.data` service undivided (`ShardingPolicy.OFF`); arrays may also be shared out
    (`DYNAMIC`). The service restarts the order in every epoch: give it
    `batches.repeat()`.

    Order and augmentation follow from `seed`, and, as all of `tf.data`, also from
    TensorFlow's global seed where one is set; the labels do not.

    Args:
        dataset: `(images, labels)` arrays, an `ImageDataset`, a `tf.data.Dataset` of
            single examples, `(image, class id)` or dicts with `image` and `label`, or
            a name for `data.load`. A label may also be a mask of class ids, of shape
            `(rows, columns)` or `(rows, columns, 1)`. Instead of images, a model of
            several inputs takes a dict or tuple of arrays, `({"image": a, "extra": b},
            labels)`.
        num_classes: Int >= 2.
        transition_matrix: Row-stochastic, shape `(num_classes, num_classes)`; None for
            no noise.
        noisy_labels: Ready noisy class ids in the source's order, shape
            `(examples,)`, in place of a matrix: from `noise.instance_dependent` or
            `load_human_labels`. For masks, noisy masks.
        augment: A recipe of `data.augment` or a step of one, or a function
            `(images, labels, seed)` of a batch that returns `(images, labels)`; `seed`
            is a pair of integers, another one in every batch and every epoch. Recipes
            that mix labels need `labels="one_hot"`. Recipes that XLA can compile are
            compiled. They move masks by the map that moves the images, new pixels get
            `mask_fill_value` of `augment.Affine`. Steps with a `value_range` need it
            for float images. Inputs in a dict or tuple need a function.
        batch_size: Int >= 1; the last batch may be smaller.
        shuffle: Whether to shuffle in every epoch. Of a `tf.data.Dataset`, at most
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
        TypeError: `dataset`, `augment` or a flag is of another kind.
        ValueError: A parameter is out of its range, labels and images differ in
            number, labels are not class ids, or the order of a `tf.data.Dataset`
            changes between epochs while labels are noisy. The labels in a
            `tf.data.Dataset` are checked when it is read, by TensorFlow's
            `InvalidArgumentError`.

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
    augment = augmentation.prepare(augment, labels)
    device = devices.resolve(device)
    noise = LabelNoise(num_classes, seed, transition_matrix, noisy_labels)
    order_seed = stream_seed(seed, _ORDER) >> 1  # TensorFlow's seeds are signed
    feed = Feed(_check_shuffle(shuffle), batch_size, order_seed)
    with tf.device("/cpu:0"):
        examples = source(dataset, split, data_dir)
        batches = examples.batches(noise, feed, keep_clean)
        batches = in_format(batches, num_classes, labels, keep_clean)
        _check_one_image(augment, batches.element_spec[0])
        options = tf.data.Options()
        # sharding by files would count the examples of each file from 0
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.DATA
        )
        return _run(batches.with_options(options), augment, seed, device)


def _run(batches, augment, seed, device):
    """Adds the augmentation, on its device, and prefetches a batch."""
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


def _check_one_image(augment, inputs):
    """Raises a TypeError for a recipe that cannot tell which input is the image."""
    if hasattr(augment, "mixes_labels") and isinstance(inputs, dict | tuple):
        constraint = "a function (inputs, labels, seed) for inputs in a dict or tuple"
        hint = (
            "A recipe takes one array of images. Call it on one of them: "
            "`lambda inputs, labels, seed: ({**inputs, 'image': "
            "recipe(inputs['image'], seed=seed)}, labels)`."
        )
        name = type(augment).__name__
        raise ParameterTypeError(_OWNER, "augment", name, constraint, hint)
