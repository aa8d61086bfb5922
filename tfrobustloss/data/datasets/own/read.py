"""Reads a user's own data: a folder of images, a table, a `.npz` file, a TFDS set."""

import dataclasses
import os
import warnings

import numpy as np

from tfrobustloss._core.labels import class_ids
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
    check_flag,
)
from tfrobustloss.data.datasets.found import OWNER, Found, listed
from tfrobustloss.data.datasets.labelled_data import (
    FEATURES,
    IMAGES,
    LabelledData,
    first_repeated,
)
from tfrobustloss.data.datasets.own import corrections as _corrections
from tfrobustloss.data.datasets.own.folder import is_split, read_folder
from tfrobustloss.data.datasets.own.npz import read_npz
from tfrobustloss.data.datasets.own.table import read_table
from tfrobustloss.data.datasets.published import load
from tfrobustloss.data.datasets.table_file import CSV, PARQUET, open_text

_TABLES = (*CSV, *PARQUET)
_KINDS = (
    "a folder of images, a table (.csv, .tsv, .parquet), a .npz file, or the name of a "
    "prepared dataset"
)
_LIMITS = {"max_bytes": Range(low=1)}
_SPLITS = ("train", "test", "validation", "clean_train", "extra")
_SIDE = Range(1, 1 << 16, integer=True)


def read(
    path,
    *,
    label=None,
    image=None,
    id=None,
    ignore=(),
    words=(),
    drop_unlabelled=False,
    image_size=None,
    trusted=None,
    test=None,
    corrections=None,
    data_dir=None,
    max_bytes=8 * 2**30,
):
    """Reads examples whose labels may be wrong; no label needs to be right.

    - A folder with one folder a class. If it has a folder `train` with the classes in
      it, that is read; a folder `test` next to it is read only as `test="test"`, since
      nobody says that its labels are right. PNG, JPEG, BMP and GIF files (the first
      frame), nested ones too; hidden files are ignored. Ids are the paths below the
      folder of the classes. Images are grey if all are; transparency and EXIF rotation
      are ignored, as Keras does.
    - A table, `.csv` (delimited by commas, semicolons or tabs), `.tsv` or `.parquet`,
      with a column of labels. The other columns are features: numbers are
      standardised, words become one-hot, at most 50 a column. A missing number counts
      as the median of its column, a missing word as a word. Or, with `image`, a column
      of image paths relative to the table. Ids are those of the column `id`, else the
      image paths, else the numbers of the rows from 1.
    - A `.npz` file of `images` (uint8) or `features` (taken as they are), `labels`
      and, if there, `ids` and `class_names`. Nothing in it is unpickled.
    - The name of a dataset that `load` reads: its train split.

    Labels may be words. Class names are sorted as text, or by value if all are whole
    numbers. Each note, for example about imputed cells, is also a `UserWarning`.
    Nothing is written.

    Args:
        path: Path, or name of a dataset. A path that exists comes first.
        label: Column of the labels; None for `label`, `target`, `class` or `y`.
        image: Column of image paths; None for a table of features.
        id: Column of the ids; None for `id`, if there is one.
        ignore: Columns that are no features.
        words: Columns whose cells are words even if they look like numbers.
        drop_unlabelled: Whether rows of a table without a label are left out; if not,
            they are an error.
        image_size: `(height, width)` to which images are stretched; None for the size
            that all have.
        trusted: Examples whose labels are right: path of a file with one id a line or
            a CSV file with a column `id`; or a sequence of ids (text), of positions
            (ints from 0), or a bool for each example.
        test: Examples with right labels: a path or name as above, the name of a split
            of a named dataset (`"test"`), `(inputs, labels)` with class ids, or
            `LabelledData`. Classes, image size and scaling of features are those of
            `path`.
        corrections: Path of a CSV file of corrected labels; see `write_corrections`.
        data_dir: Folder of prepared datasets, as for `load`.
        max_bytes: Largest size of the inputs in memory. It is checked before images
            are decoded.

    Returns:
        `LabelledData`.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: Something cannot be read (the message names file, line and column),
            all labels are of one class, `test` has a class that `path` has not, or the
            data are too large.

    Example:
        >>> import os, tempfile
        >>> rows = ["kilos,food,label", "4,fish,cat", "20,meat,dog", "6,fish,cat"]
        >>> path = os.path.join(tempfile.mkdtemp(), "pets.csv")
        >>> with open(path, "w") as file:
        ...     print(*rows, "10,meat,dog", sep=chr(10), file=file)
        >>> pets = read(path)
        >>> pets.class_names, pets.labels.tolist(), pets.feature_names
        (('cat', 'dog'), [0, 1, 0, 1], ('kilos', 'food=fish', 'food=meat'))
        >>> print(pets.inputs[:, 0].round(2))
        [-0.97  1.62 -0.65  0.  ]
    """
    check(OWNER, _LIMITS, max_bytes=max_bytes)
    check_flag(OWNER, "drop_unlabelled", drop_unlabelled)
    options = {
        "label": label,
        "image": image,
        "id": id,
        "ignore": _names("ignore", ignore),
        "words": _names("words", words),
        "drop_unlabelled": drop_unlabelled,
        "image_size": _checked_size(image_size),
        "max_bytes": max_bytes,
        "data_dir": data_dir,
        "test": os.fspath(test) if isinstance(test, str | os.PathLike) else None,
    }
    for name in ("label", "image", "id"):
        if options[name] is not None and not isinstance(options[name], str):
            raise ParameterTypeError(OWNER, name, options[name], "the name of a column")
    source = _path("path", path)
    found = _found("path", source, "train", options)
    _check_classes(source, found)
    data = _labelled(source, found)
    if trusted is not None:
        data = dataclasses.replace(data, trusted=_trusted(trusted, data))
    if test is not None:
        test = _test(test, source, data, options)
        notes = data.notes + test.notes
        data = dataclasses.replace(data, test=test, notes=notes)
    if corrections is not None:
        path = _path("corrections", corrections)
        data = _corrections.apply(OWNER, path, data)
    for note in data.notes:
        warnings.warn(f"{OWNER}: {note}", stacklevel=2)
    return data


def _path(name, value):
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise ParameterTypeError(OWNER, name, value, "a path or name")
    return os.path.expanduser(os.fspath(value))


def _names(name, values):
    values = [values] if isinstance(values, str) else values
    is_list = isinstance(values, list | tuple)
    if not is_list or not all(isinstance(each, str) for each in values):
        raise ParameterTypeError(OWNER, name, values, "a list of names of columns")
    return tuple(values)


def _checked_size(image_size):
    if image_size is None:
        return None
    if not isinstance(image_size, list | tuple) or len(image_size) != 2:
        constraint = "(height, width) or None"
        raise ParameterTypeError(OWNER, "image_size", image_size, constraint)
    for index, side in enumerate(image_size):
        name = f"image_size[{index}]"
        check(OWNER, {name: _SIDE}, **{name: side})
    return tuple(int(side) for side in image_size)


def _found(name, path, split, options, like=None):
    """Reads one source of any kind; `like` is `LabelledData` read before."""
    size, channels = options["image_size"], None
    if like is not None and like.kind == IMAGES:
        size, channels = like.input_shape[:2], like.input_shape[2]
    kind = os.path.splitext(path)[1].lower()
    if os.path.isdir(path):
        return read_folder(path, size, options["max_bytes"], channels, options["test"])
    if os.path.isfile(path) and kind in _TABLES:
        columns = {
            key: options[key]
            for key in ("label", "image", "id", "drop_unlabelled", "max_bytes")
        }
        if like is None:
            columns |= {key: options[key] for key in ("ignore", "words")}
        encoding = None if like is None else like.encoding
        return read_table(
            path, image_size=size, channels=channels, encoding=encoding, **columns
        )
    if os.path.isfile(path) and kind == ".npz":
        return read_npz(path, options["max_bytes"])
    looks_like_path = kind in (*_TABLES, ".npz") or path.startswith((".", "/", "~"))
    if os.path.exists(path) or looks_like_path:
        hint = "" if os.path.exists(path) else "It does not exist."
        raise ParameterError(OWNER, name, path, _KINDS, hint)
    try:
        dataset = load(path, split, options["data_dir"])
    except ParameterError as error:
        hint = f"There is no such path, and as a name: {error}"
        raise ParameterError(OWNER, name, path, _KINDS, hint) from None
    ids = dataset.ids
    if ids is None or first_repeated(ids) is not None:
        ids = [str(index) for index in range(len(dataset.labels))]
    return Found(
        inputs=dataset.images,
        labels=np.asarray(dataset.labels, np.int64),
        class_names=dataset.class_names,
        ids=ids,
        place=lambda index: f"{path}, index {index}",
        kind=IMAGES,
    )


def _check_classes(source, found):
    """Raises for labels of one class; notes classes of a single example."""
    counts = np.bincount(found.labels, minlength=len(found.class_names))
    if np.sum(counts > 0) < 2:
        names = [found.class_names[code] for code in np.flatnonzero(counts)]
        constraint = "labels of two classes or more"
        raise ParameterError(OWNER, f"classes of {source}", names, constraint)
    single = [found.class_names[code] for code in np.flatnonzero(counts == 1)]
    if single:
        found.notes.append(
            f"{len(single)} classes have a single example, which cannot be both in "
            f"training and in validation: {listed(single)}."
        )


def _labelled(source, found):
    repeated = first_repeated(found.ids)
    if repeated is not None:
        place, value = found.place(repeated), str(found.ids[repeated])
        raise ParameterError(OWNER, f"id of {place}", value, "an id of its own")
    return LabelledData(
        inputs=found.inputs,
        labels=found.labels,
        class_names=found.class_names,
        ids=np.asarray(found.ids, str),
        kind=found.kind,
        feature_names=found.feature_names,
        source=source,
        notes=tuple(found.notes),
        encoding=found.encoding,
        table=found.table,
    )


# --- the test set


def _test(test, source, data, options):
    """A test set with the classes, image size and scaling of `data`."""
    if isinstance(test, LabelledData):
        _check_fit(data, test.source, test.inputs, test.kind)
        labels = _like(data, test.labels, test.class_names, test.source, None)
        return dataclasses.replace(test, labels=labels, class_names=data.class_names)
    if isinstance(test, tuple | list) and len(test) == 2:
        return _test_of_arrays(test, data)
    path = _path("test", test)
    split = "test"
    if os.path.isdir(source) and is_split(source) and not os.path.exists(path):
        path = os.path.join(source, path)
    elif not os.path.exists(source) and not os.path.exists(path):
        if path.partition("[")[0] in _SPLITS:
            path, split = source, path
    if os.path.exists(path) and os.path.exists(source):
        if os.path.samefile(path, source):
            constraint = "other data than `path`"
            raise ParameterError(OWNER, "test", path, constraint)
    found = _found("test", path, split, options, data)
    _check_fit(data, path, found.inputs, found.kind)
    labels = _like(data, found.labels, found.class_names, path, found.place)
    found.labels, found.class_names = labels, data.class_names
    return _labelled(path, found)


def _test_of_arrays(test, data):
    inputs, labels = np.asarray(test[0]), test[1]
    kind = data.kind
    if kind == FEATURES:
        inputs = inputs.astype(np.float32)
    _check_fit(data, "arrays", inputs, kind)
    labels = class_ids(OWNER, "test[1]", labels, data.num_classes)
    ids = [str(index) for index in range(len(inputs))]
    return LabelledData(inputs, labels, data.class_names, ids, kind, data.feature_names)


def _check_fit(data, source, inputs, kind):
    shape = tuple(inputs.shape[1:])
    if kind != data.kind or shape != data.input_shape:
        constraint = f"{data.kind} of shape {data.input_shape}, as in {data.source}"
        name = f"inputs of {source}"
        raise ParameterError(OWNER, name, f"{kind} of shape {shape}", constraint)
    if kind == IMAGES and inputs.dtype != np.uint8:
        name = f"dtype of {source}"
        raise ParameterError(OWNER, name, str(inputs.dtype), "uint8")


def _like(data, labels, names, source, place):
    """Class ids of other class names as those of `data`."""
    codes = {name: code for code, name in enumerate(data.class_names)}
    used = np.unique(labels)
    for code in used:
        if names[code] in codes:
            continue
        index = int(np.flatnonzero(labels == code)[0])
        where = source if place is None else place(index)
        constraint = f"a class of {data.source}: {listed(data.class_names, 20)}"
        raise ParameterError(OWNER, f"label of {where}", names[code], constraint)
    table = np.array([codes.get(name, -1) for name in names], np.int64)
    return table[labels]


# --- trusted examples


def _trusted(trusted, data):
    """Ascending positions of the examples whose labels are right."""
    if isinstance(trusted, str | os.PathLike):
        return _trusted_of_file(_path("trusted", trusted), data)
    values = np.asarray(trusted)
    if values.ndim != 1 or values.dtype.kind not in "biuU" or not values.size:
        constraint = "a path, or one or more ids (text), positions (ints) or bools"
        shown = values.dtype if values.size else trusted
        raise ParameterTypeError(OWNER, "trusted", str(shown), constraint)
    if values.dtype.kind == "b":
        if len(values) != len(data):
            constraint = f"{len(data)} bools, one an example"
            raise ParameterError(OWNER, "len(trusted)", len(values), constraint)
        return np.flatnonzero(values)
    if values.dtype.kind == "U":
        named = [(f"trusted[{i}]", id) for i, id in enumerate(values.tolist())]
        return _positions(named, data)
    for index in np.flatnonzero((values < 0) | (values >= len(data)))[:1]:
        limit = Range(0, len(data) - 1, integer=True)
        raise ParameterError(OWNER, f"trusted[{index}]", int(values[index]), limit)
    return np.unique(values)


def _trusted_of_file(path, data):
    if not os.path.isfile(path):
        raise ParameterError(OWNER, "trusted", path, "a file that exists")
    with open_text(path) as file:
        lines = file.read().splitlines()
    is_table = os.path.splitext(path)[1].lower() in CSV
    if is_table or (lines and lines[0] == "id"):
        header, rows = _corrections.csv_rows(OWNER, "trusted", path)
        if "id" not in header:
            hint = f"Its columns are {listed(header, 20)}."
            constraint = "a CSV file with a column `id`"
            raise ParameterError(OWNER, "trusted", path, constraint, hint)
        named = [
            (f"{path}, line {line}", _corrections.unescaped(row["id"]))
            for line, row in rows
        ]
    else:
        named = [
            (f"{path}, line {number}", line)
            for number, line in enumerate(lines, 1)
            if line.strip()
        ]
    if not named:
        raise ParameterError(OWNER, "trusted", path, "a file of one id or more")
    return _positions(named, data)


def _positions(named, data):
    places = {id: index for index, id in enumerate(data.ids.tolist())}
    for where, id in named:
        if id not in places:
            constraint = f"an id of {data.source}"
            hint = f"Its ids are {listed(data.ids[:3].tolist())} and so on."
            raise ParameterError(OWNER, where, id, constraint, hint)
    return np.unique([places[id] for _, id in named])
