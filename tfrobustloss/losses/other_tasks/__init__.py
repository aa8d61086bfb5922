"""Losses for boxes, masks, images, numbers and generative adversarial networks."""

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
from tfrobustloss.losses.other_tasks.noisy_masks import (
    NoiseRobustDice,
    TLoss,
    noise_robust_dice,
    t_loss,
)
from tfrobustloss.losses.other_tasks.perceptual import Perceptual, perceptual
from tfrobustloss.losses.other_tasks.regression import GeneralRobust, general_robust
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
    "GeneralRobust",
    "GeneralizedDice",
    "Hill",
    "HingeGAN",
    "IoUBalancedClassification",
    "IoUBalancedLocalization",
    "LeastSquaresGAN",
    "MinimaxGAN",
    "NoiseRobustDice",
    "MultiLabel",
    "NonSaturatingGAN",
    "Perceptual",
    "RegionBoundary",
    "SelfPacedCorrection",
    "SigmoidFocal",
    "TLoss",
    "WassersteinGAN",
    "asymmetric_multi_label",
    "boundary",
    "general_robust",
    "generalized_dice",
    "hill",
    "hinge_gan",
    "iou_balanced_classification",
    "iou_balanced_localization",
    "least_squares_gan",
    "minimax_gan",
    "noise_robust_dice",
    "multi_label",
    "non_saturating_gan",
    "perceptual",
    "region_boundary",
    "self_paced_correction",
    "sigmoid_focal",
    "t_loss",
    "wasserstein_gan",
]
