"""Callbacks that keep the best epoch's weights without any clean label."""

import collections
import math
import warnings

import keras
import numpy as np
from keras import ops

from tfrobustloss._core import noisy_accuracy as core
from tfrobustloss._core.backend import validation_batches
from tfrobustloss._core.models import on_logits, only_loss
from tfrobustloss._core.tensors import shallow_copy
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)

_STOP_LIMITS = {
    "patience": Range(low=1, integer=True, optional=True),
    "smoothing": Range(low=1, integer=True),
    "threshold": Range(optional=True),
}
_WAVE_LIMITS = {
    "window": Range(low=1, integer=True),
    "patience": Range(low=1, integer=True),
    "batch_size": Range(low=1, integer=True, optional=True),
    "threshold": Range(optional=True),
}
_LARGEST_ERROR = 0.1  # of an accuracy, which is then hardly one
_NO_DATA = (
    "Give noisy labels that are held out from training: `model.fit(..., "
    "validation_data=(x, y))`, split by `data.split_validation`, and validate after "
    "every epoch; or give them to the callback: `StopOnNoisyValidation("
    "validation_data=(x, y))`."
)
_GENERATOR = (
    "A second pass over it would take the batches of the next epochs. Give arrays, a "
    "`tf.data.Dataset` or a `keras.utils.PyDataset`; or compile the model with "
    "`metrics.NoisyAccuracy()` and use "
    "`StopOnNoisyValidation(monitor='val_noisy_accuracy')`."
)


class _KeepsTheBest(keras.callbacks.Callback):
    """Weights of the best epoch so far, put back at the end of the training."""

    def __init__(self, verbose):
        super().__init__()
        self.verbose = verbose
        self._forget()

    def __deepcopy__(self, memo):
        """A copy for another training, with the same arguments and nothing learned.

        Keras Tuner makes one for each trial. Data is shared.
        """
        copied = shallow_copy(self)
        memo[id(self)] = copied
        copied.set_model(None)
        copied._forget()
        return copied

    def on_train_begin(self, logs=None):
        """Forgets an earlier training."""
        self._forget()

    def on_train_end(self, logs=None):
        """Puts the weights of the best epoch back."""
        self.restore()

    def restore(self):
        """Puts the weights of the best epoch so far into the model.

        `fit` does it at its end. After Ctrl-C, for which Keras ends the training
        without its callbacks, call it yourself.
        """
        if self._best_weights is None:
            return
        self.model.set_weights(self._best_weights)
        if self.verbose:
            print(f"Restored the weights of epoch {self.best_epoch + 1}.")

    def _forget(self):
        self.best_epoch = None
        self.history = []
        self._best_score, self._best_weights = -math.inf, None

    def _offer(self, epoch, score, weights):
        """Keeps weights if their score is above all before."""
        if score > self._best_score:
            self._best_score, self._best_weights = score, weights
            self.best_epoch = epoch

    def _threshold(self):
        """Threshold for the output of a single unit."""
        if self.threshold is not None:
            return self.threshold
        loss = getattr(self.model, "loss", None)
        if isinstance(loss, dict | list | tuple) and len(loss) > 1:
            loss = self._pick(loss, "a loss")
        return 0.0 if on_logits(only_loss(loss)) else 0.5

    def _stop(self, epoch):
        self.model.stop_training = True
        if self.verbose:
            print(f"Stopped after epoch {epoch + 1}.")

    def _pick(self, values, what):
        """The chosen one of several outputs, labels or weights."""
        owner = type(self).__name__
        if not isinstance(values, dict | list | tuple):
            return values
        names = list(values) if isinstance(values, dict) else None
        if names is None:
            names = list(getattr(self.model, "output_names", None) or [])
            names = names if len(names) == len(values) else list(range(len(values)))
        if len(names) == 1:
            chosen = 0
        elif self.output in names:
            chosen = names.index(self.output)
        else:
            constraint = f"one of {', '.join(map(repr, names))}, {what} of the model"
            hint = "Say which of several outputs is judged."
            raise ParameterError(owner, "output", self.output, constraint, hint)
        return (
            list(values.values())[chosen]
            if isinstance(values, dict)
            else (values[chosen])
        )


class StopOnNoisyValidation(_KeepsTheBest):
    """Keeps the epoch of the best accuracy on noisy validation labels.

    After each epoch it predicts for the `validation_data` of `fit`, whose labels may
    be as wrong as those of the training data, and judges the predictions as
    `metrics.NoisyAccuracy` does: by plain accuracy, or, with a transition matrix, by an
    unbiased estimate of the accuracy on clean labels. At the end, the model has the
    weights of the best epoch. No clean label is needed, and any model and loss serve.

        score of epoch e = mean of the estimates of `smoothing` epochs around e

    The mean is centred, fewer epochs at either end. A mean over past epochs alone, or
    an exponential one, has its maximum later than the accuracy it follows, where wrong
    labels are being learnt. With 5 epochs stopped accuracy was highest, over digits
    with symmetric and pair noise (8 seeds, 288 validation labels): 84.4 against 83.9
    without smoothing, 84.0 for past epochs and 84.3 for 9 epochs. The callback holds
    the weights of up to `smoothing // 2 + 2` epochs in memory.

    It predicts for the validation data once more than `fit` does. The estimate is in
    the logs, and so in `fit`'s history, as `val_estimated_accuracy`, for callbacks
    further down the list, such as `ModelCheckpoint`, and for tuners. A resumed
    training (`BackupAndRestore`) judges the epochs from there on.

    Args:
        transition_matrix: `T[i, j] = P(noisy label j | class i)`, shape `(classes,
            classes)`, for example `report.transition_matrix` of `data.estimate.report`;
            or None for plain accuracy, which ranks epochs as well under symmetric
            noise, and worse where classes turn into few others.
        patience: Int >= 1, epochs without a better score after which training stops;
            None to train all epochs.
        smoothing: Int >= 1, epochs that a score is the mean of; odd. 1 is none.
        validation_data: As for `fit`, to be judged by instead of that; or None.
        output: Name of the output that is judged, of a model of several; its index if
            outputs have no names.
        monitor: Name of a value in the logs, the larger the better, to be judged by
            instead: `"val_noisy_accuracy"` of a model compiled with
            `metrics.NoisyAccuracy()` needs no second prediction.
        threshold: Float; a model of one unit predicts class 1 above it. None is 0.5 for
            probabilities, and 0 where the compiled loss is on logits.
        verbose: 1 to print where training stopped and what was restored.

    Attributes:
        best_epoch: Index of the epoch whose weights the model has, from 0 (plus
            `initial_epoch`); None before an epoch is judged.
        history: List of dicts, one for each judged epoch: `epoch`, `estimate`,
            `standard_error` (NaN with `monitor`) and `smoothed`, the score.

    Raises:
        TypeError: An argument is no number where it should be one.
        ValueError: An argument is out of range, the matrix is not row-stochastic or
            its noise makes classes too much alike, or `monitor` comes with what it
            replaces. In `fit`: there is no validation data, it is a Python generator or
            has no labels, it does not fit the matrix, or `output` is not given for a
            model of several.

    Warns:
        UserWarning: There are so few labels that the standard error may exceed 10
            points.

    Example:
        >>> random = np.random.default_rng(0)
        >>> x = random.normal(0, 1, (400, 4)).astype("float32")
        >>> y = np.where(random.random(400) < 0.3, x[:, 0] <= 0, x[:, 0] > 0) * 1
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> model.compile("adam", loss)
        >>> stop = StopOnNoisyValidation([[0.7, 0.3], [0.3, 0.7]])
        >>> fitted = model.fit(x[:200], y[:200], validation_data=(x[200:], y[200:]),
        ...                    epochs=3, callbacks=[stop], verbose=0)
        >>> [entry["epoch"] for entry in stop.history], stop.best_epoch in (0, 1, 2)
        ([0, 1, 2], True)

    Reference:
        Chen et al., "Robustness of Accuracy Metric and its Inspirations in Learning
        with Noisy Labels", AAAI 2021 (arXiv 2012.04193).
    """

    def __init__(
        self,
        transition_matrix=None,
        patience=None,
        smoothing=5,
        validation_data=None,
        output=None,
        monitor=None,
        threshold=None,
        verbose=0,
    ):
        owner = type(self).__name__
        limited = {"patience": patience, "smoothing": smoothing, "threshold": threshold}
        check(owner, _STOP_LIMITS, **limited)
        if smoothing % 2 == 0:
            constraint = "odd: as many epochs before as after the one judged"
            raise ParameterError(owner, "smoothing", smoothing, constraint)
        if monitor is not None:
            if not isinstance(monitor, str):
                raise ParameterTypeError(owner, "monitor", monitor, "a name or None")
            if transition_matrix is not None or validation_data is not None:
                constraint = "None beside `transition_matrix` or `validation_data`"
                hint = "Give the matrix to `metrics.NoisyAccuracy` in `compile`."
                raise ParameterError(owner, "monitor", monitor, constraint, hint)
        self._values = core.values_or_none(owner, transition_matrix)
        self.patience, self.smoothing = patience, int(smoothing)
        self.validation_data, self.output = validation_data, output
        self.monitor, self.threshold = monitor, threshold
        self._warned = False
        super().__init__(verbose)

    def on_epoch_end(self, epoch, logs=None):
        """Judges the epoch, and the one half a window before it.

        Raises:
            ValueError: As the class says.
        """
        found = self._found(logs)
        if found is None:
            return
        estimate, error = found
        entry = {"epoch": epoch, "estimate": estimate, "standard_error": error}
        self.history.append({**entry, "smoothed": None})
        self._waiting.append(self.model.get_weights())
        while len(self._waiting) > self.smoothing // 2:
            self._judge_next()
        if self.patience is not None and self._since_best >= self.patience:
            self._stop(epoch)

    def restore(self):
        """Puts the weights of the best epoch so far into the model.

        `fit` does it at its end. After Ctrl-C, for which Keras ends the training
        without its callbacks, call it yourself.
        """
        while self._waiting:
            self._judge_next()
        super().restore()

    def _forget(self):
        super()._forget()
        self._waiting = collections.deque()  # weights of epochs not yet judged
        self._since_best = 0

    def _judge_next(self):
        index, half = len(self.history) - len(self._waiting), self.smoothing // 2
        first = max(0, index - half)
        near = [each["estimate"] for each in self.history[first : index + half + 1]]
        entry = self.history[index]
        entry["smoothed"] = float(core.smoothed(near, self.smoothing)[index - first])
        self._offer(entry["epoch"], entry["smoothed"], self._waiting.popleft())
        is_best = self.best_epoch == entry["epoch"]
        self._since_best = 0 if is_best else self._since_best + 1

    def _found(self, logs):
        """Estimate and standard error; None in an epoch without validation."""
        owner = type(self).__name__
        logs = {} if logs is None else logs
        if self.monitor is not None:
            if self.monitor not in logs and not self.history:
                constraint = f"one of {', '.join(map(repr, logs))}, the logs of `fit`"
                hint = (
                    "`val_` values need `validation_data`, and `val_noisy_accuracy` "
                    "the metric `metrics.NoisyAccuracy()` in `compile`."
                )
                raise ParameterError(owner, "monitor", self.monitor, constraint, hint)
            value = logs.get(self.monitor)
            return None if value is None else (float(value), math.nan)
        validated = any(name.startswith("val_") for name in logs)
        if self.validation_data is None and not validated and self.history:
            return None
        try:
            batches = validation_batches(self.model, self.validation_data)
        except TypeError:
            constraint = "data of which every epoch can make a pass of its own"
            value = "a Python generator"
            raise ParameterError(
                owner, "validation_data", value, constraint, _GENERATOR
            ) from None
        if batches is None:
            raise ParameterError(owner, "validation_data", None, "given", _NO_DATA)
        estimate, error, count = core.weighted_mean(*self._judged(batches))
        if not count:
            constraint = "data with labels other than -1, and weights above 0"
            value = "data without any"
            raise ParameterError(owner, "validation_data", value, constraint)
        self._warn_of_few(count)
        logs["val_estimated_accuracy"] = estimate
        return estimate, error

    def _judged(self, batches):
        """Values and weights of all examples."""
        owner, values, weights = type(self).__name__, [], []
        for batch in batches:
            x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
            if y is None:
                constraint = "inputs with labels: `(x, y)`"
                raise ParameterError(
                    owner, "validation_data", "inputs alone", constraint
                )
            predicted = self._pick(self.model.predict_on_batch(x), "an output")
            labels = self._pick(y, "labels")
            value, known = core.judged(
                owner, labels, predicted, self._values, self._threshold()
            )
            weight = self._pick(weight, "weights")
            if weight is not None:
                weight = ops.cast(ops.convert_to_tensor(weight), known.dtype)
                known = known * core.aligned(owner, weight, tuple(value.shape))
            values.append(np.ravel(ops.convert_to_numpy(value)))
            weights.append(np.ravel(ops.convert_to_numpy(known)))
        if not values:
            return np.zeros(0), np.zeros(0)
        return np.concatenate(values), np.concatenate(weights)

    def _warn_of_few(self, count):
        worst = core.spread_of(self._values) / 2
        if self._warned or worst / math.sqrt(count) <= _LARGEST_ERROR:
            return
        self._warned = True
        needed = math.ceil(round((worst / _LARGEST_ERROR) ** 2, 6))
        warnings.warn(
            f"{type(self).__name__}: {count:.0f} validation labels leave a standard "
            f"error of up to {100 * worst / math.sqrt(count):.0f} points, too much to "
            f"tell epochs apart. Hold out {needed} or more; "
            "`data.examples_needed` says how many a difference takes.",
            stacklevel=2,
        )


class LabelWave(_KeepsTheBest):
    """Stops where the fewest training predictions change: no validation data at all.

        changes of epoch e = number of training examples whose predicted class is not
                             that of epoch e - 1
        stop at the first local minimum of their mean over the last `window` epochs

    While a network learns what its classes have in common, its predictions settle;
    they begin to move again when it learns wrong labels one by one. The model ends with
    the weights of the minimum. A minimum counts as one once `patience` epochs have
    brought none that is lower: the paper's first local minimum is `patience=1`, which
    on small data comes by chance. Over digits with symmetric and pair noise, 8 seeds of
    six pairs of noise and loss, accuracy was 73 % by `patience=1`, 78 by 5 and 82 by
    10, against 88 in the best epoch. No label is looked at, so all may be trained on.

    It fails for bounded losses that learn class by class, such as
    `MeanAbsoluteError`: predictions rest before the last classes are learnt, and it
    stops too early (80 % where the last epoch has 89, digits, symmetric noise of rate
    0.6). Use `StopOnNoisyValidation` with these.

    Args:
        x: Inputs of the training data or of a part of it, as `predict` takes them: in
            the same order in every pass, so no shuffled dataset and no augmentation.
        window: Int >= 1, epochs of the moving average, `k` in the paper. Training
            lasts longer than that.
        patience: Int >= 1, epochs without a lower mean after which training stops.
        output: Name or index of the output that is judged, of a model of several.
        threshold: Float; a model of one unit predicts class 1 above it. None is 0.5 for
            probabilities, and 0 where the compiled loss is on logits.
        batch_size: Int or None, as for `predict`.
        verbose: 1 to print where training stopped and what was restored.

    Attributes:
        best_epoch: Index of the epoch whose weights the model has, from 0 (plus
            `initial_epoch`); None before `window + 1` epochs.
        history: List of dicts, one for each epoch: `epoch`, `changes` (None in the
            first) and `smoothed`, their mean over the window (None before it is full).

    Raises:
        TypeError: An argument is no number where it should be one.
        ValueError: An argument is out of range. In `fit`: the number of predictions
            changes, or `output` is not given for a model of several outputs.

    Example:
        >>> x = np.random.default_rng(0).normal(0, 1, (200, 4)).astype("float32")
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> model.compile("adam", loss)
        >>> wave = LabelWave(x, window=1, patience=2)
        >>> fitted = model.fit(x, x[:, 0] > 0, epochs=3, callbacks=[wave], verbose=0)
        >>> wave.history[0]["changes"], 0 <= wave.history[1]["changes"] <= 200
        (None, True)

    Reference:
        Yuan, Feng, Liu, "Early Stopping Against Label Noise Without Validation Data",
        ICLR 2024.
    """

    def __init__(
        self,
        x,
        window=5,
        patience=10,
        output=None,
        threshold=None,
        batch_size=None,
        verbose=0,
    ):
        limited = {"window": window, "patience": patience, "threshold": threshold}
        limited["batch_size"] = batch_size
        check(type(self).__name__, _WAVE_LIMITS, **limited)
        self.x, self.output, self.batch_size = x, output, batch_size
        self.window, self.patience = int(window), int(patience)
        self.threshold = threshold
        super().__init__(verbose)

    def on_epoch_end(self, epoch, logs=None):
        """Counts the predictions that have changed.

        Raises:
            ValueError: As the class says.
        """
        options = {"batch_size": self.batch_size, "verbose": 0}
        predicted = self._pick(self.model.predict(self.x, **options), "an output")
        predicted = ops.convert_to_tensor(predicted)
        classes = core.predicted_classes(predicted, self._threshold())
        classes = np.ravel(ops.convert_to_numpy(classes))
        entry = {"epoch": epoch, "changes": None, "smoothed": None}
        self.history.append(entry)
        before, self._before = self._before, classes
        if before is None:
            return
        if len(before) != len(classes):
            constraint = f"of {len(before)} predictions in every epoch"
            raise ParameterError(
                type(self).__name__, "x", f"one of {len(classes)}", constraint
            )
        entry["changes"] = int((before != classes).sum())
        if len(self.history) <= self.window:
            return
        recent = [each["changes"] for each in self.history[-self.window :]]
        entry["smoothed"] = float(np.mean(recent))
        if -entry["smoothed"] > self._best_score:
            self._offer(epoch, -entry["smoothed"], self.model.get_weights())
        elif epoch - self.best_epoch >= self.patience:
            self._stop(epoch)

    def _forget(self):
        super()._forget()
        self._before = None
