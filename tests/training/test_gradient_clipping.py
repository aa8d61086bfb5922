"""Optimized gradient clipping: mixture, threshold, and the callback in `fit`."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.losses.values import numpy
from tfrobustloss import losses
from tfrobustloss.training import OptimizedGradientClipping
from tfrobustloss.training.gradient_clipping import clipping_probability, two_normals


def mixed(seed=0, wrong=0.4, size=4096):
    """Cross-entropy values of right labels near 0.5 and of wrong ones near 4."""
    random = np.random.default_rng(seed)
    second = random.random(size) < wrong
    return np.abs(random.normal(np.where(second, 4.0, 0.5), np.where(second, 1.2, 0.3)))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_mixture_is_that_of_scikit_learn(seed):
    mixture = pytest.importorskip("sklearn.mixture")
    values = mixed(seed)
    # with the options of the authors' code
    model = mixture.GaussianMixture(2, max_iter=10, reg_covar=1e-3, random_state=0)
    model.fit(values[:, np.newaxis])
    order = model.means_[:, 0].argsort()
    means, variances = two_normals(values)
    np.testing.assert_allclose(means, model.means_[order, 0], rtol=1e-2)
    expected = model.covariances_[order, 0, 0]
    np.testing.assert_allclose(variances, expected, rtol=2e-2)


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [0.0, 16.0], [2.0, 2.0, 9.0]])
def test_a_mixture_of_few_values_is_finite(values):
    means, variances = two_normals(values)
    assert np.isfinite([*means, *variances]).all()
    assert means[0] <= means[1]
    assert (variances >= 1e-3).all()


def ratio_by_integration(p, means, variances):
    """Ratio of the clipped gradients' expectations, on a grid of its own."""
    stats = pytest.importorskip("scipy.stats")
    low, high = -np.log1p(-1e-7), -np.log(1e-7)
    grid = np.linspace(low, high, 200_001)
    expected = []
    for mean, scale in zip(means, np.sqrt(variances), strict=True):
        ends = (low - mean) / scale, (high - mean) / scale
        density = stats.truncnorm.pdf(grid, *ends, mean, scale)
        expected.append((density * np.minimum(np.exp(grid), 1 / p)).sum())
    return expected[1] / expected[0]


@pytest.mark.parametrize("ratio", [1.02, 1.2, 3.0])
def test_the_threshold_has_the_ratio(ratio):
    means, variances = np.array([0.5, 4.0]), np.array([0.1, 1.5])
    p = clipping_probability(means, variances, ratio)
    assert p * 1024 == pytest.approx(round(p * 1024), abs=1e-3)  # ten halvings
    # the ratio falls with p: at p it is below, a step of the search before above
    assert ratio_by_integration(p, means, variances) <= ratio * 1.001
    before = p - 1 / 1024
    if before > 1e-6:
        assert ratio_by_integration(before, means, variances) > ratio * 0.999


def test_nothing_is_clipped_where_labels_are_alike():
    same = np.array([1.0, 1.0])
    assert clipping_probability(same, same, 1.5) == 1e-7


def labelled(size=64):
    random = np.random.default_rng(0)
    x = random.normal(size=(size, 3)).astype("float32")
    return x, (x[:, 0] + random.normal(0, 0.5, size) > 0).astype("int32")


def compiled_model(tau, clipping, **options):
    layers = [keras.layers.Dense(2, kernel_initializer="zeros")]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.tau = tau  # for JAX
    loss = losses.PartiallyHuberizedCrossEntropy(tau, from_logits=True)
    metrics = [clipping.recent_cross_entropy]
    model.compile(keras.optimizers.SGD(0.5), loss, metrics=metrics, **options)
    return model


def test_in_fit():
    tau = keras.Variable(1e7, trainable=False)
    clipping = OptimizedGradientClipping(
        tau, epsilon=1.0, from_logits=True, period=3, queue_size=40
    )
    model = compiled_model(tau, clipping)
    x, y = labelled()
    seen, before = [], []

    class Watch(keras.callbacks.Callback):
        """The values that the queue should have, from the weights of each step."""

        def synced(self):
            if hasattr(model, "jax_state_sync"):
                model.jax_state_sync()

        def on_train_batch_begin(self, batch, logs=None):
            self.synced()
            part = slice(16 * batch, 16 * batch + 16)
            z = model.predict_on_batch(x[part])
            values = losses.cross_entropy(y[part], z, from_logits=True)
            seen[:0] = numpy(values).tolist()

        def on_train_batch_end(self, batch, logs=None):
            self.synced()
            before.append((float(tau), list(seen[:40])))

    history = model.fit(
        x, y, batch_size=16, shuffle=False, epochs=2, verbose=0,
        callbacks=[Watch(), clipping], validation_data=(x[:5] * 100, 1 - y[:5]),
    ).history  # fmt: skip
    assert [entry["step"] for entry in clipping.history] == [3, 6]
    for entry in clipping.history:
        # callbacks run in order: `before` has the queue that the threshold is from
        values = before[entry["step"] - 1][1]
        means, variances = two_normals(values)
        assert entry["ratio"] == 1.5
        assert entry["means"] == pytest.approx(means.tolist(), rel=1e-3)
        expected = 1 / clipping_probability(means, variances, 1.5)
        assert entry["tau"] == pytest.approx(expected, rel=2e-2)
    assert before[2][0] == 1e7
    assert float(tau) == pytest.approx(clipping.history[-1]["tau"], rel=1e-6)
    # validation leaves the queue alone, and the training step used the new threshold
    queue = clipping.recent_cross_entropy
    np.testing.assert_allclose(queue.recorded(), seen[:40], rtol=1e-4)
    assert history["recent_cross_entropy"][1] == pytest.approx(np.mean(seen[:40]), 1e-4)
    z = model.predict(x, verbose=0)
    expected = losses.partially_huberized_cross_entropy(y, z, float(tau), True)
    value = model.evaluate(x, y, verbose=0)[0]
    assert value == pytest.approx(float(numpy(expected).mean()), rel=1e-5)


def test_several_steps_in_one_call():
    if keras.backend.backend() == "torch":
        pytest.skip("torch has no steps_per_execution")
    tau = keras.Variable(1e7, trainable=False)
    clipping = OptimizedGradientClipping(tau, from_logits=True, period=4, queue_size=8)
    model = compiled_model(tau, clipping, steps_per_execution=3)
    x, y = labelled(48)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[clipping])
    # 12 steps in calls of 3: 4 is passed by 6, then 8 by 9, then 12
    assert [entry["step"] for entry in clipping.history] == [6, 9, 12]


@pytest.mark.parametrize("form", ["column", "one-hot"])
def test_every_form_of_labels(form):
    tau = keras.Variable(1e7, trainable=False)
    clipping = OptimizedGradientClipping(tau, period=2, queue_size=32)
    queue = clipping.recent_cross_entropy
    queue.record(True)
    _, y = labelled(10)
    p = ops.convert_to_tensor(np.full((10, 2), 0.5, "float32"))
    y = y[:, np.newaxis] if form == "column" else np.eye(2, dtype="float32")[y]
    for _ in range(4):
        queue.update_state(y, p)
    np.testing.assert_allclose(queue.recorded(), np.full(32, np.log(2)), rtol=1e-6)


def test_the_queue_is_kept_and_saved():
    clipping = OptimizedGradientClipping(keras.Variable(1e7, trainable=False))
    queue = clipping.recent_cross_entropy
    queue.update_state([0], np.array([[0.5, 0.5]], "float32"))
    assert not queue.recorded().size  # not in training
    queue.record(True)
    queue.update_state([0, 1], np.array([[0.5, 0.5], [1.0, 0.0]], "float32"))
    queue.reset_state()
    np.testing.assert_allclose(queue.recorded(), [np.log(2), -np.log(1e-7)], rtol=1e-6)
    again = type(queue).from_config(queue.get_config())
    assert again.queue_size == 4096


def test_compiled_without_the_metric():
    tau = keras.Variable(1e7, trainable=False)
    clipping = OptimizedGradientClipping(tau, from_logits=True, period=1)
    other = OptimizedGradientClipping(tau, from_logits=True)
    model = compiled_model(tau, other)
    message = "OptimizedGradientClipping: `recent_cross_entropy` must be among"
    with pytest.raises(ValueError, match=message):
        model.fit(*labelled(), verbose=0, callbacks=[clipping])


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"epsilon": -1.0}, ValueError, "epsilon"),
        ({"period": 0}, ValueError, "period"),
        ({"queue_size": 1}, ValueError, "queue_size"),
        ({"from_logits": 1}, TypeError, "from_logits"),
        ({"tau": 10.0}, TypeError, "tau"),
    ],
)
def test_refused(arguments, error, name):
    given = {"tau": keras.Variable(1e7, trainable=False), **arguments}
    with pytest.raises(error, match=f"OptimizedGradientClipping: `{name}` must be"):
        OptimizedGradientClipping(**given)
