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
    assert weights == {
        (nce, losses.ReverseCrossEntropy): (10, 0.1),
        (nce, losses.MeanAbsoluteError): (10, 0.5),
        (nfl, losses.ReverseCrossEntropy): (10, 0.1),
        (nfl, losses.MeanAbsoluteError): (10, 0.5),
        (nce, losses.AsymmetricGeneralizedCrossEntropy): (10, 0.1),
        (nce, losses.AsymmetricUnhinged): (10, 0.015),
        (nce, losses.AsymmetricExponential): (10, 0.1),
    }


def test_a_rate_matters_only_where_the_authors_chose_by_it():
    assert not found("cifar10", "symmetric", losses.JensenShannon)
    assert not found("cifar10", "symmetric:0.3", losses.JensenShannon)
    with_rate = recommended("cifar10", "symmetric:0.8")
    assert len(with_rate) == len(recommended("cifar10", "symmetric")) + 1


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
    ],
)
def test_errors(dataset, noise, message):
    with pytest.raises(ValueError, match=f"recommended: {message}"):
        recommended(dataset, noise)
