"""Consensus of several annotators: majority vote, Dawid-Skene."""

import dataclasses

import numpy as np

from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)
from tfrobustloss.data.datasets.annotators.annotations import (
    check_annotations,
)
from tfrobustloss.data.datasets.found import listed
from tfrobustloss.data.datasets.labelled_data import LabelledData

_LIMITS = {
    "smoothing": Range(low=0),
    "max_iterations": Range(low=1, integer=True),
    "tolerance": Range(low=0),
}
_TINY = 1e-10  # smallest number of labels in a cell, so that logarithms are finite


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
            >>> from tfrobustloss.data import Annotations, LabelledData
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
        >>> from tfrobustloss.data import Annotations
        >>> votes = majority_vote(Annotations.from_dense([[0, 0, 1], [1, 0, -1]]))
        >>> votes.labels.tolist(), votes.probabilities.round(2).tolist()
        ([0, 0], [[0.67, 0.33], [0.5, 0.5]])
    """
    check_annotations("majority_vote", annotations)
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
        >>> from tfrobustloss.data import Annotations
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
    check_annotations(owner, annotations)
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
