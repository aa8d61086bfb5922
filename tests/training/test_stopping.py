"""Callbacks that stop without clean labels, on scripted accuracies."""

import copy

import keras
import numpy as np
import pytest

from tfrobustloss import losses
from tfrobustloss.data import noise
from tfrobustloss.metrics import NoisyAccuracy, estimated_accuracy
from tfrobustloss.training import LabelWave, StopOnNoisyValidation

# predictions are 1 where x > cut, so that the cut sets what is right
X = np.arange(100, dtype="float32")[:, None] + 0.5
ONES = np.ones(100, int)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
MATRIX = [[0.9, 0.1], [0.2, 0.8]]


def weights_of(cut):
    return [np.float32([[0, 1]]), np.float32([0, -cut])]


def cut_of(model):
    return -float(model.get_weights()[1][1])


def compiled(**options):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.0), LOSS, **options)
    return model


@pytest.fixture(scope="module")
def model():
    return compiled(run_eagerly=True)


@pytest.fixture(scope="module")
def of_any_labels():
    """A model that fits labels of every format and learns nothing."""
    model = compiled()
    model.compile("sgd", lambda y, p: 0 * p[..., 0], run_eagerly=True)
    return model


class Script(keras.callbacks.Callback):
    """Moves the cut at the end of each epoch; comes before the callback tested."""

    def __init__(self, *cuts):
        super().__init__()
        self.cuts = cuts

    def on_epoch_end(self, epoch, logs=None):
        self.model.set_weights(weights_of(self.cuts[epoch]))


def fit(model, cuts, callback, *others, data=(X, ONES), **options):
    given = {"validation_data": data, "validation_batch_size": 64, "verbose": 0}
    options = {"epochs": len(cuts), **given, **options}
    callbacks = [Script(*cuts), callback, *others]
    return model.fit(X[:4], ONES[:4], callbacks=callbacks, **options).history


def drive(model, cuts, callback):
    """What `fit` does with a callback, without its own work."""
    callback.set_model(model)
    model.stop_training = False
    callback.on_train_begin()
    for epoch, cut in enumerate(cuts):
        model.set_weights(weights_of(cut))
        callback.on_epoch_end(epoch, {"loss": 0.0})
        if model.stop_training:
            break
    callback.on_train_end()


def judging(data=(X, ONES), **options):
    return StopOnNoisyValidation(validation_data=data, **options)


def test_the_best_epoch_without_smoothing():
    model = compiled()  # a compiled program; eager ones below are faster
    stop = StopOnNoisyValidation(smoothing=1)
    history = fit(model, [50, 10, 30, 10, 60], stop)
    assert stop.best_epoch == 1  # the first of two equal ones
    assert cut_of(model) == 10
    estimates = [0.5, 0.9, 0.7, 0.9, 0.4]
    assert [entry["epoch"] for entry in stop.history] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([e["estimate"] for e in stop.history], estimates)
    np.testing.assert_allclose([e["smoothed"] for e in stop.history], estimates)
    np.testing.assert_allclose(stop.history[0]["standard_error"], 0.05, rtol=1e-6)
    np.testing.assert_allclose(history["val_estimated_accuracy"], estimates)


def test_a_centred_mean(model):
    stop = judging(smoothing=3)
    drive(model, [60, 10, 70, 30, 25, 30], stop)
    # by hand: means of up to three of .4 .9 .3 .7 .75 .7
    expected = [0.65, 1.6 / 3, 1.9 / 3, 1.75 / 3, 2.15 / 3, 0.725]
    np.testing.assert_allclose([e["smoothed"] for e in stop.history], expected)
    assert stop.best_epoch == 5
    assert cut_of(model) == 30
    drive(model, [60, 30, 20, 30, 70, 80], stop)  # a second training starts afresh
    assert stop.best_epoch == 2
    assert cut_of(model) == 20
    assert len(stop.history) == 6


@pytest.mark.parametrize(("smoothing", "epochs"), [(1, 4), (3, 5)])
def test_patience(model, smoothing, epochs):
    stop = judging(patience=2, smoothing=smoothing)
    drive(model, [60, 20, 30, 70, 70, 70, 0, 0], stop)
    # judged half a window later; the means of three, .6 .6333 .6 .4333, agree
    assert len(stop.history) == epochs
    assert stop.best_epoch == 1
    assert cut_of(model) == 20
    assert all(entry["smoothed"] is not None for entry in stop.history)


def test_a_matrix_changes_the_choice(model):
    # of labels 1 for the lower half, 0 for the upper: at cut 0 half are right, at cut
    # 100 as well, and the asymmetric matrix prefers the ones it trusts
    labels = (X[:, 0] < 50) * 1
    stop = judging((X, labels), transition_matrix=MATRIX, smoothing=1)
    drive(model, [0, 100], stop)
    for cut, entry in zip([0, 100], stop.history, strict=True):
        predicted = (X[:, 0] > cut) * 1
        found = estimated_accuracy(labels, predicted, MATRIX)
        received = entry["estimate"], entry["standard_error"]
        np.testing.assert_allclose(received, found, rtol=1e-5)
    assert stop.best_epoch == 0  # (9 - 1) / 14 against (8 - 2) / 14
    plain = judging((X, labels), smoothing=1)
    drive(model, [0, 100], plain)
    assert plain.history[0]["estimate"] == plain.history[1]["estimate"] == 0.5


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        part = slice(25 * index, 25 * index + 25)
        return X[part], ONES[part]


def _dataset():
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((X, ONES)).batch(30)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"data": (X, np.eye(2)[ONES])}, 0.7),
        ({"data": (X, ONES[:, None])}, 0.7),
        ({"data": (X, ONES), "validation_batch_size": 7}, 0.7),
        ({"data": (X, ONES, (X[:, 0] > 20) * 1.0)}, 70 / 80),
        ({"data": (X, np.where(X[:, 0] > 50, 1, -1))}, 1.0),
        ({"data": Batches()}, 0.7),
        ({"data": _dataset}, 0.7),
        ({"data": _dataset, "validation_steps": 2}, 30 / 60),
        ({"data": (X[:5], ONES[:5]), "own": (X, ONES)}, 0.7),
        ({"data": None, "own": Batches()}, 0.7),
        ({"data": None, "own": _dataset}, 0.7),
    ],
)
def test_kinds_of_validation_data(options, expected, of_any_labels):
    given = {k: v() if callable(v) else v for k, v in options.items()}
    stop = StopOnNoisyValidation(smoothing=1, validation_data=given.pop("own", None))
    fit(of_any_labels, [30, 30], stop, **given)
    estimates = [entry["estimate"] for entry in stop.history]
    np.testing.assert_allclose(estimates, [expected] * 2, rtol=1e-6)


def test_validation_split_and_frequency(model):
    stop = StopOnNoisyValidation(smoothing=1)
    options = {"epochs": 4, "verbose": 0, "validation_split": 0.5}
    callbacks = [Script(50, 60, 70, 70), stop]
    given = {"validation_freq": [1, 3], "batch_size": 50, **options}
    model.fit(X, ONES, callbacks=callbacks, **given)
    assert [entry["epoch"] for entry in stop.history] == [0, 2]
    np.testing.assert_allclose([e["estimate"] for e in stop.history], [1, 0.6])


def test_one_sigmoid_unit_and_logits():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    model.set_weights([np.float32([[1]]), np.float32([-29.9])])  # 0.6 at x = 30.5
    model.optimizer.learning_rate = 0.0
    for threshold, expected in ((0, 0.7), (1, 0.69)):
        stop = StopOnNoisyValidation(threshold=threshold, validation_data=(X, ONES))
        model.fit(X[:2], ONES[:2], callbacks=[stop], verbose=0)
        np.testing.assert_allclose(stop.history[0]["estimate"], expected)


@pytest.mark.parametrize(
    ("loss", "threshold"),
    [
        (losses.GeneralizedCrossEntropy(from_logits=True), 0),
        ([keras.losses.BinaryCrossentropy(from_logits=True)], 0),
        (losses.GeneralizedCrossEntropy(), 0.5),
        ("mse", 0.5),
    ],
)
def test_the_threshold_of_one_unit_is_read_off_the_loss(loss, threshold):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", loss)
    for callback in (StopOnNoisyValidation(), LabelWave(X)):
        callback.set_model(model)
        assert callback._threshold() == threshold


def _two_outputs(as_dict):
    x = keras.Input((1,))
    a, b = (keras.layers.Dense(2, name=name)(x) for name in "ab")
    model = keras.Model(x, {"a": a, "b": b} if as_dict else [a, b])
    model.compile("sgd", LOSS, run_eagerly=True)
    model.set_weights([*weights_of(10), *weights_of(30)])
    model.optimizer.learning_rate = 0.0
    return model


@pytest.mark.parametrize("as_dict", [True, False])
def test_several_outputs(as_dict):
    model = _two_outputs(as_dict)
    y = {"a": ONES, "b": ONES} if as_dict else [ONES, ONES]
    given = {"batch_size": 100, "validation_data": (X, y), "verbose": 0}
    callbacks = [StopOnNoisyValidation(output=output) for output in "ab"]
    waves = [LabelWave(X, output=output, batch_size=100) for output in "ab"]
    model.fit(X, y, callbacks=[*callbacks, *waves], epochs=2, **given)
    estimates = [stop.history[0]["estimate"] for stop in callbacks]
    np.testing.assert_allclose(estimates, [0.9, 0.7])
    assert [wave.history[1]["changes"] for wave in waves] == [0, 0]
    message = r"`output` must be one of 'a', 'b', .*output=None"
    for callback in (StopOnNoisyValidation(), LabelWave(X)):
        with pytest.raises(ValueError, match=message):
            model.fit(X, y, callbacks=[callback], **given)


def test_monitor_needs_no_second_prediction():
    model = compiled(metrics=[NoisyAccuracy(MATRIX)], run_eagerly=True)
    model.predict_on_batch = None
    stop = StopOnNoisyValidation(monitor="val_noisy_accuracy", smoothing=1)
    model.set_weights(weights_of(30))
    options = {"validation_data": (X, ONES), "epochs": 3, "verbose": 0}
    callbacks = [stop, Script(20, 60, 60)]
    history = model.fit(X[:4], ONES[:4], callbacks=callbacks, **options)
    estimates = [entry["estimate"] for entry in stop.history]
    np.testing.assert_allclose(estimates, history.history["val_noisy_accuracy"])
    assert stop.best_epoch == 1  # judged before the script moved on
    assert cut_of(model) == 20


def test_with_other_callbacks(model, tmp_path):
    kept = tmp_path / "best.weights.h5"
    monitor = {"monitor": "val_estimated_accuracy", "mode": "max"}
    checkpoint = keras.callbacks.ModelCheckpoint(
        kept, save_best_only=True, save_weights_only=True, **monitor
    )
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    stop = StopOnNoisyValidation(smoothing=1)
    fit(model, [50, 10, 30], stop, checkpoint, backup)
    assert cut_of(model) == 10
    model.set_weights(weights_of(0))
    model.load_weights(kept)
    assert cut_of(model) == 10


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 3:
            raise KeyboardInterrupt


def test_after_ctrl_c(model):
    stop = StopOnNoisyValidation(smoothing=3)
    with pytest.raises(KeyboardInterrupt):
        fit(model, [30, 10, 60, 0], stop, Interrupt())
    assert cut_of(model) == 60
    stop.restore()  # by hand, of .7 .9 .4: .8 .6667 .65
    assert (cut_of(model), stop.best_epoch) == (30, 0)
    assert [entry["smoothed"] for entry in stop.history] == pytest.approx(
        [0.8, 2 / 3, 0.65]
    )


def test_copies_share_data_and_no_state(model):
    data = X, ONES
    stop = StopOnNoisyValidation(smoothing=1, validation_data=data)
    wave = LabelWave(X, window=1, patience=1)
    for callback in (stop, wave):
        drive(model, [50, 10], callback)
    for each, callback in [(stop, copy.deepcopy(stop)), (wave, copy.deepcopy(wave))]:
        assert callback.model is None
        assert callback.history == []
        assert callback.best_epoch is None
        drive(model, [10, 50, 20], callback)
        assert len(callback.history) == 3 > len(each.history) == 2
    copied = copy.deepcopy(stop)
    assert copied.validation_data is data
    assert stop.best_epoch == 1


def test_too_few_labels_warn_once_with_the_number(model):
    data = X[:20], ONES[:20]
    stop = judging(data, smoothing=1)
    message = r"20 validation labels leave a standard error of up to 11.*out 25 or more"
    with pytest.warns(UserWarning, match=message) as caught:
        drive(model, [10, 10, 10], stop)
    assert sum("20 validation labels" in str(each.message) for each in caught) == 1
    # by hand: a factor of 1 / (1 - 0.4 - 0.4) = 5, so 25 times as many
    stop = judging(transition_matrix=noise.symmetric(2, 0.4))
    with pytest.warns(UserWarning, match=r"up to 25 points.*out 625 or more"):
        drive(model, [10], stop)


# --- what is refused


def test_no_validation_data(model):
    message = r"`validation_data` must be given\. .*validation_data=\(x, y\)"
    with pytest.raises(ValueError, match=message):
        fit(model, [10], StopOnNoisyValidation(), data=None)
    with pytest.raises(ValueError, match=r"inputs with labels"):
        fit(model, [10], StopOnNoisyValidation(validation_data=X))
    with pytest.raises(ValueError, match=r"labels other than -1"):
        fit(model, [10], StopOnNoisyValidation(validation_data=(X, -ONES)))


def test_generators(model):
    def batches():
        while True:
            yield X, ONES

    stop = StopOnNoisyValidation()
    message = r"a pass of its own\. .*Python generator.*monitor='val_noisy_accuracy'"
    with pytest.raises(ValueError, match=message):
        fit(model, [10], stop, data=batches(), validation_steps=1)


def test_monitor_that_is_not_there(model):
    stop = StopOnNoisyValidation(monitor="val_noisy_accuracy")
    with pytest.raises(ValueError, match=r"one of 'loss', 'val_loss', the logs"):
        fit(model, [10], stop)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"smoothing": 4}, r"`smoothing` must be odd.*smoothing=4"),
        ({"smoothing": 0}, r"`smoothing` must be an integer in \[1"),
        ({"patience": 0}, r"`patience` must be an integer in \[1.* or None"),
        ({"transition_matrix": np.full((2, 2), 0.5)}, "Leave the matrix out"),
        ({"monitor": "a", "transition_matrix": MATRIX}, r"`monitor` must be None"),
        ({"monitor": 3}, r"`monitor` must be a name or None.*monitor=3"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        StopOnNoisyValidation(**arguments)


def test_matrix_of_other_classes(model):
    stop = StopOnNoisyValidation(noise.symmetric(3, 0.2))
    with pytest.raises(ValueError, match=r"a matrix of 2 classes, as many as"):
        fit(model, [10], stop)


# --- Label Wave


def test_label_wave_by_hand(model):
    wave = LabelWave(X, window=2, patience=2)
    drive(model, [90, 50, 40, 38, 40, 52, 70, 99, 99], wave)
    # moved by 40 10 2 2 12 18; means of two 25 6 2 7 15: two without a lower one
    changes = [None, 40, 10, 2, 2, 12, 18]
    assert [entry["changes"] for entry in wave.history] == changes
    smoothed = [None, None, 25, 6, 2, 7, 15]
    assert [entry["smoothed"] for entry in wave.history] == smoothed
    assert wave.best_epoch == 4
    assert cut_of(model) == 40


def test_label_wave_at_the_first_local_minimum(model):
    wave = LabelWave(X, window=1, patience=1)
    drive(model, [50, 40, 45, 20, 20, 20], wave)
    assert len(wave.history) == 4
    assert (wave.best_epoch, cut_of(model)) == (2, 45)


def test_label_wave_of_a_short_training_leaves_the_last_weights(model):
    wave = LabelWave(X, window=5)
    drive(model, [50, 40, 45], wave)
    assert (wave.best_epoch, cut_of(model)) == (None, 45)


def test_label_wave_refuses(model):
    for arguments in ({"window": 0}, {"patience": 0}, {"batch_size": 0}):
        (name,) = arguments
        with pytest.raises(ValueError, match=rf"LabelWave: `{name}` must be"):
            LabelWave(X, **arguments)
