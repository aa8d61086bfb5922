"""Every loss in the places where Keras takes one."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.losses.rows import ROWS
from tfrobustloss import losses

CLASSES = list({row.loss_class: row for row in reversed(ROWS)}.values())[::-1]
EVERY = pytest.mark.parametrize("row", [pytest.param(r, id=r.name) for r in CLASSES])


def _data(row, rows=8):
    random = np.random.default_rng(0)
    classes = row.traits.num_classes or 4
    ids = np.arange(rows) % classes
    if "ids" not in row.traits.label_formats:
        ids = np.eye(classes, dtype="float32")[ids]
    return random.normal(size=(rows, 3)).astype("float32"), ids


def _model(row):
    classes = row.traits.num_classes or 4
    logits = getattr(row.build(), "from_logits", False)
    activation = None if logits else "softmax"
    inputs = keras.Input((3,))
    dense = keras.layers.Dense(classes, dtype="float32", activation=activation)
    hidden = keras.layers.Dense(5, activation="relu")(inputs)
    return keras.Model(inputs, dense(hidden))


@EVERY
def test_by_object_name_and_config(row):
    loss = row.build()
    config = keras.losses.serialize(loss)
    again = keras.losses.get(json.loads(json.dumps(config)))
    assert type(again) is row.loss_class
    assert again.get_config() == loss.get_config()
    registered = f"tfrobustloss>{row.loss_class.__name__}"
    assert keras.saving.get_registered_object(registered) is row.loss_class
    if not row.arguments:
        named = keras.losses.get({"class_name": registered, "config": {}})
        assert named.get_config() == loss.get_config()
    model = _model(row)
    model.compile_from_config({"optimizer": "sgd", "loss": config})
    assert np.isfinite(model.evaluate(*_data(row), verbose=0))


@EVERY
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_trains_under_a_policy(row, policy):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        model = _model(row)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    model.compile("sgd", loss=row.build(), run_eagerly=True)
    weights = [w.copy() for w in model.get_weights()]
    for _ in range(20):  # a step whose scaled gradient overflows halves the scale
        assert np.isfinite(model.train_on_batch(*_data(row)))
        assert all(np.isfinite(w).all() for w in model.get_weights())
        pairs = zip(weights, model.get_weights(), strict=True)
        if any((a != b).any() for a, b in pairs):
            return
    assert "check_trains" in row.traits.skips


def test_cloned_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    loss = losses.GeneralizedCrossEntropy(q=0.3, from_logits=True)
    model.compile("sgd", loss=loss)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    clone.compile_from_config(model.get_compile_config())
    x = np.ones((2, 3), "float32")
    y = np.array([0, 1])
    assert clone.loss.get_config() == loss.get_config()
    np.testing.assert_allclose(
        clone.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0), rtol=1e-6
    )


def test_outputs_with_a_loss_each():
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
    parts = {name: float(by_output[name](y[name], predicted[name])) for name in y}
    assert total == pytest.approx(parts["kind"] + 0.5 * parts["colour"], rel=1e-5)
    model.fit(x, y, epochs=1, verbose=0)


_MIRRORED = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
logical = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [logical, logical])
import keras
from tfrobustloss import losses

def trained(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
        loss = losses.GeneralizedCrossEntropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.5), loss=loss)
    x = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, np.arange(16) % 4)).batch(16)
    before = model.evaluate(data, verbose=0)
    model.fit(data, epochs=3, verbose=0)
    return [before, model.evaluate(data, verbose=0)]

mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert mirrored.num_replicas_in_sync == 2
one, two = trained(tf.distribute.get_strategy()), trained(mirrored)
assert one[1] < one[0]
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
