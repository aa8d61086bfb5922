"""Image classification datasets, a user's own data, human labels and splits."""

from tfrobustloss.data.datasets.corrections import (
    Correction,
    read_corrections,
    write_corrections,
)
from tfrobustloss.data.datasets.human_labels import load_human_labels
from tfrobustloss.data.datasets.image_dataset import ImageDataset, ImageFiles
from tfrobustloss.data.datasets.labelled_data import LabelledData
from tfrobustloss.data.datasets.load import load
from tfrobustloss.data.datasets.read import read
from tfrobustloss.data.datasets.splits import examples_needed, split_validation

__all__ = [
    "Correction",
    "ImageDataset",
    "ImageFiles",
    "LabelledData",
    "examples_needed",
    "load",
    "load_human_labels",
    "read",
    "read_corrections",
    "split_validation",
    "write_corrections",
]
