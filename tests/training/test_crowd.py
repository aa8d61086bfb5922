"""`CrowdModel`: loss by hand, masks, saving, and what it learns."""

import keras
import numpy as np
import pytest

from tfrobustloss import losses
from tfrobustloss.training import CrowdModel

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(0, 1, (6, 4)).astype("float32")
Y = np.array([[0, -1], [1, 2], [-1, 2], [-1, -1], [0, 0], [2, 1]])


def network():
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="softmax")]
    )


def made(loss="categorical_crossentropy", **options):
    model = CrowdModel(network(), 2)
    model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True, **options)
    return model


def softmax(x):
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    "loss",
    [
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        losses.CrossEntropy(),
        losses.CrossEntropy(from_logits=True),
    ],
)
def test_loss_against_numpy(loss):
    model = made(loss)
    matrices = RANDOM.normal(0, 2, (2, 3, 3))
    model._matrices.assign(matrices)
    p = model.predict(X, verbose=0)
    terms = [
        -np.log(softmax(p[i] @ matrices[a])[Y[i, a]]) for i, a in np.argwhere(Y >= 0)
    ]
    found = model.evaluate(X, Y, batch_size=6, verbose=0)
    np.testing.assert_allclose(found, np.mean(terms), rtol=1e-4)
    weights = np.array([1, 0, 2, 1, 0, 1.0])
    of_terms = [weights[i] for i, _ in np.argwhere(Y >= 0)]
    found = model.evaluate(X, Y, batch_size=6, sample_weight=weights, verbose=0)
    expected = np.dot(of_terms, terms) / np.count_nonzero(of_terms)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    clean = np.array([0, 1, 2, 0, 1, 2])
    found = model.evaluate(X, clean, batch_size=6, verbose=0)
    np.testing.assert_allclose(found, -np.log(p[range(6), clean]).mean(), rtol=1e-4)


def test_metrics():
    model = made(metrics=["accuracy"])
    best = model.predict(X, verbose=0).argmax(axis=1)
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    expected = np.mean((Y == best[:, None])[Y >= 0])
    np.testing.assert_allclose(found["accuracy"], expected, rtol=1e-6)
    found = model.evaluate(X, best, verbose=0, return_dict=True)
    assert found["accuracy"] == 1


def test_labels_not_given_have_no_influence():
    model = made()
    before = model.matrices()
    np.testing.assert_array_equal(before, np.stack([np.eye(3)] * 2))
    model.fit(X, np.where([[True, False]], Y, -1), verbose=0)
    assert (model.matrices()[0] != before[0]).any()
    np.testing.assert_array_equal(model.matrices()[1], before[1])
    np.testing.assert_allclose(model.confusion().sum(axis=-1), 1, rtol=1e-6)
    weights = model.network.get_weights()
    model.fit(X, np.full((6, 2), -1), verbose=0)
    for old, new in zip(weights, model.network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_compiled_training_finds_the_guesser():
    x = RANDOM.normal(0, 1, (600, 4)).astype("float32")
    truth = x[:, :3].argmax(axis=1)
    labels = np.stack([truth, (truth + 1) % 3, RANDOM.integers(0, 3, 600)], axis=1)
    labels[RANDOM.random(labels.shape) < 0.2] = -1
    labels[:400, 1] = truth[:400]
    model = CrowdModel(network(), 3)
    model.compile(keras.optimizers.Adam(0.05), losses.CrossEntropy(from_logits=True))
    model.fit(x, labels, batch_size=100, epochs=20, verbose=0)
    assert np.mean(model.predict(x, verbose=0).argmax(axis=1) == truth) > 0.9
    right = np.trace(model.confusion(), axis1=1, axis2=2) / 3
    assert right[0] > right[1] > right[2]


def test_saved_and_exported(tmp_path):
    model = made(metrics=["accuracy"])
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.matrices(), model.matrices())
    before = model.predict(X, verbose=0)
    np.testing.assert_allclose(loaded.predict(X, verbose=0), before, rtol=1e-6)
    assert model.exported_model() is model.network
    found = [each.evaluate(X, Y, verbose=0) for each in (model, loaded)]
    np.testing.assert_allclose(*found, rtol=1e-6)
    for each in (model, loaded):  # the optimizer goes on where it was
        each.fit(X, Y, verbose=0, shuffle=False)
    np.testing.assert_allclose(loaded.matrices(), model.matrices(), rtol=1e-5)


def test_refused():
    logits = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    for act, error, message in (
        (lambda: CrowdModel(logits, 2), ValueError, "`network`.*Softmax"),
        (lambda: CrowdModel(keras.Sequential(), 2), ValueError, "built"),
        (lambda: CrowdModel(3, 2), TypeError, "`network`"),
        (lambda: CrowdModel(network(), 0), ValueError, "`num_annotators`.*=0"),
        (lambda: made().fit(X, Y[:, :1]), ValueError, r"labels\.shape`.*\(batch, 2\)"),
        (lambda: made().fit(X, Y + 1), ValueError, r"labels\[1, 1\]`.*\[-1, 2\].*=3"),
        (lambda: made().fit(X, Y * 1.0), ValueError, r"labels\.dtype`"),
    ):
        with pytest.raises(error, match=message):
            act()
