"""Data with wrong labels: your own, noise, image sets, and batches for `fit`."""

from tfrobustloss.data import augment, estimate, noise
from tfrobustloss.data.datasets import (
    Annotations,
    AnnotatorReport,
    Consensus,
    Correction,
    ImageDataset,
    LabelledData,
    annotator_report,
    dawid_skene,
    examples_needed,
    load,
    load_human_labels,
    majority_vote,
    read,
    read_annotations,
    read_corrections,
    read_probabilities,
    split_validation,
    write_corrections,
)
from tfrobustloss.data.distance import signed_distance_map
from tfrobustloss.data.pipelines import pipeline

__all__ = [
    "Annotations",
    "AnnotatorReport",
    "Consensus",
    "Correction",
    "ImageDataset",
    "LabelledData",
    "annotator_report",
    "augment",
    "dawid_skene",
    "estimate",
    "examples_needed",
    "load",
    "load_human_labels",
    "majority_vote",
    "noise",
    "pipeline",
    "read",
    "read_annotations",
    "read_corrections",
    "read_probabilities",
    "signed_distance_map",
    "split_validation",
    "write_corrections",
]
