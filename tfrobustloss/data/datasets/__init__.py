"""Image classification datasets, and files of human labels."""

from tfrobustloss.data.datasets.human_labels import load_human_labels
from tfrobustloss.data.datasets.image_dataset import ImageDataset, ImageFiles
from tfrobustloss.data.datasets.load import load

__all__ = ["ImageDataset", "ImageFiles", "load", "load_human_labels"]
