"""Every loss of the package: a function and, beside it, a `keras.losses.Loss`."""

from tfrobustloss._tempered import tempered_softmax
from tfrobustloss.losses._base import FunctionLoss
from tfrobustloss.losses.absolute import MeanAbsoluteError, mean_absolute_error
from tfrobustloss.losses.adma import Adma, adma
from tfrobustloss.losses.bootstrap import (
    HardBootstrap,
    SoftBootstrap,
    hard_bootstrap,
    soft_bootstrap,
)
from tfrobustloss.losses.correction import (
    BackwardCorrection,
    ForwardCorrection,
    backward_correction,
    forward_correction,
)
from tfrobustloss.losses.cross_entropy import CrossEntropy, cross_entropy
from tfrobustloss.losses.focal import Focal, focal
from tfrobustloss.losses.generalized import (
    GeneralizedCrossEntropy,
    generalized_cross_entropy,
)
from tfrobustloss.losses.symmetric import (
    SymmetricCrossEntropy,
    symmetric_cross_entropy,
)
from tfrobustloss.losses.taylor import TaylorLoss, taylor_loss
from tfrobustloss.losses.tempered import (
    BiTemperedLogistic,
    bi_tempered_logistic,
    exp_t,
    log_t,
)

__all__ = [
    "Adma",
    "BackwardCorrection",
    "BiTemperedLogistic",
    "CrossEntropy",
    "Focal",
    "ForwardCorrection",
    "FunctionLoss",
    "GeneralizedCrossEntropy",
    "HardBootstrap",
    "MeanAbsoluteError",
    "SoftBootstrap",
    "SymmetricCrossEntropy",
    "TaylorLoss",
    "adma",
    "backward_correction",
    "bi_tempered_logistic",
    "cross_entropy",
    "exp_t",
    "focal",
    "forward_correction",
    "generalized_cross_entropy",
    "hard_bootstrap",
    "log_t",
    "mean_absolute_error",
    "soft_bootstrap",
    "symmetric_cross_entropy",
    "taylor_loss",
    "tempered_softmax",
]
