"""Losses of generative adversarial networks, each for critic and generator.

A critic's batch holds real examples, `y_true` 1, and generated ones, `y_true` 0, so
that the mean over it is half the sum of the papers' two means when there are as many
of each. The generator's loss looks at the generated ones only: real ones in its batch
cost 0 but count in the mean, so give it generated ones alone.
"""

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import ParameterError, Range, check, check_choice
from tfrobustloss.losses.base import TaskLoss
from tfrobustloss.losses.other_tasks.targets import as_floats, shares

_LARGEST = 1e30  # sums of it stay finite in float32
_LARGEST_SQUARED = 1e15
_TARGETS = {name: Range(-1e6, 1e6) for name in ("real", "fake", "target")}


class RoleLoss(TaskLoss):
    """A loss whose one parameter is the role."""

    def __init__(self, role="discriminator", **options):
        check_role(type(self).__name__, role)
        super().__init__(role=role, **options)


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


def _miss(logits):
    return ops.softplus(-logits)


def _unchanged(outputs):
    return outputs


@keras_function
def minimax_gan(y_true, y_pred, role="discriminator"):
    """Cross-entropy of real against generated, and its negative for the generator.

        critic:     softplus(-logit) if real, softplus(logit) if generated
        generator:  -softplus(logit) = log(1 - sigmoid(logit)) of generated ones

    The generator learns next to nothing while the critic is sure of itself;
    `non_saturating_gan` is the remedy of the same paper.

    Args:
        y_true: 1 for real and 0 for generated, shape `(batch,)` or `(batch, 1)`, or
            that of `y_pred`. In between for soft labels: 0.9 for real ones is
            one-sided label smoothing.
        y_pred: The critic's logits, shape `(batch,)`, `(batch, 1)` or, a logit per
            patch, `(batch, ..., 1)`.
        role: `"discriminator"` or `"generator"`.

    Returns:
        Loss per logit, shape of `y_pred` without a last axis of 1. A generator's is
        0 for real examples, and at most 0.

    Raises:
        ValueError: `role` is neither, or the shapes do not fit.

    Example:
        >>> loss = minimax_gan([1, 0], [1.0, -0.5])
        >>> [round(float(value), 4) for value in loss]
        [0.3133, 0.4741]

    Reference:
        Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014.
    """
    return loss_of_role(
        "minimax_gan",
        (y_true, y_pred, role),
        real=_miss,
        generated=ops.softplus,
        generator=lambda logits: -ops.softplus(logits),
    )


@keras.saving.register_keras_serializable(package="tfrobustloss")
class MinimaxGAN(RoleLoss):
    """`minimax_gan` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(minimax_gan)
    purpose = "generative adversarial networks: the original game"
    paper = "Goodfellow et al. 2014"
    paper_url = "https://arxiv.org/abs/1406.2661"


@keras_function
def non_saturating_gan(y_true, y_pred, role="discriminator"):
    """Cross-entropy of real against generated; the generator's with labels swapped.

        critic:     softplus(-logit) if real, softplus(logit) if generated
        generator:  softplus(-logit) = -log(sigmoid(logit)) of generated ones

    Args:
        y_true: 1 for real and 0 for generated, or in between; see `minimax_gan`.
        y_pred: The critic's logits, shape `(batch,)` or `(batch, ..., 1)`.
        role: `"discriminator"` or `"generator"`.

    Returns:
        Loss per logit, shape of `y_pred` without a last axis of 1, at least 0. A
        generator's is 0 for real examples.

    Raises:
        ValueError: `role` is neither, or the shapes do not fit.

    Example:
        >>> loss = non_saturating_gan([0], [-0.5], role="generator")
        >>> round(float(loss[0]), 4)
        0.9741

    Reference:
        Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014.
    """
    return loss_of_role(
        "non_saturating_gan",
        (y_true, y_pred, role),
        real=_miss,
        generated=ops.softplus,
        generator=_miss,
    )


@keras.saving.register_keras_serializable(package="tfrobustloss")
class NonSaturatingGAN(RoleLoss):
    """`non_saturating_gan` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(non_saturating_gan)
    purpose = "the same, with a generator that learns from the start"
    paper = "Goodfellow et al. 2014"
    paper_url = "https://arxiv.org/abs/1406.2661"


@keras_function
def least_squares_gan(
    y_true, y_pred, real=1.0, fake=0.0, target=1.0, role="discriminator"
):
    """Squared distance of the critic's output from a number for each kind.

        critic:     (output - real)² / 2 if real, (output - fake)² / 2 if generated
        generator:  (output - target)² / 2 of generated ones

    The paper calls `fake, real, target` a, b, c and has two choices: 0, 1, 1, the
    default, and -1, 1, 0, which minimises the Pearson χ² divergence.

    Args:
        y_true: 1 for real and 0 for generated, or in between; see `minimax_gan`.
        y_pred: The critic's output, without activation, shape `(batch,)` or
            `(batch, ..., 1)`. Beyond ±1e15 it counts as that.
        real: What the critic is to say of real examples, a float.
        fake: What it is to say of generated ones, a float.
        target: What the generator wants it to say of them, a float.
        role: `"discriminator"` or `"generator"`.

    Returns:
        Loss per output, shape of `y_pred` without a last axis of 1, at least 0. A
        generator's is 0 for real examples.

    Raises:
        ValueError: `role` is neither, a number is beyond ±1e6, or the shapes do not
            fit.

    Example:
        >>> loss = least_squares_gan([1, 0], [1.0, -0.5])
        >>> [round(float(value), 4) for value in loss]
        [0.0, 0.125]

    Reference:
        Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017.
    """
    check("least_squares_gan", _TARGETS, real=real, fake=fake, target=target)

    def distance(number):
        return lambda outputs: ops.square(outputs - number) / 2

    return loss_of_role(
        "least_squares_gan",
        (y_true, y_pred, role),
        real=distance(real),
        generated=distance(fake),
        generator=distance(target),
        largest=_LARGEST_SQUARED,
    )


@keras.saving.register_keras_serializable(package="tfrobustloss")
class LeastSquaresGAN(TaskLoss):
    """`least_squares_gan` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(least_squares_gan)
    limits = _TARGETS
    purpose = "the same, by squared distances"
    paper = "Mao et al. 2017"
    paper_url = "https://arxiv.org/abs/1611.04076"

    def __init__(self, real=1.0, fake=0.0, target=1.0, role="discriminator", **options):
        check_role("LeastSquaresGAN", role)
        super().__init__(real=real, fake=fake, target=target, role=role, **options)


@keras_function
def wasserstein_gan(y_true, y_pred, role="discriminator"):
    """The critic's output itself: small for generated examples, large for real ones.

        critic:     -output if real, output if generated
        generator:  -output of generated ones

    Means something for a critic whose slope is bounded only: add
    `training.gradient_penalty`, or clip its weights to ±0.01 after each step as the
    paper did. The critic takes 5 steps for each of the generator's.

    Args:
        y_true: 1 for real and 0 for generated, or in between; see `minimax_gan`.
        y_pred: The critic's output, shape `(batch,)` or `(batch, ..., 1)`.
        role: `"discriminator"` or `"generator"`.

    Returns:
        Loss per output, shape of `y_pred` without a last axis of 1, of either sign. A
        generator's is 0 for real examples.

    Raises:
        ValueError: `role` is neither, or the shapes do not fit.

    Example:
        >>> loss = wasserstein_gan([1, 0], [1.0, -0.5])
        >>> [round(float(value), 4) for value in loss]
        [-1.0, -0.5]

    Reference:
        Arjovsky, Chintala, Bottou, "Wasserstein GAN", ICML 2017.
    """
    return loss_of_role(
        "wasserstein_gan",
        (y_true, y_pred, role),
        real=ops.negative,
        generated=_unchanged,
        generator=ops.negative,
    )


@keras.saving.register_keras_serializable(package="tfrobustloss")
class WassersteinGAN(RoleLoss):
    """`wasserstein_gan` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(wasserstein_gan)
    purpose = "the same, for a critic of bounded slope"
    paper = "Arjovsky et al. 2017"
    paper_url = "https://arxiv.org/abs/1701.07875"


@keras_function
def hinge_gan(y_true, y_pred, role="discriminator"):
    """A margin of 1 on either side for the critic, its output for the generator.

        critic:     max(0, 1 - output) if real, max(0, 1 + output) if generated
        generator:  -output of generated ones

    Args:
        y_true: 1 for real and 0 for generated, or in between; see `minimax_gan`.
        y_pred: The critic's output, shape `(batch,)` or `(batch, ..., 1)`.
        role: `"discriminator"` or `"generator"`.

    Returns:
        Loss per output, shape of `y_pred` without a last axis of 1; a critic's at
        least 0, a generator's of either sign and 0 for real examples.

    Raises:
        ValueError: `role` is neither, or the shapes do not fit.

    Example:
        >>> loss = hinge_gan([1, 0], [1.0, -0.5])
        >>> [round(float(value), 4) for value in loss]
        [0.0, 0.5]

    Reference:
        Lim, Ye, "Geometric GAN", 2017; Miyato et al., "Spectral Normalization for
        Generative Adversarial Networks", ICLR 2018.
    """
    return loss_of_role(
        "hinge_gan",
        (y_true, y_pred, role),
        real=lambda outputs: ops.relu(1 - outputs),
        generated=lambda outputs: ops.relu(1 + outputs),
        generator=ops.negative,
    )


@keras.saving.register_keras_serializable(package="tfrobustloss")
class HingeGAN(RoleLoss):
    """`hinge_gan` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(hinge_gan)
    purpose = "the same, with a margin for the critic"
    paper = "Lim and Ye 2017"
    paper_url = "https://arxiv.org/abs/1705.02894"
