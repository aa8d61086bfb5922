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

# `tests/losses/test_interoperability.py` saves and loads every loss; here one of each
# kind of arguments: numbers, a list, a matrix, another loss, two others
ROWS_BY_KIND = [
    next(row for row in ROWS if row.loss_class is each)
    for each in (
        losses.BiTemperedLogistic,
        losses.Focal,
        losses.ForwardCorrection,
        losses.LogitClip,
        losses.ActivePassive,
    )
]


def compiled(loss):
    """A network that ends as the loss wants it, trained for one step."""
    keras.utils.set_random_seed(1)
    last = []
    if not getattr(loss, "from_logits", False):
        tempered = isinstance(loss, losses.BiTemperedLogistic)
        last = [layers.TemperedSoftmax(loss.t2) if tempered else keras.layers.Softmax()]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(CLASSES), *last])
    model.compile(keras.optimizers.Adam(0.01), loss, run_eagerly=True)
    return model


@pytest.mark.parametrize("row", ROWS_BY_KIND, ids=lambda row: row.name)
def test_training_goes_on_after_loading(row, tmp_path):
    loss = row.build()
    model = compiled(loss)
    try:
        model.train_on_batch(X, Y)
    except ValueError as error:
        if "classes" not in str(error):
            raise
        pytest.skip(f"the row is for another number of classes: {error}")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.loss) is type(model.loss)
    assert again.run_eagerly
    # the second step needs Adam's state, the third shows what the second did
    for _ in range(3):
        received = again.train_on_batch(X, Y)
        assert received == model.train_on_batch(X, Y)
        assert np.isfinite(received)


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
    model = compiled(loss)
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
