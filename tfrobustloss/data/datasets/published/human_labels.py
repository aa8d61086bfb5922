"""Human labels, for example CIFAR-10N, read without executing their files."""

import os
import zipfile

import numpy as np

from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.data.datasets.published import plain_pickle

_OWNER = "load_human_labels"
_READABLE = "a .npy, .npz or .pt file of labels"
_CLEAN = "clean_label"
_LARGEST = 1 << 30  # bytes of a file or of a part of it


def load_human_labels(path, dataset=None):
    """Human labels from a `.npy`, `.npz` or `.pt` file; nothing in it is executed.

    Made for the files that the authors of CIFAR-10N and CIFAR-100N publish at
    github.com/UCSC-REAL/cifar-10-100n (licence CC BY-NC 4.0): `CIFAR-10_human.pt` has
    `clean_label`, `aggre_label`, `worse_label` and `random_label1` to `3`, with 9.0,
    40.2, 17.2, 18.1 and 17.6 % of the 50,000 labels wrong; `CIFAR-100_human.pt` has
    `noisy_label`, 40.2 % wrong. A `.pt` file is a pickle, which PyTorch would run;
    here it is parsed, and refused if it holds more than numbers, arrays and their
    names. The same goes for a `.npy` file that holds a dict.

    Those files are in the order of the original CIFAR archives, which is not that of
    TFDS. With a `dataset`, labels are put in its order by the running number at the
    end of its ids (`train_16399`), and the file's clean labels must then be those of
    the dataset. A file that is in the order of the dataset already, for example
    `CIFAR-100_human_ordered.npy`, is recognised by them and not reordered.

    Args:
        path: Path of the file.
        dataset: `ImageDataset` to align the labels with, for example
            `data.load("cifar10")` or a slice of it; None keeps the order of the file.

    Returns:
        Dict of names to int64 arrays, one label an example. A `.npy` file of a plain
        array gives one entry, `noisy_label`.

    Raises:
        TypeError: `path` is not a path.
        ValueError: The file does not exist, is of another kind, holds anything but
            labels, or does not fit the dataset.

    Example:
        >>> import tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "labels.npz")
        >>> np.savez(path, clean_label=[0, 1, 2], worse_label=[0, 2, 2])
        >>> load_human_labels(path)["worse_label"].tolist()
        [0, 2, 2]

    Reference:
        Wei et al., "Learning with Noisy Labels Revisited: A Study Using Real-World
        Human Annotations", ICLR 2022.
    """
    if not isinstance(path, str | os.PathLike):
        raise ParameterTypeError(_OWNER, "path", path, "a path")
    path = os.path.expanduser(os.fspath(path))
    if not os.path.isfile(path):
        hint = (
            "CIFAR-10N and CIFAR-100N: get CIFAR-10_human.pt or CIFAR-100_human.pt "
            "from the folder `data` of github.com/UCSC-REAL/cifar-10-100n (for "
            "non-commercial use) and give its path."
        )
        raise ParameterError(_OWNER, "path", path, _READABLE, hint)
    labels = {
        str(name): _label_array(path, name, values)
        for name, values in _read(path).items()
    }
    if not labels or len({len(one) for one in labels.values()}) != 1:
        constraint = "labels of one length"
        lengths = {name: len(one) for name, one in labels.items()}
        raise ParameterError(_OWNER, path, lengths, constraint)
    return labels if dataset is None else _aligned(labels, dataset)


def _read(path):
    kind = os.path.splitext(path)[1].lower()
    readers = {".npy": _read_npy, ".npz": _read_npz, ".pt": _read_pt, ".pth": _read_pt}
    if kind not in readers:
        raise ParameterError(_OWNER, "path", path, _READABLE)
    try:
        found = readers[kind](path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        hint = f"It cannot be read: {error}."
        raise ParameterError(_OWNER, "path", path, _READABLE, hint) from None
    if not isinstance(found, dict):
        found = {"noisy_label": found}
    if len(found) > 100:
        hint = f"It has {len(found)} entries."
        raise ParameterError(_OWNER, "path", path, _READABLE, hint)
    return found


def _read_npy(path):
    with open(path, "rb") as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"its .npy version is {version}")
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        _, _, dtype = read_header(file)
        if dtype.hasobject:
            if os.path.getsize(path) > _LARGEST:
                raise ValueError("it is too large")
            return plain_pickle.read(file.read())
    return np.load(path, allow_pickle=False)


def _read_npz(path):
    with zipfile.ZipFile(path) as archive:
        if sum(info.file_size for info in archive.infolist()) > _LARGEST:
            raise ValueError("it is too large")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _read_pt(path):
    if not zipfile.is_zipfile(path):
        raise ValueError(
            "it is of PyTorch's format before 1.6: save it with a newer PyTorch"
        )
    with zipfile.ZipFile(path) as archive:
        names = [one for one in archive.namelist() if one.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("it has no data.pkl")
        folder = names[0].rpartition("/")[0]
        return plain_pickle.read(
            _member(archive, names[0]),
            lambda key: _member(archive, f"{folder}/data/{key}"),
        )


def _member(archive, name):
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > _LARGEST:
        raise ValueError(f"its part {name} is compressed or too large")
    return archive.read(info)


def _label_array(path, name, values):
    if isinstance(values, list) and all(type(one) is int for one in values):
        values = np.array(values, np.int64)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu":
        constraint = "an array of integers"
        kind = type(values).__name__
        if isinstance(values, np.ndarray):
            kind = str(values.dtype)
        raise ParameterError(_OWNER, f"{path}[{name!r}]", kind, constraint)
    if values.ndim == 0:
        raise ParameterError(_OWNER, f"{path}[{name!r}].shape", (), "(examples,)")
    return values.astype(np.int64)


def _aligned(labels, dataset):
    clean, truth = labels.get(_CLEAN), np.asarray(dataset.labels)
    if clean is not None and np.array_equal(clean, truth):
        return labels
    if dataset.ids is None:
        hint = (
            "Datasets with an `id` have them, for example TFDS' cifar10 and cifar100."
        )
        raise ParameterError(_OWNER, "dataset.ids", None, "there", hint)
    order = np.array([int(str(one).rpartition("_")[2]) for one in dataset.ids])
    length = len(next(iter(labels.values())))
    if order.size and not 0 <= order.min() <= order.max() < length:
        constraint = f"numbered from 0 to {length - 1}, as the file is"
        found = str(dataset.ids[int(order.argmax())])
        raise ParameterError(_OWNER, "dataset.ids", found, constraint)
    aligned = {name: values[order] for name, values in labels.items()}
    if clean is not None and not np.array_equal(aligned[_CLEAN], truth):
        wrong = int(np.sum(aligned[_CLEAN] != truth))
        constraint = "the set whose clean labels the file has"
        hint = f"{wrong} of {truth.size} clean labels differ."
        raise ParameterError(_OWNER, "dataset", dataset.name, constraint, hint)
    return aligned
