"""The hyper-parameters that authors published, as losses ready to use."""

import dataclasses
import functools

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.losses import published_settings as tables
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
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.combination import ActivePassive
from tfrobustloss.losses.confidence import ConfidenceRegularized
from tfrobustloss.losses.distributionally_robust import LabelDistributionallyRobust
from tfrobustloss.losses.divergence import JensenShannon
from tfrobustloss.losses.epsilon_softmax import EpsilonSoftmaxCrossEntropy
from tfrobustloss.losses.generalized import GeneralizedCrossEntropy
from tfrobustloss.losses.huberized import (
    PartiallyHuberizedCrossEntropy,
    PartiallyHuberizedGeneralizedCrossEntropy,
)
from tfrobustloss.losses.joint import JointAsymmetric
from tfrobustloss.losses.normalized import (
    NormalizedCrossEntropy,
    NormalizedFocal,
    NormalizedGeneralizedCrossEntropy,
)
from tfrobustloss.losses.sparse import SparseRegularized
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
            a rate, `"symmetric:0.4"`, or `"real"`, for the last two; case does not
            matter. None is the one for these, `"symmetric"` for those. Settings that
            the authors chose by the rate are part of the answer for that rate alone.
        from_logits: Whether the losses are to read logits.

    Returns:
        List of `Recommendation`. Those from a later comparison, as their note says,
        come last.

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
        raise ParameterError("recommended", "dataset", dataset, constraint)
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
    kind, colon, text = str(noise).lower().partition(":")
    try:
        rate = float(text) if colon else None
        known = kind in _KINDS and (kind == "real") == real
        known = known and (rate is None or (not real and 0 <= rate <= 1))
    except ValueError:
        known = False
    if not known:
        constraint = "symmetric, asymmetric, symmetric:R or asymmetric:R"
        constraint = "real" if real else constraint
        hint = f"These are the noises that {dataset} has settings for."
        raise ParameterError("recommended", "noise", noise, constraint, hint)
    return kind, rate


def _published(dataset, kind, rate):
    """Triples of a function of `from_logits`, a source and a note."""
    nce, partial = NormalizedCrossEntropy(), functools.partial
    absolute, reverse = MeanAbsoluteError(), ReverseCrossEntropy()
    if dataset in tables.ACTIVE_PASSIVE:
        yield partial(GeneralizedCrossEntropy, 0.7), tables.APL, ""
    if dataset in tables.SYMMETRIC:
        alpha, beta, source = tables.SYMMETRIC[dataset]
        yield partial(SymmetricCrossEntropy, alpha, beta), source, ""
    if dataset in tables.BI_TEMPERED:
        make = partial(BiTemperedLogistic, *tables.BI_TEMPERED[dataset])
        yield make, "Amid et al. 2019, table of noisy MNIST and CIFAR-100", ""
    if dataset in tables.HUBERIZED:
        make = partial(PartiallyHuberizedCrossEntropy, tables.HUBERIZED[dataset])
        yield make, tables.PHUBER, ""
        make = partial(PartiallyHuberizedGeneralizedCrossEntropy, 0.7, 10.0)
        yield make, tables.PHUBER, ""
    if dataset in tables.ACTIVE_PASSIVE:
        actives = [nce, NormalizedFocal(0.5)]
        if dataset in tables.NORMALIZED_Q:
            q = tables.NORMALIZED_Q[dataset]
            actives += [NormalizedGeneralizedCrossEntropy(q)]
        with_reverse, with_absolute = tables.ACTIVE_PASSIVE[dataset]
        for active in actives:
            yield _sum(active, reverse, *with_reverse), tables.APL, ""
            alpha, beta = with_absolute  # of 1 - p, half of our mean absolute error
            yield _sum(active, absolute, alpha, beta / 2), tables.APL, ""
    classes = (
        AsymmetricGeneralizedCrossEntropy,
        AsymmetricUnhinged,
        AsymmetricExponential,
    )
    given = tables.ASYMMETRIC.get(dataset, ())
    for one, values in zip(classes, given, strict=False):
        yield partial(one, *values), tables.ALF, ""
    given = tables.WITH_ASYMMETRIC.get(dataset, ())
    for one, (alpha, beta, *values) in zip(classes, given, strict=False):
        yield _sum(nce, one(*values), alpha, beta), tables.ALF, ""
    if (dataset, kind) in tables.SPARSE:
        values, epochs, growth = tables.SPARSE[dataset, kind]
        note = f"Every {epochs} epochs `weight` is multiplied by {growth}."
        note = note.replace("Every 1 epochs", "After each epoch")
        yield partial(SparseRegularized, *values), tables.LNL_SR, note
    if dataset.startswith("cifar"):
        note = "`beta` is 0 for 10 epochs and rises to 2 over the next 30."
        yield partial(ConfidenceRegularized, 2.0), tables.CORES, note
    pi = tables.JENSEN_SHANNON.get((dataset, kind), {}).get(rate)
    if pi is not None:
        yield partial(JensenShannon, pi), tables.JS, ""
    if dataset in tables.ACTIVE_NEGATIVE:
        alpha, beta, source, weight = tables.ACTIVE_NEGATIVE[dataset]
        for one in (ActiveNegativeCrossEntropy, ActiveNegativeFocal):
            if (dataset, one) != ("webvision", ActiveNegativeFocal):
                yield partial(one, alpha, beta), source, _penalty(weight)
    by_rate = tables.EPSILON.get((dataset, kind), {})
    if values := by_rate.get(rate, by_rate.get(None)):
        m, alpha, beta = values
        epsilon = EpsilonSoftmaxCrossEntropy(m)
        yield _sum(epsilon, absolute, alpha, beta), tables.EPS, ""
    if dataset in tables.JOINT:
        alpha, beta, a, weight = tables.JOINT[dataset]
        for gamma in (0.0, 0.5):
            make = partial(JointAsymmetric, alpha, beta, a, gamma)
            yield make, tables.JAL, _penalty(weight)
    for make in _compared(dataset):
        source = tables.EPS if dataset == "mnist" else tables.JAL
        yield make, source, "From a later comparison, not the loss' own authors."


def _compared(dataset):
    """What authors of later losses took for those that they compared."""
    partial, nce = functools.partial, NormalizedCrossEntropy()
    yield partial(LabelDistributionallyRobust, 0.1, tables.ROBUST[dataset])
    if dataset not in _REAL:
        return
    if dataset == "clothing1m":
        yield partial(GeneralizedCrossEntropy, 0.6)
        yield partial(SymmetricCrossEntropy, 10, 1)
        yield _sum(nce, ReverseCrossEntropy(), 10, 1)
        yield partial(ActiveNegativeCrossEntropy, 5, 0.1)
        yield partial(ActiveNegativeFocal, 5, 0.1)
    else:
        yield partial(ActiveNegativeFocal, 20, 1)
    yield partial(AsymmetricGeneralizedCrossEntropy, 1e-5, 0.5)
    yield _sum(nce, AsymmetricGeneralizedCrossEntropy(2.5, 3), 50, 0.1)


def _sum(active, passive, alpha, beta):
    return functools.partial(ActivePassive, active, passive, alpha, beta)


def _penalty(weight):
    if weight is None:
        return ""
    return (
        f"With {weight} times the sum of the absolute values of all weights in the "
        "objective, and no weight decay."
    )
