"""Reads a table with a column of labels and features or paths of images."""

import os

import numpy as np

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.data.datasets.found import OWNER, Found, coded, listed
from tfrobustloss.data.datasets.labelled_data import FEATURES, IMAGES, first_repeated
from tfrobustloss.data.datasets.own.image_files import read_images
from tfrobustloss.data.datasets.own.table_encoding import fit_encoding
from tfrobustloss.data.datasets.table_file import TableFile

_LABELS = ("label", "target", "class", "y")
_ID = "id"


def read_table(
    path,
    *,
    label,
    image,
    id,
    ignore=(),
    words=(),
    drop_unlabelled,
    image_size,
    max_bytes,
    channels=None,
    encoding=None,
):
    """Reads a CSV or Parquet table.

    Args:
        path: Path of the table.
        label: Name of the column of labels, or None for `label`, `target`, `class` or
            `y`.
        image: Name of the column of image paths, or None for features.
        id: Name of the column of ids, or None for `id` if there is one.
        ignore: Names of columns that are not features.
        words: Names of columns whose cells are words.
        drop_unlabelled: Whether rows without a label are left out.
        image_size: `(height, width)` or None.
        max_bytes: Largest size in memory.
        channels: 1, 3, or None, as for `read_images`.
        encoding: `TableEncoding` of another table, or None for one of this table.

    Returns:
        `Found`.

    Raises:
        ValueError: A column is missing or mixed, a label or a file is missing, or ids
            repeat.
    """
    file = TableFile(path, max_bytes)
    label = _label_column(file, label)
    for name, value in (("image", image), ("id", id)):
        if value is not None:
            file.check_column(name, value)
    for name, values in (("ignore", ignore), ("words", words)):
        for value in values:
            file.check_column(name, value)
    if id is None and _ID in file.columns and _ID not in (label, image):
        id = _ID
    texts, notes = file.texts(label), []
    texts = [text if text is None else text.strip() or None for text in texts]
    rows = [row for row, text in enumerate(texts) if text is not None]
    _check_labelled(file, label, texts, rows, drop_unlabelled, notes)

    def place(index, column=None):
        return file.place(rows[index], column)

    labels, class_names = coded(
        [texts[row] for row in rows], lambda index: place(index, label), label
    )
    ids = _ids(file, id, rows, place)
    result = Found(
        inputs=None,
        labels=labels,
        class_names=class_names,
        ids=ids,
        place=place,
        kind=FEATURES if image is None else IMAGES,
        notes=notes,
    )
    if image is not None:
        paths, files = _image_paths(file, image, rows, place)
        if id is None and len(set(paths)) == len(paths):
            result.ids = paths
        result.inputs, more = read_images(files, files, image_size, max_bytes, channels)
        notes += more
        return result
    if len(rows) < file.table.num_rows:
        file = _Rows(file, rows)
    if encoding is None:
        others = {label, id, *ignore}
        names = [name for name in file.columns if name not in others]
        encoding, more = fit_encoding(file, names, words)
        notes += more
        if not encoding.columns:
            constraint = "a table with features next to the labels"
            hint = "Of a table of image paths, name their column by `image`."
            raise ParameterError(OWNER, "path", path, constraint, hint)
    result.inputs, more = encoding.features(file, max_bytes)
    notes += more
    result.encoding = encoding
    result.feature_names = encoding.feature_names
    result.table = file.table.select([each.name for each in encoding.columns])
    return result


class _Rows:
    """Some rows of a `TableFile`, which know their lines."""

    def __init__(self, file, rows):
        self._file, self._rows = file, rows
        self.path, self.columns = file.path, file.columns
        self.table = file.table.take(rows)
        self.check_column = file.check_column

    def place(self, row, column=None):
        return self._file.place(self._rows[row], column)

    def texts(self, column):
        texts = self._file.texts(column)
        return [texts[row] for row in self._rows]


def _label_column(file, label):
    if label is not None:
        file.check_column("label", label)
        return label
    found = [name for name in file.columns if name.strip().lower() in _LABELS]
    if len(found) != 1:
        constraint = f"a column of {file.path}: {listed(file.columns, 20)}"
        hint = f"None is called {', '.join(_LABELS)}: name the one with the classes."
        if found:
            hint = f"Several could be it: {listed(found)}."
        raise ParameterError(OWNER, "label", label, constraint, hint)
    return found[0]


def _check_labelled(file, label, texts, rows, drop_unlabelled, notes):
    count = len(texts) - len(rows)
    if not count:
        return
    first = [file.place(row, label) for row, one in enumerate(texts) if one is None][:1]
    if not drop_unlabelled or not rows:
        hint = f"{count} of {len(texts)} rows have none."
        if rows:
            hint += " Leave these rows out by drop_unlabelled=True."
        raise ParameterError(OWNER, first[0], None, "a label", hint)
    notes.append(f"{count} of {len(texts)} rows have no label and were left out.")


def _ids(file, id, rows, place):
    """Ids of rows: those of a column, or their numbers from 1."""
    if id is None:
        return [str(row + 1) for row in rows]
    texts = file.texts(id)
    ids = [texts[row] for row in rows]
    if None in ids:
        where = place(ids.index(None), id)
        raise ParameterError(OWNER, where, None, "an id")
    repeated = first_repeated(ids)
    if repeated is not None:
        first = place(ids.index(ids[repeated]), id)
        constraint = f"an id of its own, other than that of {first}"
        hint = "Name another column by `id`."
        where = place(repeated, id)
        raise ParameterError(OWNER, where, ids[repeated], constraint, hint)
    return ids


def _image_paths(file, image, rows, place):
    """Paths as the table has them, and those of the files."""
    texts = file.texts(image)
    folder = os.path.dirname(file.path)
    paths = [texts[row] for row in rows]
    if None in paths:
        where = place(paths.index(None), image)
        raise ParameterError(OWNER, where, None, "the path of an image")
    files = [os.path.join(folder, path) for path in paths]
    there = [os.path.isfile(path) for path in files]
    lost = np.flatnonzero(~np.array(there))
    if lost.size:
        constraint = f"the path of a file, relative to {folder or 'the table'!r}"
        hint = f"{lost.size} of {len(files)} files are not there."
        where = place(int(lost[0]), image)
        raise ParameterError(OWNER, where, paths[lost[0]], constraint, hint)
    return paths, files
