"""Out-of-fold probabilities: no example is judged by a network that saw its label."""

import numpy as np
import pytest

from tfrobustloss import data
from tfrobustloss.experiments.cross_validation import _deal, out_of_fold_probabilities

FEATURES = np.repeat(np.eye(3), 20, axis=0)
LABELS = np.repeat([0, 1, 2], 20)


def test_probabilities_are_out_of_fold():
    """Features that only tell an example from all others predict nothing."""
    features = np.eye(60)
    labels = np.random.default_rng(0).permutation(LABELS)
    options = {"folds": 3, "epochs": 12, "learning_rate": 0.01, "batch_size": 20}
    found = out_of_fold_probabilities(features, labels, **options)
    own = found[np.arange(60), labels]
    # a network that saw the labels gives them nearly 1; guessing gives 1 / 3
    assert own.mean() < 0.45


def test_it_learns_and_repeats():
    calls = []
    options = {"folds": 2, "epochs": 6, "learning_rate": 0.01, "batch_size": 10}
    found, again = (
        out_of_fold_probabilities(
            FEATURES, LABELS, on_epoch=lambda *call: calls.append(call), **options
        )
        for _ in range(2)
    )
    assert found.shape == (60, 3)
    assert found.sum(axis=1) == pytest.approx(np.ones(60))
    assert (found.argmax(axis=1) == LABELS).all()
    assert (found == again).all()
    assert [call[:2] for call in calls[:12]] == [
        (f, e) for f in (0, 1) for e in range(6)
    ]
    assert calls[-1][2] == 1.0


def test_images_one_hot_and_a_model_of_ones_own():
    import keras

    def build(input_shape, num_classes, seed):
        assert input_shape == (2, 2, 1)
        layers = [keras.Input(input_shape), keras.layers.Flatten()]
        return keras.Sequential([*layers, keras.layers.Dense(num_classes)])

    images = np.zeros((8, 2, 2, 1), np.uint8)
    images[4:] = 255
    labels = np.eye(3)[[0] * 4 + [1] * 4]
    found = out_of_fold_probabilities(images, labels, model=build, folds=2, epochs=1)
    assert found.shape == (8, 3)


def test_a_model_of_one_unit():
    import keras

    def build(input_shape, num_classes, seed):
        keras.utils.set_random_seed(seed)
        return keras.Sequential([keras.Input(input_shape), keras.layers.Dense(1)])

    options = {"folds": 2, "epochs": 6, "learning_rate": 0.1, "batch_size": 10}
    features, labels = FEATURES[:40, :2], LABELS[:40]
    found = out_of_fold_probabilities(features, labels, model=build, **options)
    assert found.shape == (40, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    assert (found.argmax(axis=1) == labels).all()


def test_whole_floats_are_whole_numbers():
    options = {"folds": 2, "epochs": 1, "batch_size": 10, "seed": 3, "num_classes": 3}
    floats = {name: float(value) for name, value in options.items()}
    found, again = (
        out_of_fold_probabilities(FEATURES, LABELS, **each)
        for each in (options, floats)
    )
    np.testing.assert_array_equal(found, again)


def test_folds_are_even_in_every_class():
    labels = np.array([0] * 10 + [1] * 5 + [2])
    part = _deal(labels, 5, seed=0)
    assert np.bincount(part[:10]).tolist() == [2] * 5
    assert np.bincount(part[10:15]).tolist() == [1] * 5
    assert (part != _deal(labels, 5, seed=1)).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "folds=1"),
        ({"folds": 61}, "at most 60.*folds=61"),
        ({"epochs": 0}, "epochs=0"),
        ({"model": "cnn4"}, r"`model` must be .* shape \(3,\).*'cnn4'. `mlp2` takes"),
        ({"features": [[1.0], [1.0, 2.0]]}, r"`len\(features\[i\]\)`.*=\[1, 2\]"),
        ({"model": "mlp9"}, "one of cnn4, mlp2, mlp3.*mlp9"),
        ({"features": FEATURES[:3]}, r"features.shape.*\(3, 3\)"),
        ({"features": FEATURES[:, 0]}, r"features.shape.*\(60,\)"),
        ({"features": FEATURES * np.nan}, "finite"),
        ({"features": FEATURES.astype(str)}, "numeric"),
        ({"num_classes": 2}, r"labels\[40\].*=2"),
        ({"learning_rate": 1e30}, "diverged.*learning_rate"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_mistakes(options, message):
    options = {"features": FEATURES, "labels": LABELS, "epochs": 2, **options}
    with pytest.raises(ValueError, match=message):
        out_of_fold_probabilities(**options)


def test_pair_noise_is_not_taken_for_hard_images():
    """Without refits of the matrix its entries were off by 0.0108 on average."""
    digits = data.load("digits", "train")
    noisy = data.noise.corrupt(digits.labels, data.noise.pair_flip(10, 0.35), 1)
    p = out_of_fold_probabilities(digits.images, noisy, 10, folds=2, seed=1)
    matrix = data.estimate.transition_matrix(noisy, p)
    true = data.noise.realized_matrix(digits.labels, noisy, 10)
    assert np.abs(matrix - true).mean() < 0.008
    shares = np.bincount(digits.labels) / len(noisy)
    rate = 1 - shares @ np.diag(matrix)
    assert rate == pytest.approx(np.mean(noisy != digits.labels), abs=0.02)
