"""Multi-label wrapper: the binary form of any classification loss for each class."""

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import ParameterError
from tfrobustloss.losses.labels import Labels
from tfrobustloss.losses.nested import check_inner, values
from tfrobustloss.losses.other_tasks.multi_hot import (
    MultiLabelLoss,
    aggregated,
    decode_multi_hot,
)


@keras_function
def multi_label(y_true, y_pred, loss, aggregate="mean", class_weights=None):
    """A classification loss of each label against its absence, over all labels.

        loss = mean or sum over the known classes of   weight * loss of (1 - p, p)

    Each class is a problem of two classes, as one sigmoid unit has it. With
    `CrossEntropy` it is Keras' `BinaryCrossentropy`. Parameters of `loss` that depend
    on the classes are those of two: a transition matrix is 2 x 2, and the same for all
    labels.

    Args:
        y_true: Targets in [0, 1], shape `(..., classes)`: multi-hot or soft, -1 for a
            missing label.
        y_pred: Probabilities of each class on its own, or logits, as `loss` takes
            them, same shape.
        loss: A classification loss of this package.
        aggregate: `"mean"` over the known labels of an example, or their `"sum"`.
        class_weights: Numbers >= 0, one a class, or None.

    Returns:
        Loss per example, shape `(...)`.

    Raises:
        TypeError: `loss` is no classification loss of this package, or
            `class_weights` are no numbers.
        ValueError: An argument is out of range, a target is none, the shapes differ,
            or `loss` has an `ignore_class` or takes no single unit.

    Example:
        >>> from tfrobustloss.losses import GeneralizedCrossEntropy
        >>> inner = GeneralizedCrossEntropy(q=0.7)
        >>> y_true, y_pred = [[1.0, 0.0, -1.0]], [[0.7, 0.7, 0.1]]
        >>> loss = multi_label(y_true, y_pred, inner, aggregate="sum")
        >>> round(float(loss[0]), 4)  # 0.3156 + 0.8136
        1.1292
    """
    _check_loss("multi_label", loss)
    targets, y_pred, known = decode_multi_hot("multi_label", y_true, y_pred)
    units = ops.expand_dims(y_pred, -1)
    labels = Labels(ops.expand_dims(targets, -1), units)
    losses = values(loss, labels, units)
    return aggregated("multi_label", losses, known, aggregate, class_weights)


def _check_loss(owner, loss):
    check_inner(owner, loss=loss)
    if not loss.one_unit:
        constraint = "a loss that takes predictions of one unit, shape (..., 1)"
        raise ParameterError(owner, "loss", type(loss).__name__, constraint)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class MultiLabel(MultiLabelLoss):
    """`multi_label` as a `keras.losses.Loss`.

    An example without any known label does not count in the mean. Mean average
    precision is `keras.metrics.AUC(curve="PR", multi_label=True)`, on complete labels.

        model.compile("adam", MultiLabel(SymmetricCrossEntropy(from_logits=True)))

    Args:
        loss: See `multi_label`. Its own reduction, name and dtype play no part.
        aggregate: See `multi_label`.
        class_weights: See `multi_label`.
        **options: `reduction`, `name` and `dtype`: see `TaskLoss`.

    Raises:
        TypeError: `loss` is no classification loss of this package.
        ValueError: `loss` has an `ignore_class` (a missing label is -1) or takes no
            single unit, or an argument is out of range.
    """

    function = staticmethod(multi_label)
    purpose = "many labels at once: any classification loss, for each class alone"

    def __init__(self, loss, aggregate="mean", class_weights=None, **options):
        _check_loss("MultiLabel", loss)
        super().__init__(aggregate=aggregate, class_weights=class_weights, **options)
        self.loss = loss

    @property
    def from_logits(self):
        """`from_logits` of the inner loss."""
        return self.loss.from_logits

    def activation(self, logits):
        """Probabilities that the inner loss computes of each logit alone."""
        return ops.squeeze(self.loss.activation(ops.expand_dims(logits, -1)), -1)

    def get_config(self):
        """The constructor arguments as plain values, the inner loss as its config."""
        return {**super().get_config(), "loss": keras.losses.serialize(self.loss)}

    @classmethod
    def from_config(cls, config):
        """The loss of a config; `loss` may be a config or a loss."""
        loss = config["loss"]
        if isinstance(loss, dict):
            loss = keras.losses.deserialize(loss)
        return cls(**{**config, "loss": loss})

    def _parameters(self):
        return {"loss": self.loss, **super()._parameters()}
