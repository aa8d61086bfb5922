"""Batch augmentation, in the compiled training step or in `tf.data`."""

from tfrobustloss.data.augment.affine import Affine
from tfrobustloss.data.augment.attachment import (
    Augmentation,
    AugmentedModel,
    attach,
    detach,
)
from tfrobustloss.data.augment.layers import CutMix, ImageLayer, MixUp
from tfrobustloss.data.augment.recipe import Recipe
from tfrobustloss.data.augment.recipes import (
    adma,
    cutmix,
    mixup,
    pad_crop_flip,
    rand_augment,
    random_erasing,
)

__all__ = [
    "Affine",
    "AugmentedModel",
    "Augmentation",
    "CutMix",
    "ImageLayer",
    "MixUp",
    "Recipe",
    "adma",
    "attach",
    "cutmix",
    "detach",
    "mixup",
    "pad_crop_flip",
    "rand_augment",
    "random_erasing",
]
