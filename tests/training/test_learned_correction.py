"""The learned transition matrix: its formula, its training, and what is left of it."""

import os

import keras
import numpy as np
import pytest
from keras import ops

from tfrobustloss import losses
from tfrobustloss.data import estimate, noise
from tfrobustloss.metrics import NoisyAccuracy
from tfrobustloss.training import LearnedCorrection

MATRIX = np.array([[0.7, 0.3, 0.0], [0.0, 0.7, 0.3], [0.3, 0.0, 0.7]])
CENTRES = np.array([[4.0, 0.0], [0.0, 4.0], [-4.0, -4.0]])
LOSS = "sparse_categorical_crossentropy"


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def network(activation="softmax", hidden=(), classes=3):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(units, activation="relu") for units in hidden]
    last = keras.layers.Dense(classes, activation=activation)
    return keras.Sequential([keras.Input((2,)), *layers, last])


def blobs(count=1500):
    random = np.random.default_rng(0)
    clean = random.integers(0, 3, count)
    x = CENTRES[clean] + random.normal(0, 1, (count, 2))
    return x.astype("float32"), clean, noise.corrupt(clean, MATRIX, 0)


@pytest.mark.parametrize(("diagonal", "classes"), [(0.6, 2), (0.7, 3), (0.9, 10)])
def test_the_first_matrix(diagonal, classes):
    model = LearnedCorrection(network(classes=classes), initial_diagonal=diagonal)
    expected = noise.symmetric(classes, 1 - diagonal)
    np.testing.assert_allclose(model.transition_matrix, expected, atol=1e-6)


def test_matrix_and_loss_by_hand():
    model = LearnedCorrection(network(), volume_weight=0.5, matrix_speed=2)
    w = np.random.default_rng(0).normal(0, 1, (3, 3))
    model.matrix_weights.assign(w)
    entries = np.where(np.eye(3) == 1, 1, 1 / (1 + np.exp(-2 * w)))
    matrix = entries / entries.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.transition_matrix, matrix, atol=1e-6)
    model.compile("sgd", LOSS, run_eagerly=True)
    x, y = np.float32([[1, 2], [3, -1]]), np.array([2, 0])
    p = numpy(model(x))
    noisy = -np.log((p @ matrix)[[0, 1], y]).mean()
    volume = 0.5 * np.log(np.linalg.det(matrix))
    for training, expected in ((True, noisy + volume), (False, noisy)):
        found = model.compute_loss(x, y, ops.convert_to_tensor(p), training=training)
        np.testing.assert_allclose(float(numpy(found)), expected, rtol=1e-5)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), noisy, rtol=1e-5)


def test_the_volume_of_a_known_matrix():
    # field's check value: log det of .8 on the diagonal and .1 elsewhere
    model = LearnedCorrection(network(), initial_diagonal=0.8)
    found = ops.slogdet(ops.convert_to_tensor(model.transition_matrix))[1]
    np.testing.assert_allclose(float(numpy(found)), -0.713350, atol=1e-5)


def test_it_learns_the_noise_and_the_classes():
    x, clean, noisy = blobs()
    # too small to memorise; steps in the matrix as of Adam's own rate and the default
    model = LearnedCorrection(network(), matrix_speed=1.5)
    model.compile(keras.optimizers.Adam(0.02), LOSS, metrics=[NoisyAccuracy(MATRIX)])
    first = np.abs(model.transition_matrix - MATRIX).mean()
    model.fit(x, noisy, batch_size=100, epochs=15, verbose=0)
    matrix = model.transition_matrix
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-12)
    assert np.abs(matrix - MATRIX).mean() < min(0.05, first / 2)
    p = model.predict(x, verbose=0)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert (p.argmax(axis=1) == clean).mean() > 0.97
    # clean probabilities, not those of the noisy labels, of which no row has 0.9
    assert np.median(p.max(axis=1)) > 0.9
    np.testing.assert_allclose(model.model.predict(x, verbose=0), p, atol=1e-6)
    # ready for a loss and a metric
    losses.ForwardCorrection(matrix)
    NoisyAccuracy(matrix)


def test_saves_and_loads(tmp_path):
    model = LearnedCorrection(
        network(), 1e-3, initial_diagonal=0.8, matrix_speed=3, name="corrected"
    )
    model.compile("sgd", losses.GeneralizedCrossEntropy())
    x, _, noisy = blobs(64)
    model.fit(x, noisy, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, LearnedCorrection)
    assert again.get_config()["volume_weight"] == 1e-3
    np.testing.assert_array_equal(again.transition_matrix, model.transition_matrix)
    np.testing.assert_allclose(numpy(again(x)), numpy(model(x)), atol=1e-6)
    again.fit(x, noisy, verbose=0)


@pytest.mark.parametrize("from_logits", [False, True])
def test_one_unit_has_a_matrix_of_two_classes(from_logits):
    x, y = np.float32([[1, 2], [3, -1], [0, 1]]), np.array([1, 0, 1])
    inner = network(None if from_logits else "sigmoid", classes=1)
    model = LearnedCorrection(inner, 0.5, initial_diagonal=0.8, from_logits=from_logits)
    np.testing.assert_allclose(model.transition_matrix, noise.symmetric(2, 0.2), 1e-5)
    w = np.random.default_rng(0).normal(0, 0.1, (2, 2))
    model.matrix_weights.assign(w)
    matrix = model.transition_matrix
    p = numpy(model(x))
    if from_logits:
        np.testing.assert_allclose(p, numpy(ops.sigmoid(inner(x))), atol=1e-6)
    noisy = np.concatenate([1 - p, p], axis=-1) @ matrix
    expected = -np.log(noisy[np.arange(3), y]).mean()
    for loss in (losses.CrossEntropy(), "binary_crossentropy"):
        model.compile("sgd", loss, run_eagerly=True)
        found = model.evaluate(x, y, verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    with_volume = model.compute_loss(x, y[:, None], ops.convert_to_tensor(p))
    volume = 0.5 * np.log(np.linalg.det(matrix))
    np.testing.assert_allclose(float(numpy(with_volume)), expected + volume, rtol=1e-4)
    model.fit(x, y, verbose=0)
    p = numpy(model(x))
    np.testing.assert_allclose(numpy(model.exported_model()(x)), p, atol=1e-6)


def test_logits_get_a_softmax():
    x = blobs(4)[0]
    inner = network(activation=None)
    model = LearnedCorrection(inner, from_logits=True)
    expected = numpy(ops.softmax(inner(x)))
    np.testing.assert_allclose(numpy(model(x)), expected, atol=1e-6)
    np.testing.assert_allclose(numpy(model.exported_model()(x)), expected, atol=1e-6)
    with_softmax = network()
    assert LearnedCorrection(with_softmax).exported_model() is with_softmax


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports a SavedModel"
)
@pytest.mark.parametrize("activation", ["softmax", None])
def test_the_matrix_is_gone_from_the_export(tmp_path, activation):
    import tensorflow as tf

    from tfrobustloss import serving

    inner = network(activation=activation)
    model = LearnedCorrection(inner, from_logits=activation is None)
    model.compile("sgd", losses.CrossEntropy())
    path = serving.export(model, tmp_path / "served")
    loaded = tf.saved_model.load(path)
    stored = tf.train.list_variables(os.path.join(path, "variables", "variables"))
    shapes = [tuple(shape) for _, shape in stored]
    assert (2, 3) in shapes
    assert (3, 3) not in shapes
    x = blobs(5)[0]
    received = loaded.signatures["serving_default"](inputs=tf.constant(x))
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(received["probabilities"], expected, atol=1e-6)


def _two_outputs():
    x = keras.Input((2,))
    return keras.Model(x, [keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)])


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda: network(None), {}, r"ends in a softmax.*logits.*from_logits=True"),
        (network, {"from_logits": True}, r"`from_logits` must be False.*softmax"),
        (lambda: network("sigmoid"), {}, r"ends in a sigmoid"),
        (lambda: network("softmax", classes=1), {}, r"ends in a sigmoid.*a softmax"),
        (lambda: network(None, classes=1), {}, r"ends in a sigmoid.*from_logits=True"),
        (lambda: network("sigmoid", classes=1), {"from_logits": True}, r"sigmoid"),
        (_two_outputs, {}, r"one output of shape"),
        (lambda: keras.Sequential([keras.layers.Dense(2)]), {}, r"must be built"),
        (lambda: 3, {}, r"`model` must be a `keras.Model`"),
        (network, {"volume_weight": -1}, r"`volume_weight` must be in \[0"),
        (network, {"initial_diagonal": 0.5}, r"`initial_diagonal` must be in \(0.5"),
        (network, {"matrix_speed": 0}, r"`matrix_speed` must be in \(0"),
    ],
)
def test_refused(model, options, message):
    with pytest.raises(
        (ValueError, TypeError), match=f"LearnedCorrection: .*{message}"
    ):
        LearnedCorrection(model(), **options)


def test_losses_of_logits_are_refused():
    model = LearnedCorrection(network())
    for loss in (
        losses.CrossEntropy(from_logits=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ):
        model.compile("sgd", loss)
        with pytest.raises(ValueError, match=r"`loss` must be .*Leave out the loss's"):
            model.fit(np.ones((2, 2)), np.array([0, 1]), verbose=0)


def test_forward_correction_from_an_audit_in_one_line():
    random = np.random.default_rng(0)
    clean = random.integers(0, 3, 600)
    probabilities = np.eye(3)[clean] * 0.9 + 0.1 / 3
    report = estimate.report(noise.corrupt(clean, MATRIX, 0), probabilities)
    loss = losses.ForwardCorrection(report.transition_matrix)
    value = loss([0, 1], np.float32([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]]))
    assert np.isfinite(float(numpy(value)))
    np.testing.assert_allclose(report.transition_matrix, MATRIX, atol=0.1)
