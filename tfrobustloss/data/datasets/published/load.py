"""Loads image datasets: digits from scikit-learn, others from TFDS or files."""

import dataclasses
import os

import numpy as np

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.data.datasets import splits as _splits
from tfrobustloss.data.datasets.published import manual
from tfrobustloss.data.datasets.published.image_dataset import (
    ImageDataset,
    fitted,
    read_all,
)
from tfrobustloss.data.noise import CLASS_MAPS

_TEST_EVERY = 4  # of each class of the digits, every fourth image is for testing
_BATCH = 1024
_ALIASES = {"svhn": "svhn_cropped", "flowers": "tf_flowers"}
_MANUAL = {
    "clothing1m": manual.load_clothing1m,
    "ham10000": manual.load_ham10000,
}


@dataclasses.dataclass(frozen=True)
class _Piece:
    """How a dataset in one split, with images of many sizes, is read."""

    size: tuple[int, int]
    crop: bool
    test_every: int


_PIECES = {
    "tf_flowers": _Piece((150, 150), crop=False, test_every=4),
    "cats_vs_dogs": _Piece((150, 150), crop=True, test_every=5),
}


def load(name, split="train", data_dir=None):
    """Loads a split of an image dataset; nothing is ever downloaded.

    - `"digits"`: scikit-learn's embedded set of 1797 real handwritten digits of 8 x 8
      pixels, its 17 grey levels spread over a byte, `round(level * 255 / 16)`. Of each
      class, in the order given, every fourth image is in the test split (445 images)
      and the others are in the train split (1352).
    - `"mnist"`, `"fashion_mnist"`, `"kmnist"`, `"cifar10"`, `"cifar100"`, `"svhn"` and
      any other TFDS set of images of one size: as stored, in the stored order. Papers
      that validate on 10,000 of the 60,000 training images do not say on which:
      `"train[:50000]"` and `"train[50000:]"` are a choice. `"svhn"` is TFDS'
      `svhn_cropped`; its `extra` split is no part of the papers' training set.
    - `"tf_flowers"` (or `"flowers"`): stretched to 150 x 150, of each class three
      quarters for training. The Adma paper's set is another collection of five
      flowers, with 4,242 images; TFDS has 3,670.
    - `"cats_vs_dogs"`: the middle 150 x 150 after the shorter side is brought to 150,
      of each class four fifths for training. The paper says cropped, not how, and no
      split but its usual one. TFDS leaves out 1,738 of the 25,000 images as damaged.
    - `"ham10000"`: skin lesions from files fetched by hand, 75 x 100, of each class
      three quarters for training, in the order of the image ids. The paper does not
      say whether photographs of one lesion stay together; here they do not.
    - `"clothing1m"`: from files fetched by hand, stretched to 224 x 224 and decoded
      when asked for. Splits: `"train"` (a million noisy labels), `"clean_train"`,
      `"validation"` and `"test"`.

    A slice of a split is written as in TFDS, `"train[:50000]"` or `"test[50%:]"`. Which
    pictures fall into the test part of a set that comes in one piece is a choice of
    this package, since no paper says: every fourth or fifth of each class. Images are
    resized bilinearly with antialiasing, which no paper says either.

    Args:
        name: One of the names above, or of a prepared TFDS image classification set
            with images of one size.
        split: Name of a split, `"train"` or `"test"` for most sets, or a slice of one.
        data_dir: Folder of prepared TFDS data, and of the folders `clothing1m` and
            `ham10000`. None is the default of TFDS: the environment variable
            `TFDS_DATA_DIR`, or `~/tensorflow_datasets`.

    Returns:
        An `ImageDataset`.

    Raises:
        ValueError: The dataset is not prepared (the message says what to download and
            where to put it), has no split of that name, or is not a classification
            dataset with images of one size.
        ImportError: `"digits"` needs scikit-learn, which is not installed.

    Example:
        >>> digits = load("digits", "test")
        >>> digits.images.shape, digits.num_classes, digits.labels[:5].tolist()
        ((445, 8, 8, 1), 10, [0, 9, 5, 6, 8])

    Reference:
        Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
        Learning Repository, 1998. Sizes and splits: Shrivastava, "Adma", 2020, section
        4.2; Gao et al., "Searching for Robustness", 2021, table 5.
    """
    if not isinstance(name, str) or not name:
        constraint = "'digits' or the name of a TFDS dataset"
        raise ParameterError("load", "name", name, constraint)
    if name == "digits":
        return _load_digits(split)
    if name in _MANUAL:
        return _MANUAL[name](name, split, data_dir)
    return _load_tfds(name, split, data_dir)


def _load_digits(split):
    split, part = _splits.parse("digits", split, ["train", "test"])
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        text = (
            "load: the 'digits' dataset is part of scikit-learn, which is missing. "
            'Install it with `pip install "tfrobustloss[cli]"`.'
        )
        raise ImportError(text) from error
    digits = load_digits()
    labels = digits.target.astype(np.int64)
    chosen = _splits.every_kth(labels, _TEST_EVERY, split)
    chosen = chosen[part(len(chosen))]
    levels = digits.images[chosen][..., np.newaxis]
    images = np.round(levels * 255 / 16).astype(np.uint8)
    return ImageDataset(images, labels[chosen], 10, "digits", tuple("0123456789"))


def _load_tfds(name, split, data_dir):
    import tensorflow_datasets as tfds

    builder = _find_builder(name, data_dir)
    piece = _PIECES.get(builder.name)
    splits = list(builder.info.splits)
    if piece is not None:  # stored as one split
        (stored,), splits = splits, ["train", "test"]
    base, part = _splits.parse(name, split, splits)
    features = dict(builder.info.features.items())
    kinds = {"image": tfds.features.Image, "label": tfds.features.ClassLabel}
    if not all(isinstance(features.get(key), kind) for key, kind in kinds.items()):
        constraint = "a set of images with an `image` and a class `label`"
        raise ParameterError("load", "name", name, constraint)
    shape = features["image"].shape
    if piece is None:
        if None in shape:
            constraint = "a set with images of one size"
            hint = f"Its shape is {shape}."
            raise ParameterError("load", "name", name, constraint, hint)
        rows = part(builder.info.splits[base].num_examples)
        examples = _encoded(builder, base, rows)
        labels, ids = _read_labels(examples, features)
        images = read_all(_decoded(builder, examples), len(labels), shape)
    else:
        examples = _encoded(builder, stored)
        labels, ids = _read_labels(examples, features)
        chosen = _splits.every_kth(labels, piece.test_every, base)
        chosen = chosen[part(len(chosen))]
        images = _decoded(builder, _at(examples, chosen)).map(
            lambda image: fitted(image, piece.size, piece.crop)
        )
        images = read_all(images, len(chosen), (*piece.size, shape[-1]))
        labels, ids = labels[chosen], ids if ids is None else ids[chosen]
    class_names = tuple(features["label"].names)
    _, class_map = CLASS_MAPS.get(builder.name, (None, None))
    return ImageDataset(
        images, labels, len(class_names), name, class_names, ids, class_map
    )


def _read_labels(examples, features):
    """Class ids of encoded examples, and their own ids or None."""
    import tensorflow_datasets as tfds

    keys = ["label"]
    if isinstance(features.get("id"), tfds.features.Text):
        keys.append("id")
    found = {key: [] for key in keys}
    parts = examples.map(lambda one: {key: one[key] for key in keys})
    for batch in parts.batch(_BATCH).as_numpy_iterator():
        for key in keys:
            found[key].append(batch[key])
    labels = np.concatenate([np.zeros(0, np.int64), *found["label"]]).astype(np.int64)
    if "id" not in keys:
        return labels, None
    ids = np.concatenate([np.zeros(0, object), *found["id"]])
    return labels, np.array([one.decode() for one in ids.tolist()], str)


def _at(examples, chosen):
    """The examples at ascending indices."""
    import tensorflow as tf

    end = chosen[-1] + 1 if len(chosen) else 0  # nothing behind it is read
    is_chosen = np.zeros(end, bool)
    is_chosen[chosen] = True
    flags = tf.data.Dataset.from_tensor_slices(is_chosen)
    kept = tf.data.Dataset.zip(examples, flags).filter(lambda example, keep: keep)
    return kept.map(lambda example, keep: example)


def _decoded(builder, examples):
    """The images of encoded examples, as a `tf.data.Dataset`."""
    import tensorflow as tf

    decode = builder.info.features["image"].decode_example
    return examples.map(
        lambda example: decode(example["image"]), num_parallel_calls=tf.data.AUTOTUNE
    )


def _encoded(builder, split, rows=None):
    """The examples of a split in the stored order, their images not yet decoded.

    Args:
        builder: TFDS builder.
        split: Name of the split.
        rows: Slice with both ends, of the examples that are read; None for all.
    """
    import tensorflow_datasets as tfds

    skip = {"image": tfds.decode.SkipDecoding()}
    if rows is None:
        return builder.as_dataset(split=split, decoders=skip)
    count = rows.stop - rows.start
    if count and len(builder.info.splits[split].shard_lengths) == 1:
        part = f"{split}[{rows.start}:{rows.stop}]"
        return builder.as_dataset(split=part, decoders=skip)
    # TFDS takes turns among several files, but not in a slice of the split
    whole = builder.as_dataset(split=split, decoders=skip)
    return whole.skip(rows.start).take(count)


def _find_builder(name, data_dir):
    """The TFDS builder of prepared data; reads files only, never the network."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.read_only_builder import builder_from_files
    from tensorflow_datasets.core.utils import file_utils

    if data_dir is not None:
        data_dir = os.path.expanduser(data_dir)
    try:
        return builder_from_files(_ALIASES.get(name, name), data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        folders = [str(d) for d in file_utils.list_data_dirs(given_data_dir=data_dir)]
    except ValueError as error:  # a name or a choice of versions TFDS cannot read
        constraint, reason = "'digits' or a TFDS dataset", str(error).split("\n")[0]
        raise ParameterError("load", "name", name, constraint, reason) from None
    folders = [d if "://" in d else os.path.abspath(d) for d in folders]
    constraint = f"'digits' or a dataset prepared in {', '.join(folders)}"
    elsewhere = (
        "name the folder that has it by `data_dir` (`--data-dir` on the command line)"
    )
    stored = _ALIASES.get(name, name)
    if stored.split("/")[0].split(":")[0] in tfds.list_builders(
        with_community_datasets=False
    ):
        hint = (
            f"If it is already prepared elsewhere, {elsewhere}. To download it: "
            'python -c "import tensorflow_datasets as tfds; '
            f"tfds.builder({stored!r}, data_dir={folders[0]!r}).download_and_prepare()"
            '".'
        )
    else:
        hint = f"TFDS has no download of that name: check it, or {elsewhere}."
    raise ParameterError("load", "name", name, constraint, hint) from None
