"""Tables of the labels of several annotators, with gaps."""

import dataclasses
import os

import numpy as np

from tfrobustloss._core.labels import integers, plain_array
from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.data.datasets.found import coded, is_whole, listed, whole
from tfrobustloss.data.datasets.labelled_data import first_repeated
from tfrobustloss.data.datasets.table_file import CSV, PARQUET, TableFile


@dataclasses.dataclass(frozen=True, eq=False)
class Annotations:
    """Who gave which example which label; not everyone has to label everything.

    Attributes:
        examples: Int64 positions of examples, shape `(annotations,)`.
        annotators: Int64 positions of annotators, shape `(annotations,)`.
        labels: Int64 class ids, shape `(annotations,)`.
        example_ids: Array of text, one an example.
        annotator_ids: Array of text, one an annotator.
        class_names: Tuple of text, one a class, at least 2.

    Raises:
        ValueError: Lengths differ, a number is out of range, there are no
            annotations, or an annotator labels an example twice.

    Example:
        >>> table = Annotations.from_dense([[0, 1, -1], [1, 1, 1]])
        >>> table.labels.tolist(), table.dense().tolist()
        ([0, 1, 1, 1, 1], [[0, 1, -1], [1, 1, 1]])
    """

    examples: np.ndarray
    annotators: np.ndarray
    labels: np.ndarray
    example_ids: np.ndarray
    annotator_ids: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self):
        """Brings the fields to their types and checks them."""
        owner = "Annotations"
        names = tuple(str(name) for name in self.class_names)
        if len(names) < 2 or len(set(names)) < len(names):
            constraint = "two or more different names"
            raise ParameterError(owner, "class_names", names, constraint)
        ids = {
            name: np.asarray(getattr(self, name), str)
            for name in ("example_ids", "annotator_ids")
        }
        for name, values in ids.items():
            repeated = first_repeated(values)
            if repeated is not None:
                place, value = f"{name}[{repeated}]", str(values[repeated])
                raise ParameterError(owner, place, value, "an id of its own")
        counts = {
            "examples": len(ids["example_ids"]),
            "annotators": len(ids["annotator_ids"]),
            "labels": len(names),
        }
        columns = {}
        for name, count in counts.items():
            values = integers(owner, name, getattr(self, name), 0, count - 1)
            columns[name] = values.astype(np.int64).reshape(-1)
        lengths = [len(values) for values in columns.values()]
        if len(set(lengths)) > 1 or not lengths[0]:
            constraint = "of one length, above 0"
            raise ParameterError(owner, ", ".join(columns), lengths, constraint)
        pairs = columns["examples"] * counts["annotators"] + columns["annotators"]
        repeated = first_repeated(pairs)
        if repeated is not None:
            example = str(ids["example_ids"][columns["examples"][repeated]])
            annotator = str(ids["annotator_ids"][columns["annotators"][repeated]])
            constraint = "there once"
            value = f"{annotator!r} on example {example!r}"
            raise ParameterError(owner, "annotations", value, constraint)
        for name, value in {**columns, **ids, "class_names": names}.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_dense(cls, labels, class_names=None, example_ids=None, annotator_ids=None):
        """Annotations of a matrix with a row an example and a column an annotator.

        Args:
            labels: Class ids, shape `(examples, annotators)`, -1 for not asked.
            class_names: Names of the classes; None numbers them up to the highest.
            example_ids: Text, one an example; None numbers them from 0.
            annotator_ids: Text, one an annotator; None numbers them from 0.

        Returns:
            `Annotations`.

        Raises:
            ValueError: The matrix is none, or as `Annotations`.
        """
        owner = "Annotations.from_dense"
        labels = plain_array(owner, "labels", labels)
        if labels.ndim != 2:
            constraint = "(examples, annotators)"
            raise ParameterError(owner, "labels.shape", labels.shape, constraint)
        high = np.inf if class_names is None else len(class_names) - 1
        hint = "-1 stands for an annotator who was not asked."
        labels = integers(owner, "labels", labels, -1, high, hint)
        examples, annotators = np.nonzero(labels >= 0)
        if class_names is None:
            count = max(2, int(labels.max(initial=-1)) + 1)
            class_names = tuple(map(str, range(count)))
        ids = [example_ids, annotator_ids]
        for place, count in enumerate(labels.shape):
            if ids[place] is None:
                ids[place] = [str(index) for index in range(count)]
            elif len(ids[place]) != count:
                name = ("example_ids", "annotator_ids")[place]
                constraint = f"{count}, the shape of `labels`"
                raise ParameterError(owner, f"len({name})", len(ids[place]), constraint)
        given = labels[examples, annotators].astype(np.int64)
        return cls(examples, annotators, given, *ids, class_names)

    @property
    def num_examples(self):
        """Number of examples, those without a label included."""
        return len(self.example_ids)

    @property
    def num_annotators(self):
        """Number of annotators."""
        return len(self.annotator_ids)

    @property
    def num_classes(self):
        """Number of classes."""
        return len(self.class_names)

    def dense(self):
        """Int32 class ids, shape `(examples, annotators)`, -1 for not asked."""
        result = np.full((self.num_examples, self.num_annotators), -1, np.int32)
        result[self.examples, self.annotators] = self.labels
        return result

    def votes(self):
        """Number of labels of each class, float64, shape `(examples, classes)`."""
        cells = self.examples * self.num_classes + self.labels
        size = self.num_examples * self.num_classes
        counts = np.bincount(cells, minlength=size).astype(np.float64)
        return counts.reshape(self.num_examples, self.num_classes)


def read_annotations(
    path,
    *,
    example="example",
    annotator="annotator",
    label="label",
    like=None,
    skip=(),
    max_bytes=8 * 2**30,
):
    """Reads a table with a row for each label that an annotator gave an example.

    Args:
        path: Path of a `.csv`, `.tsv` or `.parquet` file.
        example: Column of the examples' ids.
        annotator: Column of the annotators' ids.
        label: Column of the labels, words or whole numbers. Rows without one are left
            out: the annotator had no opinion.
        like: `LabelledData` whose examples and classes are meant: the result has its
            examples in its order, those without annotations included. None takes
            examples and classes from the table, examples in the order in which they
            appear first.
        skip: Ids of examples whose rows are left out, for example of those that a
            file of corrections drops.
        max_bytes: Largest size in memory.

    Returns:
        `Annotations`; annotators are sorted, numbers by value.

    Raises:
        TypeError: `path` is not a path.
        ValueError: The file or a column is not there, a cell is empty, an annotator
            labels an example twice, labels are of one class, or an example or label
            is not in `like`.

    Example:
        >>> import os, tempfile
        >>> rows = ["example,annotator,label", "a,Ann,cat", "a,Bob,dog", "b,Bob,dog"]
        >>> path = os.path.join(tempfile.mkdtemp(), "labels.csv")
        >>> with open(path, "w") as file:
        ...     print(*rows, sep=chr(10), file=file)
        >>> table = read_annotations(path)
        >>> table.class_names, table.dense().tolist()
        (('cat', 'dog'), [[0, 1], [-1, 1]])
    """
    owner = "read_annotations"
    if not isinstance(path, str | os.PathLike):
        raise ParameterTypeError(owner, "path", path, "a path")
    path = os.path.expanduser(os.fspath(path))
    kinds = (*CSV, *PARQUET)
    if not os.path.isfile(path) or os.path.splitext(path)[1].lower() not in kinds:
        constraint = f"a file that exists, of {', '.join(kinds)}"
        raise ParameterError(owner, "path", path, constraint)
    file = TableFile(path, max_bytes)
    columns = {"example": example, "annotator": annotator, "label": label}
    for name, column in columns.items():
        file.check_column(name, column)
    texts = {name: file.texts(column) for name, column in columns.items()}
    skip = set(map(str, skip))
    rows = [
        row
        for row, text in enumerate(texts["label"])
        if (text or "").strip() and texts["example"][row] not in skip
    ]
    for name in ("example", "annotator"):
        for row in rows:
            if texts[name][row] is None:
                place = file.place(row, columns[name])
                raise ParameterError(owner, place, None, "an id")
    if not rows:
        constraint = "a table with a label in a row or more"
        raise ParameterError(owner, "path", path, constraint)
    chosen = {name: [values[row] for row in rows] for name, values in texts.items()}
    given = [text.strip() for text in chosen["label"]]

    def place(index):
        return file.place(rows[index], label)

    labels, class_names = coded(given, place, label)
    example_ids = list(dict.fromkeys(chosen["example"]))
    if like is not None:
        _check_like(owner, file, rows, columns, chosen["example"], like)
        codes = _codes_like(owner, labels, class_names, like, place)
        labels, class_names = codes[labels], like.class_names
        example_ids = like.ids.tolist()
    if len(class_names) < 2:
        constraint = "labels of two classes or more"
        raise ParameterError(owner, f"classes of {path}", class_names, constraint)
    annotator_ids = _sorted_ids(set(chosen["annotator"]))
    places = [
        {id: index for index, id in enumerate(ids)}
        for ids in (example_ids, annotator_ids)
    ]
    examples = np.array([places[0][id] for id in chosen["example"]])
    annotators = np.array([places[1][id] for id in chosen["annotator"]])
    repeated = first_repeated(examples * len(annotator_ids) + annotators)
    if repeated is not None:
        value = chosen["annotator"][repeated]
        id = chosen["example"][repeated]
        constraint = f"an annotator who labels the example {id!r} once"
        hint = "Keep one of the rows."
        where = file.place(rows[repeated], annotator)
        raise ParameterError(owner, where, value, constraint, hint)
    return Annotations(
        examples, annotators, labels, example_ids, annotator_ids, class_names
    )


def check_annotations(owner, annotations):
    """Raises a TypeError if `annotations` is no `Annotations`."""
    if not isinstance(annotations, Annotations):
        hint = "A matrix becomes one by `Annotations.from_dense(labels)`."
        kind = type(annotations).__name__
        raise ParameterTypeError(owner, "annotations", kind, "`Annotations`", hint)


def _check_like(owner, file, rows, columns, examples, like):
    known = set(like.ids.tolist())
    for index, id in enumerate(examples):
        if id not in known:
            constraint = f"an id of {like.source}"
            hint = f"Its ids are {listed(like.ids[:3].tolist())} and so on."
            place = file.place(rows[index], columns["example"])
            raise ParameterError(owner, place, id, constraint, hint)


def _codes_like(owner, labels, class_names, like, place):
    """Class ids of `like`, one for each class of the table."""
    codes = {name: code for code, name in enumerate(like.class_names)}
    for code, name in enumerate(class_names):
        if name not in codes:
            index = int(np.flatnonzero(labels == code)[0])
            constraint = f"a class of {like.source}: {listed(like.class_names, 20)}"
            raise ParameterError(owner, place(index), name, constraint)
    return np.array([codes[name] for name in class_names], np.int64)


def _sorted_ids(ids):
    if all(map(is_whole, ids)):
        return sorted(ids, key=lambda id: (int(whole(id)), id))
    return sorted(ids)
