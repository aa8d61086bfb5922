"""Losses on the placeholders of functional models, and in JAX's forward mode."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import gradient
from tests.losses.other_tasks.task_rows import TASK_ROWS
from tests.losses.rows import ROWS
from tests.losses.values import numpy, random_probabilities
from tfrobustloss import losses
from tfrobustloss._core.backend import value_and_gradient
from tfrobustloss.layers import TemperedSoftmax

OPTIONS = {"t1": 0.8, "t2": 1.2, "from_logits": True}
ONCE = list({row.loss_class: row for row in ROWS}.values())  # a row a class
# the node is the same code on every backend, and JAX compiles each operation of a loss
STEP = 1 if keras.backend.backend() == "tensorflow" else 7
on_jax = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="forward mode is JAX's"
)


def data(num_classes=4, size=6):
    ids = np.array([0, 1, 2, 3, 1, 0], "int32")
    p = random_probabilities((size, num_classes)).astype("float32")
    rows = np.eye(num_classes, dtype="float32")[ids]
    return {"ids": ids, "rows": rows, "p": p, "weight": np.float32([1, 0, 2, 1, 3, 1])}


def per_example(loss):
    return type(loss).from_config({**loss.get_config(), "reduction": None})


# an object is called by the base class: one of each kind of arguments
KINDS = {
    losses.GeneralizedCrossEntropy,
    losses.BiTemperedLogistic,
    losses.ForwardCorrection,
    losses.LogitClip,
    losses.DeterminantMutualInformation,
}


def call(loss, given):
    """A loss as a function, and some as an object with each reduction."""
    function, parameters = type(loss).function, loss._parameters()
    yield function(given["ids"], y_pred=given["p"], **parameters)
    if type(loss) in KINDS:
        yield loss(given["ids"], given["p"], given["weight"])
        yield per_example(loss)(given["rows"], given["p"])


def tempered(p):
    yield losses.tempered_softmax(p, 1.2)
    yield losses.tempered_softmax(p, temperature=0.5)
    yield losses.exp_t(p, 0.5)
    yield losses.log_t(p, 1.5)
    yield TemperedSoftmax(4.0)(p)


def test_every_loss_is_a_node_of_a_functional_model(tmp_path):
    arrays = data()
    inputs = {
        name: keras.Input(array.shape[1:], dtype=array.dtype.name, name=name)
        for name, array in arrays.items()
    }
    built = [row.build() for row in ONCE[::STEP]]
    nodes = [node for loss in built for node in call(loss, inputs)]
    nodes += tempered(inputs["p"])
    model = keras.Model(inputs, nodes)
    expected = [value for loss in built for value in call(loss, arrays)]
    expected += tempered(ops.convert_to_tensor(arrays["p"]))

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    results = zip(nodes, expected, model(arrays), again(arrays), strict=True)
    for node, value, result, reloaded in results:
        assert len(node.shape) == len(value.shape)
        assert node.dtype == keras.backend.standardize_dtype(value.dtype)
        np.testing.assert_array_equal(numpy(result), numpy(value))
        np.testing.assert_array_equal(numpy(reloaded), numpy(value))


def test_losses_of_other_tasks_are_nodes_too():
    for row in TASK_ROWS[::STEP]:
        loss, (y_true, y_pred) = row.build(), row.data(np.random.default_rng(0))
        given = [keras.Input(array.shape[1:]) for array in (y_true, y_pred)]
        nodes = [loss(*given), type(loss).function(*given, **loss._parameters())]
        assert nodes[0].shape == ()
        results = keras.Model(given, nodes)([y_true, y_pred])
        assert numpy(results[0]) == numpy(loss(y_true, y_pred)), row.name
        assert results[1].shape == row.shape


def test_a_node_has_the_gradient_of_the_function():
    # closed, also at a prediction where the plain derivative is not finite
    logits = np.float32([[1e4, -1e4, 0.0], [0.5, 0.2, -0.3], [0, 0, 0]])
    z, ids = keras.Input(batch_shape=(3, 3)), np.array([1, 0, 2])

    def loss(z):
        return losses.bi_tempered_logistic(ids, z, t2=4.0, from_logits=True)

    model = keras.Model(z, loss(z))
    np.testing.assert_array_equal(gradient(model, logits), gradient(loss, logits))


def test_a_node_refuses_labels_that_it_sees():
    y, p = keras.Input((), dtype="int32"), keras.Input((4,))
    model = keras.Model([y, p], losses.CrossEntropy()(y, p))
    with pytest.raises(ValueError, match=r"class ids in 0\.\.3.*\[7\]"):
        model([np.array([7]), np.full((1, 4), 0.25, "float32")])
    with pytest.raises(ValueError, match="`y_true` must hold class ids, shape"):
        losses.CrossEntropy()(keras.Input((3,)), p)


def test_decoded_placeholders_keep_the_closed_gradient():
    logits = np.float32([[20.0, -40.0, 0.0], [0.5, 0.2, -0.3]])
    rows = np.eye(3, dtype="float32")[:2]
    y, z = keras.Input((3,)), keras.Input((3,))
    labels, _ = losses.decode(y, z, from_logits=True)
    model = keras.Model([y, z], losses.bi_tempered_logistic(labels, z, **OPTIONS))

    def loss(z):
        return losses.bi_tempered_logistic(rows, z, **OPTIONS)

    y_true = ops.convert_to_tensor(rows)
    value, (slope,) = value_and_gradient(lambda z: model([y_true, z]), logits)
    expected, (expected_slope,) = value_and_gradient(loss, logits)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-5, atol=1e-7)


# --- forward mode


def _programs(given):
    """Functions of the logits: every loss, on class ids or on rows, tempered ones."""
    for i, loss in enumerate(row.build() for row in ONCE):
        y_true, of = given["ids" if i % 2 else "rows"], type(loss).function
        parameters = loss._parameters()
        if not loss.from_logits and "from_logits" in parameters:
            parameters["from_logits"] = True
        of_p = "from_logits" not in parameters and not loss.from_logits
        yield lambda z, y=y_true, of=of, of_p=of_p, parameters=parameters: of(
            y, ops.softmax(z) if of_p else z, **parameters
        )
    for temperature in (0.5, 1.2):
        yield lambda z, t=temperature: losses.tempered_softmax(z, t)


@on_jax
def test_forward_and_reverse_mode_agree():
    import jax

    given = data()
    z, along = np.log(given["p"]), np.random.default_rng(1).normal(size=(6, 4))
    programs = list(_programs(given))

    def both(z, along):
        found = []
        for program in programs:
            value, backward = jax.vjp(program, z)
            change = jax.jvp(program, (z,), (along,))[1]
            weights = ops.cos(ops.arange(change.size, dtype="float32"))
            weights = ops.reshape(weights, change.shape)
            products = backward(weights)[0] * along
            totals = ops.sum(change * weights), ops.sum(products)
            found.append((value, *totals, ops.sum(ops.abs(products))))
        return found

    results = jax.jit(both)(z, along.astype("float32"))
    for program, (value, forward, reverse, size) in zip(programs, results, strict=True):
        assert np.isfinite(value).all()
        assert abs(forward - reverse) <= 1e-5 * (size + 1e-3), program


@on_jax
def test_forward_mode_of_the_closed_derivatives():
    # expected: differences of the value in float64, and JAX's own softmax at 1
    import jax

    z = np.random.default_rng(0).normal(0, 2, (3, 5))
    along, rows = np.ones(5) * [0.3, -1, 0.5, 0, 2], np.eye(5)[[0, 3, 4]]
    programs = {
        "softmax": lambda z: losses.tempered_softmax(z, 1.3),
        "loss": lambda z: losses.bi_tempered_logistic(rows, z, from_logits=True),
    }
    with jax.enable_x64(True):
        for name, program in programs.items():
            change = jax.jvp(program, (z,), (np.broadcast_to(along, z.shape),))[1]
            rise = program(z + 1e-6 * along) - program(z - 1e-6 * along)
            np.testing.assert_allclose(change, rise / 2e-6, rtol=1e-6, err_msg=name)
        change = jax.jvp(lambda z: losses.tempered_softmax(z, 1.0), (z,), (z,))[1]
        expected = jax.jvp(jax.nn.softmax, (z,), (z,))[1]
        np.testing.assert_allclose(change, expected, rtol=1e-9)


@on_jax
def test_other_transformations_of_the_closed_derivatives():
    import jax

    given = data()
    z = np.log(given["p"])

    def loss(z, y):
        return losses.bi_tempered_logistic(y, z, from_logits=True)

    def total(z, y):
        return ops.sum(loss(z, y))

    slope = jax.grad(total)(z, given["rows"])
    one = jax.vmap(jax.grad(lambda z, y: total(z[None], y[None])))(z, given["rows"])
    np.testing.assert_allclose(one, slope, rtol=1e-5, atol=1e-7)
    along = np.float32([0.3, -1, 0.5, 0.2]) * np.ones_like(z)
    slope_of = jax.jit(jax.grad(lambda z: total(z, given["rows"])))
    curvature = jax.jvp(slope_of, (z,), (along,))[1]
    rise = slope_of(z + 1e-2 * along) - slope_of(z - 1e-2 * along)
    np.testing.assert_allclose(curvature, rise / 2e-2, rtol=1e-3, atol=1e-4)
    # labels are constants of this gradient, as documented, and no error
    assert not np.any(jax.grad(total, 1)(z, given["rows"]))
    value, change = jax.linearize(lambda z: total(z, given["ids"]), z)
    np.testing.assert_allclose(change(z), ops.sum(slope * z), rtol=1e-5)


@on_jax
@pytest.mark.parametrize("mode", ["jvp", "vjp", "vmap"])
def test_float16_probabilities(mode):
    # 1 / 1e-7 in reverse mode comes back as float16's largest number, not as infinity
    import jax

    p, ids = np.float16([[0.0, 1.0], [0.25, 0.75]]), np.array([0, 1])
    loss = losses.CrossEntropy(reduction="sum", dtype="float32")

    def program(p):
        return loss(ids, p)

    if mode == "jvp":
        change = jax.jvp(program, (p,), (np.float16([[0, 0], [0, 1]]),))[1]
        np.testing.assert_allclose(change, -1 / 0.75, rtol=1e-6)
    elif mode == "vjp":
        slope = jax.grad(program)(p)
        np.testing.assert_array_equal(slope, np.float16([[-65504, 0], [0, -1 / 0.75]]))
    else:
        single = jax.vmap(jax.grad(lambda p, y: loss(y[None], p[None])))(p, ids)
        np.testing.assert_array_equal(single, jax.grad(program)(p))
