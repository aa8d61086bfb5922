"""What the losses of a game share: the two roles, and real against generated."""

from keras import ops

from tfrobustloss._core.validation import ParameterError, check_choice
from tfrobustloss.losses.base import TaskLoss
from tfrobustloss.losses.other_tasks.targets import as_floats, shares

_LARGEST = 1e30  # sums of it stay finite in float32


class RoleLoss(TaskLoss):
    """A loss whose one parameter is the role."""

    def __init__(self, role="discriminator", **keras_options):
        check_role(type(self).__name__, role)
        super().__init__({"role": role}, **keras_options)


def loss_of_role(owner, given, real, generated, generator, largest=_LARGEST):
    """The role's loss of each logit, given those of real and generated examples."""
    y_true, logits, role = given
    check_role(owner, role)
    y_true, logits = as_floats(y_true, logits)
    logits = ops.clip(logits, -largest, largest)
    if len(logits.shape) > 1 and logits.shape[-1] == 1:
        logits = ops.squeeze(logits, -1)
    y_true = shares(owner, y_true, "1 stands for real and 0 for generated.")
    realness = _fitted(owner, y_true, logits)
    if role == "generator":
        return (1 - realness) * generator(logits)
    return realness * real(logits) + (1 - realness) * generated(logits)


def _fitted(owner, y_true, logits):
    """`y_true` with as many axes as `logits`."""
    shape = tuple(y_true.shape)
    while len(y_true.shape) > len(logits.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    while len(y_true.shape) < len(logits.shape):
        y_true = ops.expand_dims(y_true, -1)
    fits = len(y_true.shape) == len(logits.shape) and all(
        a in (1, b) or None in (a, b)
        for a, b in zip(y_true.shape, logits.shape, strict=True)
    )
    if not fits:
        constraint = (
            f"of shape {tuple(logits.shape)}, as the logits, or one per example"
        )
        raise ParameterError(owner, "y_true", shape, constraint)
    return y_true


def check_role(owner, role):
    """Raises unless `role` is one of the two."""
    check_choice(owner, "role", role, ("discriminator", "generator"))
