"""The hyper-parameters that authors published, as losses ready to use."""

import dataclasses
import functools

from tfrobustloss import _limits
from tfrobustloss.losses._base import FunctionLoss
from tfrobustloss.losses.absolute import MeanAbsoluteError
from tfrobustloss.losses.active_negative import (
    ActiveNegativeCrossEntropy,
    ActiveNegativeFocal,
)
from tfrobustloss.losses.asymmetric import (
    AsymmetricExponential,
    AsymmetricGeneralizedCrossEntropy,
    AsymmetricUnhinged,
)
from tfrobustloss.losses.combination import ActivePassive
from tfrobustloss.losses.divergence import JensenShannon
from tfrobustloss.losses.generalized import GeneralizedCrossEntropy
from tfrobustloss.losses.huberized import PartiallyHuberizedCrossEntropy
from tfrobustloss.losses.joint import JointAsymmetric
from tfrobustloss.losses.normalized import NormalizedCrossEntropy, NormalizedFocal
from tfrobustloss.losses.symmetric import ReverseCrossEntropy, SymmetricCrossEntropy
from tfrobustloss.losses.tempered import BiTemperedLogistic

_SYNTHETIC = ("mnist", "cifar10", "cifar100")
_REAL = ("clothing1m", "webvision")
_KINDS = ("symmetric", "asymmetric", "real")


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """A loss with the hyper-parameters that its authors published for a dataset.

    Attributes:
        loss: `keras.losses.Loss`.
        source: Where the values are published.
        note: What else belongs to the setting, or an empty text.
    """

    loss: FunctionLoss
    source: str
    note: str = ""


def recommended(dataset, noise=None, from_logits=True):
    """The published settings for a dataset, each with its source.

    They are what the authors chose, on their networks, optimisers and noise; the
    scale of a loss is a learning rate, so tune that rate before you judge a loss.
    CIFAR here is their CIFAR, "asymmetric" their map of classes, and WebVision its
    first 50 classes.

    Args:
        dataset: `"mnist"`, `"cifar10"`, `"cifar100"`, `"clothing1m"` or
            `"webvision"`; case and hyphens do not matter.
        noise: `"symmetric"` or `"asymmetric"`, for the first three, with or without
            a rate, `"symmetric:0.4"`, or `"real"`, for the last two. None is the one
            for these, `"symmetric"` for those. Settings that the authors chose by the
            rate are part of the answer for that rate alone.
        from_logits: Whether the losses are to read logits.

    Returns:
        List of `Recommendation`, in the order of publication.

    Raises:
        ValueError: Nothing is published here for that dataset or noise.

    Example:
        >>> for each in recommended("cifar100", "symmetric")[:2]:
        ...     print(each.loss.name, each.source)
        generalized_cross_entropy HanxunH/Active-Passive-Losses, configs
        symmetric_cross_entropy YisenWang/symmetric_cross_entropy_for_noisy_labels
    """
    name = str(dataset).lower().replace("-", "").replace("_", "")
    if name not in _SYNTHETIC + _REAL:
        constraint = f"one of {', '.join(_SYNTHETIC + _REAL)}"
        raise ValueError(_limits.error("recommended", "dataset", constraint, dataset))
    kind, rate = _parse(name, noise)
    return [
        Recommendation(make(from_logits=from_logits), source, note)
        for make, source, note in _published(name, kind, rate)
    ]


def _parse(dataset, noise):
    """Kind and rate of the noise; a rate of None for none given."""
    real = dataset in _REAL
    if noise is None:
        noise = "real" if real else "symmetric"
    kind, colon, text = str(noise).partition(":")
    try:
        rate = float(text) if colon else None
        known = kind in _KINDS and (kind == "real") == real
        known = known and (rate is None or (not real and 0 <= rate <= 1))
    except ValueError:
        known = False
    if not known:
        constraint = "symmetric, asymmetric, symmetric:R or asymmetric:R"
        constraint = "real" if real else constraint
        hint = f"That is the noise of {dataset}."
        raise ValueError(_limits.error("recommended", "noise", constraint, noise, hint))
    return kind, rate


# --- the tables, as published

_APL = "HanxunH/Active-Passive-Losses, configs"
_ALF = "hitcszx/ALFs, lnl/config.py"
_ANL = "Virusdoll/Active-Negative-Loss, config"
_JAL = "cswjl/joint-asymmetric-loss, config.py"
_JS = "ErikEnglesson/GJS, scripts"

# alpha and beta of (NCE or NFL) + (RCE, MAE)
_ACTIVE_PASSIVE = {
    "mnist": ((1, 10), (1, 10)),
    "cifar10": ((1, 1), (1, 1)),
    "cifar100": ((10, 0.1), (10, 1)),
    "webvision": ((50, 0.1), (50, 1)),
}
_SYMMETRIC = {  # alpha, beta, source
    "mnist": (0.01, 1, "YisenWang/symmetric_cross_entropy_for_noisy_labels"),
    "cifar10": (0.1, 1, "YisenWang/symmetric_cross_entropy_for_noisy_labels"),
    "cifar100": (6, 0.1, "YisenWang/symmetric_cross_entropy_for_noisy_labels"),
    "webvision": (10, 1, _APL),
}
_HUBERIZED = {"mnist": 10.0, "cifar10": 2.0, "cifar100": 10.0}  # tau
_BI_TEMPERED = {"mnist": (0.5, 4.0), "cifar100": (0.8, 1.2)}
_ASYMMETRIC = {  # alone: AGCE, AUL, AEL
    "mnist": ((4, 0.2), (3, 0.1), (3.5,)),
    "cifar10": ((0.6, 0.6), (5.5, 3), (2.5,)),
}
_WITH_ASYMMETRIC = {  # NCE beside them: alpha, beta and their parameters
    "cifar10": ((1, 4, 6, 1.5), (1, 4, 6.3, 1.5), (1, 4, 5)),
    "cifar100": ((10, 0.1, 1.8, 3), (10, 0.015, 6, 3), (10, 0.1, 1.5)),
}
_ACTIVE_NEGATIVE = {  # alpha, beta, source, weight of the penalty
    "mnist": (1, 1, _ANL, "1e-6"),
    "cifar10": (5, 5, _ANL, "5e-5"),
    "cifar100": (10, 1, _ANL, "5e-7"),
    "webvision": (20, 1, _ANL, "5e-6"),
}
_JOINT = {  # alpha, beta, a, weight of the penalty
    "cifar10": (1, 1, 30, "5e-5"),
    "cifar100": (5, 1, 20, "5e-6"),
    "webvision": (50, 1, 30, None),
    "clothing1m": (5, 0.1, 5, None),
}
_JENSEN_SHANNON = {  # pi by rate
    ("cifar10", "symmetric"): {0.0: 0.1, 0.2: 0.7, 0.4: 0.7, 0.6: 0.9, 0.8: 0.9},
    ("cifar10", "asymmetric"): {0.2: 0.3, 0.4: 0.3},
    ("cifar100", "symmetric"): {0.0: 0.1, 0.2: 0.1, 0.4: 0.3, 0.6: 0.5, 0.8: 0.3},
    ("cifar100", "asymmetric"): {0.2: 0.5, 0.4: 0.5},
}


def _published(dataset, kind, rate):
    """Triples of a function of `from_logits`, a source and a note."""
    if dataset in _ACTIVE_PASSIVE:
        yield functools.partial(GeneralizedCrossEntropy, 0.7), _APL, ""
    if dataset in _SYMMETRIC:
        alpha, beta, source = _SYMMETRIC[dataset]
        yield functools.partial(SymmetricCrossEntropy, alpha, beta), source, ""
    if dataset in _BI_TEMPERED:
        make = functools.partial(BiTemperedLogistic, *_BI_TEMPERED[dataset])
        yield make, "Amid et al. 2019, table of noisy MNIST and CIFAR-100", ""
    if dataset in _HUBERIZED:
        make = functools.partial(PartiallyHuberizedCrossEntropy, _HUBERIZED[dataset])
        yield make, "dmizr/phuber, README, which reproduces Menon et al. 2020", ""
    if dataset in _ACTIVE_PASSIVE:
        reverse, absolute = _ACTIVE_PASSIVE[dataset]
        for active in (NormalizedCrossEntropy(), NormalizedFocal(0.5)):
            yield _sum(active, ReverseCrossEntropy(), *reverse), _APL, ""
            alpha, beta = absolute  # of 1 - p, half of our mean absolute error
            yield _sum(active, MeanAbsoluteError(), alpha, beta / 2), _APL, ""
    classes = (
        AsymmetricGeneralizedCrossEntropy,
        AsymmetricUnhinged,
        AsymmetricExponential,
    )
    for one, given in zip(classes, _ASYMMETRIC.get(dataset, ()), strict=False):
        yield functools.partial(one, *given), _ALF, ""
    for one, given in zip(classes, _WITH_ASYMMETRIC.get(dataset, ()), strict=False):
        alpha, beta, *given = given
        yield _sum(NormalizedCrossEntropy(), one(*given), alpha, beta), _ALF, ""
    pi = _JENSEN_SHANNON.get((dataset, kind), {}).get(rate)
    if pi is not None:
        yield functools.partial(JensenShannon, pi), _JS, ""
    if dataset in _ACTIVE_NEGATIVE:
        alpha, beta, source, weight = _ACTIVE_NEGATIVE[dataset]
        for one in (ActiveNegativeCrossEntropy, ActiveNegativeFocal):
            if (dataset, one) != ("webvision", ActiveNegativeFocal):
                yield functools.partial(one, alpha, beta), source, _penalty(weight)
    if dataset in _JOINT:
        alpha, beta, a, weight = _JOINT[dataset]
        for gamma in (0.0, 0.5):
            make = functools.partial(JointAsymmetric, alpha, beta, a, gamma)
            yield make, _JAL, _penalty(weight)


def _sum(active, passive, alpha, beta):
    return functools.partial(ActivePassive, active, passive, alpha, beta)


def _penalty(weight):
    if weight is None:
        return ""
    return (
        f"With {weight} times the sum of the absolute values of all weights in the "
        "objective, and no weight decay."
    )
