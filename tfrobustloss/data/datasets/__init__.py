"""Image classification datasets, files of human labels, and validation splits."""

from tfrobustloss.data.datasets.human_labels import load_human_labels
from tfrobustloss.data.datasets.image_dataset import ImageDataset, ImageFiles
from tfrobustloss.data.datasets.load import load
from tfrobustloss.data.datasets.splits import examples_needed, split_validation

__all__ = [
    "ImageDataset",
    "ImageFiles",
    "examples_needed",
    "load",
    "load_human_labels",
    "split_validation",
]
