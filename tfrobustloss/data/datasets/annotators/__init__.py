"""Several annotators: tables of labels, consensus, agreement."""

from tfrobustloss.data.datasets.annotators.agreement import (
    AnnotatorReport,
    annotator_report,
)
from tfrobustloss.data.datasets.annotators.annotations import (
    Annotations,
    read_annotations,
)
from tfrobustloss.data.datasets.annotators.consensus import (
    Consensus,
    dawid_skene,
    majority_vote,
)

__all__ = [
    "AnnotatorReport",
    "Annotations",
    "Consensus",
    "annotator_report",
    "dawid_skene",
    "majority_vote",
    "read_annotations",
]
