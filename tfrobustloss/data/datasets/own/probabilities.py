"""Probabilities of a user's own model, matched to examples by id."""

import os

import numpy as np

from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.data.datasets.found import listed
from tfrobustloss.data.datasets.labelled_data import LabelledData, first_repeated
from tfrobustloss.data.datasets.own.npz import arrays_of, texts_of
from tfrobustloss.data.datasets.table_file import CSV, PARQUET, TableFile

_OWNER = "read_probabilities"
_ID = "id"
_NAMES = ("probabilities", "ids", "class_names")
_MADE = "It is made by `np.savez(path, probabilities=probabilities, ids=ids)`."
_BY_ID = (
    "Whatever their order and number, rows are matched by id if the file has ids: "
    "`np.savez('p.npz', probabilities=..., ids=..., class_names=...)`, or a CSV file "
    "with a column `id` and one a class."
)


def read_probabilities(path, data, *, max_bytes=8 * 2**30):
    """Reads predicted probabilities in the order of the examples and classes of `data`.

    - A `.npz` file of `probabilities`, `ids` and, if there, `class_names`: rows are
      matched by id and columns by name. The file may have further examples.
    - A table, `.csv`, `.tsv` or `.parquet`, with a column `id` and a column a class,
      which has the name of the class: matched the same way.
    - A `.npy` file: rows in the order of `data.ids`, columns in that of
      `data.class_names`, since nothing in it says otherwise.

    Ids are compared as text. If they differ, for example by the folder in front, the
    names of the files are compared, where no two files have one name. Nothing is
    unpickled.

    Args:
        path: Path of the file.
        data: `LabelledData` of the examples.
        max_bytes: Largest size in memory.

    Returns:
        Float64 array, shape `(examples, classes)`. Values are not checked here:
        `data.estimate` does it.

    Raises:
        TypeError: `path` is not a path, or `data` is something else.
        ValueError: The file cannot be read, ids repeat, an example or a class has no
            probabilities, or their number is another one without ids.

    Example:
        >>> import os, tempfile
        >>> inputs, ids = np.zeros((2, 1), "float32"), ["cat/1.png", "dog/1.png"]
        >>> own = LabelledData(inputs, [0, 1], ("cat", "dog"), ids)
        >>> rows = ["id,dog,cat", "dog/1.png,0.7,0.3", "cat/1.png,0.1,0.9"]
        >>> path = os.path.join(tempfile.mkdtemp(), "p.csv")
        >>> with open(path, "w") as file:
        ...     print(*rows, sep=chr(10), file=file)
        >>> read_probabilities(path, own).tolist()
        [[0.9, 0.1], [0.3, 0.7]]
    """
    if not isinstance(path, str | os.PathLike):
        raise ParameterTypeError(_OWNER, "path", path, "a path")
    if not isinstance(data, LabelledData):
        kind = type(data).__name__
        raise ParameterTypeError(_OWNER, "data", kind, "`LabelledData`")
    path = os.path.expanduser(os.fspath(path))
    read = _READERS.get(os.path.splitext(path)[1].lower())
    if read is None or not os.path.isfile(path):
        constraint = f"a file that exists, of {', '.join(_READERS)}"
        raise ParameterError(_OWNER, "path", path, constraint)
    return read(path, data, max_bytes)


def _read_npy(path, data, max_bytes):
    try:
        values = np.load(path, allow_pickle=False, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        reason = str(error).split("\n")[0]
        constraint = "an .npy file of numbers"
        raise ParameterError(_OWNER, "path", path, constraint, reason) from None
    if not isinstance(values, np.ndarray):
        hint = "An .npz file holds several arrays: name it so."
        raise ParameterError(_OWNER, "path", path, "an .npy file", hint)
    expected = len(data), data.num_classes
    if values.shape != expected:
        constraint = f"{expected}: a row an example and a column a class"
        dropped = ""
        if data.num_dropped:
            dropped = f"The corrections left {data.num_dropped} examples out. "
        name = f"shape of {path}"
        raise ParameterError(_OWNER, name, values.shape, constraint, dropped + _BY_ID)
    return _numbers(path, values)


def _read_npz(path, data, max_bytes):
    arrays = arrays_of(path, _NAMES, max_bytes, _MADE)
    missing = [name for name in _NAMES[:2] if name not in arrays]
    if missing:
        constraint, found = "a file of `probabilities` and `ids`", sorted(arrays)
        raise ParameterError(_OWNER, f"names in {path}", found, constraint, _MADE)
    values = _numbers(path, arrays["probabilities"])
    ids = texts_of(f"{path}, ids", arrays["ids"])
    if values.ndim != 2 or len(values) != len(ids):
        constraint = f"({len(ids)}, classes), a row an id"
        name = f"probabilities.shape of {path}"
        raise ParameterError(_OWNER, name, values.shape, constraint)
    if "class_names" in arrays:
        names = texts_of(f"{path}, class_names", arrays["class_names"])
        values = values[:, _columns(path, names, values.shape[1], data)]
    elif values.shape[1] != data.num_classes:
        constraint = f"{data.num_classes}, the classes of {data.source}"
        name = f"columns of probabilities of {path}"
        raise ParameterError(_OWNER, name, values.shape[1], constraint)
    return values[_rows(path, ids, data)]


def _columns(path, names, width, data):
    """The column of each class of the data."""
    if len(names) != width or set(names) != set(data.class_names):
        constraint = f"the classes of {data.source}: {listed(data.class_names, 20)}"
        name = f"class_names of {path}"
        raise ParameterError(_OWNER, name, list(names), constraint)
    return [names.index(name) for name in data.class_names]


def _read_table(path, data, max_bytes):
    file = TableFile(path, max_bytes)
    for column in (_ID, *data.class_names):
        if column not in file.columns:
            constraint = f"a column of {path}: {listed(file.columns, 20)}"
            hint = "It has a column `id`, and one a class with the name of the class."
            raise ParameterError(_OWNER, "column", column, constraint, hint)
    ids = file.texts(_ID)
    if None in ids:
        place = file.place(ids.index(None), _ID)
        raise ParameterError(_OWNER, place, None, "an id")
    rows = _rows(path, ids, data)
    values = np.empty((len(rows), data.num_classes))
    for code, name in enumerate(data.class_names):
        cells = file.texts(name)
        for index, row in enumerate(rows):
            try:
                values[index, code] = float(cells[row])
            except (TypeError, ValueError):
                place = file.place(row, name)
                raise ParameterError(_OWNER, place, cells[row], "a number") from None
    return values


def _numbers(path, values):
    if values.dtype.kind not in "fiu":
        name = f"dtype of {path}"
        raise ParameterError(_OWNER, name, str(values.dtype), "numeric")
    return np.asarray(values, np.float64)


def _rows(path, ids, data):
    """The row of the file for each example of the data."""
    repeated = first_repeated(ids)
    if repeated is not None:
        name = f"ids of {path}"
        raise ParameterError(_OWNER, name, ids[repeated], "different from each other")
    wanted = data.ids.tolist()
    found = _places(ids, wanted)
    if None in found:
        names = [_file_name(id) for id in ids], [_file_name(id) for id in wanted]
        if all(first_repeated(each) is None for each in names):
            by_name = _places(*names)
            found = found if None in by_name else by_name
    missing = [id for id, place in zip(wanted, found, strict=True) if place is None]
    if missing:
        constraint = f"there for each of the {len(data)} examples of {data.source}"
        hint = (
            f"{len(missing)} are missing: {listed(missing, 3)}. The file begins with "
            f"{listed(ids[:3])}. Ids, or else names of files, are compared as text; "
            "those of the data are `data.read(PATH).ids`."
        )
        name = f"ids of {path}"
        raise ParameterError(_OWNER, name, f"{len(ids)} ids", constraint, hint)
    return found


def _places(ids, wanted):
    places = {id: place for place, id in enumerate(ids)}
    return [places.get(id) for id in wanted]


def _file_name(id):
    return id.replace("\\", "/").rpartition("/")[2]


_READERS = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    **dict.fromkeys((*CSV, *PARQUET), _read_table),
}
