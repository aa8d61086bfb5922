"""Annotator section of `tfrobustloss audit`."""

import argparse
import dataclasses
from typing import Any

import numpy as np

from tfrobustloss.cli import console
from tfrobustloss.cli.audit_report import plain

_MOST_NAMED = 10
_MOST_NUMBERS = 200_000  # in a JSON file


@dataclasses.dataclass(frozen=True)
class Annotators:
    """Annotators of a user's data next to each other; empty without annotations.

    Attributes:
        reports: List of `data.AnnotatorReport`.
        annotated: Number of examples with an annotation.
        differing: Number of those whose label in the data is not the consensus.
    """

    reports: list[Any] = dataclasses.field(default_factory=list)
    annotated: int = 0
    differing: int = 0

    def facts(self) -> dict[str, str]:
        """Lines for the summary of the page."""
        if not self.reports:
            return {}
        return {
            "Unlike the annotators' consensus": (
                f"{self.differing:,} of {self.annotated:,} labels"
            )
        }

    def records(self) -> list[dict[str, Any]]:
        """The reports as plain JSON values, without matrices that are too many."""
        found = [one.to_json() for one in self.reports]
        if sum(one.confusion.size for one in self.reports) > _MOST_NUMBERS:
            for one in found:
                del one["confusion"]
        return found

    def summary(self) -> str:
        """Lines for the terminal; "" without annotations."""
        if not self.reports:
            return ""
        labels = sum(one.num_labels for one in self.reports)
        lines = [
            f"{console.count(len(self.reports), 'annotator')} gave {labels} labels to "
            f"{self.annotated} examples; {self.differing} labels of the data are not "
            "their consensus."
        ]
        odd = [one for one in self.reports if one.at_odds]
        lines += [
            f"At odds with the rest: {plain(one.annotator)} (agrees with "
            f"{console.percent(one.agreement)} of the others' labels, these with "
            f"{console.percent(one.expected)} of each other's; "
            f"{console.percent(one.accuracy)} right by the consensus)"
            for one in odd[:_MOST_NAMED]
        ]
        if len(odd) > _MOST_NAMED:
            lines.append(f"and {len(odd) - _MOST_NAMED} more")
        if not odd:
            lines.append("No annotator is at odds with the rest.")
        return "\n".join([*lines, "", ""])


def read(own: Any, arguments: argparse.Namespace) -> Annotators:
    """Reads `--annotations` and compares the annotators.

    Args:
        own: `LabelledData`.
        arguments: Parsed options.

    Raises:
        ValueError: The table cannot be read or does not fit the data.
    """
    from tfrobustloss import data

    if arguments.annotations is None:
        return Annotators()
    dropped = []
    if own.num_dropped:
        corrections = data.read_corrections(arguments.corrections)
        dropped = [one.id for one in corrections if one.drops]
    table = data.read_annotations(arguments.annotations, like=own, skip=dropped)
    consensus = data.dawid_skene(table)
    known = consensus.num_labels > 0
    differing = np.sum(consensus.labels[known] != own.labels[known])
    return Annotators(
        data.annotator_report(table, consensus), int(known.sum()), int(differing)
    )
