"""Data with wrong labels: noise matrices and the image sets to try them on."""

from tfrobustloss.data import noise
from tfrobustloss.data.datasets import ImageDataset, load

__all__ = ["ImageDataset", "load", "noise"]
