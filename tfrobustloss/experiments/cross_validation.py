"""Predicted probabilities of examples that the network was not trained on.

An estimate of label noise needs them: a network that saw a wrong label learns it, and
then finds nothing wrong with it.
"""

import keras
import numpy as np

from tfrobustloss import architectures
from tfrobustloss._core.labels import flat_class_ids, plain_array
from tfrobustloss._core.validation import ParameterError, Range, check

__all__ = ["out_of_fold_probabilities"]

_LIMITS = {
    "num_classes": Range(low=2, integer=True, optional=True),
    "folds": Range(low=2, integer=True),
    "epochs": Range(low=1, integer=True),
    "batch_size": Range(low=1, integer=True),
    "learning_rate": Range(low=0, open_low=True),
    "seed": Range(low=0, high=2**32 - 1, integer=True),
}
_PREDICT_BATCH = 1000


def out_of_fold_probabilities(
    features,
    labels,
    num_classes=None,
    model="mlp2",
    folds=5,
    epochs=15,
    batch_size=128,
    learning_rate=0.001,
    seed=0,
    on_epoch=None,
):
    """Class probabilities for every example, from networks that never saw its label.

    The examples are dealt into `folds` parts, each class evenly. A network per part is
    trained with cross-entropy and Adam on the other parts. After each epoch it is
    asked about the part held out, and the answers of the epoch that gives the
    (noisy) labels there the highest likelihood are kept: before it the network has
    not learnt enough, after it it learns the wrong labels by heart.

    Args:
        features: Images of type uint8, scaled to [0, 1] here, or numbers of any other
            type, each feature standardised here; shape `(examples, ...)`.
        labels: Class ids, shape `(examples,)` or `(examples, 1)`, or one-hot rows,
            shape `(examples, classes)`. They may be wrong.
        num_classes: Int >= 2; None is the highest class id and 1, or the width of
            one-hot rows.
        model: Name of a function of `tfrobustloss.architectures`, or a function like
            those: from `(input_shape, num_classes, seed)` to a model that gives
            logits. `"mlp2"` takes features of any shape.
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
    settings = {"folds": folds, "epochs": epochs, "batch_size": batch_size}
    settings |= {"learning_rate": learning_rate, "seed": seed}
    check(owner, _LIMITS, num_classes=num_classes, **settings)
    folds, epochs, batch_size, seed = map(int, (folds, epochs, batch_size, seed))
    labels, num_classes = flat_class_ids(owner, labels, num_classes)
    features = _scale(owner, features, len(labels))
    if folds > len(labels):
        constraint = f"at most {len(labels)}, the number of examples"
        raise ParameterError(owner, "folds", folds, constraint)
    build = _architecture(owner, model)
    network = _Network(build, features, labels, num_classes, batch_size, learning_rate)
    probabilities = np.empty((len(labels), num_classes))
    part = _deal(labels, folds, seed)
    for fold in range(folds):
        network.restart(seed + fold)
        rest, held_out = np.flatnonzero(part != fold), np.flatnonzero(part == fold)
        best, own = -np.inf, labels[held_out]
        for epoch in range(epochs):
            network.train(np.random.default_rng((seed, fold, epoch)).permutation(rest))
            log_p = network.log_probabilities(held_out, -(-len(labels) // folds))
            likelihood = log_p[np.arange(len(own)), own].mean()
            if likelihood > best or epoch == 0:
                best, probabilities[held_out] = likelihood, np.exp(log_p)
            if on_epoch is not None:
                on_epoch(fold, epoch, float(np.mean(log_p.argmax(axis=1) == own)))
    return probabilities


class _Network:
    """A network compiled once; its batches are of one size, so nothing is retraced."""

    def __init__(self, build, features, labels, num_classes, batch_size, learning_rate):
        self._features, self._labels, self._batch = features, labels, batch_size
        self._build = lambda seed: build(features.shape[1:], num_classes, seed=seed)
        self._model = self._build(0)
        # XLA on a CPU costs seconds to compile and gains nothing here
        jit = False if keras.backend.backend() == "tensorflow" else "auto"
        self._model.compile(
            keras.optimizers.Adam(learning_rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=jit,
        )
        self._model.optimizer.build(self._model.trainable_variables)
        state = self._model.optimizer.variables
        # numpy arrays: JAX gives a step's input arrays away
        copy = keras.ops.convert_to_numpy
        self._at_rest = [(one, np.array(copy(one.value))) for one in state]

    def restart(self, seed):
        """Fresh weights and a fresh optimiser."""
        self._model.set_weights(self._build(seed).get_weights())
        for variable, value in self._at_rest:
            variable.assign(value)

    def train(self, order):
        """One epoch over the examples in that order, up to the last whole batch."""
        size = min(self._batch, len(order))
        for begin in range(0, len(order) - size + 1, size):
            batch = order[begin : begin + size]
            self._model.train_on_batch(self._features[batch], self._labels[batch])

    def log_probabilities(self, examples, most):
        """Float64 logarithms, shape `(examples, classes)`."""
        size = min(_PREDICT_BATCH, most)
        batches = -(-len(examples) // size)
        asked = np.resize(examples, (batches, size))  # repeated to fill the last batch
        logits = [self._model.predict_on_batch(self._features[one]) for one in asked]
        logits = np.concatenate(logits)[: len(examples)].astype(np.float64)
        if not np.isfinite(logits).all():
            text = (
                "out_of_fold_probabilities: training diverged. Try a lower "
                "`learning_rate`."
            )
            raise ValueError(text)
        logits -= logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _deal(labels, folds, seed):
    """The part of each example: classes in turn, each in a random order."""
    shuffled = np.random.default_rng((seed, folds)).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    part = np.empty(len(labels), np.int64)
    part[by_class] = np.arange(len(labels)) % folds
    return part


def _scale(owner, features, examples):
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


def _architecture(owner, model):
    if callable(model):
        return model
    if model not in architectures.__all__:
        constraint = f"one of {', '.join(architectures.__all__)}"
        raise ParameterError(owner, "model", model, constraint)
    function = getattr(architectures, model)

    def build(input_shape, num_classes, seed):
        try:
            return function(input_shape, num_classes, seed=seed)
        except ValueError as error:
            constraint = f"a network for features of shape {tuple(input_shape)}"
            hint = f"`mlp2` takes any. {' '.join(str(error).split())[:200]}"
            raise ParameterError(owner, "model", model, constraint, hint) from None

    return build
