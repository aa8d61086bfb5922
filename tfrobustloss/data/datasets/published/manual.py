"""Datasets that are downloaded by hand, in their own layout: Clothing1M, HAM10000.

Clothing1M (Xiao et al., CVPR 2015): `images/0` to `images/9` and the lists of keys and
labels next to them, or in a folder `annotations`. HAM10000 (Tschandl 2018): the images
in one or two folders and `HAM10000_metadata.csv`.
"""

import csv
import os
import pathlib

import numpy as np

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.data.datasets import splits
from tfrobustloss.data.datasets.published.image_dataset import ImageDataset, ImageFiles

_CLOTHING_SIZE = (224, 224)
_CLOTHING_LISTS = {  # split -> keys, labels
    "train": ("noisy_train_key_list.txt", "noisy_label_kv.txt"),
    "clean_train": ("clean_train_key_list.txt", "clean_label_kv.txt"),
    "validation": ("clean_val_key_list.txt", "clean_label_kv.txt"),
    "test": ("clean_test_key_list.txt", "clean_label_kv.txt"),
}
_CLOTHING_CLASSES = (
    *("T-shirt", "Shirt", "Knitwear", "Chiffon", "Sweater", "Hoodie", "Windbreaker"),
    *("Jacket", "Down Coat", "Suit", "Shawl", "Dress", "Vest", "Underwear"),
)
_CLOTHING_SOURCE = (
    "Ask its authors for it at https://github.com/Cysu/noisy_label, unpack the images "
    "so that {folder}/images/0 to {folder}/images/9 are there, and put the lists "
    "({files}) into {folder}."
)

_LESION_SIZE = (75, 100)
_LESION_TEST_EVERY = 4
_LESION_CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
_LESION_TABLES = ("HAM10000_metadata.csv", "HAM10000_metadata")
_LESION_SOURCE = (
    "Download HAM10000_metadata and the two archives of images from "
    "https://doi.org/10.7910/DVN/DBW86T and unpack them into {folder}: "
    "{folder}/HAM10000_metadata.csv, {folder}/HAM10000_images_part_1/*.jpg and "
    "{folder}/HAM10000_images_part_2/*.jpg."
)


def load_clothing1m(name, split, data_dir):
    """Clothing1M as an `ImageDataset` whose images are decoded when read."""
    split, part = splits.parse(name, split, list(_CLOTHING_LISTS))
    folder = _folder(data_dir, ("clothing1m", "Clothing1M"))
    files = _CLOTHING_LISTS[split]
    source = _CLOTHING_SOURCE.format(folder=folder, files=", ".join(files))
    keys_path, labels_path = (_listed(name, folder, file, source) for file in files)
    if not (folder / "images").is_dir():
        raise _absent(name, folder / "images", source)
    keys = keys_path.read_text().split()
    keys = keys[part(len(keys))]
    pairs = (line.split() for line in labels_path.read_text().splitlines() if line)
    wanted = set(keys)
    known = {key: int(label) for key, label, *_ in pairs if key in wanted}
    for key in keys:
        if key not in known:
            raise _absent(name, f"{labels_path} with a label of {key}", source)
    for key in keys[:1]:  # a million would take minutes to look for
        if not (folder / key).is_file():
            raise _absent(name, folder / key, source)
    labels = np.array([known[key] for key in keys], np.int64)
    if labels.size and labels.max() >= len(_CLOTHING_CLASSES):
        constraint = f"class ids below {len(_CLOTHING_CLASSES)}"
        raise ParameterError("load", str(labels_path), int(labels.max()), constraint)
    images = ImageFiles([str(folder / key) for key in keys], _CLOTHING_SIZE)
    count = len(_CLOTHING_CLASSES)
    ids = np.array(keys, str)
    return ImageDataset(images, labels, count, name, _CLOTHING_CLASSES, ids)


def load_ham10000(name, split, data_dir):
    """`ImageDataset` of HAM10000 at 75 x 100 pixels, split 3 to 1 in each class."""
    split, part = splits.parse(name, split, ["train", "test"])
    folder = _folder(data_dir, ("ham10000", "HAM10000"))
    source = _LESION_SOURCE.format(folder=folder)
    tables = [folder / table for table in _LESION_TABLES]
    table = next((one for one in tables if one.is_file()), None)
    if table is None:
        raise _absent(name, tables[0], source)
    with open(table, newline="") as file:
        rows = sorted((row["image_id"], row["dx"]) for row in csv.DictReader(file))
    found = {path.stem: path for path in sorted(folder.rglob("*.jpg"))}
    for image_id, diagnosis in rows:
        if image_id not in found:
            raise _absent(name, f"{folder}/.../{image_id}.jpg", source)
        if diagnosis not in _LESION_CLASSES:
            constraint = f"one of {', '.join(_LESION_CLASSES)}"
            place = f"dx of {image_id} in {table}"
            raise ParameterError("load", place, diagnosis, constraint)
    labels = np.array([_LESION_CLASSES.index(one) for _, one in rows], np.int64)
    chosen = splits.every_kth(labels, _LESION_TEST_EVERY, split)
    chosen = chosen[part(len(chosen))]
    ids = np.array([rows[i][0] for i in chosen], str)
    images = ImageFiles([str(found[one]) for one in ids], _LESION_SIZE)[:]
    count = len(_LESION_CLASSES)
    return ImageDataset(images, labels[chosen], count, name, _LESION_CLASSES, ids)


def _folder(data_dir, names):
    if data_dir is None:
        home = os.path.join("~", "tensorflow_datasets")
        data_dir = os.environ.get("TFDS_DATA_DIR", home)
    parent = pathlib.Path(os.path.abspath(os.path.expanduser(data_dir)))
    folders = [parent / name for name in names]
    return next((one for one in folders if one.is_dir()), folders[0])


def _listed(name, folder, file, source):
    for place in (folder / file, folder / "annotations" / file):
        if place.is_file():
            return place
    raise _absent(name, folder / file, source)


def _absent(name, missing, source):
    constraint = f"a dataset that is here, but there is no {missing}"
    return ParameterError("load", "name", name, constraint, source)
