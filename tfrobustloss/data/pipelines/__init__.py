"""`tf.data` pipelines for `model.fit`, with label noise and augmentation."""

from tfrobustloss.data.pipelines.pipeline import pipeline

__all__ = ["pipeline"]
