"""Loss functions, each as a function and as a `keras.losses.Loss`."""

from tfrobustloss.losses import canonical_taylor, families, taylor_polynomial
from tfrobustloss.losses.absolute import MeanAbsoluteError, mean_absolute_error
from tfrobustloss.losses.active_negative import (
    ActiveNegativeCrossEntropy,
    ActiveNegativeFocal,
    active_negative_cross_entropy,
    active_negative_focal,
)
from tfrobustloss.losses.adaptive_distributionally_robust import (
    AdaptiveLabelDistributionallyRobust,
    adaptive_label_distributionally_robust,
)
from tfrobustloss.losses.adma import Adma, adma
from tfrobustloss.losses.asymmetric import (
    AsymmetricExponential,
    AsymmetricGeneralizedCrossEntropy,
    AsymmetricMeanSquaredError,
    AsymmetricUnhinged,
    asymmetric_exponential,
    asymmetric_generalized_cross_entropy,
    asymmetric_mean_squared_error,
    asymmetric_unhinged,
)
from tfrobustloss.losses.baikal import Baikal, baikal
from tfrobustloss.losses.base import FunctionLoss, TaskLoss
from tfrobustloss.losses.bootstrap import (
    HardBootstrap,
    SoftBootstrap,
    hard_bootstrap,
    soft_bootstrap,
)
from tfrobustloss.losses.combination import ActivePassive, active_passive
from tfrobustloss.losses.confidence import (
    ConfidenceRegularized,
    Unhinged,
    confidence_regularized,
    unhinged,
)
from tfrobustloss.losses.correction import (
    BackwardCorrection,
    ForwardCorrection,
    backward_correction,
    forward_correction,
)
from tfrobustloss.losses.cross_entropy import CrossEntropy, cross_entropy
from tfrobustloss.losses.describe import describe
from tfrobustloss.losses.distributionally_robust import (
    LabelDistributionallyRobust,
    label_distributionally_robust,
)
from tfrobustloss.losses.divergence import JensenShannon, jensen_shannon
from tfrobustloss.losses.epsilon_softmax import (
    EpsilonSoftmaxCrossEntropy,
    epsilon_softmax_cross_entropy,
)
from tfrobustloss.losses.focal import Focal, focal
from tfrobustloss.losses.generalized import (
    GeneralizedCrossEntropy,
    generalized_cross_entropy,
)
from tfrobustloss.losses.huberized import (
    PartiallyHuberizedCrossEntropy,
    PartiallyHuberizedGeneralizedCrossEntropy,
    partially_huberized_cross_entropy,
    partially_huberized_generalized_cross_entropy,
)
from tfrobustloss.losses.joint import JointAsymmetric, joint_asymmetric
from tfrobustloss.losses.labels import Labels, Prediction, decode
from tfrobustloss.losses.mutual_information import (
    DeterminantMutualInformation,
    determinant_mutual_information,
)
from tfrobustloss.losses.negative_learning import NegativeLearning, negative_learning
from tfrobustloss.losses.normalized import (
    NormalizedCrossEntropy,
    NormalizedFocal,
    NormalizedGeneralizedCrossEntropy,
    normalized_cross_entropy,
    normalized_focal,
    normalized_generalized_cross_entropy,
)
from tfrobustloss.losses.other_tasks import (
    AsymmetricMultiLabel,
    Boundary,
    GeneralizedDice,
    GeneralRobust,
    Hill,
    HingeGAN,
    IoUBalancedClassification,
    IoUBalancedLocalization,
    LeastSquaresGAN,
    MinimaxGAN,
    MultiLabel,
    NoiseRobustDice,
    NonSaturatingGAN,
    Perceptual,
    RegionBoundary,
    SelfPacedCorrection,
    SigmoidFocal,
    TLoss,
    WassersteinGAN,
    asymmetric_multi_label,
    boundary,
    general_robust,
    generalized_dice,
    hill,
    hinge_gan,
    iou_balanced_classification,
    iou_balanced_localization,
    least_squares_gan,
    minimax_gan,
    multi_label,
    noise_robust_dice,
    non_saturating_gan,
    perceptual,
    region_boundary,
    self_paced_correction,
    sigmoid_focal,
    t_loss,
    wasserstein_gan,
)
from tfrobustloss.losses.peer import Peer, peer
from tfrobustloss.losses.poly import PolyCrossEntropy, poly_cross_entropy
from tfrobustloss.losses.recommended import recommended
from tfrobustloss.losses.s_divergence import SDivergence, s_divergence
from tfrobustloss.losses.sparse import SparseRegularized, sparse_regularized
from tfrobustloss.losses.squared import (
    MeanSquaredError,
    SquaredHinge,
    mean_squared_error,
    squared_hinge,
)
from tfrobustloss.losses.suggest import suggest
from tfrobustloss.losses.symmetric import (
    ReverseCrossEntropy,
    SymmetricCrossEntropy,
    reverse_cross_entropy,
    symmetric_cross_entropy,
)
from tfrobustloss.losses.taylor import TaylorLoss, taylor_loss
from tfrobustloss.losses.taylor_cross_entropy import (
    TaylorCrossEntropy,
    taylor_cross_entropy,
)
from tfrobustloss.losses.tempered import (
    BiTemperedLogistic,
    bi_tempered_logistic,
    exp_t,
    log_t,
)
from tfrobustloss.losses.tempered_softmax import tempered_softmax
from tfrobustloss.losses.truncated import (
    TruncatedGeneralizedCrossEntropy,
    truncated_generalized_cross_entropy,
)
from tfrobustloss.losses.wrappers import (
    LogitAdjusted,
    LogitBias,
    LogitClip,
    logit_adjusted,
    logit_bias,
    logit_clip,
)

__all__ = [
    "ActiveNegativeCrossEntropy",
    "ActiveNegativeFocal",
    "ActivePassive",
    "AdaptiveLabelDistributionallyRobust",
    "Adma",
    "AsymmetricExponential",
    "AsymmetricGeneralizedCrossEntropy",
    "AsymmetricMeanSquaredError",
    "AsymmetricMultiLabel",
    "AsymmetricUnhinged",
    "BackwardCorrection",
    "Baikal",
    "BiTemperedLogistic",
    "Boundary",
    "ConfidenceRegularized",
    "CrossEntropy",
    "DeterminantMutualInformation",
    "EpsilonSoftmaxCrossEntropy",
    "Focal",
    "ForwardCorrection",
    "FunctionLoss",
    "GeneralRobust",
    "GeneralizedCrossEntropy",
    "GeneralizedDice",
    "HardBootstrap",
    "Hill",
    "HingeGAN",
    "IoUBalancedClassification",
    "IoUBalancedLocalization",
    "JensenShannon",
    "JointAsymmetric",
    "LabelDistributionallyRobust",
    "Labels",
    "LeastSquaresGAN",
    "LogitAdjusted",
    "LogitBias",
    "LogitClip",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "MinimaxGAN",
    "MultiLabel",
    "NegativeLearning",
    "NoiseRobustDice",
    "NonSaturatingGAN",
    "NormalizedCrossEntropy",
    "NormalizedFocal",
    "NormalizedGeneralizedCrossEntropy",
    "PartiallyHuberizedCrossEntropy",
    "PartiallyHuberizedGeneralizedCrossEntropy",
    "Peer",
    "Perceptual",
    "PolyCrossEntropy",
    "Prediction",
    "RegionBoundary",
    "ReverseCrossEntropy",
    "SDivergence",
    "SelfPacedCorrection",
    "SigmoidFocal",
    "SoftBootstrap",
    "SparseRegularized",
    "SquaredHinge",
    "TLoss",
    "SymmetricCrossEntropy",
    "TaskLoss",
    "TaylorCrossEntropy",
    "TaylorLoss",
    "TruncatedGeneralizedCrossEntropy",
    "Unhinged",
    "WassersteinGAN",
    "active_negative_cross_entropy",
    "active_negative_focal",
    "active_passive",
    "adaptive_label_distributionally_robust",
    "adma",
    "asymmetric_exponential",
    "asymmetric_generalized_cross_entropy",
    "asymmetric_mean_squared_error",
    "asymmetric_multi_label",
    "asymmetric_unhinged",
    "backward_correction",
    "baikal",
    "bi_tempered_logistic",
    "boundary",
    "canonical_taylor",
    "confidence_regularized",
    "cross_entropy",
    "decode",
    "describe",
    "determinant_mutual_information",
    "epsilon_softmax_cross_entropy",
    "exp_t",
    "families",
    "focal",
    "forward_correction",
    "general_robust",
    "generalized_cross_entropy",
    "generalized_dice",
    "hard_bootstrap",
    "hill",
    "hinge_gan",
    "iou_balanced_classification",
    "iou_balanced_localization",
    "jensen_shannon",
    "joint_asymmetric",
    "label_distributionally_robust",
    "least_squares_gan",
    "log_t",
    "logit_adjusted",
    "logit_bias",
    "logit_clip",
    "mean_absolute_error",
    "mean_squared_error",
    "minimax_gan",
    "multi_label",
    "negative_learning",
    "noise_robust_dice",
    "non_saturating_gan",
    "normalized_cross_entropy",
    "normalized_focal",
    "normalized_generalized_cross_entropy",
    "partially_huberized_cross_entropy",
    "partially_huberized_generalized_cross_entropy",
    "peer",
    "perceptual",
    "poly_cross_entropy",
    "recommended",
    "region_boundary",
    "reverse_cross_entropy",
    "s_divergence",
    "self_paced_correction",
    "sigmoid_focal",
    "soft_bootstrap",
    "sparse_regularized",
    "squared_hinge",
    "suggest",
    "symmetric_cross_entropy",
    "t_loss",
    "taylor_cross_entropy",
    "taylor_loss",
    "taylor_polynomial",
    "tempered_softmax",
    "truncated_generalized_cross_entropy",
    "unhinged",
    "wasserstein_gan",
]
