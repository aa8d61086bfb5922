"""One row per loss of another task than classification, with data that it takes."""

import dataclasses
from collections.abc import Callable

import numpy as np

from tfrobustloss import losses


@dataclasses.dataclass(frozen=True)
class TaskRow:
    """A loss of the contract in `test_task_losses.py`.

    Attributes:
        loss_class: Class.
        data: Function of a generator that gives float32 `(y_true, y_pred)`.
        shape: Of the losses per example.
        label: Name of the parametrisation; with the class' name it is the test's id.
        arguments: Constructor arguments.
        others: Arguments with other values, which the config has to keep.
        refused: Pairs `(name, value)` that the constructor must refuse.
        extremes: Values that any prediction may take.
        true_slope: Whether the gradient is that of the value: no weights apart.
    """

    loss_class: type
    data: Callable
    shape: tuple
    label: str = ""
    arguments: dict = dataclasses.field(default_factory=dict)
    others: dict = dataclasses.field(default_factory=dict)
    refused: tuple = ()
    extremes: tuple = (0.0, 1e4, -1e4, 1e30, -1e30, 3e38, -3e38)
    true_slope: bool = True

    @property
    def name(self):
        return "-".join(filter(None, (self.loss_class.__name__, self.label)))

    def build(self, **options):
        return self.loss_class(**{**self.arguments, **options})


def _verdicts(random):
    """Real and generated examples, and a critic's logits of them."""
    return np.float32([[1], [0], [0.9], [0], [1], [0]]), _normal(random, (6, 1))


def _normal(random, shape):
    return random.normal(0, 1.5, shape).astype("float32")


_ROLES = {"refused": (("role", "critic"), ("role", None)), "shape": (6,)}


def _both_roles(loss_class, **others):
    for role, other in (("discriminator", "generator"), ("generator", "discriminator")):
        yield TaskRow(
            loss_class,
            _verdicts,
            label=role,
            arguments={"role": role},
            others={"role": other, **others},
            **_ROLES,
        )


TASK_ROWS = [
    *_both_roles(losses.MinimaxGAN),
    *_both_roles(losses.NonSaturatingGAN),
    *_both_roles(losses.LeastSquaresGAN, real=-1.0, fake=2.0, target=0.5),
    *_both_roles(losses.WassersteinGAN),
    *_both_roles(losses.HingeGAN),
]
