"""Agreement between annotators."""

import dataclasses

import numpy as np

from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.data.datasets.annotators.annotations import (
    check_annotations,
)
from tfrobustloss.data.datasets.annotators.consensus import Consensus, dawid_skene

_AT_ODDS = 2  # standard errors


@dataclasses.dataclass(frozen=True)
class AnnotatorReport:
    """Agreement of one annotator with the others.

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


def annotator_report(annotations, consensus=None):
    """Agreement of each annotator with the others.

    Args:
        annotations: `Annotations`.
        consensus: `Consensus` of these annotations; None estimates it by
            `dawid_skene`.

    Returns:
        List of `AnnotatorReport`, the lowest accuracy first.

    Raises:
        TypeError: `annotations` or `consensus` is something else.

    Example:
        >>> from tfrobustloss.data import Annotations
        >>> labels = [[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 0], [0, 0, 1], [1, 1, 1]]
        >>> worst = annotator_report(Annotations.from_dense(labels))[0]
        >>> worst.annotator, round(worst.agreement, 2), worst.expected, worst.at_odds
        ('2', 0.33, 1.0, True)
    """
    owner = "annotator_report"
    check_annotations(owner, annotations)
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
