"""Data with wrong labels: your own, noise, image sets, and batches for `fit`."""

from tfrobustloss.data import augment, estimate, noise
from tfrobustloss.data.datasets import (
    Correction,
    ImageDataset,
    LabelledData,
    examples_needed,
    load,
    load_human_labels,
    read,
    read_corrections,
    split_validation,
    write_corrections,
)
from tfrobustloss.data.distance import signed_distance_map
from tfrobustloss.data.pipelines import pipeline

__all__ = [
    "Correction",
    "ImageDataset",
    "LabelledData",
    "augment",
    "estimate",
    "examples_needed",
    "load",
    "load_human_labels",
    "noise",
    "pipeline",
    "read",
    "read_corrections",
    "signed_distance_map",
    "split_validation",
    "write_corrections",
]
