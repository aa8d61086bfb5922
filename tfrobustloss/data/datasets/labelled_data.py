"""`LabelledData`: examples in memory whose labels may be wrong."""

import dataclasses
import functools
import hashlib
from typing import Any

import numpy as np

from tfrobustloss._core.labels import class_ids, probability_rows
from tfrobustloss._core.validation import ParameterError, check_choice

IMAGES, FEATURES = "images", "features"
_KINDS = (IMAGES, FEATURES)
_HASH_ROWS = 4096


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledData:
    """Examples in memory with one label each, of which some may be wrong.

    Attributes:
        inputs: Uint8 images in [0, 255], shape `(examples, height, width, channels)`,
            or float32 features, shape `(examples, features)`.
        labels: Int32 class ids, shape `(examples,)`.
        class_names: Tuple of text, one a class, in the order of the class ids.
        ids: Array of text, one an example, without duplicates.
        kind: `"images"` or `"features"`.
        feature_names: Tuple of text, one a feature, or None.
        trusted: Ascending indices of the examples whose labels are right, or None.
        test: `LabelledData` with clean labels and the same classes, or None.
        source: Path or name it was read from.
        notes: Tuple of sentences about what was left out, imputed or converted.
        encoding: How the columns of a table became features (`TableEncoding`), which
            encodes further tables the same way; None for other sources.
        table: `pyarrow.Table` of the cells that the features were made of, or None.
        num_corrected: Number of labels that a file of corrections changed.
        num_dropped: Number of examples that a file of corrections left out.
        soft_labels: Float32 rows of probabilities of the classes, shape `(examples,
            classes)`, which `fit` takes in place of `labels`; or None. The consensus of
            annotators gives them: `Consensus.apply_to`.

    Raises:
        ValueError: Lengths differ, a label is out of range or ids repeat.

    Example:
        >>> features = np.zeros((3, 2), "float32")
        >>> data = LabelledData(features, [0, 1, 0], ("cat", "dog"), ["a", "b", "c"])
        >>> data.num_classes, data.input_shape, data.names_of(data.labels).tolist()
        (2, (2,), ['cat', 'dog', 'cat'])
    """

    inputs: Any
    labels: np.ndarray
    class_names: tuple[str, ...]
    ids: np.ndarray
    kind: str = FEATURES
    feature_names: tuple[str, ...] | None = None
    trusted: np.ndarray | None = None
    test: "LabelledData | None" = None
    source: str = "arrays"
    notes: tuple[str, ...] = ()
    encoding: Any = None
    table: Any = None
    num_corrected: int = 0
    num_dropped: int = 0
    soft_labels: np.ndarray | None = None

    def __post_init__(self):
        """Brings the fields to their types and checks that they fit together."""
        owner = "LabelledData"
        check_choice(owner, "kind", self.kind, _KINDS)
        names = tuple(str(name) for name in self.class_names)
        if len(set(names)) < len(names):
            raise ParameterError(owner, "class_names", names, "different names")
        labels = class_ids(owner, "labels", self.labels, len(names)).reshape(-1)
        ids = np.asarray(self.ids, str)
        for name, values in (("inputs", self.inputs), ("ids", ids)):
            if len(values) != len(labels):
                constraint = f"{len(labels)}, the number of labels"
                raise ParameterError(owner, f"len({name})", len(values), constraint)
        repeated = first_repeated(ids)
        if repeated is not None:
            value = str(ids[repeated])
            raise ParameterError(owner, f"ids[{repeated}]", value, "an id of its own")
        rank = 4 if self.kind == IMAGES else 2
        if len(self.inputs.shape) != rank:
            constraint = f"of rank {rank} for {self.kind}"
            raise ParameterError(owner, "inputs.shape", self.inputs.shape, constraint)
        trusted = self.trusted
        if trusted is not None:
            trusted = np.unique(np.asarray(trusted, np.int64))
        soft = self.soft_labels
        if soft is not None:
            shape = (len(labels), len(names))
            soft = probability_rows(owner, "soft_labels", soft, shape)
        for field, value in (
            ("class_names", names),
            ("labels", labels.astype(np.int32)),
            ("ids", ids),
            ("trusted", trusted),
            ("soft_labels", soft),
        ):
            object.__setattr__(self, field, value)

    def __len__(self):
        """Number of examples."""
        return len(self.labels)

    @property
    def num_classes(self):
        """Number of classes."""
        return len(self.class_names)

    @property
    def input_shape(self):
        """Shape of one input: `(height, width, channels)` or `(features,)`."""
        return tuple(self.inputs.shape[1:])

    def names_of(self, labels):
        """Class names of class ids, as an array of text."""
        return np.asarray(self.class_names, str)[np.asarray(labels)]

    def row(self, index):
        """The example's row of the table as a dict of columns to cells.

        Args:
            index: Int, position of the example.

        Returns:
            Dict of text to text, numbers or None; empty where there is no table.
        """
        if self.table is None:
            return {}
        return self.table.slice(int(index), 1).to_pylist()[0]

    def select(self, indices):
        """The examples at some indices, in that order.

        Args:
            indices: Int array, shape `(examples,)`, or bool mask of all examples.

        Returns:
            `LabelledData` with the classes and test set of this one.
        """
        indices = np.asarray(indices)
        if indices.dtype == bool:
            indices = np.flatnonzero(indices)
        trusted = self.trusted
        if trusted is not None:
            trusted = np.flatnonzero(np.isin(indices, trusted))
        return dataclasses.replace(
            self,
            inputs=self.inputs[indices],
            labels=self.labels[indices],
            ids=self.ids[indices],
            trusted=trusted,
            table=None if self.table is None else self.table.take(indices),
            soft_labels=None if self.soft_labels is None else self.soft_labels[indices],
        )

    @functools.cached_property
    def digest(self):
        """Hash of inputs, labels, classes, ids, trusted and test, 12 hex digits."""
        result = hashlib.sha256()
        paths = getattr(self.inputs, "paths", None)  # images not in memory
        if paths is not None:
            result.update("\0".join(map(str, paths)).encode("utf-8", "surrogateescape"))
        else:
            result.update(repr((self.inputs.shape, str(self.inputs.dtype))).encode())
            for start in range(0, len(self), _HASH_ROWS):
                rows = np.ascontiguousarray(self.inputs[start : start + _HASH_ROWS])
                result.update(rows.tobytes())
        result.update(self.labels.tobytes())
        for names in (self.class_names, self.ids.tolist(), self.feature_names or ()):
            text = "\0".join(map(str, names))
            result.update(b"\1" + text.encode("utf-8", "surrogateescape"))
        if self.trusted is not None:
            result.update(b"trusted" + self.trusted.tobytes())
        if self.soft_labels is not None:
            result.update(b"soft" + self.soft_labels.tobytes())
        if self.test is not None:
            result.update(b"test" + self.test.digest.encode())
        return result.hexdigest()[:12]

    def description(self):
        """Plain JSON values that identify the data, with a digest of the arrays."""
        return {
            "source": self.source,
            "kind": self.kind,
            "examples": len(self),
            "input_shape": list(self.input_shape),
            "class_names": list(self.class_names),
            "class_counts": np.bincount(
                self.labels, minlength=self.num_classes
            ).tolist(),
            "trusted": None if self.trusted is None else len(self.trusted),
            "test": None if self.test is None else len(self.test),
            "corrected": self.num_corrected,
            "dropped": self.num_dropped,
            "digest": self.digest,
        }


def first_repeated(values):
    """Index of the first value that was there before, or None."""
    seen = set()
    for index, value in enumerate(np.asarray(values).tolist()):
        if value in seen:
            return index
        seen.add(value)
    return None
