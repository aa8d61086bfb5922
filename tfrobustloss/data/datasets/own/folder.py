"""Reads a folder of images with one folder a class."""

import os

import numpy as np

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.data.datasets.found import OWNER, Found, in_order, listed
from tfrobustloss.data.datasets.own.image_files import EXTENSIONS, read_images

TRAIN, TEST = "train", "test"
_LAYOUT = (
    "One folder a class: cats/1.png, dogs/2.png; or train/cats/1.png. Files are PNG, "
    "JPEG, BMP or GIF."
)


def read_folder(path, image_size, max_bytes, channels=None, test=None):
    """Reads the images of a folder, in the order of their class and path.

    Args:
        path: Folder that has one folder a class, or a folder `train` that has.
        image_size: `(height, width)` or None.
        max_bytes: Largest size of the images in memory.
        channels: 1, 3, or None, as for `read_images`.
        test: Name or path of the folder inside that is read as the test set, or None.

    Returns:
        `Found`.

    Raises:
        ValueError: There are no images, or as `read_images`.
    """
    root, notes = path, []
    if is_split(path):
        root = os.path.join(path, TRAIN)
        read = (TRAIN, os.path.basename(os.path.normpath(test or TRAIN)))
        others = [name for name in _folders(path) if name not in read]
        if others:
            notes.append(
                f"Of {path} the folder `{TRAIN}` was read, not {listed(others)}. If "
                "the labels of one of them are right, name it by `test`."
            )
    classes, strays = {}, _strays(root)
    for name in _folders(root):
        files = _images(root, name, strays)
        if files:
            classes[name] = files
        else:
            notes.append(f"The folder {name!r} has no images and is no class.")
    if not classes:
        raise ParameterError(OWNER, "path", path, "a folder of images", _LAYOUT)
    if strays:
        notes.append(
            f"{len(strays)} files are no images in a class' folder and were left out: "
            f"{listed(strays, 3)}."
        )
    names = in_order(classes)
    ids = [one for name in names for one in classes[name]]
    counts = [len(classes[name]) for name in names]
    paths = [os.path.join(root, *one.split("/")) for one in ids]
    images, more = read_images(paths, paths, image_size, max_bytes, channels)
    return Found(
        inputs=images,
        labels=np.repeat(np.arange(len(names)), counts),
        class_names=names,
        ids=ids,
        place=lambda index: paths[index],
        kind="images",
        notes=notes + more,
    )


def is_split(path):
    """Whether a folder has a folder `train` in which the classes are folders."""
    root = os.path.join(path, TRAIN)
    return os.path.isdir(root) and bool(_folders(root))


def _folders(path):
    """Names of the folders in a folder, sorted; hidden ones and links left out."""
    with os.scandir(path) as entries:
        return sorted(
            each.name
            for each in entries
            if each.is_dir() and not each.name.startswith(".")
        )


def _strays(root):
    """Names of the files that lie next to the folders of the classes."""
    with os.scandir(root) as entries:
        return sorted(
            each.name
            for each in entries
            if each.is_file() and not each.name.startswith(".")
        )


def _images(root, name, strays):
    """Paths of a class' images below `root`, sorted, with `/`; `strays` grows."""
    found = []
    for folder, folders, files in os.walk(os.path.join(root, name)):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for file in files:
            if file.startswith("."):
                continue
            place = os.path.relpath(os.path.join(folder, file), root)
            place = place.replace(os.sep, "/")
            is_image = os.path.splitext(file)[1].lower() in EXTENSIONS
            (found if is_image else strays).append(place)
    return sorted(found)
