"""The gradient penalty, with the backend's own gradients through it."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import finite_differences
from tests.losses.values import numpy
from tfrobustloss import _backend
from tfrobustloss.training import gradient_penalty

RANDOM = np.random.default_rng(0)
REAL, FAKE = RANDOM.normal(0, 1, (2, 8, 3)).astype("float32")


@pytest.mark.parametrize(
    ("w", "one_sided", "expected"),
    [
        # by hand: a linear critic's slope is w, everywhere
        ([3.0, 0.0, 4.0], False, 10 * (5 - 1) ** 2),
        ([3.0, 0.0, 4.0], True, 10 * (5 - 1) ** 2),
        ([0.3, 0.4, 0.0], False, 10 * (0.5 - 1) ** 2),
        ([0.3, 0.4, 0.0], True, 0),
        ([0.0, 0.0, 0.0], False, 10),  # a flat critic
    ],
)
def test_a_linear_critic(w, one_sided, expected):
    w = np.float32(w)[:, None]

    def penalty(w):
        return gradient_penalty(
            lambda x: ops.matmul(x, w), REAL, FAKE, one_sided=one_sided
        )

    value, (slope,) = _backend.value_and_gradient(penalty, w)
    np.testing.assert_allclose(value, expected, rtol=1e-4)  # the root of 1e-10
    norm = np.linalg.norm(w)
    excess = max(norm - 1, 0) if one_sided else norm - 1
    by_hand = 20 * excess * w / norm if norm else 0 * w
    np.testing.assert_allclose(slope, by_hand, rtol=1e-5, atol=1e-6)


def test_weight_scales_and_no_influence_is_a_flat_critic():
    constant = gradient_penalty(lambda x: ops.zeros((8, 1)), REAL, FAKE, weight=0.5)
    np.testing.assert_allclose(numpy(constant), 0.5, rtol=1e-4)


@pytest.mark.parametrize("how", ["eager", "graph", "xla"])
def test_second_order_against_finite_differences(how):
    w = RANDOM.normal(0, 1, 8).astype("float32")

    def penalty(w):
        parts = ops.reshape(w[:6], (3, 2)), ops.reshape(w[6:], (2, 1))

        def critic(x):
            return ops.matmul(ops.tanh(ops.matmul(x, parts[0])), parts[1])

        # both the same: whatever u is drawn, which XLA does in a way of its own
        return gradient_penalty(critic, REAL, REAL, seed=0)

    function = _backend.with_gradient(penalty)
    if how != "eager":
        function = _backend.compiled(function, xla=how == "xla")
    _, (slope,) = function(ops.convert_to_tensor(w))
    expected = finite_differences(
        lambda w: numpy(penalty(ops.convert_to_tensor(w.astype("float32")))), w, 1e-2
    )
    np.testing.assert_allclose(numpy(slope), expected, rtol=2e-2, atol=5e-2)


def test_points_lie_between_real_and_generated_one_draw_each():
    seen = []

    def critic(x):
        seen.append(ops.stop_gradient(x))
        return ops.sum(x, axis=-1)

    gradient_penalty(critic, np.zeros((64, 5)), np.ones((64, 5)), seed=0)
    (x,) = map(numpy, seen)
    assert np.ptp(x, axis=-1).max() == 0  # one u an example
    assert 0 <= x.min() < 0.1 < 0.9 < x.max() <= 1
    assert len(np.unique(x[:, 0])) > 50


def _gradients(model, loss):
    """Loss and gradients in a model's weights, the way its backend trains."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss(model)
        return value, tape.gradient(value, model.trainable_variables)
    if keras.backend.backend() == "jax":
        import jax

        others = [v.value for v in model.non_trainable_variables]

        def of_weights(weights):
            return loss(lambda x: model.stateless_call(weights, others, x)[0])

        weights = [v.value for v in model.trainable_variables]
        return jax.value_and_grad(of_weights)(weights)
    value = loss(model)
    model.zero_grad()
    value.backward()
    return value, [v.value.grad for v in model.trainable_variables]


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_model_learns_a_slope_of_1(policy):
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(4, 3, activation="tanh", dtype=policy),
            keras.layers.Flatten(dtype=policy),
            keras.layers.Dense(1, use_bias=False, dtype=policy),
        ]
    )
    real, fake = RANDOM.normal(0, 1, (2, 8, 4, 4, 1)).astype("float32")
    optimizer = keras.optimizers.Adam(0.02)
    values = []
    for _ in range(12):
        value, slopes = _gradients(
            model, lambda critic: gradient_penalty(critic, real, fake, seed=0)
        )
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
        assert all(np.isfinite(numpy(each)).all() for each in slopes)
        optimizer.apply(slopes, model.trainable_variables)
        values.append(float(numpy(value)))
    assert values[-1] < values[0] / 2


def test_the_generator_gets_no_gradient():
    def penalty(fake):
        return gradient_penalty(lambda x: ops.sum(x**3, axis=-1), REAL, fake, seed=0)

    _, (slope,) = _backend.value_and_gradient(penalty, FAKE)
    np.testing.assert_array_equal(slope, 0)


def test_refused():
    with pytest.raises(ValueError, match=r"`weight` must be .* weight=-1"):
        gradient_penalty(lambda x: x, REAL, FAKE, weight=-1)
    with pytest.raises(ValueError, match=r"`fake` must be of the shape of `real`"):
        gradient_penalty(lambda x: x, REAL, FAKE[:, :2])
