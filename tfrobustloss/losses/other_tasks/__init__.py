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
from tfrobustloss.losses.other_tasks.asymmetric_multi_label import (
    AsymmetricMultiLabel,
    Hill,
    SelfPacedCorrection,
    asymmetric_multi_label,
    hill,
    self_paced_correction,
)
from tfrobustloss.losses.other_tasks.detection import (
    IoUBalancedClassification,
    IoUBalancedLocalization,
    SigmoidFocal,
    iou_balanced_classification,
    iou_balanced_localization,
    sigmoid_focal,
)
from tfrobustloss.losses.other_tasks.multi_label import MultiLabel, multi_label
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
    "AsymmetricMultiLabel",
    "Boundary",
    "GeneralizedDice",
    "Hill",
    "HingeGAN",
    "IoUBalancedClassification",
    "IoUBalancedLocalization",
    "LeastSquaresGAN",
    "MinimaxGAN",
    "MultiLabel",
    "NonSaturatingGAN",
    "Perceptual",
    "RegionBoundary",
    "SelfPacedCorrection",
    "SigmoidFocal",
    "WassersteinGAN",
    "asymmetric_multi_label",
    "boundary",
    "generalized_dice",
    "hill",
    "hinge_gan",
    "iou_balanced_classification",
    "iou_balanced_localization",
    "least_squares_gan",
    "minimax_gan",
    "multi_label",
    "non_saturating_gan",
    "perceptual",
    "region_boundary",
    "self_paced_correction",
    "sigmoid_focal",
    "wasserstein_gan",
]
