"""Values of the general robust loss, its limits, and its normaliser."""

import json
import math

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import finite_differences, needs_float64
from tests.losses.values import PRINTED, numpy
from tfrobustloss import losses
from tfrobustloss._core import backend
from tfrobustloss._core.backend import value_and_gradient
from tfrobustloss.losses import GeneralRobust, general_robust
from tfrobustloss.losses.other_tasks import regression

INF = math.inf


def formula(x, alpha):
    """The paper's formula and its limits, in float64."""
    s = np.square(np.float64(x))
    if alpha == 2:
        return s / 2
    if alpha == 0:
        return np.log(s / 2 + 1)
    if alpha == -INF:
        return 1 - np.exp(-s / 2)
    if alpha == INF:
        return np.exp(s / 2) - 1
    gap = abs(alpha - 2)
    return gap / alpha * ((s / gap + 1) ** (alpha / 2) - 1)


def both_ways(x, alpha, scale=1.0, **options):
    """rho for alpha as a number and as a tensor, float64 if asked."""
    x = np.asarray(x, options.pop("dtype", "float32"))
    zeros = np.zeros_like(x)
    tensor = ops.convert_to_tensor(alpha, x.dtype.name)
    return [
        numpy(general_robust(zeros, x, each, scale, **options))
        for each in (alpha, tensor)
    ]


@pytest.mark.parametrize(
    ("alpha", "at_1", "at_3"),
    [
        # field.md 1a
        (2, 0.5, 4.5),
        (1, 0.414214, 2.162278),
        (0, 0.405465, 1.704748),
        (-1, 0.401924, 1.5),  # 3: by hand, 3 * (1 - 1 / 2)
        (-2, 0.4, 1.384615),
        (-INF, 0.393469, 0.988891),
        # by hand: exp(.5) - 1; 2 / 4 * ((1 / 2 + 1)² - 1) = .625, and so on
        (INF, 0.648721, 89.017131),
        (4, 0.625, 14.625),
    ],
)
def test_values(alpha, at_1, at_3):
    for value in both_ways([1.0, -1.0, 3.0], alpha):
        np.testing.assert_allclose(value, [at_1, at_1, at_3], rtol=1e-6, atol=PRINTED)
    # an error of 3 at a scale of 3, 9 at a scale of 3
    for value in both_ways([3.0, 9.0], alpha, 3.0):
        np.testing.assert_allclose(value, [at_1, at_3], rtol=2e-6, atol=PRINTED)
    loss = GeneralRobust(alpha, 0.5)
    value = float(loss(np.float32([[1.0, 2.0]]), np.float32([[1.5, 0.5]])))
    assert value == pytest.approx((at_1 + at_3) / 2, rel=1e-5)


ROUNDS = keras.backend.backend() == "torch"  # Keras' float64 there, in parts
ALPHAS = [-INF, -1e6, -20, -2, -0.3, -1e-3, -1e-7, 0, 1e-7, 1e-3, 0.4, 1, 1.001, 1.7]
ALPHAS += [2 - 1e-3, 2 - 1e-6, 2, 2 + 1e-6, 2 + 1e-3, 3, 7, INF]
X = np.array([0.0, 1e-6, 1e-3, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0])


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_formula_near_and_at_its_limits(alpha):
    limits = {1e-7: 0, -1e-7: 0}  # where the naive formula has 9 digits less
    expected = formula(X, limits.get(alpha, alpha))
    if 0 < abs(alpha - 2) < 1e-5:  # as the formula would have it with more digits
        gap, s = abs(alpha - 2), X**2
        expected = s / 2 - (2 - alpha) / 4 * s * (np.log1p(s / gap) - 1)
        expected = np.where(s > 0, expected, 0)
    small = X < 1e-2
    expected = np.where(small, X**2 / 2, expected)  # where it cancels
    for value in both_ways(X, alpha):
        np.testing.assert_allclose(value, expected, rtol=4e-5, atol=1e-30)
    if 0 < abs(alpha - 2) < 1e-5 or not 1e-6 < abs(alpha) <= 20 or ROUNDS:
        return
    with backend.double_precision():
        for value in both_ways(X, alpha, dtype="float64"):
            np.testing.assert_allclose(value[~small], expected[~small], rtol=1e-9)


@needs_float64
@pytest.mark.parametrize("normalized", [False, True])
def test_gradients_in_all_three(normalized):
    """Of a tensor alpha, the scale and the prediction, against differences."""
    random = np.random.default_rng(0)
    alphas = [0.05, 0.3, 0.9, 1.1, 1.6, 1.95]
    if not normalized:
        alphas += [-30.0, -2.0, -0.4, -0.01, 0.01, 2.2, 5.0]
    alpha = np.array(alphas)
    scale = random.uniform(0.3, 3, alpha.shape)
    y_pred = random.normal(0, 2, (4, len(alpha)))
    y_true = np.zeros_like(y_pred)

    def loss(y_pred, alpha, scale):
        return general_robust(y_true, y_pred, alpha, scale, normalized)

    with backend.double_precision():
        given = (y_pred, alpha, scale)
        gradients = value_and_gradient(loss, *given)[1]
        for i, received in enumerate(gradients):

            def moved(x, i=i):
                tensors = [x if i == j else each for j, each in enumerate(given)]
                return numpy(loss(*map(ops.convert_to_tensor, tensors)))

            expected = finite_differences(moved, given[i], 1e-6)
            np.testing.assert_allclose(received, expected, rtol=2e-6, atol=1e-8)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
def test_the_slope_in_alpha_at_its_seams(alpha):
    """Finite at the seams, and at 0 and 1 the same on both sides."""
    x = np.float32([[0.0, 0.5, 3.0, 100.0]])

    def loss(alpha):
        return general_robust(np.zeros_like(x), x, alpha)

    near = np.float32([alpha - 1e-3, alpha, alpha + 1e-3])
    slopes = [value_and_gradient(loss, each)[1][0] for each in near]
    assert np.isfinite(slopes).all()
    if alpha < 2:  # where it is infinite, as -log(b)
        np.testing.assert_allclose(slopes[::2], [slopes[1]] * 2, rtol=2e-2)


FAR = [1e10, 1e15, 1e30, 3e38, -3e38]


@pytest.mark.parametrize("alpha", [-INF, -2.0, 0.0, 0.5, 1.0, 2.0, 2.0001, 6.0, INF])
def test_finite_anywhere(alpha):
    far = np.float32([*FAR, *FAR, 0.0, 1e-38])[:, None]
    y_true = np.float32([0] * 5 + [-3e38] * 3 + [3e38] * 2 + [0, 0])[:, None]
    for scale in (1e-6, 1.0, 1e6):
        for number in (True, False):

            def loss(y_pred, alpha, scale, number=number, fixed=(alpha, scale)):
                given = fixed if number else (alpha, scale)
                return general_robust(y_true, y_pred, *given)

            given = np.float32(alpha), np.float32(scale)
            value, gradients = value_and_gradient(loss, far, *given)
            assert np.isfinite(value).all()
            for gradient in gradients:
                assert np.isfinite(gradient).all(), (scale, number)


def test_what_is_too_far_still_has_a_slope():
    y_pred = np.float32([[1e20], [-3e38]])
    zeros = np.zeros_like(y_pred)
    slope = value_and_gradient(lambda y: general_robust(zeros, y, 1.0, 2.0), y_pred)
    np.testing.assert_allclose(slope[1][0], [[0.5], [-0.5]])


def test_named_members():
    named = {
        "charbonnier": 1.0,
        "cauchy": 0.0,
        "geman_mcclure": -2.0,
        "welsch": -INF,
    }
    for name, alpha in named.items():
        loss = getattr(GeneralRobust, name)(0.5, reduction="sum")
        assert (loss.name, loss.alpha, loss.scale) == (name, alpha, 0.5)
        assert loss.reduction == "sum"
        again = keras.losses.deserialize(
            json.loads(json.dumps(keras.losses.serialize(loss)))
        )
        assert again.get_config() == loss.get_config()
        assert getattr(GeneralRobust, name)(name="mine").name == "mine"


def test_pseudo_huber_and_keras_losses():
    x = np.linspace(-5, 5, 21, dtype="float32")[:, None]
    zeros = np.zeros_like(x)
    squared = keras.losses.MeanSquaredError(reduction=None)(zeros, x)
    ours = GeneralRobust(2.0, reduction=None)(zeros, x)
    np.testing.assert_allclose(numpy(ours), numpy(squared) / 2, rtol=1e-6)
    # 2 delta² of Huber's tails: the same slope, delta, far out
    slope = value_and_gradient(
        lambda y: 0.5**2 * general_robust(zeros, y, 1.0, 0.5), 1e4 * x
    )[1][0]
    expected = value_and_gradient(lambda y: keras.losses.huber(zeros, y, 0.5), 1e4 * x)[
        1
    ][0]
    np.testing.assert_allclose(slope, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "shape"),
    [
        ((5,), (5,), (5,)),
        ((5,), (5, 1), (5,)),
        ((5, 1), (5,), (5,)),
        ((5, 3), (5, 3), (5,)),
        ((5, 4, 3), (5, 4, 3, 1), (5, 4, 3)),
        ((5, 4, 3, 2), (5, 4, 3, 2), (5, 4, 3)),
    ],
)
def test_shapes(y_true, y_pred, shape):
    random = np.random.default_rng(0)
    y_true, y_pred = (random.normal(size=s).astype("float32") for s in (y_true, y_pred))
    values = numpy(general_robust(y_true, y_pred, 0.5))
    assert values.shape == shape
    error = y_true.reshape(-1) - y_pred.reshape(-1)
    expected = formula(error, 0.5).reshape(*shape, -1).mean(-1)
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_weights_of_rows_of_one_number():
    loss = GeneralRobust(2.0)
    value = loss(np.float32([1, 2]), np.float32([2, 4]), np.float32([0, 1]))
    assert float(value) == 1.0  # by hand: (0 * .5 + 1 * 2) / 2
    # padding is not looked at
    value = loss(np.float32([np.nan, 2]), np.float32([2, 4]), np.float32([0, 1]))
    assert float(value) == 1.0


def test_a_shape_and_scale_for_each_output():
    y_pred = np.float32([[1, 3], [2, 9]])
    alpha, scale = np.float32([0, -2]), np.float32([1, 3])
    value = general_robust(np.zeros_like(y_pred), y_pred, alpha, scale)
    expected = [
        (formula(1, 0) + formula(1, -2)) / 2,
        (formula(2, 0) + formula(3, -2)) / 2,
    ]
    np.testing.assert_allclose(numpy(value), expected, rtol=1e-5)


# by hand: sqrt(2 pi); 2 e K_1(1), K_1(1) = 0.6019072302; pi sqrt(2)
KNOWN = {2.0: math.sqrt(2 * math.pi), 1.0: 2 * math.e * 0.6019072301972346}
KNOWN[0.0] = math.pi * math.sqrt(2)


def test_the_normalizer_where_it_is_known():
    for alpha, z in KNOWN.items():
        received = float(numpy(regression.log_normalizer(alpha)))
        assert received == pytest.approx(math.log(z), abs=2e-7)
    value = general_robust([0.0], [3.0], 0.0, 2.0, normalized=True)
    expected = formula(1.5, 0) + math.log(2) + math.log(KNOWN[0.0])
    assert float(value[0]) == pytest.approx(expected, rel=1e-6)


def test_the_normalizer_is_the_integral():
    integrate = pytest.importorskip("scipy.integrate")
    alphas = [0.01, 0.1, 0.37, 0.8, 1.0, 1.3, 1.77, 1.99, 1.9999, 2 - 1e-6]
    expected = []
    for alpha in alphas:

        def density(y, alpha=alpha):  # x = sinh(y), whose tails are short
            with np.errstate(over="ignore"):
                return np.exp(-formula(np.sinh(y), alpha)) * np.cosh(y)

        parts = [integrate.quad(density, a, b) for a, b in ((0, 3), (3, 20), (20, 60))]
        expected.append(math.log(2 * sum(part[0] for part in parts)))
    alphas = np.array(alphas)
    received = numpy(regression.log_normalizer(alphas.astype("float32")))
    np.testing.assert_allclose(received, expected, rtol=0, atol=5e-7)
    with backend.double_precision():
        received = numpy(regression.log_normalizer(alphas, "float64"))
    atol = 5e-7 if ROUNDS else 2e-9
    np.testing.assert_allclose(received, expected, rtol=0, atol=atol)


@needs_float64
def test_the_normalizer_is_smooth():
    alphas = np.concatenate([np.linspace(0, 2, 400)[1:-1], 2 - np.logspace(-5, -2, 20)])
    with backend.double_precision():
        slope = value_and_gradient(
            lambda a: regression.log_normalizer(a, "float64"), alphas
        )[1][0]
        step = 1e-3 * (2 - alphas) * alphas
        moved = [
            numpy(regression.log_normalizer(alphas + sign * step, "float64"))
            for sign in (1, -1)
        ]
    np.testing.assert_allclose(slope, (moved[0] - moved[1]) / (2 * step), atol=2e-5)
    assert (slope < 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GeneralRobust(math.nan), r"`alpha` must be in \[-inf, inf\].*nan"),
        (lambda: GeneralRobust(1.0, 0), r"`scale` must be in \[1e-07.*=0"),
        (lambda: GeneralRobust(-1, normalized=True), r"`alpha` must be in \[0, 2\]"),
        (lambda: general_robust([1.0], [2.0], normalized="yes"), "`normalized`"),
        (lambda: general_robust([1.0], [2.0], [0.0, math.nan]), "`alpha` must be"),
        (lambda: general_robust([[1.0]], [[2.0]], 0, [1, -1]), "`scale`.*-1"),
        (lambda: general_robust([[1.0, 2]], [[2.0]]), "`y_true` must be of the shape"),
        (lambda: general_robust([math.inf], [2.0]), "`y_true` must be finite"),
    ],
)
def test_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_trains_with_sequences_of_unknown_length():
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), GeneralRobust.cauchy())
    x = np.random.default_rng(0).normal(size=(8, 5, 2)).astype("float32")
    history = model.fit(x, x.sum(-1), epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_shape_and_scale_as_variables():
    alpha = keras.Variable(2.0, trainable=False)
    loss = losses.GeneralRobust(alpha=alpha)
    assert float(loss([0.0], [3.0])) == pytest.approx(4.5)
    alpha.assign(-2.0)
    assert float(loss([0.0], [3.0])) == pytest.approx(18 / 13)
    assert loss.get_config()["alpha"] == -2.0
