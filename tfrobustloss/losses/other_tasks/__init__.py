"""Losses for boxes, masks, images and generative adversarial networks."""

from tfrobustloss.losses.other_tasks.adversarial import (
    HingeGAN,
    LeastSquaresGAN,
    MinimaxGAN,
    NonSaturatingGAN,
    WassersteinGAN,
    hinge_gan,
    least_squares_gan,
    minimax_gan,
    non_saturating_gan,
    wasserstein_gan,
)
from tfrobustloss.losses.other_tasks.detection import (
    IoUBalancedClassification,
    IoUBalancedLocalization,
    SigmoidFocal,
    iou_balanced_classification,
    iou_balanced_localization,
    sigmoid_focal,
)
from tfrobustloss.losses.other_tasks.perceptual import Perceptual, perceptual
from tfrobustloss.losses.other_tasks.segmentation import (
    Boundary,
    GeneralizedDice,
    RegionBoundary,
    boundary,
    generalized_dice,
    region_boundary,
)

__all__ = [
    "Boundary",
    "GeneralizedDice",
    "HingeGAN",
    "IoUBalancedClassification",
    "IoUBalancedLocalization",
    "LeastSquaresGAN",
    "MinimaxGAN",
    "NonSaturatingGAN",
    "Perceptual",
    "RegionBoundary",
    "SigmoidFocal",
    "WassersteinGAN",
    "boundary",
    "generalized_dice",
    "hinge_gan",
    "iou_balanced_classification",
    "iou_balanced_localization",
    "least_squares_gan",
    "minimax_gan",
    "non_saturating_gan",
    "perceptual",
    "region_boundary",
    "sigmoid_focal",
    "wasserstein_gan",
]
