"""Arguments that a loss does not have, and switches that are no bool."""

import inspect

import numpy as np
import pytest

from tests.losses.rows import ROWS
from tfrobustloss import losses

SWITCHES = [
    pytest.param(row, name, id=f"{row.name}-{name}")
    for row in ROWS
    for name, parameter in inspect.signature(row.loss_class).parameters.items()
    if isinstance(parameter.default, bool)
]


@pytest.mark.parametrize(("row", "name"), SWITCHES)
@pytest.mark.parametrize("value", ["False", 0])
def test_a_switch_is_a_bool(row, name, value):
    owner = row.loss_class.__name__
    message = rf"{owner}: `{name}` must be True or False\. Received: {name}={value!r}"
    with pytest.raises(TypeError, match=message):
        row.loss_class(**{**row.arguments, name: value})


def test_a_switch_of_numpy():
    assert losses.CrossEntropy(from_logits=np.True_).from_logits


@pytest.mark.parametrize(
    ("loss_class", "message"),
    [
        (
            losses.GeneralizedCrossEntropy,
            "GeneralizedCrossEntropy: unknown argument 'Q'. It has q, from_logits, "
            "ignore_class, reduction, name, dtype.",
        ),
        (
            losses.HingeGAN,
            "HingeGAN: unknown argument 'Q'. It has role, reduction, name, dtype.",
        ),
    ],
)
def test_a_misspelt_argument(loss_class, message):
    with pytest.raises(TypeError) as caught:
        loss_class(Q=0.5)
    assert str(caught.value) == message


def test_losses_of_other_tasks_have_no_ignore_class():
    with pytest.raises(TypeError, match="HingeGAN: unknown argument 'ignore_class'"):
        losses.HingeGAN(ignore_class=0)


def by_hand(y_true, y_pred, weight=1.0, from_logits=False):
    labels, prediction = losses.decode(y_true, y_pred, from_logits)
    return weight * (1 - prediction.pick_probability(labels))


class Own(losses.FunctionLoss):
    """A user's loss, its parameters by name."""

    function = staticmethod(by_hand)

    def __init__(self, weight=1.0, **options):
        super().__init__(weight=weight, **options)


class OwnOfDict(Own):
    """A user's loss, its parameters as a dict."""

    def __init__(self, weight=1.0, ignore_class=None, **options):
        super(Own, self).__init__({"weight": weight}, ignore_class, **options)


@pytest.mark.parametrize("own", [Own, OwnOfDict])
def test_a_loss_of_ones_own(own):
    p = np.float32([[0.75, 0.25], [0.5, 0.5], [0.5, 0.5]])
    for y_true in ([0, 1, 9], [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]):
        loss = own(2.0, ignore_class=9, reduction="sum")
        assert float(loss(np.array(y_true), p)) == 1.5  # by hand: 2 / 4 + 2 / 2
    config = loss.get_config()
    assert config["weight"] == 2.0
    assert config["ignore_class"] == 9
    assert own.from_config(config).get_config() == config
    assert loss.bounds(2) is None
    with pytest.raises(TypeError, match="unknown argument 'wieght'. It has weight, "):
        own(wieght=2.0)
