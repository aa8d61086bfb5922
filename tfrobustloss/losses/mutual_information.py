"""Determinant-based mutual information of a batch (Xu et al., NeurIPS 2019)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import with_closed_gradient
from tfrobustloss.losses.batch import BatchLoss, weighted_rows
from tfrobustloss.losses.labels import decode

_SMALLEST = math.log(0.001)  # of the authors: a determinant of 0 has a loss
_SINGULAR = 1e-3  # in examples: what stands for a singular value of 0


@keras_function
def determinant_mutual_information(
    y_true, y_pred, sample_weight=None, from_logits=False
):
    """Mutual information of the labels and predictions of a batch, as one number.

        loss = -log(abs(det(M)) + 0.001),   M = transposed labels @ p, classes x classes

    `M[i, j]` counts, in probabilities, how often label `i` meets prediction `j`.
    Noise that depends on the class alone multiplies `det(M)` by a constant, so that
    the best model is the same for clean and noisy labels. Relabelled predictions
    score the same: start from a model that cross-entropy has trained. The batch must
    hold every class, better many times.

    A singular `M` (a class is missing, or two have one prediction) has no gradient of
    its logarithm. Here `abs(det(M))` is the root of `det(transposed M @ M + e ** 2)`,
    e = 0.001 examples: the same but for singular values that small, and finite with
    its gradient for every batch.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        sample_weight: None, or how often each example counts, shape `(...)`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss of the batch, shape `()`, at most `-log(0.001)` = 6.9.

    Raises:
        ValueError: Labels do not fit the predictions.

    Example:
        >>> loss = determinant_mutual_information([0, 1], [[0.8, 0.2], [0.4, 0.6]])
        >>> round(float(loss), 4)  # the determinant is 0.4
        0.9138

    Reference:
        Xu et al., "L_DMI: A Novel Information-theoretic Loss Function for Training
        Deep Nets Robust to Label Noise", NeurIPS 2019. As in the authors' code
        (CIFAR-10/DMI.py, read), where `M` is a sum over the batch too, not a mean.
    """
    labels, prediction = decode(y_true, y_pred, from_logits)
    p = prediction.probabilities()
    rows = weighted_rows(labels, sample_weight, p.dtype)
    flat = (-1, labels.num_classes)
    rows, p = ops.reshape(rows, flat), ops.reshape(p, flat)
    log_det = with_closed_gradient(_log_det, ops.matmul(ops.transpose(rows), p))
    return -ops.logaddexp(log_det, ops.full_like(log_det, _SMALLEST))


def _log_det(matrix):
    """`log(det(transposed M @ M + e ** 2)) / 2`, and its gradient in closed form.

    With [M; e * identity] = QR that is the sum of `log(abs(diagonal of R))`, and its
    gradient is the upper half of Q times the inverse of transposed R: nothing is
    squared, so that float32 has digits left.
    """
    num_classes = matrix.shape[-1]
    ridge = _SINGULAR * ops.eye(num_classes, dtype=matrix.dtype)
    q, r = ops.qr(ops.concatenate([matrix, ridge]))
    log_det = ops.sum(ops.log(ops.abs(ops.diagonal(r))))

    def slope():
        upper = ops.transpose(q[:num_classes, :])
        return ops.transpose(ops.linalg.solve_triangular(r, upper))

    def gradient(upstream):
        return upstream * slope()

    def change(direction):
        return ops.sum(slope() * direction)

    return log_det, gradient, change


@keras.saving.register_keras_serializable(package="tfrobustloss")
class DeterminantMutualInformation(BatchLoss):
    """`determinant_mutual_information` as a `keras.losses.Loss`.

    The loss is one number a batch, whatever `reduction` says. Sample weights, masks
    and `ignore_class` decide how often an example counts in the matrix. Under
    `tf.distribute` each replica has a determinant of its own.
    """

    function = staticmethod(determinant_mutual_information)
    purpose = "noise of any class matrix, a batch at a time; needs a trained start"
    paper = "Xu et al. 2019"
    paper_url = "https://arxiv.org/abs/1909.03388"

    def __init__(self, from_logits=False, **options):
        super().__init__(from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return -math.inf, -_SMALLEST
