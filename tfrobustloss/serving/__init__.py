"""Export of trained models: SavedModels for TF Serving, and TensorFlow Lite files."""

from tfrobustloss.serving._outside import predict_outside
from tfrobustloss.serving.saved_model import export
from tfrobustloss.serving.tflite import export_tflite

__all__ = ["export", "export_tflite", "predict_outside"]
