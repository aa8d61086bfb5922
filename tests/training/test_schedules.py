"""The callback that shifts weight from the region to the boundary."""

import keras
import numpy as np
import pytest

from tfrobustloss import losses
from tfrobustloss.training import ShiftToBoundary


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


def test_refused():
    with pytest.raises(TypeError, match=r"ShiftToBoundary: `weight` must be"):
        ShiftToBoundary(0.1)
    weight = keras.Variable(0.0, trainable=False)
    with pytest.raises(ValueError, match=r"ShiftToBoundary: `end` .* end=2"):
        ShiftToBoundary(weight, end=2)
