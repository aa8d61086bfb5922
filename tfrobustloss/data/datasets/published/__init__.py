"""Published image sets: scikit-learn's digits, TFDS, files fetched by hand."""

from tfrobustloss.data.datasets.published.human_labels import load_human_labels
from tfrobustloss.data.datasets.published.image_dataset import ImageDataset, ImageFiles
from tfrobustloss.data.datasets.published.load import load

__all__ = ["ImageDataset", "ImageFiles", "load", "load_human_labels"]
