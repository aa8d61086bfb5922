"""Pieces of the losses on anchors: focal terms, weights by overlap, positives."""

from keras import ops

from tfrobustloss.losses.labels import SMALLEST_PROBABILITY

_LARGEST = 1e30  # sums of it stay finite in float32
_LARGEST_NORM = 1e6


def focal_terms(targets, y_pred, gamma, alpha, from_logits):
    """What each class costs for being there, and for not being there."""
    if from_logits:
        logits = ops.clip(y_pred, -_LARGEST, _LARGEST)
        log_p, log_rest = -ops.softplus(-logits), -ops.softplus(logits)
    else:
        log_p, log_rest = _log(y_pred), _log(1 - y_pred)
    hit = -targets * ops.exp(gamma * log_rest) * log_p
    miss = -(1 - targets) * ops.exp(gamma * log_p) * log_rest
    if alpha is None:
        return hit, miss
    return alpha * hit, (1 - alpha) * miss


def _log(p):
    """Logarithm of a probability, at least that of 1e-7, with a gradient below it."""
    clipped = ops.stop_gradient(ops.clip(p, SMALLEST_PROBABILITY, 1.0))
    return ops.log(clipped + (p - ops.stop_gradient(p)))


def balance(hit, targets, iou, eta):
    """Weights of the positives' terms by their overlap that keep the terms' sum."""
    if 0 in hit.shape:  # no anchors, and Keras refuses the maximum of nothing
        return ops.ones_like(hit)
    best = ops.max(ops.where(targets > 0, iou, 0))
    overlaps = best > 0  # without any, all count alike
    weight = ops.power(ops.where(overlaps, iou / ops.where(overlaps, best, 1), 1), eta)
    total, weighted = ops.sum(hit), ops.sum(hit * weight)
    divisor = ops.maximum(weighted, total / _LARGEST_NORM)
    some = divisor > 0
    norm = ops.where(some, total / ops.where(some, divisor, 1), 1)
    return ops.stop_gradient(weight * norm)


def positives(y_true):
    """Which rows `[box, classes]` have a class, or None where there are boxes alone."""
    return ops.any(y_true[..., 4:] > 0, axis=-1) if y_true.shape[-1] > 4 else None


def over_positives(losses, targets):
    """The losses, scaled so that their mean is their sum over the positive rows."""
    found = ops.cast(ops.any(targets > 0, axis=-1), losses.dtype)
    rows = ops.sum(ops.ones_like(found))
    return losses * (rows / ops.maximum(ops.sum(found), 1))
