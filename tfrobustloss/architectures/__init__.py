"""The small networks of the label-noise papers: images in, logits out."""

from tfrobustloss.architectures.cnn4 import cnn4
from tfrobustloss.architectures.mlp2 import mlp2
from tfrobustloss.architectures.mlp3 import mlp3

__all__ = ["cnn4", "mlp2", "mlp3"]
