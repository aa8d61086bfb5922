"""Hyper-parameters as `keras.Variable`: annealed in one program, saved as values."""

import copy
import json

import keras
import numpy as np
import pytest
from keras import ops

from tests.losses.values import numpy, random_probabilities
from tfrobustloss import losses
from tfrobustloss._core.backend import compiled

THETA = (0.1, 0.2, 1, -2, 3, -4, 0.5, -0.6, 0.7, -0.8, 0.9, -1)
OTHER_THETA = (0.0, 0.1, -1, 2, 3, 1, 0.5, 0.6, -0.7, 0.8, 0.9, 1)

# loss, name of a parameter, two values of it
PARAMETERS = [
    (losses.CrossEntropy, "label_smoothing", 0.3, 0.0),
    (losses.CrossEntropy, "label_smoothing", -1.0, 0.0),
    (losses.SDivergence, "alpha", 0.5, 1.0),
    (losses.SDivergence, "lambda_", -1.0, 0.0),
    (losses.AdaptiveLabelDistributionallyRobust, "temperature", 1.0, 3.0),
    (losses.AdaptiveLabelDistributionallyRobust, "alpha", 2.0, 1.1),
    (losses.GeneralizedCrossEntropy, "q", 0.7, 0.0),
    (losses.GeneralizedCrossEntropy, "q", 0.2, 1.0),
    (losses.SymmetricCrossEntropy, "alpha", 0.5, 0.0),
    (losses.SymmetricCrossEntropy, "beta", 0.5, 2.0),
    (losses.SymmetricCrossEntropy, "log_zero", -4.0, -6.0),
    (losses.SoftBootstrap, "beta", 0.5, 1.0),
    (losses.HardBootstrap, "beta", 0.5, 0.9),
    (losses.Focal, "gamma", 2.0, 0.5),
    (losses.Focal, "alpha", 0.25, 1.0),
    (losses.Focal, "alpha", (0.5, 1.0, 2.0, 0.1), (1.0, 1.0, 1.0, 1.0)),
    (losses.Adma, "scaling_factor", 0.5, 0.2),
    (losses.Adma, "base", 2.0, 3.0),
    (losses.BiTemperedLogistic, "t1", 0.8, 1.0),
    (losses.BiTemperedLogistic, "t1", 0.0, 0.5),
    (losses.BiTemperedLogistic, "t2", 1.2, 1.0),
    (losses.BiTemperedLogistic, "t2", 4.0, 0.8),
    (losses.BiTemperedLogistic, "label_smoothing", 0.1, 0.0),
    (losses.NormalizedGeneralizedCrossEntropy, "q", 0.7, 0.0),
    (losses.AsymmetricGeneralizedCrossEntropy, "a", 0.6, 20.0),
    (losses.PartiallyHuberizedGeneralizedCrossEntropy, "q", 0.2, 1.0),
    (losses.JensenShannon, "pi", 0.8, 0.2),
    (losses.ActivePassive, "alpha", 1.0, 0.0),
    (losses.TaylorLoss, "theta", THETA, OTHER_THETA),
]
IDS = [f"{loss.__name__}-{name}" for loss, name, *_ in PARAMETERS]
every_parameter = pytest.mark.parametrize(
    ("loss_class", "name", "first", "second"), PARAMETERS, ids=IDS
)


def variable(value, **options):
    return keras.Variable(value, trainable=False, dtype="float32", **options)


def batch():
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (6, 4)).astype("float32")
    soft = random_probabilities((6, 4)).astype("float32")
    return np.array([0, 1, 2, 3, 0, 1]), soft, logits


@every_parameter
def test_same_value_as_a_number(loss_class, name, first, second):
    ids, soft, logits = batch()
    parameter = variable(first)
    options = {"from_logits": True, "reduction": None}
    loss = loss_class(**{name: parameter}, **options)
    for value in (first, second):
        parameter.assign(value)
        plain = loss_class(**{name: value}, **options)
        for y_true in (ids, soft):
            actual, expected = numpy(loss(y_true, logits)), numpy(plain(y_true, logits))
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    different = loss_class(**{name: first}, **options)
    assert np.abs(numpy(different(ids, logits)) - expected).max() > 1e-3


@every_parameter
def test_config_holds_the_current_value(loss_class, name, first, second):
    parameter = variable(first)
    loss = loss_class(**{name: parameter})
    parameter.assign(second)
    config = json.loads(json.dumps(loss.get_config()))
    np.testing.assert_allclose(config[name], second, rtol=1e-6)
    again = loss_class.from_config(config)
    assert not isinstance(getattr(again, name), keras.Variable)
    np.testing.assert_allclose(getattr(again, name), second, rtol=1e-6)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="JAX closes over values: see the test of fit; torch does not compile",
)
def test_a_compiled_program_follows_the_variables():
    # every pair of values of every parameter, in one program
    ids, _, logits = batch()
    parameters = [variable(first) for _, _, first, _ in PARAMETERS]
    annealed = [
        loss_class(**{name: parameter}, from_logits=True)
        for parameter, (loss_class, name, *_) in zip(
            parameters, PARAMETERS, strict=True
        )
    ]
    traces = []

    def program(y_true, y_pred):
        traces.append(1)
        return ops.stack([loss(y_true, y_pred) for loss in annealed])

    program = compiled(program)
    tensors = list(map(ops.convert_to_tensor, (ids, logits)))
    for which in (0, 1, 0):
        expected = []
        for parameter, (loss_class, name, *values) in zip(
            parameters, PARAMETERS, strict=True
        ):
            parameter.assign(values[which])
            plain = loss_class(**{name: values[which]}, from_logits=True)
            expected.append(numpy(plain(ids, logits)))
        actual = numpy(program(*tensors))
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    assert len(traces) == 1


class Anneal(keras.callbacks.Callback):
    """Assigns one value an epoch, and counts traces when each epoch is over."""

    def __init__(self, parameter, values, traces):
        super().__init__()
        self.parameter, self.values, self.traces = parameter, values, traces
        self.traces_after = []

    def on_epoch_begin(self, epoch, logs=None):
        self.parameter.assign(self.values[epoch])

    def on_epoch_end(self, epoch, logs=None):
        self.traces_after.append(len(self.traces))


@pytest.mark.parametrize(
    ("loss_class", "name", "first", "second"),
    [
        (losses.GeneralizedCrossEntropy, "q", 0.7, 0.0),
        (losses.TaylorLoss, "theta", THETA, OTHER_THETA),
    ],
)
def test_annealed_in_fit(loss_class, name, first, second):
    # the history must be that of the value of each epoch, from one trace; a number and
    # a list, for that all parameters follow a program is tested above
    ids, _, logits = batch()
    values = [first, second, first]
    traces = []

    class Counting(loss_class):
        def call(self, y_true, y_pred):
            traces.append(1)
            return super().call(y_true, y_pred)

    parameter = variable(first)
    loss = Counting(**{name: parameter}, from_logits=True)
    same = keras.layers.Dense(4, kernel_initializer="identity")
    model = keras.Sequential([keras.Input((4,)), same])
    model.parameter = parameter  # JAX sees a variable's value through the model
    model.compile(keras.optimizers.SGD(0.0), loss)
    anneal = Anneal(parameter, values, traces)
    history = model.fit(
        logits, ids, batch_size=6, epochs=3, verbose=0, callbacks=[anneal]
    )
    expected = [
        float(numpy(loss_class(**{name: value}, from_logits=True)(ids, logits)))
        for value in values
    ]
    np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-5, atol=1e-6)
    if keras.backend.backend() != "torch":  # which runs `call` every time
        assert anneal.traces_after == [anneal.traces_after[0]] * 3
    np.testing.assert_allclose(loss.get_config()[name], values[-1], rtol=1e-6)


def test_annealed_in_fit_next_to_weights():
    # a real model: the weights move, the parameter only when it is told to
    ids, _, x = batch()
    parameter = variable(1.0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.q = parameter
    loss = losses.GeneralizedCrossEntropy(q=parameter, from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss)
    before = numpy(model.layers[0].kernel)
    model.fit(x, ids, epochs=2, verbose=0)
    assert float(numpy(parameter)) == 1.0
    assert np.abs(numpy(model.layers[0].kernel) - before).max() > 1e-4


def test_a_saved_model_holds_the_current_value(tmp_path):
    ids, _, x = batch()
    parameter = variable(0.7)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.compile("sgd", losses.GeneralizedCrossEntropy(q=parameter, from_logits=True))
    model.train_on_batch(x, ids)
    parameter.assign(0.25)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.loss.q == 0.25
    expected = losses.GeneralizedCrossEntropy(q=0.25, from_logits=True)(ids, again(x))
    actual = again.evaluate(x, ids, verbose=0)
    assert actual == pytest.approx(float(numpy(expected)), rel=1e-5)


@pytest.mark.parametrize(
    ("loss_class", "name", "bad"),
    [
        (losses.GeneralizedCrossEntropy, "q", 1.5),
        (losses.BiTemperedLogistic, "t1", -0.5),
        (losses.BiTemperedLogistic, "t2", 6.0),
        (losses.Adma, "scaling_factor", 0.0),
        (losses.Focal, "gamma", -1.0),
        (losses.Focal, "alpha", -1.0),
        (losses.SoftBootstrap, "beta", 1.1),
        (losses.CrossEntropy, "label_smoothing", 2.0),
    ],
)
def test_a_variable_is_held_to_its_range(loss_class, name, bad):
    message = rf"{loss_class.__name__}: `{name}` must be .* Received: {name}={bad}"
    with pytest.raises(ValueError, match=message):
        loss_class(**{name: variable(bad)})


def test_a_theta_variable_is_held_to_its_length():
    with pytest.raises(ValueError, match=r"TaylorLoss: `theta` .*12 or 16.*\(5,\)"):
        losses.TaylorLoss(variable([0.0] * 5))


def test_a_theta_variable_must_be_finite():
    with pytest.raises(ValueError, match="TaylorLoss: `theta` must be finite"):
        losses.TaylorLoss(variable([float("nan")] * 12))


def test_a_theta_variable_has_no_bounds():
    with pytest.raises(ValueError, match="TaylorLoss: `eta` cannot be combined"):
        losses.TaylorLoss(variable(THETA), eta=1.0, num_classes=3)


def test_a_variable_of_another_dtype():
    ids, _, logits = batch()
    parameter = keras.Variable(0.7, trainable=False, dtype="float16")
    loss = losses.GeneralizedCrossEntropy(q=parameter, from_logits=True)
    expected = losses.GeneralizedCrossEntropy(
        q=float(np.float16(0.7)), from_logits=True
    )
    actual = float(numpy(loss(ids, logits)))
    assert actual == pytest.approx(float(numpy(expected(ids, logits))), rel=1e-6)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_share_their_variables(copied):
    y_true, _, logits = batch()
    q = variable(0.3)
    inner = losses.GeneralizedCrossEntropy(q, from_logits=True)
    for loss in (inner, losses.LogitClip(inner)):
        other = copied(loss)
        assert other is not loss
        q.assign(0.9)
        np.testing.assert_array_equal(
            numpy(other(y_true, logits)), numpy(loss(y_true, logits))
        )
        assert other.get_config() == loss.get_config()
    deep = copy.deepcopy(losses.LogitClip(inner))
    assert deep.loss is not inner
    assert deep.loss.q is q
