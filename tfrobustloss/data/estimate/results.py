"""Result types of the noise estimates."""

import dataclasses
import json

import numpy as np


@dataclasses.dataclass(frozen=True)
class NoiseRate:
    """The share of wrong labels.

    Attributes:
        rate: The estimate, in [0, 1].
        low: Lower end of its interval.
        high: Upper end.
        confidence: How often such an interval holds the value that the method would
            find with endless data. It knows nothing of the method's own error.

    Example:
        >>> found = NoiseRate(rate=0.2, low=0.18, high=0.23, confidence=0.95)
        >>> f"{found.rate:.0%} wrong, {found.low:.0%} to {found.high:.0%}"
        '20% wrong, 18% to 23%'
    """

    rate: float
    low: float
    high: float
    confidence: float


@dataclasses.dataclass(frozen=True)
class ClassRate:
    """The wrong labels of a class, seen from its label and from its examples.

    Attributes:
        label: Id of the class.
        count: Number of examples with that label.
        wrong: `NoiseRate`, the share of them that are of another class.
        lost: `NoiseRate`, the share of the examples of the class that have another
            label.

    Example:
        >>> wrong = NoiseRate(rate=0.2, low=0.1, high=0.3, confidence=0.95)
        >>> lost = NoiseRate(rate=0.0, low=0.0, high=0.1, confidence=0.95)
        >>> found = ClassRate(label=1, count=60, wrong=wrong, lost=lost)
        >>> f"{found.count * found.wrong.rate:.0f} of {found.count} are wrong"
        '12 of 60 are wrong'
    """

    label: int
    count: int
    wrong: NoiseRate
    lost: NoiseRate


@dataclasses.dataclass(frozen=True)
class ConfusedPair:
    """A class and a label that its examples carry.

    Attributes:
        clean: Id of the class.
        noisy: Id of the wrong label.
        probability: Share of the examples of the class with that label.
        share: Share of all examples that are of the class and have that label.

    Example:
        >>> pair = ConfusedPair(clean=3, noisy=5, probability=0.4, share=0.04)
        >>> f"{pair.clean} -> {pair.noisy}: {pair.share:.0%} of all labels"
        '3 -> 5: 4% of all labels'
    """

    clean: int
    noisy: int
    probability: float
    share: float


@dataclasses.dataclass(frozen=True, eq=False)
class WrongLabels:
    """The labels that are more likely wrong than right, the likeliest first.

    Attributes:
        indices: Int64 positions in the labels given, shape `(flagged,)`.
        labels: Int64 class ids that they carry, same shape.
        suggested: Int64 class ids that are likeliest instead, same shape.
        probability: Probability that the label is wrong, same shape, descending.

    Example:
        >>> from tfrobustloss.data import estimate
        >>> labels = [0] * 8 + [1] * 2 + [1] * 10
        >>> probabilities = [[0.8, 0.2]] * 10 + [[0.0, 1.0]] * 10
        >>> found = estimate.wrong_labels(labels, probabilities, "confident")
        >>> found.indices.tolist(), found.labels.tolist(), found.suggested.tolist()
        ([8, 9], [1, 1], [0, 0])
        >>> found.to_csv().splitlines()[0]
        'index,label,suggested,probability_wrong'
    """

    indices: np.ndarray
    labels: np.ndarray
    suggested: np.ndarray
    probability: np.ndarray

    def to_csv(self):
        """The table as text: `index,label,suggested,probability_wrong`."""
        columns = self.indices, self.labels, self.suggested, self.probability
        lines = ["index,label,suggested,probability_wrong"]
        for index, label, suggested, probability in zip(*columns, strict=True):
            lines.append(f"{index},{label},{suggested},{probability:.6f}")
        return "\n".join([*lines, ""])


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """All estimates of the noise of some labels.

    Attributes:
        method: One of `METHODS`.
        num_examples: Number of labels.
        transition_matrix: Float64 array, shape `(classes, classes)`.
        noise_rate: `NoiseRate`.
        class_rates: List of `ClassRate`, one a class, in the order of the class ids.
            Intervals by the bootstrap, and at least as wide as Wilson's.
        confused_pairs: List of `ConfusedPair`, the most frequent first.
        wrong_labels: `WrongLabels`.
        recommendations: List of dicts: `loss`, the name of a class of
            `tfrobustloss.losses`; `settings`, its arguments, where a transition
            matrix is written `"estimated"`; `reason`.
        warnings: List of sentences on what makes the estimate doubtful.

    Example:
        >>> from tfrobustloss.data import estimate
        >>> labels = [0] * 8 + [1] * 2 + [1] * 10
        >>> probabilities = [[0.8, 0.2]] * 10 + [[0.0, 1.0]] * 10
        >>> found = estimate.report(labels, probabilities, "confident", resamples=20)
        >>> found.num_examples, found.confused_pairs[0].noisy, len(found.warnings)
        (20, 1, 1)
    """

    method: str
    num_examples: int
    transition_matrix: np.ndarray
    noise_rate: NoiseRate
    class_rates: list
    confused_pairs: list
    wrong_labels: WrongLabels
    recommendations: list
    warnings: list

    def to_json(self):
        """The report as JSON text, without the list of wrong labels but its length."""
        record = dataclasses.asdict(self)
        record["transition_matrix"] = self.transition_matrix.round(6).tolist()
        record["wrong_labels"] = len(self.wrong_labels.indices)
        return json.dumps(record, indent=1, allow_nan=False) + "\n"
