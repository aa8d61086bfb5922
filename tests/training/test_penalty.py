"""The gradient penalty, with the backend's own gradients through it."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import finite_differences
from tests.losses.values import numpy
from tfrobustloss._core import backend
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

    value, (slope,) = backend.value_and_gradient(penalty, w)
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

    function = backend.with_gradient(penalty)
    if how != "eager":
        function = backend.compiled(function, xla=how == "xla")
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

    _, (slope,) = backend.value_and_gradient(penalty, FAKE)
    np.testing.assert_array_equal(slope, 0)


def test_huge_slopes_stay_finite():
    for size in 1e16, 1e20, 3e38:
        w = np.float32([[size], [-size], [0.0]])

        def penalty(w):
            return gradient_penalty(lambda x: ops.matmul(x, w), REAL, FAKE)

        value, (slope,) = backend.value_and_gradient(penalty, w)
        assert np.isfinite(value)
        assert value >= 1e30
        assert np.isfinite(slope).all()
        # it leads back: each weight grows no further
        assert (slope[:2] * w[:2] > 0).all()
        assert slope[2] == 0


def test_large_slopes_are_exact():
    w = np.float32([[3e9], [4e9], [0.0]])
    value = gradient_penalty(lambda x: ops.matmul(x, w), REAL, FAKE)
    np.testing.assert_allclose(numpy(value), 10 * 5e9**2, rtol=1e-6)


@pytest.mark.parametrize("how", ["eager", "graph"])
def test_an_empty_batch(how):
    def penalty(w):
        return gradient_penalty(lambda x: ops.matmul(x, w), REAL[:0], FAKE[:0], seed=0)

    function = backend.with_gradient(penalty)
    if how != "eager":
        function = backend.compiled(function)
    value, (slope,) = function(ops.ones((3, 1)))
    assert numpy(value) == 0
    np.testing.assert_array_equal(numpy(slope), 0)


def _traced(real, fake):
    """The penalty as a TensorFlow program of these two signatures."""
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("other backends know every shape")
    signature = [tf.TensorSpec(shape) for shape in (real, fake)]

    @tf.function(input_signature=signature)
    def program(real, fake):
        return gradient_penalty(lambda x: ops.square(x)[:, 0, 0, 0] / 2, real, fake)

    return program


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        ((None, None, None, 1), (8, 4, 4, 1)),
        ((8, 4, 4, 1), (None, None, None, 1)),
        ((None, 4, 4, 1), (None, None, None, None)),
    ],
)
def test_dimensions_that_only_the_run_knows(real, fake):
    program = _traced(real, fake)
    images = np.full((8, 4, 4, 1), 3, "float32")
    np.testing.assert_allclose(numpy(program(images, images)), 40, rtol=1e-6)
    if None in (real[0], fake[0]):
        lengths = [1 if shape[0] is None else 8 for shape in (real, fake)]
        lengths = lengths if 8 in lengths else [8, 1]
        with pytest.raises(Exception, match="[Ii]nput|shape"):
            program(*(images[:length] for length in lengths))


def test_a_shape_of_unknown_rank():
    with pytest.raises(ValueError, match=r"`fake` must be of a known number of axes"):
        _traced((8, 4, 4, 1), None)(np.zeros((8, 4, 4, 1)), np.zeros((8, 4, 4, 1)))


@pytest.mark.parametrize(("real", "fake"), [(8, 5), (8, 1), (1, 8)])
def test_batches_of_two_lengths(real, fake):
    message = rf"`fake` must be .*\({real}, 3\).*fake=\({fake}, 3\)"
    with pytest.raises(ValueError, match=message):
        gradient_penalty(lambda x: x[:, 0], REAL[:real], FAKE[:fake])


def test_refused():
    with pytest.raises(TypeError, match=r"`one_sided` must be True or False"):
        gradient_penalty(lambda x: x[:, 0], REAL, FAKE, one_sided="no")
    with pytest.raises(ValueError, match=r"`weight` must be .* weight=-1"):
        gradient_penalty(lambda x: x, REAL, FAKE, weight=-1)
    with pytest.raises(ValueError, match=r"`fake` must be of the shape of `real`"):
        gradient_penalty(lambda x: x, REAL, FAKE[:, :2])


def _critic(*names, **options):
    """A linear critic of inputs of 3 numbers each, with slope 2 in every number."""
    inputs = {name: keras.Input((3,), name=name) for name in names}
    both = keras.layers.Concatenate()(list(inputs.values()))
    layer = keras.layers.Dense(1, kernel_initializer=lambda *_, **__: TWOS, **options)
    return keras.Model(inputs if "image" in names else [*inputs.values()], layer(both))


TWOS = np.full((6, 1), 2, "float32")
LABELS = np.ones_like(REAL)


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        ([REAL, LABELS], [FAKE, LABELS]),
        ((REAL, LABELS[:, :1]), (FAKE, LABELS[:, :1])),
        ({"image": REAL, "label": LABELS}, {"image": FAKE, "label": LABELS}),
    ],
    ids=["list", "tuple", "dict"],
)
def test_several_inputs_are_told_the_lambda(real, fake):
    message = r"`real` must be one array.* of shapes .*lambda x: critic\(\[x, labels"
    with pytest.raises(TypeError, match=message):
        gradient_penalty(_critic("a", "b"), real, fake)
    with pytest.raises(TypeError, match="`fake` must be one array"):
        gradient_penalty(_critic("a", "b"), REAL, fake)
    with pytest.raises(ValueError, match=r"`critic` must be .*one input.*lambda x: "):
        gradient_penalty(_critic("a", "b"), REAL, FAKE)


def test_the_lambda_of_several_inputs_works():
    expected = 10 * (2 * np.sqrt(3) - 1) ** 2  # the slope in one of them
    critic, named = _critic("a", "b"), _critic("image", "label")
    labels = ops.convert_to_tensor(LABELS)
    for function in (
        lambda x: critic([x, labels]),
        lambda x: named({"image": x, "label": labels}),
    ):
        value = gradient_penalty(function, REAL, FAKE)
        np.testing.assert_allclose(numpy(value), expected, rtol=1e-5)


def test_rows_of_numbers_are_one_array():
    value = gradient_penalty(lambda x: 3 * x[:, 0], [[0.0, 1.0]], [[1.0, 1.0]])
    np.testing.assert_allclose(numpy(value), 40, rtol=1e-6)


@pytest.mark.parametrize("output", [lambda x: [x, x], lambda x: None])
def test_a_critic_returns_one_tensor(output):
    message = r"`critic` must be a function that returns one tensor.*critic\(x\)\[0\]"
    with pytest.raises(TypeError, match=message):
        gradient_penalty(output, REAL, FAKE)
