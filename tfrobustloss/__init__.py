"""Robust and flexible loss functions for Keras: `from tfrobustloss import losses`."""

from tfrobustloss import layers, losses

__all__ = ["layers", "losses"]
__version__ = "0.1.0"
