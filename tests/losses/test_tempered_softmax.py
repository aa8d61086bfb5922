"""The tempered softmax against an independent bisection in float64."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import finite_differences, gradient, needs_float64
from tests.losses.values import log_softmax, numpy
from tfrobustloss._core.backend import compiled, double_precision
from tfrobustloss.losses import exp_t, log_t, tempered_softmax

TEMPERATURES = [
    0.001, 0.1, 0.2, 0.5, 0.8, 0.9, 1 - 1e-6, 1, 1 + 1e-7, 1.05, 1.2, 1.5, 2, 3, 4, 5,
]  # fmt: skip
CLASSES = [2, 10, 100, 1000]


def bisected(logits, temperature):
    """Tempered softmax of float64 logits: exp_t(a - lambda), lambda by bisection."""
    gap = np.max(logits, axis=-1, keepdims=True) - np.asarray(logits, "float64")
    s = temperature - 1.0

    def probabilities(nu):
        if s == 0:
            return np.exp(-(nu + gap))
        scaled = s * (nu + gap)
        inside = scaled > -1
        return np.where(inside, np.exp(-np.log1p(np.where(inside, scaled, 0)) / s), 0.0)

    # nu is largest for equal logits, where each class has 1 / classes
    log_count = np.log(gap.shape[-1])
    low = np.zeros(gap.shape[:-1] + (1,))
    high = low + (log_count if s == 0 else np.expm1(s * log_count) / s)
    for _ in range(200):
        middle = (low + high) / 2
        if ((middle == low) | (middle == high)).all():
            break  # nothing lies between
        above = probabilities(middle).sum(-1, keepdims=True) > 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    p = probabilities((low + high) / 2)
    return p / p.sum(-1, keepdims=True)


def families(num_classes):
    """Dict of rows of logits, of every shape that a network may produce."""
    generator = np.random.default_rng(num_classes)
    size = (4, num_classes)
    rows = {
        f"normal {scale}": generator.normal(0, scale, size)
        for scale in (0.1, 0.3, 1, 3, 10, 30, 100)
    }
    rows["uniform 100"] = generator.uniform(-100, 100, size)
    rows["uniform 1e4"] = generator.uniform(-1e4, 1e4, size)
    rows["equal"] = np.array([[0.0], [-7.5], [1e4]]) + np.zeros(num_classes)
    one = np.eye(num_classes)[:1]
    rows["one dominating"] = np.concatenate([one * 3, one * 20, one * 1e3, -one * 50])
    rows["ties"] = generator.integers(-2, 3, size) * 2.5
    many = np.arange(num_classes) < max(1, num_classes // 2)
    rows["two levels"] = np.array([[0.5], [4.0], [40.0]]) * many
    rows["ladder"] = -np.array([[0.05], [1.0]]) * np.arange(num_classes)
    rows["geometric"] = -(
        np.array([[1.05], [2.0]]) ** np.minimum(np.arange(num_classes), 60)
    )
    rows["exponential"] = -generator.exponential(5.0, size)
    return {name: values.astype("float32") for name, values in rows.items()}


def check_exact(logits, temperature, received, bar, expected=None):
    """Asserts the sums and the entries, of `bisected` unless these are given."""
    if expected is None:
        expected = bisected(logits.astype("float64"), float(temperature))
    p = received.astype("float64")
    off = np.abs(p.sum(-1) - 1).max(-1)
    error = np.abs(p - expected).max(-1).max(-1)
    assert np.isfinite(p).all()
    assert (p >= 0).all()
    assert off <= bar, f"sum of p is off by {off:.1e}"
    assert error <= bar, f"p is off by {error:.1e}"


@pytest.mark.parametrize("num_classes", CLASSES)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_exact_to_float32(temperature, num_classes):
    # the bar of the issue: |sum p - 1| and every error at most 1e-5
    cases = families(num_classes)
    logits = np.concatenate(list(cases.values()))
    given_as = [temperature]
    if num_classes == 10:  # a variable takes the same path for any number of classes
        given_as.append(keras.Variable(temperature, trainable=False))
    for given in given_as:
        # float32 rounds the variable: its own exact values
        exact = given if given is temperature else float(numpy(given))
        received = numpy(tempered_softmax(logits, given))
        expected = bisected(logits, exact)
        start = 0
        for name, rows in cases.items():
            part = slice(start, start + len(rows))
            start = part.stop
            try:
                check_exact(rows, exact, received[part], 1e-5, expected[part])
            except AssertionError as problem:
                raise AssertionError(f"{name}, {type(given)}: {problem}") from None


@pytest.mark.parametrize("temperature", [0.05, 0.3, 0.7, 0.98, 1.02, 1.11, 2.5, 4.7])
def test_exact_between_the_round_temperatures(temperature):
    logits = np.concatenate(list(families(100).values()))
    received = numpy(tempered_softmax(logits, temperature))
    check_exact(logits, temperature, received, 1e-5)


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        # losses.md A10, high precision, logits (2, 0, -1)
        (1.2, [0.76593897, 0.15346735, 0.08059368]),
        (4, [0.35496431, 0.32792263, 0.31711306]),
        (0.8, [0.92356599, 0.06806031, 0.00837371]),
        (0.5, [1.0, 0.0, 0.0]),
        (1, [0.84379473, 0.11419520, 0.04201007]),  # losses.md: the softmax
    ],
)
def test_values(temperature, expected):
    p = numpy(tempered_softmax([[2.0, 0.0, -1.0]], temperature))
    np.testing.assert_allclose(p, [expected], atol=1e-7)
    by_bisection = bisected(np.array([[2.0, 0.0, -1.0]]), temperature)
    np.testing.assert_allclose(by_bisection, [expected], atol=6e-9)


@pytest.mark.parametrize("temperature", [1 - 1e-6, 1 - 1e-9, 1.0, 1 + 1e-9, 1 + 1e-6])
def test_limit_is_the_softmax(temperature):
    # the difference is of order |t - 1| (log p)**2 p, far below float32 here
    logits = np.random.default_rng(0).normal(0, 3, (20, 10)).astype("float32")
    expected = np.exp(log_softmax(logits))
    p = numpy(tempered_softmax(logits, temperature))
    np.testing.assert_allclose(p, expected, atol=1e-6)


@needs_float64
@pytest.mark.parametrize("temperature", [0.3, 0.8, 1.0, 1.2, 2.0, 3.3, 5.0])
def test_float64(temperature):
    with double_precision():
        for num_classes in (3, 100):
            logits = np.concatenate(list(families(num_classes).values()))
            logits = ops.convert_to_tensor(logits, "float64")
            p = tempered_softmax(logits, temperature)
            assert keras.backend.standardize_dtype(p.dtype) == "float64"
            # 1e-12 stands for t - 1 = 0, and squared logarithms multiply it
            bar = 1e-11 if temperature == 1 else 1e-13
            check_exact(numpy(logits), temperature, numpy(p), bar)


@needs_float64
@pytest.mark.parametrize("temperature", [1 + 1e-7, 1.2 + 1e-7, 3 + 1e-7, 0.5 - 1e-7])
def test_float64_near_a_shortcut(temperature):
    # the shortcut for whole powers must not stand in for its neighbours
    logits = np.random.default_rng(0).normal(0, 30, (20, 10))
    with double_precision():
        tensor = ops.convert_to_tensor(logits, "float64")
        p = numpy(tempered_softmax(tensor, temperature))
    check_exact(logits, temperature, p, 1e-12)


@pytest.mark.parametrize(
    ("dtype", "rounding"), [("float16", 2**-11), ("bfloat16", 2**-8)]
)
@pytest.mark.parametrize("temperature", [0.5, 1, 1.2, 4])
def test_half_precision(dtype, rounding, temperature):
    # only the result is rounded: relative error of half a unit in the last place
    logits = np.random.default_rng(0).normal(0, 3, (20, 10))
    logits = ops.cast(logits, dtype)
    p = tempered_softmax(logits, temperature)
    assert keras.backend.standardize_dtype(p.dtype) == dtype
    expected = bisected(numpy(ops.cast(logits, "float32")), temperature)
    actual = numpy(ops.cast(p, "float32"))
    # 6e-8: the smallest number of float16; 1e-6: float32's share
    np.testing.assert_allclose(actual, expected, rtol=rounding * 1.01, atol=1e-6)


def test_integer_logits_give_float32():
    p = tempered_softmax(np.array([[2, 0, -1]]), 1.2)
    assert keras.backend.standardize_dtype(p.dtype) == "float32"
    assert float(p[0, 0]) == pytest.approx(0.76593897, abs=1e-7)


@pytest.mark.parametrize("shape", [(3,), (0, 3), (2, 4, 3), (2, 3, 4, 3)])
def test_any_shape(shape):
    logits = np.random.default_rng(0).normal(size=shape).astype("float32")
    p = numpy(tempered_softmax(logits, 1.2))
    assert p.shape == shape
    np.testing.assert_allclose(p, bisected(logits, 1.2), atol=1e-6)


@pytest.mark.parametrize("temperature", [0.2, 0.8, 1, 1.2, 1.5, 4])
def test_shift_invariance(temperature):
    # shifts and logits that float32 adds without rounding
    logits = np.random.default_rng(0).integers(-32, 32, (20, 10)) / 8
    logits = logits.astype("float32")
    p = numpy(tempered_softmax(logits, temperature))
    for shift in (-1024.0, 3.5, 64.0):
        moved = numpy(tempered_softmax(logits + np.float32(shift), temperature))
        np.testing.assert_array_equal(moved, p)


# --- gradient


def weighted(temperature, weights):
    """A function of logits: their tempered softmax, times a weight per class."""
    return lambda z: tempered_softmax(z, temperature) * ops.convert_to_tensor(weights)


SMOOTH = [0.8, 0.9, 1 - 1e-6, 1, 1 + 1e-6, 1.05, 1.2, 1.5, 1.7, 2, 3, 4, 5]


@pytest.mark.parametrize("temperature", SMOOTH)
def test_gradient_is_that_of_finite_differences(temperature):
    # of the bisection in float64; logits that leave no class at the edge of its tail
    logits = np.random.default_rng(0).normal(0, 0.7, (3, 5)).astype("float32")
    weights = np.array([1.0, -2.0, 0.5, 3.0, -1.0], "float32")
    expected = finite_differences(
        lambda z: bisected(z, temperature) * weights, logits, 1e-5
    )
    slope = gradient(weighted(temperature, weights), logits)
    np.testing.assert_allclose(slope, expected, atol=2e-6)


@pytest.mark.parametrize("temperature", [0.2, 0.5])
def test_gradient_with_a_finite_tail(temperature):
    # class 2 has probability 0 and a flat neighbourhood
    logits = np.array([[0.3, 0.0, -9.0, 0.1]], "float32")
    weights = np.array([1.0, -2.0, 5.0, 3.0], "float32")
    expected = finite_differences(
        lambda z: bisected(z, temperature) * weights, logits, 1e-6
    )
    slope = gradient(weighted(temperature, weights), logits)
    np.testing.assert_allclose(slope, expected, atol=2e-6)
    assert slope[0, 2] == 0


@pytest.mark.parametrize("temperature", [1.2, 2.0])
def test_gradient_is_that_of_automatic_differentiation(temperature):
    # through 60 steps of the authors' fixed point, written plainly
    def plain(logits):
        shifted = logits - ops.max(logits, axis=-1, keepdims=True)
        scaled = shifted
        for _ in range(60):
            total = ops.sum(tempered_exp(scaled), axis=-1, keepdims=True)
            scaled = shifted * total ** (1 - temperature)
        power = 1 - temperature
        normalizer = -((1 / total) ** power - 1) / power
        return tempered_exp(shifted - normalizer)

    def tempered_exp(x):
        return (1 + (1 - temperature) * x) ** (1 / (1 - temperature))

    logits = np.random.default_rng(0).normal(0, 1, (4, 6)).astype("float32")
    weights = np.arange(6, dtype="float32")
    expected = gradient(lambda z: plain(z) * ops.convert_to_tensor(weights), logits)
    slope = gradient(weighted(temperature, weights), logits)
    np.testing.assert_allclose(slope, expected, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.2, 0.8, 1, 1.2, 4])
def test_gradient_with_a_variable_temperature(temperature):
    variable = keras.Variable(temperature, trainable=False)
    logits = np.random.default_rng(0).normal(0, 1, (4, 6)).astype("float32")
    weights = np.arange(6, dtype="float32")
    by_float = gradient(weighted(temperature, weights), logits)
    by_variable = gradient(weighted(variable, weights), logits)
    np.testing.assert_allclose(by_variable, by_float, atol=2e-6)


# --- extremes


EXTREMES = [
    [1e30, 0.0, -1e30],
    [-1e30, -1e30, -1e30],
    [3e38, -3e38, 0.0],
    [3e38, 2e38, 0.0],
    [1e30, 1e30, 0.0],
    [3.4e38, 3.4e38, -3.4e38],
    [1e-38, 0.0, -1e-38],
]


@pytest.mark.parametrize("temperature", [0.001, 0.5, 0.8, 1, 1.05, 1.2, 2, 4, 5])
def test_extreme_logits(temperature):
    # "any finite logits" of the issue
    logits = np.array(EXTREMES, "float32")
    p = numpy(tempered_softmax(logits, temperature))
    for row, received in zip(logits.astype("float64"), p, strict=True):
        check_exact(row[None], temperature, received[None], 1e-5)
    weights = np.array([1.0, -2.0, 3.0], "float32")
    slope = gradient(weighted(temperature, weights), logits)
    assert np.isfinite(slope).all()


# --- graph


def looping_operations(function, example):
    """Names of the operations of a compiled program that depend on the data's course.

    Looks into every function that the program calls.
    """
    if keras.backend.backend() == "tensorflow":
        graph = function.get_concrete_function(example).graph.as_graph_def()
        nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
        kinds = {node.op for node in nodes}
        assert "Exp" in kinds or "Log" in kinds or "Mul" in kinds  # it saw something
        return {kind for kind in kinds if "While" in kind or kind.endswith("If")}
    text = function.lower(example).as_text()
    assert "stablehlo" in text
    return {word for word in ("stablehlo.while", "stablehlo.if") if word in text}


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="torch runs eagerly: no graph"
)
@pytest.mark.parametrize("kind", ["float", "variable"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.2, 1.3, 4.0])
def test_no_loop_on_the_data(temperature, kind):
    if kind == "variable":
        temperature = keras.Variable(temperature, trainable=False)
    logits = ops.convert_to_tensor(np.zeros((4, 100), "float32"))
    function = compiled(lambda z: tempered_softmax(z, temperature))
    assert looping_operations(function, logits) == set()
    expected = numpy(tempered_softmax(logits, temperature))
    np.testing.assert_allclose(numpy(function(logits)), expected, atol=1e-7)


def test_the_loop_detector_sees_a_loop():
    if keras.backend.backend() == "torch":
        pytest.skip("torch runs eagerly: no graph")

    def halve(x):
        return ops.while_loop(
            lambda x: ops.sum(ops.exp(x)) > 1, lambda x: (x - 1,), (x,)
        )[0]

    assert looping_operations(compiled(halve), ops.ones((4,)))


# --- errors


@pytest.mark.parametrize("temperature", [0, 0.0, -1.0, 5.001, float("nan")])
def test_temperature_outside_its_range(temperature):
    message = r"tempered_softmax: `temperature` must be in \(0, 5\]. Received: temp"
    with pytest.raises(ValueError, match=message):
        tempered_softmax([[1.0, 2.0]], temperature)


@pytest.mark.parametrize("temperature", ["1.2", None, True, [1.2]])
def test_temperature_of_another_kind(temperature):
    message = "tempered_softmax: `temperature` must be a number"
    with pytest.raises(TypeError, match=message):
        tempered_softmax([[1.0, 2.0]], temperature)


# --- log_t and exp_t


@pytest.mark.parametrize(
    ("x", "temperature", "expected"),
    [
        (0.5, 0.8, -0.64724718),  # losses.md A10, this and the next row
        (0.5, 1.2, -0.74349178),
        (0.0, 0.5, -2.0),  # by hand: -1 / (1 - t)
        (0.0, 0.0, -1.0),
        (3.0, 0.0, 2.0),  # by hand: x - 1
        (4.0, 0.5, 2.0),  # by hand: (2 - 1) / 0.5
        (4.0, 2.0, 0.75),  # by hand: 1 - 1 / x
        (1.0, 1.7, 0.0),
        (0.5, 1.0, np.log(0.5)),  # limit
        (0.5, 1 + 1e-9, np.log(0.5)),
        (1e-30, 1.0, np.log(1e-30)),
    ],
)
def test_log_t(x, temperature, expected):
    assert float(log_t(x, temperature)) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("x", "temperature", "expected"),
    [
        (-1.0, 1.2, 0.40187757),  # losses.md A10, this and the next row
        (-1.0, 0.8, 0.32768),
        (-2.0, 0.5, 0.0),  # by hand: the end of the tail, and beyond
        (-9.0, 0.5, 0.0),
        (2.0, 0.5, 4.0),  # by hand: (1 + 0.5 * 2)**2
        (0.75, 2.0, 4.0),  # by hand: 1 / (1 - x)
        (0.0, 1.7, 1.0),
        (-1.0, 1.0, np.exp(-1.0)),  # limit
        (-1.0, 1 - 1e-9, np.exp(-1.0)),
        (1.0, 2.0, np.inf),  # by hand: the pole, and beyond
        (1.5, 2.0, np.inf),
    ],
)
def test_exp_t(x, temperature, expected):
    assert float(exp_t(x, temperature)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("temperature", [0, 0.3, 0.8, 1 - 1e-7, 1, 1 + 1e-7, 1.2, 2, 4])
def test_log_t_and_exp_t_are_inverse(temperature):
    x = np.geomspace(0.05, 20, 41).astype("float32")
    # 1 - t of the logarithm's slope multiplies its rounding: x ** (t - 1) at most
    worst = max(1.0, 20.0 ** (temperature - 1))
    back = numpy(exp_t(log_t(x, temperature), temperature))
    np.testing.assert_allclose(back, x, rtol=1e-6 * worst)


@pytest.mark.parametrize("step", [1e-6, 1e-7, 1e-8])
def test_log_t_and_exp_t_are_continuous_at_one(step):
    # losses.md A10: the authors' code is off by 9 % at 1e-7
    x = np.array([0.01, 0.5, 2.0], "float32")
    for temperature in (1 - step, 1 + step):
        power = 1 - temperature
        expected = np.expm1(power * np.log(x.astype("float64"))) / power
        np.testing.assert_allclose(numpy(log_t(x, temperature)), expected, rtol=1e-6)
        expected = np.exp(np.log1p(power * x.astype("float64")) / power)
        np.testing.assert_allclose(numpy(exp_t(x, temperature)), expected, rtol=1e-6)


@pytest.mark.parametrize("function", [log_t, exp_t])
def test_log_t_and_exp_t_take_variables(function):
    variable = keras.Variable(0.7, trainable=False)
    x = np.array([0.3, 0.9], "float32")
    np.testing.assert_allclose(
        numpy(function(x, variable)), numpy(function(x, 0.7)), rtol=1e-6
    )


@pytest.mark.parametrize("function", [log_t, exp_t])
@pytest.mark.parametrize("bad", ["0.5", None, float("nan")])
def test_log_t_and_exp_t_refuse_no_numbers(function, bad):
    with pytest.raises((TypeError, ValueError), match=f"{function.__name__}: `temp"):
        function(0.5, bad)
