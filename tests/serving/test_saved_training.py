"""Models compiled with our losses: saved, loaded, trained further, then exported."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.losses.rows import ROWS
from tests.losses.values import numpy
from tfrobustloss import layers, losses, serving

CLASSES = 4
_random = np.random.default_rng(0)
X = _random.normal(size=(16, 3)).astype("float32")
Y = np.arange(16) % CLASSES

# one loss for each kind of arguments: that all of them come back from a file, with the
# same values, is tested in `tests/losses/test_interoperability.py`
FIRST_ROWS = {}
for row in ROWS:
    kinds = sorted(type(value).__name__ for value in row.arguments.values())
    FIRST_ROWS.setdefault(tuple(kinds), row)


def _last(loss, name=None):
    """The layer that a network for a loss ends in."""
    if getattr(loss, "from_logits", False):
        return keras.layers.Identity(name=name)
    if isinstance(loss, losses.BiTemperedLogistic):
        return layers.TemperedSoftmax(loss.t2, name=name)
    return keras.layers.Softmax(name=name)


def test_training_goes_on_after_loading(tmp_path):
    """Each loss at a head of its own of one model."""
    by_head = {f"head{i}": row.build() for i, row in enumerate(FIRST_ROWS.values())}
    assert len(by_head) > 10
    inputs = keras.Input((3,))
    outputs = {
        name: _last(loss, name)(keras.layers.Dense(CLASSES)(inputs))
        for name, loss in by_head.items()
    }
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.01), by_head, run_eagerly=True)
    labels = dict.fromkeys(by_head, Y)
    model.train_on_batch(X, labels)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert {name: type(loss) for name, loss in again.loss.items()} == {
        name: type(loss) for name, loss in by_head.items()
    }
    assert again.run_eagerly
    # the second step needs Adam's state, the third shows what the second did
    for _ in range(3):
        received = again.train_on_batch(X, labels, return_dict=True)
        assert received == model.train_on_batch(X, labels, return_dict=True)
        assert set(received) > {f"{name}_loss" for name in by_head}
        assert np.isfinite(list(received.values())).all()


@pytest.mark.parametrize(
    "loss",
    [
        losses.BiTemperedLogistic(0.8, 1.3, from_logits=True),
        losses.BiTemperedLogistic(0.8, 1.3),
        losses.GeneralizedCrossEntropy(from_logits=True),
    ],
    ids=["tempered_logits", "tempered_layer", "logits"],
)
def test_export_after_loading(loss, tmp_path):
    keras.utils.set_random_seed(1)
    inputs = [keras.Input((3,)), keras.layers.Dense(CLASSES)]
    model = keras.Sequential([*inputs, _last(loss)])
    model.compile(keras.optimizers.Adam(0.01), loss, run_eagerly=True)
    model.train_on_batch(X, Y)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    again.fit(X, Y, epochs=1, verbose=0)
    version = serving.export(again, tmp_path / "served")
    serve = tf.saved_model.load(version).signatures["serving_default"]
    received = numpy(serve(inputs=tf.constant(X))["probabilities"])
    outputs = again(X)
    want = loss.activation(outputs) if loss.from_logits else outputs
    np.testing.assert_allclose(received, numpy(want), atol=1e-6)
    assert not np.allclose(numpy(outputs), numpy(model(X)))
