"""Tasks without validation data; what a comparison makes of its settings."""

import dataclasses

import keras
import numpy as np
import pytest

from tfrobustloss import data
from tfrobustloss._core import noisy_accuracy
from tfrobustloss.data import noise
from tfrobustloss.experiments import Settings, Task, learning_rates
from tfrobustloss.experiments.comparison import Comparison
from tfrobustloss.experiments.task import prepare, prepare_all
from tfrobustloss.experiments.trainer import Trainer
from tfrobustloss.losses import Adma

DIGITS = data.load("digits", "train")


def test_no_validation_leaves_the_whole_train_split():
    task = prepare(Task(noise="pair:0.3", validation_size=0))
    assert task.validation is None
    assert task.description["validation_size"] == 0
    np.testing.assert_array_equal(task.inputs * 255, DIGITS.images)
    np.testing.assert_array_equal(task.labels, DIGITS.labels)
    images, columns = task.train([3, 7])
    assert images is task.inputs
    for column, seed in enumerate([3, 7]):
        expected = data.noise.corrupt(DIGITS.labels, task.matrix, seed)
        np.testing.assert_array_equal(columns[:, column], expected)


def test_train_and_validation_share_nothing():
    task = prepare(Task(train_size=900, validation_size=452))
    images = [*map(bytes, task.inputs), *map(bytes, task.validation[0])]
    everything = np.divide(DIGITS.images, 255, dtype="float32")
    assert sorted(images) == sorted(map(bytes, everything))


def test_identity_without_noise():
    task = prepare(Task(noise="none", train_size=50))
    assert task.matrix is None
    np.testing.assert_array_equal(task.transition_matrix, np.eye(10))
    np.testing.assert_array_equal(task.train([1, 2])[1], task.labels[:, None])
    assert [task.draw(index) for index in (0, 1)] == [0, 0]


def test_a_comparison_is_of_the_task_of_its_settings():
    settings = Settings(losses="adma", noise="pair:0.2", model="mlp3", train_size=60)
    assert vars(settings.task()) == vars(
        Task("digits", "mlp3", "pair:0.2", train_size=60, validation_size=0)
    )
    record = Comparison(settings).record
    task = prepare(settings.task())
    rates = [task.realized_rate(seed) for seed in range(3)]
    assert record["realized_noise_rate_by_seed"] == rates
    assert record["noise_matrix"] == task.transition_matrix.tolist()
    sizes = (record["train_size"], record["validation_size"], record["test_size"])
    assert sizes == (47, 13, 445)  # one of each class, at least


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(validation_size=-1), r"`validation_size`.*\[0, inf\).*=-1"),
        (dict(validation_size=1352), r"\[0, 1351\].*=1352.*has 1352 images"),
        (
            dict(train_size=1000, validation_size=400),
            r"`train_size`.*\[1, 952\].*=1000.*400 of them are for validation",
        ),
    ],
)
def test_sizes(options, message):
    with pytest.raises(ValueError, match=message):
        prepare(Task(**options))


def test_where_validation_data_are_needed():
    task = Task(train_size=50, validation_size=0)
    with pytest.raises(ValueError, match="`validation_size`.*above 0.*size=0"):
        prepare_all(task)
    with pytest.raises(ValueError, match="`split`.*has: test.*split='validation'"):
        learning_rates.score_losses(task, [Adma()], [0], [0.1], epochs=1)
    with pytest.raises(TypeError, match="`task` must be a `Task`.*'digits'"):
        prepare("digits")


def one_unit(input_shape, num_classes, seed):
    """A network of one logit for two classes."""
    initializer = keras.initializers.GlorotUniform(seed)
    last = keras.layers.Dense(1, kernel_initializer=initializer)
    return keras.Sequential([keras.Input(input_shape), last])


def test_a_network_of_one_unit():
    x = np.random.default_rng(0).normal(0, 1, (300, 3)).astype("float32")
    y = (x[:, 0] > 0).astype(int)
    task = Task(
        ((x[:200], y[:200]), (x[200:], y[200:])),
        architecture=one_unit,
        noise=[[0.9, 0.1], [0.2, 0.8]],
        validation="noisy",
        validation_matrix="noise",
    )
    prepared = prepare(task)
    assert prepared.num_classes == 2
    assert prepare(dataclasses.replace(task, architecture=one_unit((3,), 2, 0)))
    options = dict(epochs=2, batch_size=20, xla=False)
    loss = Adma(from_logits=True)
    (accuracy,) = learning_rates.score_losses(prepared, [loss], [0], [0.3], **options)
    trainer = Trainer(
        prepared.network,
        learning_rates.family_of_one(loss),
        prepared.train([0]),
        prepared.validation,
        label_draws=True,
        learning_rate=0.3,
        **options,
    )
    model = one_unit((3,), 2, 0)
    model.set_weights(trainer.weights_after([], 0))
    predicted = (model.predict(x[200:], verbose=0)[:, 0] > 0).astype(int)
    expected, _ = noisy_accuracy.estimated_accuracy(
        y[200:], predicted, prepared.validation_matrix
    )
    assert accuracy[0, 0] == pytest.approx(expected, abs=1e-5)
    assert (predicted == y[200:]).mean() > 0.9


# judged by noisy labels


def test_noisy_validation_has_one_draw_of_the_noise():
    options = dict(noise="pair:0.4", train_size=50, validation_size=200)
    clean = prepare(Task(**options))
    noisy = prepare(Task(**options, validation="noisy", validation_matrix="noise"))
    np.testing.assert_array_equal(noisy.validation[0], clean.validation[0])
    changed = np.mean(noisy.validation[1] != clean.validation[1])
    assert changed == pytest.approx(0.4, abs=0.1)
    again = prepare(Task(**options, validation="noisy"))
    np.testing.assert_array_equal(noisy.validation[1], again.validation[1])
    np.testing.assert_array_equal(noisy.validation_matrix, noise.pair_flip(10, 0.4))
    assert again.validation_matrix is None
    assert "validation" not in clean.description  # journals of before go on
    assert noisy.description["validation"] == "noisy"
    assert clean.validation_needed() is None
    expected = data.examples_needed(0.02, noise.pair_flip(10, 0.4))
    assert noisy.validation_needed() == again.validation_needed() == expected


def own_data(**options):
    x = np.arange(40, dtype="float32").reshape(20, 2)
    return data.LabelledData(x, np.arange(20) % 2, "ab", range(20), **options)


def test_own_labels_are_split_and_never_drawn():
    task = Task(own_data(), noise="none", validation="noisy", validation_size=5)
    found = prepare(task)
    assert (len(found.labels), len(found.validation[1])) == (15, 5)
    rows = np.concatenate([found.inputs, found.validation[0]])[:, 0] // 2
    labels = np.concatenate([found.labels, found.validation[1]])
    np.testing.assert_array_equal(labels, rows % 2)
    np.testing.assert_array_equal(found.train([1, 2])[1][:, 0], found.labels)
    trusted = prepare(Task(own_data(trusted=[3, 4]), noise="none"))
    np.testing.assert_array_equal(trusted.validation[0][:, 0], [6, 8])
    assert len(trusted.labels) == 18


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(noise="pair:0.1"), "`noise`.*'none' for labels that are wrong already"),
        (dict(), "`validation`.*'noisy' for data without trusted examples"),
        (dict(validation="wrong"), "`validation`.*'clean', 'noisy'.*='wrong'"),
        (
            dict(validation="noisy", validation_size=20),
            r"`validation_size`.*\[1, 19\].*=20. There are 20 examples",
        ),
        (
            dict(validation="noisy", validation_matrix="noise"),
            "`validation_matrix`.*'noise' where noise is simulated",
        ),
        (
            dict(validation="noisy", validation_matrix=np.eye(3)),
            r"`validation_matrix.shape`.*of 2 classes.*\(3, 3\)",
        ),
        (
            dict(validation="noisy", validation_matrix=np.full((2, 2), 0.5)),
            "Leave the matrix out",
        ),
    ],
)
def test_mistakes_with_own_labels(options, message):
    with pytest.raises(ValueError, match=message):
        prepare(Task(own_data(), **{"noise": "none", **options}))


def test_a_matrix_with_clean_validation():
    with pytest.raises(ValueError, match="`validation_matrix`.*None with clean"):
        prepare(Task(train_size=50, validation_matrix=np.eye(10)))


def test_corrected_accuracy_is_that_of_the_metric():
    matrix = noise.pair_flip(10, 0.4)
    task = prepare(
        Task(
            noise="pair:0.4",
            train_size=100,
            validation_size=300,
            validation="noisy",
            validation_matrix=matrix,
        )
    )
    loss, options = Adma(from_logits=True), dict(epochs=1, xla=False)
    (corrected,) = learning_rates.score_losses(task, [loss], [0], [0.1], **options)
    plain = dataclasses.replace(task, validation_matrix=None)
    (uncorrected,) = learning_rates.score_losses(plain, [loss], [0], [0.1], **options)
    trainer = Trainer(
        task.network,
        learning_rates.family_of_one(loss),
        task.train([0]),
        task.validation,
        label_draws=True,
        epochs=1,
        learning_rate=0.1,
        xla=False,
    )
    model = task.network(0)
    model.set_weights(trainer.weights_after([], 0))
    predicted = np.argmax(model.predict(task.validation[0], verbose=0), -1)
    for received, given in ((corrected, matrix), (uncorrected, None)):
        expected, _ = noisy_accuracy.estimated_accuracy(
            task.validation[1], predicted, given
        )
        assert received[0, 0] == pytest.approx(expected, abs=1e-5)
