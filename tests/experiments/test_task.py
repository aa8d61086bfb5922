"""Tasks without validation data; what a comparison makes of its settings."""

import numpy as np
import pytest

from tfrobustloss import data
from tfrobustloss.experiments import Settings, Task, learning_rates
from tfrobustloss.experiments.comparison import Comparison
from tfrobustloss.experiments.task import prepare, prepare_all
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
    assert sizes == (48, 12, 445)


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
