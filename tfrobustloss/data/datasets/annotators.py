"""Labels of several annotators: tables with gaps, majority vote, Dawid-Skene."""

import dataclasses
import os

import numpy as np

from tfrobustloss._core.labels import integers, plain_array
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)
from tfrobustloss.data.datasets.found import coded, is_whole, listed, whole
from tfrobustloss.data.datasets.labelled_data import LabelledData, first_repeated
from tfrobustloss.data.datasets.table_file import CSV, PARQUET, TableFile

_LIMITS = {
    "smoothing": Range(low=0),
    "max_iterations": Range(low=1, integer=True),
    "tolerance": Range(low=0),
}
_TINY = 1e-10  # smallest number of labels in a cell, so that logarithms are finite
_AT_ODDS = 2  # standard errors


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


@dataclasses.dataclass(frozen=True, eq=False)
class Consensus:
    """The labels that several annotators together stand for.

    Attributes:
        labels: Int32 class ids, shape `(examples,)`; -1 where nobody gave a label.
        probabilities: Float64 rows, shape `(examples, classes)`: soft labels for any
            loss of this package, see `apply_to`. `class_prior` where nobody gave one.
        confusion: Float64, shape `(annotators, classes, classes)`: in row i the
            probabilities of the labels that the annotator gives to class i. A row
            about which nothing is known is uniform.
        class_prior: Float64 share of each class, shape `(classes,)`.
        num_labels: Int64 number of labels, shape `(examples,)`.
        iterations: Int, of the estimation.
        converged: Whether it came to rest before the last iteration allowed.
        log_likelihood: Of the labels given, in nats; NaN for a vote.
        example_ids: Array of text, one an example.
        class_names: Tuple of text, one a class.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    confusion: np.ndarray
    class_prior: np.ndarray
    num_labels: np.ndarray
    iterations: int
    converged: bool
    log_likelihood: float
    example_ids: np.ndarray
    class_names: tuple[str, ...]

    def apply_to(self, data):
        """Examples labelled by the consensus, with soft labels for training.

        Examples are matched by id. The rows of `probabilities` become `soft_labels`,
        which `fit` takes in place of class ids with every loss of this package, and
        their likeliest classes become `labels`. Examples without an annotation are
        left out, except for trusted ones, which keep their own label.

        Args:
            data: `LabelledData` that the annotations are of.

        Returns:
            `LabelledData`, in the order of `data`.

        Raises:
            TypeError: `data` is something else.
            ValueError: An annotated example or a class is not in `data`.

        Example:
            >>> from tfrobustloss.data import LabelledData
            >>> ids, names = ["a", "b", "c"], ("cat", "dog")
            >>> own = LabelledData(np.eye(3, dtype="float32"), [0, 0, 1], names, ids)
            >>> votes = [[0, 0, 1], [1, 1, 1], [-1, -1, -1]]
            >>> table = Annotations.from_dense(votes, names, ids)
            >>> agreed = majority_vote(table).apply_to(own)
            >>> agreed.ids.tolist(), agreed.labels.tolist()
            (['a', 'b'], [0, 1])
            >>> (3 * agreed.soft_labels).round().tolist()
            [[2.0, 1.0], [0.0, 3.0]]
        """
        owner = "Consensus.apply_to"
        if not isinstance(data, LabelledData):
            constraint = "`LabelledData`, for example of `data.read`"
            raise ParameterTypeError(owner, "data", type(data).__name__, constraint)
        known = np.flatnonzero(self.num_labels > 0)
        rows = _positions_in(owner, self.example_ids[known], data)
        codes = _codes_in(owner, self.class_names, data)
        soft = np.zeros((len(data), data.num_classes), np.float32)
        soft[rows[:, np.newaxis], codes] = self.probabilities[known]
        labels, chosen = data.labels.copy(), np.zeros(len(data), bool)
        labels[rows], chosen[rows] = codes[self.labels[known]], True
        if data.trusted is not None:
            chosen[data.trusted] = True
            labels[data.trusted] = data.labels[data.trusted]
            soft[data.trusted] = np.eye(data.num_classes)[labels[data.trusted]]
        notes = data.notes
        if not chosen.all():
            left_out = int((~chosen).sum())
            notes += (f"{left_out} examples without an annotation are left out.",)
        return dataclasses.replace(
            data.select(chosen),
            labels=labels[chosen],
            soft_labels=soft[chosen],
            notes=notes,
        )


@dataclasses.dataclass(frozen=True)
class AnnotatorReport:
    """How an annotator stands to the others.

    Attributes:
        annotator: Id.
        num_labels: Number of labels given.
        num_shared: Number of those on examples that others labelled too.
        agreement: Share of the others' labels that are the same, averaged over the
            shared examples; None without any.
        expected: Agreement of the others among themselves on these examples; None
            where no two of them labelled one.
        accuracy: Probability that a label is right by the consensus' confusion matrix,
            over the classes of which it labelled examples.
        at_odds: Whether the agreement is more than two standard errors below
            `expected`.
        confusion: Float64, shape `(classes, classes)`, as in `Consensus`.
        class_counts: Float64, shape `(classes,)`: expected number of examples of each
            class, by the consensus, among those that were labelled. Row i of
            `confusion` says nothing where there are none.
    """

    annotator: str
    num_labels: int
    num_shared: int
    agreement: float | None
    expected: float | None
    accuracy: float
    at_odds: bool
    confusion: np.ndarray = dataclasses.field(compare=False, repr=False)
    class_counts: np.ndarray = dataclasses.field(compare=False, repr=False)

    def to_json(self):
        """Dict of plain JSON values."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.compare
        } | {
            "confusion": self.confusion.round(6).tolist(),
            "class_counts": self.class_counts.round(3).tolist(),
        }


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


def majority_vote(annotations):
    """The most frequent label of each example.

    Of several most frequent ones it takes the one that is more frequent in the whole
    table, then the class that comes first. The probabilities are the shares of votes.

    Args:
        annotations: `Annotations`.

    Returns:
        `Consensus`; `confusion` and `class_prior` are those of the shares.

    Raises:
        TypeError: `annotations` is something else.

    Example:
        >>> votes = majority_vote(Annotations.from_dense([[0, 0, 1], [1, 0, -1]]))
        >>> votes.labels.tolist(), votes.probabilities.round(2).tolist()
        ([0, 0], [[0.67, 0.33], [0.5, 0.5]])
    """
    _check_annotations("majority_vote", annotations)
    votes = annotations.votes()
    count = votes.sum(axis=1)
    shares = _shares(votes)
    prior = shares[count > 0].mean(axis=0)
    shares[count == 0] = prior
    total = votes.sum(axis=0)
    is_most = votes == votes.max(axis=1, keepdims=True)
    labels = np.where(is_most, total, -1).argmax(axis=1)
    return Consensus(
        labels=np.where(count > 0, labels, -1).astype(np.int32),
        probabilities=shares,
        confusion=_confusion(annotations, shares, 0),
        class_prior=prior,
        num_labels=count.astype(np.int64),
        iterations=0,
        converged=True,
        log_likelihood=float("nan"),
        **_names_of(annotations),
    )


def dawid_skene(annotations, smoothing=0.0, max_iterations=1000, tolerance=1e-8):
    """Labels, and how each annotator confuses classes, by maximum likelihood.

    Each annotator a gives class i the label j with probability `confusion[a, i, j]`,
    independently of the others. Expectation maximisation starts from the shares of
    votes and alternates

        class_prior, confusion = shares of the probabilities so far
        probabilities ~ class_prior * product over annotators of confusion

    in logarithms until the log-likelihood of a label grows by less than `tolerance`;
    the default is that small since EM creeps before single labels change. Nothing is
    random. The estimate is that of the local maximum next to the vote: if
    most annotators are wrong on a class together, so is the consensus.

    Args:
        annotations: `Annotations`.
        smoothing: Float >= 0, number of labels added to each cell of each confusion
            matrix. 0 is the estimator as published; with few labels an annotator, say
            below 10 a class, 0.1 to 1 keeps single labels from counting as certain.
        max_iterations: Int >= 1.
        tolerance: Float >= 0, in nats a label.

    Returns:
        `Consensus`.

    Raises:
        TypeError: `annotations` is something else.
        ValueError: A number is out of range.

    Example:
        >>> labels = [[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 0], [0, 0, 1], [1, 1, 1]]
        >>> found = dawid_skene(Annotations.from_dense(labels))
        >>> found.labels.tolist()
        [0, 1, 0, 1, 0, 1]
        >>> found.confusion[2].round(2).tolist()
        [[0.33, 0.67], [0.67, 0.33]]

    Reference:
        Dawid, Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the
        EM Algorithm", Journal of the Royal Statistical Society C, 1979.
    """
    owner = "dawid_skene"
    _check_annotations(owner, annotations)
    check(
        owner,
        _LIMITS,
        smoothing=smoothing,
        max_iterations=max_iterations,
        tolerance=tolerance,
    )
    votes = annotations.votes()
    count = votes.sum(axis=1)
    probabilities, before, converged = _shares(votes), -np.inf, False
    iteration = 0
    while iteration < max_iterations and not converged:
        iteration += 1
        prior = probabilities[count > 0].mean(axis=0)
        confusion = _confusion(annotations, probabilities, smoothing)
        probabilities, likelihood = _posterior(annotations, prior, confusion, count)
        converged = likelihood - before < tolerance * len(annotations.labels)
        before = likelihood
    labels = np.where(count > 0, probabilities.argmax(axis=1), -1)
    return Consensus(
        labels=labels.astype(np.int32),
        probabilities=probabilities,
        confusion=confusion,
        class_prior=prior,
        num_labels=count.astype(np.int64),
        iterations=iteration,
        converged=bool(converged),
        log_likelihood=float(likelihood),
        **_names_of(annotations),
    )


def annotator_report(annotations, consensus=None):
    """How often each annotator agrees with the others, and who is at odds with them.

    Args:
        annotations: `Annotations`.
        consensus: `Consensus` of these annotations; None estimates it by
            `dawid_skene`.

    Returns:
        List of `AnnotatorReport`, the lowest accuracy first.

    Raises:
        TypeError: `annotations` or `consensus` is something else.

    Example:
        >>> labels = [[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 0], [0, 0, 1], [1, 1, 1]]
        >>> worst = annotator_report(Annotations.from_dense(labels))[0]
        >>> worst.annotator, round(worst.agreement, 2), worst.expected, worst.at_odds
        ('2', 0.33, 1.0, True)
    """
    owner = "annotator_report"
    _check_annotations(owner, annotations)
    if consensus is None:
        consensus = dawid_skene(annotations)
    if not isinstance(consensus, Consensus):
        raise ParameterTypeError(owner, "consensus", consensus, "a `Consensus` or None")
    expected_shape = (annotations.num_annotators, *2 * (annotations.num_classes,))
    if consensus.confusion.shape != expected_shape:
        constraint = f"{expected_shape}, that of a consensus of these annotations"
        value = consensus.confusion.shape
        raise ParameterError(owner, "consensus.confusion.shape", value, constraint)
    same, pairs = _agreements(annotations)
    found = []
    for index, id in enumerate(annotations.annotator_ids.tolist()):
        mine = annotations.annotators == index
        shared = same[mine][~np.isnan(same[mine])]
        others = pairs[mine][~np.isnan(pairs[mine])]
        agreement = float(shared.mean()) if shared.size else None
        expected = float(others.mean()) if others.size else None
        counts = consensus.probabilities[annotations.examples[mine]].sum(axis=0)
        right = np.diag(consensus.confusion[index])
        known = consensus.class_prior * (counts >= 0.5)  # an unknown row is uniform
        known = known if known.any() else consensus.class_prior
        at_odds = False
        if None not in (agreement, expected):
            error = np.sqrt(agreement * (1 - agreement) / shared.size)
            at_odds = bool(agreement + _AT_ODDS * error < expected)
        found.append(
            AnnotatorReport(
                annotator=id,
                num_labels=int(mine.sum()),
                num_shared=int(shared.size),
                agreement=agreement,
                expected=expected,
                accuracy=float(right @ known / known.sum()),
                at_odds=at_odds,
                confusion=consensus.confusion[index],
                class_counts=counts,
            )
        )
    return sorted(found, key=lambda each: each.accuracy)


def _agreements(annotations):
    """Of each annotation: share of others that agree; agreement of these others."""
    votes = annotations.votes()
    total = votes.sum(axis=1)[annotations.examples] - 1
    own = votes[annotations.examples, annotations.labels]
    # pairs of equal labels of an example, without those with this annotation
    equal = (votes * (votes - 1)).sum(axis=1)[annotations.examples] - 2 * (own - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        same = np.where(total > 0, (own - 1) / total, np.nan)
        pairs = np.where(total > 1, equal / (total * (total - 1)), np.nan)
    return same, pairs


def _shares(votes):
    count = votes.sum(axis=1, keepdims=True)
    return votes / np.maximum(count, 1)


def _confusion(annotations, probabilities, smoothing):
    """Confusion matrices by the probabilities of the examples' classes."""
    classes, annotators = annotations.num_classes, annotations.num_annotators
    cells = annotations.annotators * classes + annotations.labels
    counts = np.empty((annotators, classes, classes))
    for clean in range(classes):
        weights = probabilities[annotations.examples, clean]
        found = np.bincount(cells, weights, annotators * classes)
        counts[:, clean] = found.reshape(annotators, classes)
    counts = np.maximum(counts + smoothing, _TINY)
    return counts / counts.sum(axis=2, keepdims=True)


def _posterior(annotations, prior, confusion, count):
    """Probabilities of the classes, and the log-likelihood of the labels."""
    logarithms = np.log(confusion)
    logits = np.empty((annotations.num_examples, annotations.num_classes))
    for clean in range(annotations.num_classes):
        weights = logarithms[annotations.annotators, clean, annotations.labels]
        logits[:, clean] = np.bincount(
            annotations.examples, weights, annotations.num_examples
        )
    logits += np.log(np.maximum(prior, np.finfo(np.float64).tiny))
    largest = logits.max(axis=1, keepdims=True)
    unscaled = np.exp(logits - largest)
    sums = unscaled.sum(axis=1, keepdims=True)
    likelihood = (largest + np.log(sums))[count > 0].sum()
    return unscaled / sums, float(likelihood)


def _check_annotations(owner, annotations):
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


def _names_of(annotations):
    """Ids and classes, as a `Consensus` keeps them."""
    return {
        "example_ids": annotations.example_ids,
        "class_names": annotations.class_names,
    }


def _positions_in(owner, ids, data):
    """Positions of ids in `data`."""
    places = {id: place for place, id in enumerate(data.ids.tolist())}
    for index, id in enumerate(ids.tolist()):
        if id not in places:
            constraint = f"an id of {data.source}"
            hint = (
                f"Its ids are {listed(data.ids[:3].tolist())} and so on. Leave the "
                "example out by `read_annotations(path, like=data, skip=[id])`."
            )
            place = f"annotated example {index}"
            raise ParameterError(owner, place, id, constraint, hint)
    return np.array([places[id] for id in ids.tolist()], np.int64)


def _codes_in(owner, class_names, data):
    """Class ids of `data`, one for each of the names."""
    for name in class_names:
        if name not in data.class_names:
            constraint = f"a class of {data.source}: {listed(data.class_names, 20)}"
            raise ParameterError(owner, "class_names", name, constraint)
    return np.array([data.class_names.index(name) for name in class_names], np.int64)


def _sorted_ids(ids):
    if all(map(is_whole, ids)):
        return sorted(ids, key=lambda id: (int(whole(id)), id))
    return sorted(ids)
