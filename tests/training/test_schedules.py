"""The callback that shifts weight from the region to the boundary."""

import copy

import keras
import numpy as np
import pytest
from keras.src.losses.losses import LossFunctionWrapper

from tfrobustloss import losses
from tfrobustloss.training import ShiftToBoundary, SwitchAfterWarmUp


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


# --- a switch


def test_the_switch_follows_the_epoch_alone():
    variable = keras.Variable(5.0, trainable=False)
    switch = SwitchAfterWarmUp(variable, epochs=2, before=0.25, after=0.75)
    values = []
    for epoch in (0, 1, 2, 9, 1):
        switch.on_epoch_begin(epoch)
        values.append(float(variable))
    assert values == [0.25, 0.25, 0.75, 0.75, 0.25]
    other = copy.deepcopy(switch)
    assert other.variable is variable
    assert (other.epochs, other.before, other.after) == (2, 0.25, 0.75)


def test_the_switch_changes_the_loss_during_fit():
    correction = keras.Variable(1.0, trainable=False)
    loss = losses.SelfPacedCorrection(correction=correction, from_logits=True)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.layers[0].set_weights([np.float32([[0.0]]), np.float32([1.0])])
    model.compile(keras.optimizers.SGD(0.0), loss)
    if keras.backend.backend() == "jax":
        model.correction = correction
    switch = SwitchAfterWarmUp(correction, epochs=1)
    fitted = model.fit(
        np.zeros((1, 1)), np.zeros((1, 1)), epochs=2, verbose=0, callbacks=[switch]
    )
    # p^2 softplus(1), then (1 - p)^2 softplus(-1): test_asymmetric_multi_label.py
    np.testing.assert_allclose(
        fitted.history["loss"], [0.70186394, 0.02265806], rtol=1e-5
    )


def test_the_switch_is_refused():
    variable = keras.Variable(0.0, trainable=False)
    for given, error, named in (
        ({"variable": 0.0}, TypeError, "variable"),
        ({"epochs": -1}, ValueError, "epochs"),
        ({"epochs": 1.5}, ValueError, "epochs"),
        ({"after": "on"}, TypeError, "after"),
        ({"before": np.nan}, ValueError, "before"),
    ):
        with pytest.raises(error, match=f"SwitchAfterWarmUp: `{named}` must be"):
            SwitchAfterWarmUp(**{"variable": variable, **given})
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", losses.SelfPacedCorrection(from_logits=True))
    switch = SwitchAfterWarmUp(variable)
    switch.set_model(model)
    with pytest.raises(ValueError, match="`variable` must be .* a loss of the model"):
        switch.on_train_begin()
    model.compile("sgd", losses.SelfPacedCorrection(correction=variable))
    switch.on_train_begin()
