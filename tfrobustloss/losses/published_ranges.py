"""Published ranges of hyper-parameters, from which `suggest` draws.

From the smallest to the largest value of the papers and their authors' configurations,
which `published_settings` and the docstrings of the losses list, or the range that a
paper names. The scale is logarithmic where their values are decades apart.
"""

import dataclasses

from tfrobustloss.losses.absolute import MeanAbsoluteError
from tfrobustloss.losses.active_negative import (
    ActiveNegativeCrossEntropy,
    ActiveNegativeFocal,
)
from tfrobustloss.losses.adaptive_distributionally_robust import (
    AdaptiveLabelDistributionallyRobust,
)
from tfrobustloss.losses.adma import Adma
from tfrobustloss.losses.asymmetric import (
    AsymmetricExponential,
    AsymmetricGeneralizedCrossEntropy,
    AsymmetricMeanSquaredError,
    AsymmetricUnhinged,
)
from tfrobustloss.losses.baikal import Baikal
from tfrobustloss.losses.bootstrap import HardBootstrap, SoftBootstrap
from tfrobustloss.losses.combination import ActivePassive
from tfrobustloss.losses.confidence import ConfidenceRegularized, Unhinged
from tfrobustloss.losses.cross_entropy import CrossEntropy
from tfrobustloss.losses.distributionally_robust import LabelDistributionallyRobust
from tfrobustloss.losses.divergence import JensenShannon
from tfrobustloss.losses.epsilon_softmax import EpsilonSoftmaxCrossEntropy
from tfrobustloss.losses.focal import Focal
from tfrobustloss.losses.generalized import GeneralizedCrossEntropy
from tfrobustloss.losses.huberized import (
    PartiallyHuberizedCrossEntropy,
    PartiallyHuberizedGeneralizedCrossEntropy,
)
from tfrobustloss.losses.joint import JointAsymmetric
from tfrobustloss.losses.mutual_information import DeterminantMutualInformation
from tfrobustloss.losses.negative_learning import NegativeLearning
from tfrobustloss.losses.normalized import (
    NormalizedCrossEntropy,
    NormalizedFocal,
    NormalizedGeneralizedCrossEntropy,
)
from tfrobustloss.losses.peer import Peer
from tfrobustloss.losses.poly import PolyCrossEntropy
from tfrobustloss.losses.s_divergence import SDivergence
from tfrobustloss.losses.sparse import SparseRegularized
from tfrobustloss.losses.squared import MeanSquaredError, SquaredHinge
from tfrobustloss.losses.symmetric import ReverseCrossEntropy, SymmetricCrossEntropy
from tfrobustloss.losses.taylor_cross_entropy import TaylorCrossEntropy
from tfrobustloss.losses.tempered import BiTemperedLogistic
from tfrobustloss.losses.truncated import TruncatedGeneralizedCrossEntropy
from tfrobustloss.losses.wrappers import LogitBias, LogitClip


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The range that a hyper-parameter is drawn from; both ends belong to it.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Whether the scale is logarithmic.
        integer: Whether only whole numbers are drawn.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False


# Every loss that needs no argument, and each of its numbers: a range; None for one that
# keeps its default, because a single value is published or it is a mere scale or floor;
# for an inner loss, the classes that are published there.
RANGES = {
    CrossEntropy: {"label_smoothing": None},  # the baseline
    MeanAbsoluteError: {},
    GeneralizedCrossEntropy: {"q": Drawn(0.0, 1.0)},
    SymmetricCrossEntropy: {
        "alpha": Drawn(0.01, 10.0, log=True),
        "beta": Drawn(0.1, 1.0, log=True),
        "log_zero": None,
    },
    ReverseCrossEntropy: {"log_zero": None},
    NormalizedCrossEntropy: {},
    NormalizedFocal: {"gamma": None},
    NormalizedGeneralizedCrossEntropy: {"q": Drawn(0.1, 0.7)},
    ActivePassive: {
        "active": (NormalizedCrossEntropy, NormalizedFocal),
        "passive": (ReverseCrossEntropy, MeanAbsoluteError),
        "alpha": Drawn(1.0, 50.0, log=True),
        "beta": Drawn(0.05, 10.0, log=True),
    },
    AsymmetricGeneralizedCrossEntropy: {
        "a": Drawn(0.6, 6.0, log=True),
        "q": Drawn(0.2, 3.0, log=True),
    },
    AsymmetricUnhinged: {"a": Drawn(3.0, 6.3), "q": Drawn(0.1, 3.0, log=True)},
    AsymmetricExponential: {"a": Drawn(1.5, 5.0)},
    AsymmetricMeanSquaredError: {"a": Drawn(5.0, 30.0, log=True)},
    JointAsymmetric: {
        "alpha": Drawn(1.0, 50.0, log=True),
        "beta": Drawn(0.1, 1.0, log=True),
        "a": Drawn(5.0, 30.0, log=True),
        "gamma": Drawn(0.0, 0.5),
    },
    ActiveNegativeCrossEntropy: {
        "alpha": Drawn(1.0, 20.0, log=True),
        "beta": Drawn(0.1, 5.0, log=True),
        "min_probability": None,
    },
    ActiveNegativeFocal: {
        "alpha": Drawn(1.0, 20.0, log=True),
        "beta": Drawn(0.1, 5.0, log=True),
        "gamma": None,
        "min_probability": None,
    },
    PartiallyHuberizedCrossEntropy: {"tau": Drawn(2.0, 50.0, log=True)},
    PartiallyHuberizedGeneralizedCrossEntropy: {
        "q": None,
        "tau": Drawn(2.0, 50.0, log=True),  # of the cross-entropy: here 10 alone
    },
    JensenShannon: {"pi": Drawn(0.1, 0.9)},
    LogitClip: {"max_norm": Drawn(0.5, 2.5), "loss": None},
    LogitBias: {"bias": None, "loss": None},
    SoftBootstrap: {"beta": None},
    HardBootstrap: {"beta": None},
    Focal: {"gamma": Drawn(0.1, 5.0, log=True), "alpha": None},
    Adma: {"scaling_factor": Drawn(0.05, 0.5), "base": None},  # the paper's (0, 0.5]
    BiTemperedLogistic: {
        "t1": Drawn(0.2, 1.0),
        "t2": Drawn(1.0, 4.0),
        "label_smoothing": None,
    },
    TaylorCrossEntropy: {"order": Drawn(2, 6, integer=True)},
    PolyCrossEntropy: {"epsilon": Drawn(-1.0, 2.0)},
    EpsilonSoftmaxCrossEntropy: {"m": Drawn(1e2, 1e5, log=True), "floor": None},
    TruncatedGeneralizedCrossEntropy: {"q": Drawn(0.0, 1.0), "k": None},
    LabelDistributionallyRobust: {
        "margin": None,
        "temperature": Drawn(0.1, 10.0, log=True),
    },
    AdaptiveLabelDistributionallyRobust: {
        "margin": None,
        "alpha": None,
        "temperature": None,
    },
    SDivergence: {"alpha": Drawn(0.1, 1.0), "lambda_": Drawn(-1.0, 0.0)},  # its ranges
    Peer: {"alpha": None},
    Unhinged: {},
    ConfidenceRegularized: {"beta": Drawn(0.0, 2.0)},
    SparseRegularized: {
        "temperature": Drawn(0.1, 0.5, log=True),
        "exponent": Drawn(0.01, 0.1, log=True),
        "weight": Drawn(1.2, 10.0, log=True),
    },
    NegativeLearning: {},
    DeterminantMutualInformation: {},
    MeanSquaredError: {},
    SquaredHinge: {},
    Baikal: {},
}

# what `suggest` chooses from by default: the baseline, and losses for wrong labels that
# train from a random start and need no schedule
DROP_IN = (
    CrossEntropy,
    MeanAbsoluteError,
    GeneralizedCrossEntropy,
    SymmetricCrossEntropy,
    ActivePassive,
    ActiveNegativeCrossEntropy,
    AsymmetricGeneralizedCrossEntropy,
    JointAsymmetric,
    PartiallyHuberizedCrossEntropy,
    JensenShannon,
    TaylorCrossEntropy,
    BiTemperedLogistic,
)
