"""Data with wrong labels: noise, image sets to try it on, and batches for `fit`."""

from tfrobustloss.data import augment, estimate, noise
from tfrobustloss.data.datasets import (
    ImageDataset,
    examples_needed,
    load,
    load_human_labels,
    split_validation,
)
from tfrobustloss.data.distance import signed_distance_map
from tfrobustloss.data.pipelines import pipeline

__all__ = [
    "ImageDataset",
    "augment",
    "estimate",
    "examples_needed",
    "load",
    "load_human_labels",
    "noise",
    "pipeline",
    "signed_distance_map",
    "split_validation",
]
