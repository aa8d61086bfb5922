"""Losses stopped by noisy labels on tasks: which labels choose, and what is chosen."""

import dataclasses

import keras
import numpy as np
import pytest

from tfrobustloss import losses
from tfrobustloss.experiments import Task, selection, stopped, stopped_losses
from tfrobustloss.experiments.task import prepare
from tfrobustloss.experiments.trainer import Trainer

pytestmark = pytest.mark.skipif(
    keras.backend.backend() not in ("tensorflow", "jax"),
    reason="the trainer has no torch programs",
)

SMALL = Task("digits", train_size=200, validation_size=120, noise="pair:0.3")
LOSS = losses.CrossEntropy(from_logits=True)


@pytest.fixture(autouse=True)
def _short_compilations(monkeypatch):
    stepwise = "tfrobustloss.experiments.trainer.problem.suits_xla"
    monkeypatch.setattr(stepwise, lambda model: False)


def test_it_stops_where_noisy_labels_say():
    rates, seeds = [1e30, 1e-9, 0.1], [5, 6]
    found = stopped_losses(SMALL, {"a": LOSS}, seeds, rates, epochs=6)["a"]
    assert found.learning_rate == 0.1
    assert found.num_labels == 120
    assert found.matrix is None
    # by the trainer alone: test accuracy after as many epochs
    prepared = prepare(SMALL)
    family = stopped.family_of_one(LOSS)
    trainer = Trainer(
        prepared.network,
        family,
        prepared.train(seeds),
        prepared.test,
        label_draws=True,
        epochs=6,
    )
    for index, seed in enumerate(seeds):
        steps = found.epochs[index] * trainer.steps_per_epoch
        progress = trainer.advance(trainer.begin(seed), [], steps, 0.1, index)
        assert found.accuracy[index] == pytest.approx(trainer.accuracy(progress))
    estimate, low, high = found.estimate()
    assert low < estimate < high


def test_the_test_set_chooses_nothing():
    prepared = prepare(SMALL)
    wrong = prepared.test[0], (prepared.test[1] + 1) % 10
    found = [
        stopped_losses(task, {"a": LOSS}, [5], [0.1, 0.3], epochs=4)["a"]
        for task in (prepared, dataclasses.replace(prepared, test=wrong))
    ]
    assert found[0].epochs == found[1].epochs
    assert found[0].learning_rate == found[1].learning_rate
    assert found[0].accuracy[0] != found[1].accuracy[0]


def _own(**options):
    random = np.random.default_rng(0)
    x = random.normal(size=(150, 3)).astype("float32")
    labels = ((x[:, 0] > 0) ^ (random.random(150) < 0.2)) * 1
    arrays = (x[:100], labels[:100]), (x[100:], labels[100:])
    return prepare(Task(arrays, "mlp2", "none", **options))


def test_which_labels_choose():
    examples = stopped._Examples
    noisy = examples(prepare(dataclasses.replace(SMALL, validation="noisy")), [1])
    clean = examples(prepare(SMALL), [1])
    np.testing.assert_array_equal(noisy.labels, clean.labels)  # the same draw
    assert np.mean(clean.labels != prepare(SMALL).validation[1]) > 0.2
    matrix = [[0.8, 0.2], [0.2, 0.8]]
    own = _own(validation="noisy", validation_matrix=matrix)
    assert examples(own, [1]).labels is own.validation[1]
    assert examples(own, [1]).values is not None
    # clean labels of wrong ones: a fifth of the wrong ones is held out instead
    trusted = examples(_own(), [1])
    assert (len(trusted.labels), len(trusted.train[0])) == (20, 80)
    assert trusted.train[1].shape == (80, 1)


def test_without_a_test_set_accuracy_is_estimated():
    own = _own(validation="noisy", validation_matrix=[[0.8, 0.2], [0.2, 0.8]])
    found = stopped_losses(own, {"a": LOSS}, [1, 2], [0.1], epochs=3)["a"]
    assert found.accuracy is None
    estimate, low, high = found.estimate()
    assert low <= estimate <= high
    assert estimate == pytest.approx(found.worth.estimate()[0])


def test_a_model_of_ones_own_keeps_its_weights():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    before = model.get_weights()
    own = dataclasses.replace(_own(validation="noisy"), network=model)
    stopped_losses(own, {"a": LOSS}, [1], [0.1], epochs=1)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_logits_that_are_not_finite_are_worth_the_least():
    values = np.array([[1.5, -0.5], [-0.5, 1.5]])
    logits = np.array([[0.0, 1], [np.nan, 1], [np.inf, 0]])
    labels = np.array([1, 1, 0])
    found = selection.worth_of_logits(labels, logits, values)
    np.testing.assert_array_equal(found, [1.5, -0.5, -0.5])
    found = selection.worth_of_logits(labels, logits, None)
    np.testing.assert_array_equal(found, [1, 0, 0])
