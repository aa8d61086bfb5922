"""The published settings: what they are, that they are ready, where they are from."""

import numpy as np
import pytest

from tests.losses.values import numpy, random_probabilities
from tfrobustloss import losses
from tfrobustloss.losses import recommended

CASES = [
    ("mnist", "symmetric"),
    ("cifar10", "symmetric:0.4"),
    ("cifar10", "asymmetric"),
    ("cifar100", "asymmetric:0.4"),
    ("clothing1m", None),
    ("webvision", "real"),
]


def found(dataset, noise, loss_class):
    """The losses of a class among those recommended."""
    return [
        each.loss
        for each in recommended(dataset, noise)
        if isinstance(each.loss, loss_class)
    ]


@pytest.mark.parametrize(("dataset", "noise"), CASES)
def test_every_one_is_there_once_with_its_source(dataset, noise):
    chosen = recommended(dataset, noise)
    assert chosen
    configs = [str(each.loss.get_config()) + each.loss.name for each in chosen]
    assert len(set(configs)) == len(configs)
    assert all(each.loss.from_logits is True for each in chosen)
    assert all(len(each.source) > 8 for each in chosen)


def test_every_one_is_ready():
    # the dataset with the fewest; their classes have tests of their own
    logits = np.log(random_probabilities((4, 14))).astype("float32")
    for each in recommended("clothing1m"):
        assert np.isfinite(numpy(each.loss(np.arange(4), logits)))


@pytest.mark.parametrize(
    ("dataset", "noise", "loss_class", "parameters"),
    [
        # losses.md, sections A and C, and the configs of the authors' code
        ("mnist", None, losses.SymmetricCrossEntropy, {"alpha": 0.01, "beta": 1}),
        ("CIFAR-100", None, losses.SymmetricCrossEntropy, {"alpha": 6, "beta": 0.1}),
        ("webvision", None, losses.SymmetricCrossEntropy, {"alpha": 10, "beta": 1}),
        ("mnist", None, losses.BiTemperedLogistic, {"t1": 0.5, "t2": 4.0}),
        ("cifar100", None, losses.BiTemperedLogistic, {"t1": 0.8, "t2": 1.2}),
        ("cifar10", None, losses.PartiallyHuberizedCrossEntropy, {"tau": 2.0}),
        ("mnist", None, losses.AsymmetricUnhinged, {"a": 3, "q": 0.1}),
        ("cifar10", None, losses.AsymmetricExponential, {"a": 2.5}),
        (
            "cifar100",
            None,
            losses.ActiveNegativeCrossEntropy,
            {"alpha": 10, "beta": 1},
        ),
        ("clothing1m", None, losses.JointAsymmetric, {"alpha": 5, "a": 5}),
        (
            "mnist",
            None,
            losses.PartiallyHuberizedGeneralizedCrossEntropy,
            {"q": 0.7, "tau": 10.0},
        ),
        (
            "mnist",
            None,
            losses.SparseRegularized,
            {"temperature": 0.1, "exponent": 0.1, "weight": 4, "normalize": False},
        ),
        ("cifar100", "asymmetric", losses.SparseRegularized, {"weight": 10}),
        ("cifar10", None, losses.ConfidenceRegularized, {"beta": 2.0}),
        ("cifar10", None, losses.LabelDistributionallyRobust, {"temperature": 10.0}),
        ("clothing1m", None, losses.GeneralizedCrossEntropy, {"q": 0.6}),
        ("clothing1m", None, losses.ActiveNegativeFocal, {"alpha": 5, "beta": 0.1}),
        (
            "webvision",
            None,
            losses.AsymmetricGeneralizedCrossEntropy,
            {"a": 1e-5, "q": 0.5},
        ),
        ("cifar10", "symmetric:0.6", losses.JensenShannon, {"pi": 0.9}),
        ("cifar100", "asymmetric:0.4", losses.JensenShannon, {"pi": 0.5}),
    ],
)
def test_published_parameters(dataset, noise, loss_class, parameters):
    first, *_ = found(dataset, noise, loss_class)
    assert first.get_config().items() >= parameters.items()


def test_combinations_of_cifar100():
    # HanxunH/Active-Passive-Losses and hitcszx/ALFs; MAE there is half of ours
    weights = {
        (type(each.active), type(each.passive)): (each.alpha, each.beta)
        for each in found("cifar100", "symmetric", losses.ActivePassive)
    }
    nce, nfl = losses.NormalizedCrossEntropy, losses.NormalizedFocal
    ngce = losses.NormalizedGeneralizedCrossEntropy
    assert weights == {
        (nce, losses.ReverseCrossEntropy): (10, 0.1),
        (nce, losses.MeanAbsoluteError): (10, 0.5),
        (nfl, losses.ReverseCrossEntropy): (10, 0.1),
        (nfl, losses.MeanAbsoluteError): (10, 0.5),
        (ngce, losses.ReverseCrossEntropy): (10, 0.1),
        (ngce, losses.MeanAbsoluteError): (10, 0.5),
        (nce, losses.AsymmetricGeneralizedCrossEntropy): (10, 0.1),
        (nce, losses.AsymmetricUnhinged): (10, 0.015),
        (nce, losses.AsymmetricExponential): (10, 0.1),
    }


def test_a_rate_matters_only_where_the_authors_chose_by_it():
    assert not found("cifar10", "symmetric", losses.JensenShannon)
    assert not found("cifar10", "symmetric:0.3", losses.JensenShannon)
    with_rate = recommended("cifar10", "symmetric:0.8")
    assert len(with_rate) == len(recommended("cifar10", "symmetric")) + 1


@pytest.mark.parametrize(
    ("dataset", "noise", "m", "alpha", "beta"),
    [
        # cswjl/eps-softmax, config.py; its mean absolute error is ours
        ("cifar10", "symmetric", 1e5, 0.01, 5),
        ("cifar10", "symmetric:0.2", 1e5, 0.01, 5),
        ("cifar10", "asymmetric", 1e3, 0.02, 5),
        ("cifar100", "symmetric:0.6", 1e4, 0.00125, 1),
        ("cifar100", "asymmetric:0.3", 1e2, 0.005, 1),
        ("webvision", None, 1e3, 0.015, 0.3),
        ("clothing1m", None, 1e3, 0.012, 0.1),
    ],
)
def test_epsilon_softmax_with_absolute_error(dataset, noise, m, alpha, beta):
    (one,) = [
        each
        for each in found(dataset, noise, losses.ActivePassive)
        if isinstance(each.active, losses.EpsilonSoftmaxCrossEntropy)
    ]
    assert isinstance(one.passive, losses.MeanAbsoluteError)
    assert (one.active.m, one.alpha, one.beta) == (m, alpha, beta)


@pytest.mark.parametrize(
    ("dataset", "noise", "same"),
    [
        ("cifar10", "Symmetric:0.4", "symmetric:0.4"),
        ("cifar100", "ASYMMETRIC", "asymmetric"),
        ("webvision", "Real", None),
    ],
)
def test_case_of_the_noise_does_not_matter(dataset, noise, same):
    configs = [
        [each.loss.get_config() for each in recommended(dataset, given)]
        for given in (noise, same)
    ]
    assert configs[0] == configs[1]


@pytest.mark.parametrize("dataset", ["mnist", "cifar10", "cifar100", "clothing1m"])
def test_settings_of_later_comparisons_come_last(dataset):
    later = ["later comparison" in each.note for each in recommended(dataset)]
    assert any(later)
    assert later == sorted(later)


def test_on_probabilities():
    assert all(not each.loss.from_logits for each in recommended("mnist", None, False))


@pytest.mark.parametrize(
    ("dataset", "noise", "message"),
    [
        ("imagenet", None, "`dataset` must be one of mnist.*dataset='imagenet'"),
        ("mnist", "real", "`noise` must be symmetric.*noise='real'"),
        ("mnist", "symmetric:2", "`noise` must be .*noise='symmetric:2'"),
        ("mnist", "pair:x", "`noise` must be .*noise='pair:x'"),
        ("webvision", "symmetric", "`noise` must be real.*noise='symmetric'"),
        (
            "CIFAR-10",
            "pair:0.4",
            "`noise` must be symmetric, asymmetric, symmetric:R or asymmetric:R. "
            "Received: noise='pair:0.4'. These are the noises that cifar10 has",
        ),
    ],
)
def test_errors(dataset, noise, message):
    with pytest.raises(ValueError, match=f"recommended: {message}"):
        recommended(dataset, noise)
