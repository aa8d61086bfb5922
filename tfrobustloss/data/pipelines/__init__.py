"""Batches for `fit` in `tf.data`, with label noise and augmentation."""

from tfrobustloss.data.pipelines.pipeline import pipeline

__all__ = ["pipeline"]
