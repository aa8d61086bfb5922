"""Image sets as arrays: one embedded in scikit-learn, the others read through TFDS."""

import dataclasses
import os

import numpy as np

from tfrobustloss import _limits

_TEST_EVERY = 4  # of each class of the digits, every fourth image is for testing


@dataclasses.dataclass(frozen=True, eq=False)
class ImageDataset:
    """One split of an image classification set.

    Attributes:
        images: Uint8 array in [0, 255], shape `(examples, height, width, channels)`.
        labels: Int64 class ids, shape `(examples,)`.
        num_classes: Number of classes.
        name: Name under which it was loaded.
        class_names: Tuple of strings, one a class.
    """

    images: np.ndarray
    labels: np.ndarray
    num_classes: int
    name: str
    class_names: tuple[str, ...]


def load(name, split="train", data_dir=None):
    """Loads a split of an image set; nothing is ever downloaded.

    `"digits"` is scikit-learn's embedded set of 1797 real handwritten digits of 8 x 8
    pixels. Its 17 grey levels are spread over a byte, `round(level * 255 / 16)`. It
    comes in one piece; of each class, in the order given, every fourth image is in
    the test split (445 images) and the others are in the train split (1352), the same
    everywhere. Any other name is read with TensorFlow Datasets, in the stored order,
    from data that is already prepared on this machine.

    Args:
        name: `"digits"`, or the name of a TFDS image classification set with images
            of one size, such as `"mnist"`.
        split: Name of a split: `"train"` or `"test"` for most sets.
        data_dir: Folder of prepared TFDS data. None is the default of TFDS: the
            environment variable `TFDS_DATA_DIR`, or `~/tensorflow_datasets`.

    Returns:
        An `ImageDataset`.

    Raises:
        ValueError: There is no such data, no such split, or it is not a
            classification set with images of one size.
        ImportError: `"digits"` needs scikit-learn, which is not installed.

    Example:
        >>> digits = load("digits", "test")
        >>> digits.images.shape, digits.num_classes, digits.labels[:5].tolist()
        ((445, 8, 8, 1), 10, [0, 9, 5, 6, 8])

    Reference:
        Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
        Learning Repository, 1998.
    """
    if not isinstance(name, str) or not name:
        constraint = "'digits' or the name of a TFDS dataset"
        raise ValueError(_limits.error("load", "name", constraint, name))
    if name == "digits":
        return _load_digits(split)
    return _load_tfds(name, split, data_dir)


def _load_digits(split):
    _check_split("digits", split, ["train", "test"])
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
    is_test = np.zeros(len(labels), bool)
    for class_id in range(10):
        members = np.flatnonzero(labels == class_id)
        is_test[members[_TEST_EVERY - 1 :: _TEST_EVERY]] = True
    chosen = is_test if split == "test" else ~is_test
    levels = digits.images[chosen][..., np.newaxis]
    images = np.round(levels * 255 / 16).astype(np.uint8)
    return ImageDataset(images, labels[chosen], 10, "digits", tuple("0123456789"))


def _load_tfds(name, split, data_dir):
    import tensorflow_datasets as tfds

    builder = _find_builder(name, data_dir)
    _check_split(name, split, list(builder.info.splits))
    features = dict(builder.info.features.items())
    kinds = {"image": tfds.features.Image, "label": tfds.features.ClassLabel}
    if not all(isinstance(features.get(key), kind) for key, kind in kinds.items()):
        constraint = "a set of images with an `image` and a class `label`"
        raise ValueError(_limits.error("load", "name", constraint, name))
    shape = features["image"].shape
    if None in shape:
        constraint, hint = "a set with images of one size", f"Its shape is {shape}."
        raise ValueError(_limits.error("load", "name", constraint, name, hint))
    pairs = builder.as_dataset(split=split).map(
        lambda one: (one["image"], one["label"])
    )
    whole = pairs.batch(builder.info.splits[split].num_examples).get_single_element()
    images, labels = tfds.as_numpy(whole)
    class_names = tuple(features["label"].names)
    labels = labels.astype(np.int64)
    return ImageDataset(images, labels, len(class_names), name, class_names)


def _find_builder(name, data_dir):
    """The TFDS builder of prepared data; reads files only, never the network."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.read_only_builder import builder_from_files
    from tensorflow_datasets.core.utils import file_utils

    if data_dir is not None:
        data_dir = os.path.expanduser(data_dir)
    try:
        return builder_from_files(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        folders = [str(d) for d in file_utils.list_data_dirs(given_data_dir=data_dir)]
    except ValueError as error:  # a name or a choice of versions TFDS cannot read
        constraint, reason = "'digits' or a TFDS dataset", str(error).split("\n")[0]
        text = _limits.error("load", "name", constraint, name, reason)
        raise ValueError(text) from None
    folders = [d if "://" in d else os.path.abspath(d) for d in folders]
    constraint = f"'digits' or a dataset prepared in {', '.join(folders)}"
    elsewhere = (
        "name the folder that has it by `data_dir` (`--data-dir` on the command line)"
    )
    if name.split("/")[0].split(":")[0] in tfds.list_builders(
        with_community_datasets=False
    ):
        hint = (
            f"If it is already prepared elsewhere, {elsewhere}. To download it: "
            'python -c "import tensorflow_datasets as tfds; '
            f"tfds.builder({name!r}, data_dir={folders[0]!r}).download_and_prepare()"
            '".'
        )
    else:
        hint = f"TFDS has no download of that name: check it, or {elsewhere}."
    text = _limits.error("load", "name", constraint, name, hint)
    raise ValueError(text) from None


def _check_split(name, split, splits):
    if split not in splits:
        known = ", ".join(f"'{one}'" for one in splits)
        constraint = f"one of {known}, the splits of {name!r}"
        raise ValueError(_limits.error("load", "split", constraint, split))
