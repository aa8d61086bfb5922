"""What an estimate of noise consists of."""

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
    """

    rate: float
    low: float
    high: float
    confidence: float


@dataclasses.dataclass(frozen=True)
class ConfusedPair:
    """A class and a label that its examples carry.

    Attributes:
        clean: Id of the class.
        noisy: Id of the wrong label.
        probability: Share of the examples of the class with that label.
        share: Share of all examples that are of the class and have that label.
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
    """Everything that can be told about the noise of some labels.

    Attributes:
        method: One of `METHODS`.
        num_examples: Number of labels.
        transition_matrix: Float64 array, shape `(classes, classes)`.
        noise_rate: `NoiseRate`.
        confused_pairs: List of `ConfusedPair`, the most frequent first.
        wrong_labels: `WrongLabels`.
        recommendations: List of dicts: `loss`, the name of a class of
            `tfrobustloss.losses`; `settings`, its arguments, where a transition
            matrix is written `"estimated"`; `reason`.
        warnings: List of sentences on what makes the estimate doubtful.
    """

    method: str
    num_examples: int
    transition_matrix: np.ndarray
    noise_rate: NoiseRate
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
