"""Out-of-fold probabilities, by cross-validation.

An estimate of label noise needs them: a network that was trained on a wrong label has
memorised it, and predicts it.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfrobustloss._core.labels import flat_class_ids, plain_array
from tfrobustloss._core.validation import ParameterError, Range, check
from tfrobustloss.experiments.retraining import PREDICT_BATCH, Network
from tfrobustloss.experiments.specs import architecture

__all__ = ["out_of_fold_probabilities"]

_LIMITS = {
    "num_classes": Range(low=2, integer=True, optional=True),
    "folds": Range(low=2, integer=True),
    "epochs": Range(low=1, integer=True),
    "batch_size": Range(low=1, integer=True),
    "learning_rate": Range(low=0, open_low=True),
    "seed": Range(low=0, high=2**32 - 1, integer=True),
}


def out_of_fold_probabilities(
    features: Any,
    labels: Any,
    num_classes: int | None = None,
    model: str | Callable[..., Any] = "mlp2",
    folds: int = 5,
    epochs: int = 15,
    batch_size: int = 128,
    learning_rate: float = 0.001,
    seed: int = 0,
    on_epoch: Callable[[int, int, float], Any] | None = None,
) -> np.ndarray:
    """Class probabilities for every example, from networks that never saw its label.

    The examples are split into `folds` parts, stratified by class. A network per part
    is trained with cross-entropy and Adam on the other parts. After each epoch it
    predicts the part held out, and the predictions of the epoch that gives the (noisy)
    labels there the highest likelihood are kept: earlier the network is underfitted,
    later it memorises the wrong labels.

    Args:
        features: Images of type uint8, scaled to [0, 1] here, or numbers of any other
            type, each feature standardised here; shape `(examples, ...)`.
        labels: Class ids, shape `(examples,)` or `(examples, 1)`, or one-hot rows,
            shape `(examples, classes)`. They may be wrong.
        num_classes: Int >= 2; None is the highest class id and 1, or the width of
            one-hot rows.
        model: Name of a function of `tfrobustloss.architectures`, or a function like
            those: from `(input_shape, num_classes, seed)` to a model that gives
            logits, of two classes also a single one. `"mlp2"` takes features of any
            shape.
        folds: Int >= 2, at most the number of examples.
        epochs: Int >= 1.
        batch_size: Int >= 1.
        learning_rate: Float > 0, of Adam.
        seed: Int >= 0; of the folds, the first weights and the order of the batches.
        on_epoch: Called after each epoch with `fold, epoch, accuracy`, all from 0 on;
            accuracy is that on the noisy labels of the part held out.

    Returns:
        Float64 array, shape `(examples, classes)`, rows summing to 1.

    Raises:
        TypeError: A number is not a number.
        ValueError: An argument is outside its range, features are not finite or not
            as many as labels, or the architecture does not take their shape.

    Example:
        >>> features = np.repeat(np.eye(2), 20, axis=0)
        >>> labels = np.repeat([0, 1], 20)
        >>> p = out_of_fold_probabilities(features, labels, folds=2, batch_size=4)
        >>> p.shape, (p.argmax(axis=1) == labels).all().item()
        ((40, 2), True)
    """
    owner = "out_of_fold_probabilities"
    check(
        owner,
        _LIMITS,
        num_classes=num_classes,
        folds=folds,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
    )
    folds, epochs, batch_size, seed = map(int, (folds, epochs, batch_size, seed))
    labels, num_classes = flat_class_ids(owner, labels, num_classes)
    features = _scale(owner, features, len(labels))
    if folds > len(labels):
        constraint = f"at most {len(labels)}, the number of examples"
        raise ParameterError(owner, "folds", folds, constraint)
    build = _architecture(owner, model)
    network = Network(lambda seed: build(features.shape[1:], num_classes, seed=seed))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if network.num_outputs == 1:  # a unit for two classes, which that does not take
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(learning_rate), loss)
    probabilities = np.empty((len(labels), num_classes))
    part = _deal(labels, folds, seed)
    for fold in range(folds):
        network.restart(seed + fold)
        rest, held_out = np.flatnonzero(part != fold), np.flatnonzero(part == fold)
        size = min(batch_size, len(rest))
        best, own = -np.inf, labels[held_out]
        for epoch in range(epochs):
            order = np.random.default_rng((seed, fold, epoch)).permutation(rest)
            whole = order[: len(order) // size * size]  # a partial batch is left out
            network.train(features, labels, whole, size)
            log_p = _log_probabilities(
                network, features[held_out], -(-len(labels) // folds)
            )
            likelihood = log_p[np.arange(len(own)), own].mean()
            if likelihood > best or epoch == 0:
                best, probabilities[held_out] = likelihood, np.exp(log_p)
            if on_epoch is not None:
                on_epoch(fold, epoch, float(np.mean(log_p.argmax(axis=1) == own)))
    return probabilities


def _log_probabilities(
    network: Network, features: np.ndarray, largest: int
) -> np.ndarray:
    """Float64 logarithms, shape `(examples, classes)`.

    Args:
        network: The network, which gives logits.
        features: Array of the examples.
        largest: Number of examples of the largest part.
    """
    # repeated up to batches of one size, so that no fold retraces the program
    size = min(largest, PREDICT_BATCH)
    filled = np.arange(-(-len(features) // size) * size) % len(features)
    logits = network.predict(features[filled])[: len(features)].astype(np.float64)
    if logits.shape[1] == 1:  # for two classes
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    if not np.isfinite(logits).all():
        text = (
            "out_of_fold_probabilities: training diverged. Try a lower `learning_rate`."
        )
        raise ValueError(text)
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _deal(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The part of each example: stratified by class, in random order within one."""
    shuffled = np.random.default_rng((seed, folds)).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    part = np.empty(len(labels), np.int64)
    part[by_class] = np.arange(len(labels)) % folds
    return part


def _scale(owner: str, features: Any, examples: int) -> np.ndarray:
    features = plain_array(owner, "features", features)
    if features.dtype.kind not in "fiub":
        constraint, dtype = "numeric", str(features.dtype)
        raise ParameterError(owner, "features.dtype", dtype, constraint)
    if features.ndim < 2 or len(features) != examples or features.size == 0:
        constraint, shape = f"({examples}, ...): a row a label", features.shape
        raise ParameterError(owner, "features.shape", shape, constraint)
    if features.dtype == np.uint8:
        return np.divide(features, 255, dtype="float32")
    if not np.isfinite(features).all():
        raise ParameterError(owner, "features", "NaN or inf", "finite")
    mean, sd = features.mean(axis=0), features.std(axis=0)
    return ((features - mean) / np.where(sd > 0, sd, 1)).astype("float32")


def _architecture(owner: str, model: str | Callable[..., Any]) -> Callable[..., Any]:
    if callable(model):
        return model
    function = architecture(owner, "model", model)

    def build(input_shape: tuple, num_classes: int, seed: int) -> Any:
        try:
            return function(input_shape, num_classes, seed=seed)
        except ValueError as error:
            constraint = f"a network for features of shape {tuple(input_shape)}"
            hint = f"`mlp2` takes any. {' '.join(str(error).split())[:200]}"
            raise ParameterError(owner, "model", model, constraint, hint) from None

    return build
