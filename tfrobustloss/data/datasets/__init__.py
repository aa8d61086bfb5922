"""Image classification datasets, a user's own data, human labels and splits."""

from tfrobustloss.data.datasets.annotators import (
    Annotations,
    AnnotatorReport,
    Consensus,
    annotator_report,
    dawid_skene,
    majority_vote,
    read_annotations,
)
from tfrobustloss.data.datasets.labelled_data import LabelledData
from tfrobustloss.data.datasets.own import (
    Correction,
    read,
    read_corrections,
    read_probabilities,
    write_corrections,
)
from tfrobustloss.data.datasets.published import (
    ImageDataset,
    ImageFiles,
    load,
    load_human_labels,
)
from tfrobustloss.data.datasets.splits import examples_needed, split_validation

__all__ = [
    "Annotations",
    "AnnotatorReport",
    "Consensus",
    "Correction",
    "ImageDataset",
    "ImageFiles",
    "LabelledData",
    "annotator_report",
    "dawid_skene",
    "examples_needed",
    "load",
    "load_human_labels",
    "majority_vote",
    "read",
    "read_annotations",
    "read_corrections",
    "read_probabilities",
    "split_validation",
    "write_corrections",
]
