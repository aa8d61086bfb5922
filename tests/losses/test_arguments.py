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
