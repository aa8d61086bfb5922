"""Accuracy by noisy labels: values by hand, its statistics, and its life in Keras."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from tfrobustloss._core import noisy_accuracy as core
from tfrobustloss.data import noise
from tfrobustloss.metrics import NoisyAccuracy, estimated_accuracy, noisy_accuracy

TWO = [[0.9, 0.1], [0.2, 0.8]]  # its inverse by hand: [[8, -1], [-2, 9]] / 7
SYMMETRIC = noise.symmetric(3, 0.3)
PAIR = noise.pair_flip(4, 0.4)
# labels 0, 0, 1, 1; predictions 0, 1, 0, 1
LABELS = np.array([0, 0, 1, 1])
SCORES = np.float32([[2, 1], [1, 2], [0.7, 0.3], [0.1, 0.9]])


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def filled(*batch, matrix=None, **options):
    metric = NoisyAccuracy(matrix, **options)
    metric.update_state(*batch)
    return metric


def test_values_by_hand():
    np.testing.assert_array_equal(noisy_accuracy(LABELS, SCORES), [1, 0, 0, 1])
    np.testing.assert_allclose(
        numpy(noisy_accuracy(LABELS, SCORES, TWO)), np.array([8, -1, -2, 9]) / 7, 1e-6
    )


@pytest.mark.parametrize(
    ("labels", "scores", "options"),
    [
        (LABELS[:, None], SCORES, {}),
        (np.eye(2)[LABELS], SCORES, {}),
        (LABELS.astype("float32"), SCORES, {}),
        (LABELS.astype(bool), SCORES, {}),
        (LABELS, SCORES.astype("float16"), {}),
        # one unit: probability of class 1, or a logit
        (LABELS, np.float32([[0.2], [0.6], [0.5], [0.9]]), {}),
        (LABELS[:, None], np.float32([[-2], [0.3], [-0.1], [5]]), {"threshold": 0}),
        (np.eye(2)[LABELS], np.float32([[0.2], [0.6], [0.5], [0.9]]), {}),
        (np.abs(LABELS - 0.25), np.float32([[0.2], [0.6], [0.5], [0.9]]), {}),  # soft
        # positions of sequences
        (LABELS.reshape(2, 2), SCORES.reshape(2, 2, 2), {}),
        (LABELS.reshape(2, 2, 1), SCORES.reshape(2, 2, 2), {}),
    ],
)
def test_formats_of_labels_and_predictions(labels, scores, options):
    values = noisy_accuracy(labels, scores, TWO, **options)
    np.testing.assert_allclose(numpy(values).ravel() * 7, [8, -1, -2, 9], 1e-5)
    metric = filled(labels, scores, matrix=TWO, **options)
    np.testing.assert_allclose(float(metric.result()), 14 / 7 / 4, rtol=1e-6)


def test_the_estimate_is_unbiased_and_the_error_honest():
    # many sets of labels drawn by the matrix, judged for fixed predictions
    random = np.random.default_rng(0)
    clean = random.integers(0, 4, 200)
    predicted = np.where(random.random(200) < 0.8, clean, (clean + 1) % 4)
    truth = (clean == predicted).mean()
    found = [
        estimated_accuracy(noise.corrupt(clean, PAIR, seed), predicted, PAIR)
        for seed in range(300)
    ]
    means, errors = np.transpose(found)
    # the labels alone are drawn, which is less than all that `errors` allows for
    assert abs(means.mean() - truth) < 4 * means.std() / np.sqrt(300)
    assert means.std() < errors.mean() < 2 * means.std()
    plain = estimated_accuracy(noise.corrupt(clean, PAIR, 0), predicted)[0]
    assert plain < truth - 0.1


def test_standard_error_against_numpy():
    labels, scores = [0, 1, 2, 2, 0], np.eye(3, dtype="float32")[[0, 1, 2, 1, 2]]
    weight = np.array([1, 2, 0.5, 1, 3])
    metric = filled(labels, scores, weight, matrix=SYMMETRIC)
    # by the definition: root of the sum of squared weighted deviations
    values = np.linalg.inv(SYMMETRIC)[labels, scores.argmax(1)]
    mean = np.average(values, weights=weight)
    error = np.sqrt((weight**2 * (values - mean) ** 2).sum()) / weight.sum()
    np.testing.assert_allclose(float(metric.result()), mean, rtol=1e-6)
    np.testing.assert_allclose(metric.standard_error(), error, rtol=1e-5)
    # plain accuracy: that of a share
    metric = filled(labels, scores)
    np.testing.assert_allclose(metric.standard_error(), (0.6 * 0.4 / 5) ** 0.5, 1e-5)


def test_symmetric_noise_multiplies_the_error_by_the_known_factor():
    matrix = noise.symmetric(10, 0.6)
    factor = 1 / (1 - 0.6 - 0.6 / 9)  # 3, field's formula
    np.testing.assert_allclose(
        core.spread_of(core.values_of_pairs("me", matrix)), factor, rtol=1e-6
    )
    labels = np.arange(100) % 10
    predicted = np.where(np.arange(100) < 40, labels, (labels + 1) % 10)
    plain, corrected = (
        estimated_accuracy(labels, predicted, each) for each in (None, matrix)
    )
    np.testing.assert_allclose(corrected[1], factor * plain[1], rtol=1e-6)
    # increasing in plain accuracy: a * acc + b, by hand
    np.testing.assert_allclose(corrected[0], (0.4 - 0.6 / 9) * factor, rtol=1e-6)


def test_interval_is_wilsons_where_there_are_two_values():
    labels, scores = np.zeros(10, int), np.eye(2, dtype="float32")[[0] * 10]
    low, high = filled(labels, scores).interval()
    # Wilson for 10 of 10: n / (n + z²)
    np.testing.assert_allclose([low, high], [10 / (10 + 1.959964**2), 1], rtol=1e-6)
    scores = np.eye(2, dtype="float32")[[0] * 7 + [1] * 3]
    found = filled(labels, scores).interval(0.9)
    # statsmodels' `proportion_confint(7, 10, 0.1, "wilson")`, by its formula
    z = 1.6448536
    centre, width = 0.7 + z**2 / 20, z * np.sqrt(0.021 + z**2 / 400)
    expected = np.array([centre - width, centre + width]) / (1 + z**2 / 10)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_only_the_interval_is_clipped():
    metric = filled([0, 0, 1], np.eye(2, dtype="float32")[[0, 0, 1]], matrix=TWO)
    np.testing.assert_allclose(float(metric.result()), 25 / 21, rtol=1e-6)
    low, high = metric.interval()
    assert 0 < low < high == 1
    wrong = filled([0, 0, 1], np.eye(2, dtype="float32")[[1, 1, 0]], matrix=TWO)
    assert float(wrong.result()) < 0 == wrong.interval()[0]


def test_what_has_no_label_does_not_count():
    expected = float(filled(LABELS, SCORES, matrix=TWO).result())
    more = np.concatenate([SCORES, SCORES])
    for labels in (
        np.concatenate([LABELS, [-1] * 4]),
        np.concatenate([np.eye(2)[LABELS], np.zeros((4, 2))]),
    ):
        metric = filled(labels, more, matrix=TWO)
        np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-6)
        assert float(metric._total) == 4
    weight = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    labels = np.concatenate([LABELS, LABELS])
    metric = filled(labels, more, weight, matrix=TWO)
    np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-6)
    labels = np.concatenate([LABELS, [-1] * 4])
    np.testing.assert_allclose(
        estimated_accuracy(labels, more.argmax(1), TWO)[0], expected
    )


def test_nothing_judged():
    metric = NoisyAccuracy()
    assert float(metric.result()) == 0
    assert np.isnan([metric.standard_error(), *metric.interval()]).all()
    assert np.isnan(estimated_accuracy([-1, -1], [0, 1])).all()


def test_batches_add_up_and_reset():
    metric = NoisyAccuracy(TWO)
    for part in (slice(3), slice(3, 4)):
        metric.update_state(LABELS[part], SCORES[part])
    whole = filled(LABELS, SCORES, matrix=TWO)
    np.testing.assert_allclose(float(metric.result()), float(whole.result()), 1e-6)
    np.testing.assert_allclose(
        metric.standard_error(), whole.standard_error(), rtol=1e-5
    )
    metric.reset_state()
    assert float(metric._total) == 0


def test_half_precision_counts_beyond_its_largest_number():
    metric = NoisyAccuracy(dtype="float16")
    labels, scores = np.zeros(50_000, int), np.float16([[1, 0]] * 50_000)
    metric.update_state(labels, scores)
    metric.update_state(labels, scores)
    assert float(metric.result()) == 1
    assert float(metric._total) == 100_000


def test_config_is_plain_and_comes_back():
    matrix = np.array(TWO, "float32")
    metric = NoisyAccuracy(ops.convert_to_tensor(matrix), threshold=0, name="mine")
    config = json.loads(json.dumps(metric.get_config()))
    again = NoisyAccuracy.from_config(config)
    assert again.name == "mine"
    assert again.threshold == 0
    assert again.transition_matrix == metric.transition_matrix == matrix.tolist()


def test_in_fit_and_in_a_keras_file(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(0, 1, (48, 6, 2)).astype("float32")
    x[:, 4:] = 0  # masked
    y = np.where(x.sum(axis=-1) > 0, 1, 0)
    model = keras.Sequential(
        [keras.Input((6, 2)), keras.layers.Masking(), keras.layers.Dense(2)]
    )
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[NoisyAccuracy(TWO)],
    )
    history = model.fit(x, y, validation_data=(x, y), epochs=1, verbose=0).history
    predicted = model.predict(x, verbose=0).argmax(-1)[:, :4].ravel()
    expected, _ = estimated_accuracy(y[:, :4].ravel(), predicted, TWO)
    np.testing.assert_allclose(history["val_noisy_accuracy"][0], expected, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    found = again.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(found["noisy_accuracy"], expected, rtol=1e-5)


# --- what is refused


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.full((3, 3), 1 / 3), r"50 at most\. .*standard error by inf"),
        (noise.pair_flip(4, 0.5), r"standard error by inf"),
        # by hand: 1 / (0.505 - 0.495)
        ([[0.505, 0.495], [0.495, 0.505]], r"by 100.*Leave the matrix out"),
        ([[0.5, 0.4], [0.1, 0.9]], r"transition_matrix\[0\].sum\(\)` must be 1"),
        ([[0.5, 0.5]], r"transition_matrix.shape` must be \(classes, classes\)"),
    ],
)
def test_matrices_refused(matrix, message):
    with pytest.raises(ValueError, match=rf"^NoisyAccuracy: .*{message}"):
        NoisyAccuracy(matrix)
    with pytest.raises(ValueError, match=message):
        estimated_accuracy([0], [0], matrix)


def test_batches_refused():
    with pytest.raises(ValueError, match=r"a matrix of 2 classes.*shape=\(3, 3\)"):
        filled(LABELS, SCORES, matrix=SYMMETRIC)
    with pytest.raises(ValueError, match=r"`y_true` must be class ids .*y_true=2"):
        filled([0, 2, 0, 0], SCORES)
    with pytest.raises(ValueError, match=r"`y_true.shape` must be `y_pred.shape"):
        filled(np.eye(3)[LABELS], SCORES)
    with pytest.raises(ValueError, match=r"`sample_weight.shape`.*\(4, 2\)"):
        filled(LABELS, SCORES, np.ones((4, 2)))
    with pytest.raises(TypeError, match=r"`threshold` must be a number"):
        NoisyAccuracy(threshold="a")
    with pytest.raises(ValueError, match=r"`confidence` must be in \(0, 1\)"):
        filled(LABELS, SCORES).interval(1)


def test_arrays_refused():
    with pytest.raises(ValueError, match=r"`len\(predicted\)` must be 2, the number"):
        estimated_accuracy([0, 1], [0])
    with pytest.raises(ValueError, match=r"`predicted.dtype` must be an integer"):
        estimated_accuracy([0, 1], [0.2, 0.7])
    with pytest.raises(ValueError, match=r"`labels\[1\]` must be .*labels\[1\]=2"):
        estimated_accuracy([0, 2], [0, 1], TWO)
