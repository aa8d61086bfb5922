"""Optimized gradient clipping: a Huberized loss with a moving threshold (AAAI 2025)."""

import math

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.backend import sync_state
from tfrobustloss._core.validation import ParameterError, Range, check, check_flag
from tfrobustloss.losses import cross_entropy
from tfrobustloss.training.schedules import HoldsVariable

_LIMITS = {
    "epsilon": Range(low=0),
    "period": Range(low=1, integer=True),
    "queue_size": Range(low=2, integer=True),
}
_SMALLEST = 1e-7  # of the probabilities, as the authors clip them
_LOWEST, _HIGHEST = -math.log1p(-_SMALLEST), -math.log(_SMALLEST)
_POINTS = 1000  # of the grid on which expectations are taken
_HALVINGS = 10  # of the interval of probabilities: thresholds come in steps of 1 / 1024
_STEPS = 10  # of expectation maximization at most
_TOLERANCE = 1e-3  # of the mean log-likelihood, which ends it
_LEAST_VARIANCE = 1e-3  # added to each variance


class OptimizedGradientClipping(HoldsVariable):
    """Moves `tau` of `PartiallyHuberizedCrossEntropy` so that wrong labels weigh less.

    Every `period` steps it fits a mixture of two normal distributions to the
    cross-entropy of the last `queue_size` training examples. The one with the lower
    mean stands for the right labels, the other for the wrong ones, both cut off where
    p = 1e-7 and 1. Then `tau` is such that the expected gradient `min(1 / p, tau)` of a
    wrong label is `1 + learning_rate * epsilon` times that of a right one.

    The callback does not see the predictions of a training step, but a metric does:
    compile the model with `recent_cross_entropy`, which keeps the examples' values.

        tau = keras.Variable(1e7, trainable=False)
        clipping = OptimizedGradientClipping(tau)
        model.compile(
            keras.optimizers.SGD(0.1, momentum=0.9),
            losses.PartiallyHuberizedCrossEntropy(tau),
            metrics=[clipping.recent_cross_entropy],
        )
        model.fit(x, y, callbacks=[clipping])

    Until the queue is full, `tau` stays as it is: at 1e7 the loss is cross-entropy.
    The authors' `epsilon` is for SGD with a rate of 0.1, so that the ratio falls from 3
    to 1.2 as they lower the rate to 0.01; with Adam at 0.001 the same `epsilon` gives
    1.02, which is nearly the absolute error. Every example counts, whatever its weight.

    Args:
        tau: `keras.Variable` that is `tau` of the loss. (On JAX, make it an attribute
            of the model too, and `del` that before saving.)
        epsilon: Float >= 0; larger clips less.
        from_logits: Whether the model's predictions are logits.
        period: Int >= 1, training steps from one `tau` to the next.
        queue_size: Int >= 2, examples that the mixture is fitted to.

    Attributes:
        recent_cross_entropy: `keras.metrics.Metric` to compile the model with. Its
            value is the mean of the queue.
        history: List of dicts, one for each new `tau`: `step`, `tau`, `ratio` that was
            aimed at, and `means` of the two distributions.

    Raises:
        TypeError: `tau` is no `keras.Variable`, or a number is none.
        ValueError: A number is out of range. In `fit`: the model was compiled without
            the metric, or no loss of it has `tau`, where that can be told.

    Example:
        >>> from tfrobustloss.losses import PartiallyHuberizedCrossEntropy
        >>> tau = keras.Variable(1e7, trainable=False)
        >>> clipping = OptimizedGradientClipping(
        ...     tau, epsilon=0.1, from_logits=True, period=2, queue_size=8
        ... )
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> model.tau = tau  # for JAX
        >>> loss = PartiallyHuberizedCrossEntropy(tau, from_logits=True)
        >>> metrics = [clipping.recent_cross_entropy]
        >>> model.compile(keras.optimizers.SGD(0.1), loss, metrics=metrics)
        >>> x, y = np.eye(3, dtype="float32")[[0, 1, 2, 0] * 4], np.arange(16) % 2
        >>> fitted = model.fit(x, y, batch_size=4, callbacks=[clipping], verbose=0)
        >>> [entry["step"] for entry in clipping.history], float(tau) < 1e7
        ([2, 4], True)

    Reference:
        Ye et al., "Optimized Gradient Clipping for Noisy Label Learning", AAAI 2025
        (arXiv 2412.08941). Procedure and numbers are those of the authors' code
        (methods/losses_ogc.py, read), which moves the threshold just before a step's
        loss instead of after it.
    """

    holds = "tau"
    role = "as `tau`"
    hint = (
        "A loaded model has a number there. Compile it again: `model.compile("
        "model.optimizer, PartiallyHuberizedCrossEntropy(tau), metrics=[...])`."
    )

    def __init__(
        self, tau, epsilon=20.0, from_logits=False, period=32, queue_size=4096
    ):
        super().__init__(tau)
        owner = type(self).__name__
        check(owner, _LIMITS, epsilon=epsilon, period=period, queue_size=queue_size)
        check_flag(owner, "from_logits", from_logits)
        self.epsilon, self.period = epsilon, int(period)
        self.recent_cross_entropy = RecentCrossEntropy(int(queue_size), from_logits)
        self.history = []
        self._step = self._batch = 0

    def on_train_begin(self, logs=None):
        """Begins to record; checks that a loss has the variable."""
        super().on_train_begin(logs)
        self.recent_cross_entropy.record(True)
        self.history, self._step = [], 0

    def on_train_end(self, logs=None):
        """Ends the recording."""
        self.recent_cross_entropy.record(False)

    def on_test_begin(self, logs=None):
        """Interrupts the recording for validation data."""
        self.recent_cross_entropy.record(False)

    def on_test_end(self, logs=None):
        """Goes on recording."""
        self.recent_cross_entropy.record(True)

    def on_epoch_begin(self, epoch, logs=None):
        """Counts the epoch's batches from 0."""
        self._batch = 0

    def on_train_batch_end(self, batch, logs=None):
        """Moves the threshold, every `period` steps.

        Raises:
            ValueError: The model was compiled without the metric.
        """
        before, self._step = self._step, self._step + batch + 1 - self._batch
        self._batch = batch + 1  # a call may stand for several steps
        if self._step // self.period == before // self.period:
            return
        sync_state(self.model)
        values = self.recent_cross_entropy.recorded()
        if not values.size:
            constraint = "among the metrics that the model is compiled with"
            hint = "`model.compile(..., metrics=[clipping.recent_cross_entropy])`."
            owner, name = type(self).__name__, "recent_cross_entropy"
            raise ParameterError(owner, name, "no value", constraint, hint)
        if values.size < self.recent_cross_entropy.queue_size:
            return
        rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))
        ratio = 1 + rate * self.epsilon
        means, variances = two_normals(values)
        tau = 1 / clipping_probability(means, variances, ratio)
        self.tau.assign(tau)
        entry = {"step": self._step, "tau": tau, "ratio": ratio}
        self.history.append({**entry, "means": means.tolist()})


class RecentCrossEntropy(keras.metrics.Metric):
    """Cross-entropy of the last training examples, kept over epochs.

    Args:
        queue_size: Int, how many.
        from_logits: Whether predictions are logits.
        name: Name of the metric.
    """

    def __init__(self, queue_size, from_logits=False, name="recent_cross_entropy"):
        super().__init__(name=name, dtype="float32")
        self.queue_size, self.from_logits = queue_size, from_logits

        def state(name, shape=()):
            return self.add_variable(shape=shape, initializer="zeros", name=name)

        self._values = state("values", (queue_size,))
        self._count, self._recording = state("count"), state("recording")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Puts a batch in front of the queue, if it records."""
        losses = cross_entropy(y_true, y_pred, from_logits=self.from_logits)
        losses = ops.clip(ops.reshape(losses, (-1,)), _LOWEST, _HIGHEST)
        losses = ops.cast(ops.stop_gradient(losses), "float32")
        state = self._values, self._count, self._recording
        values, count, recording = map(ops.convert_to_tensor, state)  # JAX needs it
        queue = ops.concatenate([losses, values])[: self.queue_size]
        queue = ops.reshape(queue, (self.queue_size,))
        longer = ops.minimum(
            count + ops.cast(ops.size(losses), "float32"), self.queue_size
        )
        self._values.assign(ops.where(recording > 0, queue, values))
        self._count.assign(ops.where(recording > 0, longer, count))

    def result(self):
        """Mean of the queue, a scalar tensor; 0 while it is empty."""
        # what is not filled yet is 0
        return ops.divide_no_nan(
            ops.sum(self._values), ops.convert_to_tensor(self._count)
        )

    def reset_state(self):
        """Keeps the queue, which goes on from epoch to epoch."""

    def record(self, on):
        """Switches recording on or off."""
        self._recording.assign(float(on))

    def recorded(self):
        """Values in the queue, a float64 array."""
        count = int(ops.convert_to_numpy(self._count.value))
        return ops.convert_to_numpy(self._values.value)[:count].astype("float64")

    def get_config(self):
        """The constructor arguments as plain JSON values."""
        own = {"queue_size": self.queue_size, "from_logits": self.from_logits}
        return {"name": self.name, **own}


def two_normals(values):
    """Means and variances of two normal distributions mixed, by their means.

    Expectation maximization from the best split of the sorted values in two.

    Args:
        values: Array of numbers, at least two.

    Returns:
        Two float64 arrays of shape `(2,)`.
    """
    values = np.sort(np.asarray(values, "float64"))
    count = np.arange(1, len(values))
    total, left = values.sum(), values.cumsum()[:-1]
    # least squares within both parts is most of these between them
    between = left**2 / count + (total - left) ** 2 / (len(values) - count)
    split = 1 + between.argmax()
    share = np.zeros((2, len(values)))
    share[0, :split] = share[1, split:] = 1
    weights, means, variances = _moments(values, share)
    likelihood = -math.inf
    for _ in range(_STEPS):
        apart = values - means[:, np.newaxis]
        scale = np.log(weights) - np.log(2 * np.pi * variances) / 2
        log_density = scale[:, np.newaxis] - apart**2 / (2 * variances[:, np.newaxis])
        log_total = np.logaddexp(*log_density)
        weights, means, variances = _moments(values, np.exp(log_density - log_total))
        before, likelihood = likelihood, log_total.mean()
        if abs(likelihood - before) < _TOLERANCE:
            break
    order = means.argsort()
    return means[order], variances[order]


def _moments(values, share):
    """Weights, means and variances of parts that have a share of each value."""
    mass = share.sum(axis=1) + 1e-12
    means = share @ values / mass
    spread = (share * (values - means[:, np.newaxis]) ** 2).sum(axis=1) / mass
    return mass / len(values), means, spread + _LEAST_VARIANCE


def clipping_probability(means, variances, ratio):
    """Probability below which a gradient is clipped, so that wrong labels weigh little.

    Args:
        means: Of the cross-entropy of right and of wrong labels, shape `(2,)`.
        variances: Their variances, shape `(2,)`.
        ratio: Float, how many times the gradient of a right label a wrong one may have.

    Returns:
        Float in [1e-7, 1): 1e-7 where nothing has to be clipped.
    """
    grid = np.linspace(_LOWEST, _HIGHEST, _POINTS)
    log_density = -((grid - means[:, np.newaxis]) ** 2) / (2 * variances[:, np.newaxis])
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    right, wrong = density / density.sum(axis=1, keepdims=True)

    def excess(p):
        clipped = np.minimum(np.exp(grid), 1 / p)
        return wrong @ clipped / (right @ clipped) - ratio

    low, high = _SMALLEST, 1 - _SMALLEST
    if excess(low) < 0:
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if excess(middle) > 0:
            low = middle
        else:
            high = middle
    return high
