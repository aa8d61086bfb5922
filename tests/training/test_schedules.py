"""The callback that shifts weight from the region to the boundary."""

import copy

import keras
import numpy as np
import pytest
from keras.src.losses.losses import LossFunctionWrapper

from tfrobustloss import losses
from tfrobustloss.training import ParameterScheduler, ShiftToBoundary


def test_weights_of_epochs_in_fit():
    weight = keras.Variable(0.5, trainable=False)
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(float(weight))
    )
    model = keras.Sequential([keras.Input((4, 2)), keras.layers.Dense(2)])
    model.weight = weight
    model.compile("sgd", losses.RegionBoundary(alpha=weight, from_logits=True))
    masks = np.eye(2, dtype="float32")[[[0, 1, 1, 0]]]
    both = np.concatenate([masks, 1 - 2 * masks], axis=-1)
    shift = ShiftToBoundary(weight, start=0.1, step=0.3, end=0.9)
    model.fit(masks, both, epochs=4, verbose=0, callbacks=[shift, watch])
    np.testing.assert_allclose(seen, [0.1, 0.4, 0.7, 0.9], rtol=1e-6)
    # the compiled step sees the change: all weight on a boundary loss of its own
    weight.assign(1.0)
    value = model.evaluate(masks, both, verbose=0)
    alone = losses.Boundary(from_logits=True)(
        both[..., 2:], model.predict(masks, verbose=0)
    )
    np.testing.assert_allclose(value, float(alone), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "epoch", "expected"),
    [
        ({}, 0, 0.01),
        ({}, 10, 0.11),
        ({}, 1000, 0.99),
        ({"start": 0.9, "step": -0.1, "end": 0.5}, 3, 0.6),
        ({"start": 0.9, "step": -0.1, "end": 0.5}, 9, 0.5),
        ({"start": 0.2, "step": 0.0}, 5, 0.2),
    ],
)
def test_weight(arguments, epoch, expected):
    weight = keras.Variable(0.0, trainable=False)
    ShiftToBoundary(weight, **arguments).on_epoch_begin(epoch)
    np.testing.assert_allclose(float(weight), expected, rtol=1e-6)


def test_copies_move_the_same_variable():
    # Keras Tuner makes a deep copy of the callbacks for each trial
    weight, model = keras.Variable(0.5, trainable=False), small_model()
    shift = ShiftToBoundary(weight, step=0.1)
    for _ in range(2):
        (other,) = copy.deepcopy([shift])
        assert other.weight is weight
        assert (other.start, other.step, other.end) == (0.01, 0.1, 0.99)
        other.on_epoch_begin(2)
        np.testing.assert_allclose(float(weight), 0.21, rtol=1e-6)
        shift.set_model(model)
    assert other.model is model  # not a copy of a whole model
    loss, both = copy.deepcopy([losses.RegionBoundary(alpha=weight), shift])
    assert loss.alpha is both.weight is weight


BOTH = np.float32([[[1, 0, -1, 1], [0, 1, 1, -1]]])


def small_model():
    layers = [keras.layers.Dense(2, activation="softmax")]
    return keras.Sequential([keras.Input((2, 4)), *layers])


def fit(model, weight, **options):
    shift = ShiftToBoundary(weight, step=0.1)
    model.fit(BOTH, BOTH, verbose=0, callbacks=[shift], **options)


def begin(model, loss, weight):
    """What the callback does when `fit` begins."""
    model.compile("sgd", loss)
    shift = ShiftToBoundary(weight)
    shift.set_model(model)
    shift.on_train_begin()


def test_a_loaded_model_is_compiled_again_to_resume(tmp_path):
    weight = keras.Variable(0.01, trainable=False)
    model = small_model()
    loss = losses.RegionBoundary(alpha=weight, rebalance=False)
    model.compile("adam", loss, run_eagerly=True)
    fit(model, weight, epochs=2)
    model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    steps = int(model.optimizer.iterations)
    message = r"ShiftToBoundary: `weight` must be .*[Cc]ompile .*alpha=weight"
    for other in weight, keras.Variable(0.01, trainable=False):
        with pytest.raises(ValueError, match=message):
            fit(model, other)
    # as the docstring says
    weight = keras.Variable(0.01, trainable=False)
    config = {**model.loss.get_config(), "alpha": weight}
    loss = losses.RegionBoundary.from_config(config)
    model.compile(model.optimizer, loss, run_eagerly=True)
    fit(model, weight, initial_epoch=2, epochs=4)
    np.testing.assert_allclose(float(weight), 0.31, rtol=1e-6)
    assert int(model.optimizer.iterations) == steps + 2
    assert model.loss.rebalance is False


class OwnLoss(keras.losses.Loss):
    """A loss that nobody knows the inside of."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, y_true, y_pred):
        return self.inner(y_true, y_pred)


def own_function(y_true, y_pred):
    return keras.ops.mean(y_pred, axis=-1)


def own_step(model):
    """The same model, with a training step that may use any loss."""

    class Trained(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = model

        def call(self, x):
            return self.inner(x)

        def train_step(self, *arguments):
            return super().train_step(*arguments)

    return Trained()


@pytest.mark.parametrize(
    "loss",
    [
        lambda loss: loss,
        lambda loss: OwnLoss(loss),
    ],
    ids=["alone", "own"],
)
def test_a_loss_that_has_the_variable(loss):
    weight = keras.Variable(0.5, trainable=False)
    loss = loss(losses.RegionBoundary(alpha=weight))
    begin(small_model(), loss, weight)


@pytest.mark.parametrize(
    "place",
    [
        lambda loss: [None, loss],
        lambda loss: ["mse", loss],
        lambda loss: (loss, keras.losses.Huber(0.5)),
        lambda loss: [losses.Boundary(classes=[1]), loss],
        lambda loss: {"a": "mse", "b": loss},
        lambda loss: {"a": {"c": [loss]}, "b": None},
        lambda loss: ["mse", losses.ActivePassive(loss, losses.Unhinged())],
        lambda loss: losses.RegionBoundary(loss, classes=[0, 1]),
    ],
)
def test_several_outputs(place):
    weight, model = keras.Variable(0.5, trainable=False), small_model()
    begin(model, place(losses.GeneralizedCrossEntropy(weight)), weight)
    with pytest.raises(ValueError, match=r"ShiftToBoundary: `weight` must be"):
        begin(model, place(losses.GeneralizedCrossEntropy(0.5)), weight)


@pytest.mark.parametrize(
    "loss",
    [
        own_function,
        OwnLoss(losses.Boundary()),
        [losses.Boundary(), own_function],
        {"a": "mse", "b": OwnLoss(None)},
        losses.RegionBoundary(OwnLoss(None)),
        LossFunctionWrapper(own_function),
        None,
    ],
)
def test_losses_that_do_not_say(loss):
    begin(small_model(), loss, keras.Variable(0.5, trainable=False))


class Holder(keras.layers.Layer):
    """A layer that may use the variable, in `add_loss` say."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def call(self, x):
        return x


def test_steps_and_layers_that_may_use_it():
    weight = keras.Variable(0.5, trainable=False)
    begin(own_step(small_model()), "mse", weight)
    begin(keras.Sequential([keras.Input((2, 4)), Holder(weight)]), "mse", weight)
    with pytest.raises(ValueError, match="ShiftToBoundary: `weight` must be"):
        begin(small_model(), "mse", weight)


@pytest.mark.parametrize(
    "numbers",
    [{"step": -0.1}, {"start": 0.9, "step": 0.1, "end": 0.5}],
)
def test_a_step_away_from_the_end(numbers):
    weight = keras.Variable(0.0, trainable=False)
    with pytest.raises(ValueError, match=r"ShiftToBoundary: `step` must be .* `end`"):
        ShiftToBoundary(weight, **numbers)


def test_refused():
    with pytest.raises(TypeError, match=r"ShiftToBoundary: `weight` must be"):
        ShiftToBoundary(0.1)
    weight = keras.Variable(0.0, trainable=False)
    with pytest.raises(ValueError, match=r"ShiftToBoundary: `end` .* end=2"):
        ShiftToBoundary(weight, end=2)


@pytest.mark.parametrize(
    ("schedule", "epoch", "expected"),
    [
        ({10: 0.0, 40: 2.0}, 0, 0.0),  # of CORES: 0 for 10 epochs, 2 from epoch 40 on
        ({10: 0.0, 40: 2.0}, 25, 1.0),
        ({10: 0.0, 40: 2.0}, 400, 2.0),
        ({8: -4, 0: 0, 4: 0}, 6, -2.0),  # in any order, downwards
        ({3: 0.7}, 0, 0.7),
        (lambda epoch: 1.2 * 1.03**epoch, 2, 1.2 * 1.03**2),
    ],
)
def test_scheduled_values(schedule, epoch, expected):
    parameter = keras.Variable(5.0, trainable=False)
    ParameterScheduler(parameter, schedule).on_epoch_begin(epoch)
    np.testing.assert_allclose(float(parameter), expected, rtol=1e-6)


def test_annealed_q_in_fit():
    # one compiled step, from cross-entropy to 1 - p; resumed at the epoch it is in
    q = keras.Variable(0.0, trainable=False)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.q = q
    loss = losses.GeneralizedCrossEntropy(q, from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss)
    x, y = np.eye(3, dtype="float32"), np.array([0, 1, 1])
    scheduler = ParameterScheduler(q, {1: 0.0, 3: 1.0})
    seen = model.fit(x, y, epochs=3, verbose=0, callbacks=[scheduler]).history["loss"]
    options = {"initial_epoch": 3, "epochs": 4, "verbose": 0}
    seen += model.fit(x, y, callbacks=[scheduler], **options).history["loss"]
    z = model.predict(x, verbose=0)
    expected = [
        float(losses.GeneralizedCrossEntropy(value, from_logits=True)(y, z))
        for value in (0.0, 0.0, 0.5, 1.0)
    ]
    np.testing.assert_allclose(seen, expected, rtol=1e-5)


def test_a_switch_of_a_loss():
    # two points next to each other; values from test_asymmetric_multi_label.py
    correction = keras.Variable(1.0, trainable=False)
    loss = losses.SelfPacedCorrection(correction=correction, from_logits=True)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.layers[0].set_weights([np.float32([[0.0]]), np.float32([1.0])])
    model.correction = correction
    model.compile(keras.optimizers.SGD(0.0), loss)
    switch = ParameterScheduler(correction, {0: 0.0, 1: 1.0})
    x = np.zeros((1, 1))
    history = model.fit(x, x, epochs=2, verbose=0, callbacks=[switch]).history
    # p^2 softplus(1), then (1 - p)^2 softplus(-1)
    np.testing.assert_allclose(history["loss"], [0.70186394, 0.02265806], rtol=1e-5)


def test_a_scheduled_copy_moves_the_same_variable():
    parameter = keras.Variable(0.0, trainable=False)
    other = copy.deepcopy(ParameterScheduler(parameter, {2: 1.0}))
    other.on_epoch_begin(0)
    assert other.parameter is parameter
    assert float(parameter) == 1


@pytest.mark.parametrize(
    ("schedule", "error", "message"),
    [
        ({}, ValueError, "of epochs from 0 on"),
        ({-1: 0.0}, ValueError, "of epochs from 0 on"),
        ({1.5: 0.0}, ValueError, "of epochs from 0 on"),
        ({1: float("nan")}, ValueError, "of epochs from 0 on"),
        ([0.0, 1.0], TypeError, "a dict of epochs to values"),
        ({1: "much"}, TypeError, "a dict of epochs to values"),
        (0.5, TypeError, "a dict of epochs to values"),
    ],
)
def test_schedules_that_are_none(schedule, error, message):
    parameter = keras.Variable(0.0, trainable=False)
    text = f"ParameterScheduler: `schedule` must be {message}"
    with pytest.raises(error, match=text):
        ParameterScheduler(parameter, schedule)


def test_a_function_that_gives_no_number():
    parameter = keras.Variable(0.0, trainable=False)
    for value, error in ((None, TypeError), (float("inf"), ValueError)):
        scheduler = ParameterScheduler(parameter, lambda epoch, value=value: value)
        with pytest.raises(error, match="ParameterScheduler: `schedule` must be"):
            scheduler.on_epoch_begin(0)


def test_a_value_outside_the_range_of_the_parameter():
    q = keras.Variable(0.5, trainable=False)
    inner = losses.GeneralizedCrossEntropy(q, from_logits=True)
    message = r"GeneralizedCrossEntropy: `q` must be in \[0, 1\]. Received: q=1.5"
    for loss in (inner, losses.LogitClip(inner), [inner]):
        model = small_model()
        model.compile("sgd", loss)
        points = ParameterScheduler(
            q, {0: 0.0, 100: 1.5}
        )  # seen before the first epoch
        points.set_model(model)
        with pytest.raises(ValueError, match=message):
            points.on_train_begin()
        function = ParameterScheduler(q, lambda epoch: 0.5 + epoch)
        function.set_model(model)
        function.on_train_begin()
        function.on_epoch_begin(0)
        with pytest.raises(ValueError, match=message):
            function.on_epoch_begin(1)


def test_no_loss_has_the_scheduled_parameter():
    model = small_model()
    model.compile("sgd", losses.GeneralizedCrossEntropy(0.5))
    scheduler = ParameterScheduler(keras.Variable(0.5, trainable=False), {0: 0.0})
    scheduler.set_model(model)
    message = "ParameterScheduler: `parameter` must be the .* that a loss of the model"
    with pytest.raises(ValueError, match=message):
        scheduler.on_train_begin()
    with pytest.raises(TypeError, match="ParameterScheduler: `parameter` must be"):
        ParameterScheduler(0.5, {0: 0.0})
