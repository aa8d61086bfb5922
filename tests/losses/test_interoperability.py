"""Every loss in the places where Keras takes one: all of them heads of one model."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.losses.other_tasks.task_rows import TASK_ROWS
from tests.losses.rows import ROWS
from tests.losses.values import numpy, with_unknown_batch
from tfrobustloss import losses

# the first row of each class
CLASSES, TASKS = (
    list({row.loss_class: row for row in reversed(rows)}.values())[::-1]
    for rows in (ROWS, TASK_ROWS)
)
_HALF = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
_STUCK = {r.loss_class.__name__ for r in CLASSES if "check_trains" in r.traits.skips}


def _data(rows=16):
    """Inputs, and labels of the four classes that all rows can have."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(rows, 3)).astype("float32")
    return inputs, random.permutation(np.arange(rows) % 4)


def _losses(from_logits=False):
    """One loss of each class by its name, on probabilities where it takes them."""
    chosen = {row.loss_class.__name__: row for row in CLASSES}
    built = {name: row.build() for name, row in chosen.items()}
    for name, row in chosen.items():
        if from_logits and not built[name].from_logits:  # two are on logits always
            built[name] = row.loss_class(**row.arguments, from_logits=True)
    return built


def _heads(by_head, policy="float32"):
    """A model with a head for each loss; none shares a weight with another."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        inputs = keras.Input((3,))
        outputs = {}
        for name, loss in by_head.items():
            activation = None if loss.from_logits else "softmax"
            dense = keras.layers.Dense(4, activation=activation, name=name)
            outputs[name] = dense(inputs)
        return keras.Model(inputs, outputs)
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def _alone(by_head, model, inputs, labels):
    """The value of each loss called by itself on the predictions of its head."""
    predicted = model(inputs)
    return {
        f"{name}_loss": float(numpy(loss(labels, predicted[name])))
        for name, loss in by_head.items()
    }


def _expect_same(received, by_head):
    """Asserts that each loss came back as another object of its class and config."""
    assert set(received) == set(by_head)
    for name, loss in by_head.items():
        assert received[name] is not loss
        assert type(received[name]) is type(loss)
        assert received[name].get_config() == loss.get_config()
        assert received[name].dtype == loss.dtype


def _kernels(model):
    return {name: model.get_layer(name).get_weights()[0] for name in model.output_names}


def _optimizer(policy):
    """What `compile` makes of SGD, with a scale at which no gradient overflows.

    Keras begins at 2 ** 15 and halves it, step for step, until none does.
    """
    optimizer = keras.optimizers.SGD(0.1)
    if policy != "mixed_float16":
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=16.0)


def _check_steps(model, history, before, stuck=()):
    """Finite losses and weights, and changed weights at each head but those `stuck`."""
    assert {f"{name}_loss" for name in model.output_names} < set(history)
    for name, values in history.items():
        assert np.isfinite(values).all(), name
    for name, kernel in _kernels(model).items():
        assert np.isfinite(kernel).all(), name
        assert name in stuck or (kernel != before[name]).any(), name


def _registered(row):
    return f"tfrobustloss>{row.loss_class.__name__}"


def test_by_name_and_config():
    by_head = _losses()
    for row in CLASSES:
        loss = by_head[row.loss_class.__name__]
        config = json.loads(json.dumps(keras.losses.serialize(loss)))
        name = _registered(row)
        by_name = keras.losses.get({"class_name": name, "config": config["config"]})
        for again in (keras.losses.get(config), by_name):
            assert type(again) is row.loss_class
            assert again.get_config() == loss.get_config()
        with pytest.raises(ValueError, match="Could not interpret"):
            keras.losses.get(name)  # a bare string: Keras looks among its own only


@pytest.mark.parametrize("config", [False, True])
def test_compile_takes_no_bare_name_and_no_dict_of_a_config(config):
    # Keras' rule, which the README tells; a dict is of losses by output
    name = "tfrobustloss>GeneralizedCrossEntropy"
    model = keras.Model(one := keras.Input((3,)), keras.layers.Dense(4)(one))
    given = {"class_name": name, "config": {}} if config else name
    model.compile("sgd", loss=given, run_eagerly=True)
    with pytest.raises(ValueError, match="Expected keys|Could not interpret"):
        model.evaluate(*_data(), verbose=0)


# `fit` meets the base class: a loss of each kind of arguments, one with a custom
# gradient, one around another, and the one that is no mean over examples; that every
# loss compiles and takes a step is `check_graph`, `check_xla` and `check_trains`
_KINDS = (
    "GeneralizedCrossEntropy",
    "BiTemperedLogistic",
    "ForwardCorrection",
    "LogitClip",
    "DeterminantMutualInformation",
)


def _of_kinds(by_head):
    return {name: by_head[name] for name in _KINDS}


@pytest.mark.numerics
def test_losses_of_each_kind_trained_in_one_program():
    by_head = _of_kinds(_losses())
    model = _heads(by_head)
    inputs, labels = _data()
    data = inputs, dict.fromkeys(by_head, labels)
    jit = keras.backend.backend() == "jax"  # XLA on TensorFlow: `check_xla`
    model.compile("sgd", loss=by_head, jit_compile=jit)
    before, expected = _kernels(model), _alone(by_head, model, inputs, labels)
    history = model.fit(*data, epochs=2, batch_size=16, verbose=0).history
    _check_steps(model, history, before, _STUCK)
    first = {name: history[name][0] for name in expected}
    assert first == pytest.approx(expected, rel=1e-5)  # of the weights before the step


@pytest.mark.numerics
def test_every_loss_at_a_head_of_one_model(tmp_path):
    """Evaluated, cloned and saved: always the losses called alone."""
    by_head = _losses()
    model = _heads(by_head)
    inputs, labels = _data()
    data = inputs, dict.fromkeys(by_head, labels)
    weights = dict.fromkeys(by_head, 0.5)
    model.compile("sgd", loss=by_head, loss_weights=weights, run_eagerly=True)
    alone = _alone(by_head, model, inputs, labels)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    clone.compile_from_config(
        {**model.get_compile_config(), "run_eagerly": True, "jit_compile": False}
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = True
    for again in (clone, loaded):
        _expect_same(again.loss, by_head)
        values = again.evaluate(*data, verbose=0, return_dict=True)
        assert values.pop("loss") == pytest.approx(0.5 * sum(alone.values()), rel=1e-5)
        assert values == pytest.approx(alone, rel=1e-5)


# some as a user compiles them, with AutoGraph: one that branches on its parameters, one
# that holds another loss; the conversion of one takes a second
_CONVERTED = ("BiTemperedLogistic", "LogitClip")


@pytest.mark.parametrize("autograph", [False, True])
def test_every_loss_in_a_program_of_unknown_batch_size(autograph):
    assert set(_CONVERTED) <= {r.loss_class.__name__ for r in CLASSES}
    every_loss = [
        r.loss_class(**r.arguments, ignore_class=1)
        for r in CLASSES
        if (r.loss_class.__name__ in _CONVERTED) == autograph
    ]
    _, labels = _data()
    logits = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    p = keras.ops.convert_to_numpy(keras.ops.softmax(logits))

    def every(labels, p, logits):
        given = {True: logits, False: p}
        return keras.ops.stack(
            [loss(labels, given[loss.from_logits]) for loss in every_loss]
        )

    expected = numpy(every(labels, p, logits))
    actual = with_unknown_batch(every, labels, p, logits, autograph=autograph)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.numerics
@pytest.mark.parametrize(
    ("policy", "from_logits"), [("mixed_float16", False), ("mixed_bfloat16", True)]
)
def test_losses_of_each_kind_train_under_a_policy(policy, from_logits):
    by_head = _of_kinds(_losses(from_logits))
    model = _heads(by_head, policy)
    assert {output.dtype for output in model.outputs} == {_HALF[policy]}
    inputs, labels = _data()
    data = inputs, dict.fromkeys(by_head, labels)
    model.compile(_optimizer(policy), loss=by_head, run_eagerly=True)
    before = _kernels(model)
    history = model.fit(*data, batch_size=16, verbose=0).history
    _check_steps(model, history, before, _STUCK)


def test_labels_of_another_kind_at_each_output():
    inputs = keras.Input((3,))
    outputs = {
        "kind": keras.layers.Dense(4, name="kind")(inputs),
        "colour": keras.layers.Dense(2, activation="softmax", name="colour")(inputs),
    }
    model = keras.Model(inputs, outputs)
    by_output = {
        "kind": losses.SymmetricCrossEntropy(from_logits=True),
        "colour": losses.MeanAbsoluteError(),
    }
    model.compile("sgd", loss=by_output, loss_weights={"kind": 1.0, "colour": 0.5})
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    y = {"kind": np.arange(8) % 4, "colour": np.eye(2)[np.arange(8) % 2]}
    total = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    predicted = model.predict(x, verbose=0)
    parts = {
        name: float(numpy(by_output[name](y[name], predicted[name]))) for name in y
    }
    assert total == pytest.approx(parts["kind"] + 0.5 * parts["colour"], rel=1e-5)
    model.fit(x, y, epochs=1, verbose=0)


@pytest.mark.numerics
@pytest.mark.parametrize("policy", _HALF)
def test_losses_of_other_tasks_train_under_a_policy(policy):
    random = np.random.default_rng(0)
    by_head = {row.loss_class.__name__: row for row in TASKS}
    inputs, outputs, x, y = {}, {}, {}, {}
    for head, row in by_head.items():
        targets, predicted = row.data(random)
        x[f"of_{head}"], y[head] = predicted[:2], targets[:2]
        inputs[f"of_{head}"] = keras.Input(predicted.shape[1:], name=f"of_{head}")
        # what may not be negative is a probability
        activation = None if min(row.extremes) < 0 else "sigmoid"
        # begins with the predictions of the row, where boxes overlap
        options = {"activation": activation, "kernel_initializer": "identity"}
        outputs[head] = keras.layers.Dense(
            predicted.shape[-1], name=head, dtype=policy, **options
        )(inputs[f"of_{head}"])
    model = keras.Model(inputs, outputs)
    assert {output.dtype for output in model.outputs} == {_HALF[policy]}
    chosen = {head: r.build() for head, r in by_head.items()}
    model.compile(_optimizer(policy), loss=chosen, run_eagerly=True)
    before = _kernels(model)
    _check_steps(model, model.fit(x, y, verbose=0).history, before)


_MIRRORED = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
logical = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [logical, logical])
import keras
import numpy as np
from tests.losses import test_interoperability as here
from tfrobustloss import losses

inputs, labels = here._data()

def dataset(labels):
    return tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(16)

def values_of(strategy):
    keras.utils.set_random_seed(0)
    by_head = here._of_kinds(here._losses())
    with strategy.scope():
        model = here._heads(by_head)
        model.compile("sgd", loss=by_head)
    given = dataset(dict.fromkeys(by_head, labels))
    values = model.evaluate(given, verbose=0, return_dict=True)
    values.pop("loss")
    return values, here._alone(by_head, model, inputs, labels)

def trained(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
        loss = losses.GeneralizedCrossEntropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.5), loss=loss)
    return model.fit(dataset(labels), epochs=3, verbose=0).history["loss"]

mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert mirrored.num_replicas_in_sync == 2
two, alone = values_of(mirrored)
assert set(two) == set(alone) and len(two) == len(here._KINDS), list(two)
for name in alone:
    # the determinant of a replica's half of the batch is not that of the batch
    if name == "DeterminantMutualInformation_loss":
        assert np.isfinite(two[name])
    else:
        np.testing.assert_allclose(two[name], alone[name], rtol=1e-5, err_msg=name)
one, two = trained(tf.distribute.get_strategy()), trained(mirrored)
assert one[2] < one[0]
np.testing.assert_allclose(two, one, rtol=1e-5)
print("same")
"""


def test_mirrored_strategy():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("tf.distribute is TensorFlow's")
    result = subprocess.run(
        [sys.executable, "-c", _MIRRORED],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert "same" in result.stdout
