"""Tasks that a search cannot be run on: one clear error each."""

import keras
import numpy as np
import pytest

from tfrobustloss import data
from tfrobustloss.experiments import task as _tasks
from tfrobustloss.search import Task, TaylorLossSearch, make_tasks

SMALL = Task("digits", train_size=60, validation_size=40)


def _search(task=SMALL, **options):
    quick = dict(generations=1, population_size=3, epochs=1, seeds_per_candidate=1)
    return TaylorLossSearch(task, **{**quick, **options})


def _arrays(size=20, classes=2):
    inputs = np.random.default_rng(size).random((size, 4), "float32")
    return inputs, np.arange(size) % classes


def _model(*last, classes=2):
    dense = keras.layers.Dense(classes)
    return keras.Sequential([keras.Input((4,)), dense, *last])


def test_tasks_of_one_name():
    [task] = make_tasks("digits", "mlp3")
    assert (task.dataset, task.architecture) == ("digits", "mlp3")
    [task] = make_tasks([(_arrays(), _arrays())], _model())
    assert isinstance(task.architecture, keras.Model)


@pytest.mark.parametrize(
    ("given", "name"), [(([],), "datasets"), ((["digits"], []), "architectures")]
)
def test_tasks_of_nothing(given, name):
    with pytest.raises(ValueError, match=rf"`{name}` must be one or more.*\[\]"):
        make_tasks(*given)


@pytest.mark.parametrize("tasks", [None, "digits", 3])
def test_what_is_no_task(tasks):
    with pytest.raises(TypeError, match=f"`tasks` must be `Task`s.*{tasks}"):
        _search(tasks)


def _holed(value):
    inputs, labels = _arrays()
    inputs[3, 2] = value
    return inputs, labels


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ((_holed(np.nan), _arrays()), "finite numbers as inputs.*1 that are NaN"),
        ((_arrays(), _holed(np.inf)), "finite numbers as inputs"),
        ((_arrays(classes=3), _arrays()), "ids from 0 to 1.*ids from 0 to 2"),
        ((_arrays(), _arrays(), _arrays(classes=3)), "ids from 0 to 1"),
        (((_arrays()[0], -_arrays()[1]), _arrays()), "ids from -1 to 0"),
        (((np.array(["a", "b"]), [0, 1]), _arrays()), "numbers as inputs.*<U1"),
        (((3, [0, 1]), _arrays()), "of one length"),
    ],
)
def test_data_that_do_not_fit(dataset, message):
    with pytest.raises(ValueError, match=f"Task: `dataset` must be.*{message}"):
        _tasks.prepare(Task(dataset, _model(), noise="none"))


@pytest.mark.parametrize(
    "dataset", [_arrays(), _arrays()[0], None, (_arrays(), [1, 2, 3])]
)
def test_data_that_are_no_pairs(dataset):
    with pytest.raises(TypeError, match=r"Task: `dataset` must be .*\(train, |pairs"):
        _tasks.prepare(Task(dataset, _model(), noise="none"))


def _softmax_operation():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.ops.softmax(keras.layers.Dense(2)(inputs)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (keras.Sequential([keras.layers.Dense(2)], name="new"), "built.*'new'.*once"),
        (_model(keras.layers.Softmax()), "ends in logits"),
        (_model(keras.layers.Activation("sigmoid")), "ends in logits"),
        (_model(keras.layers.Dense(2, "softmax")), "ends in logits"),
        (None, "a name, a function or a `keras.Model`"),
        (_softmax_operation(), "ends in logits"),
        (_model(keras.layers.Reshape((2, 1))), r"\(batch, a number"),
        (lambda shape, classes, seed: _model(classes=3), r"\(batch, 2\).*\(None, 3\)"),
        (lambda shape, classes, seed: 1, "function that returns one.*=1"),
    ],
)
def test_networks_that_do_not_fit(model, message):
    task = Task((_arrays(), _arrays()), model, noise="none")
    message = f"Task: `architecture` must be.*{message}"
    with pytest.raises((ValueError, TypeError), match=message):
        _tasks.prepare(task)


def test_an_image_dataset():
    digits = data.load("digits", "test")
    named = _tasks.prepare(Task((digits, digits)))
    assert named.inputs.max() == 1  # as of a dataset given by name
    assert (named.labels == digits.labels).all()
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    own = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(10)])
    prepared = _tasks.prepare(Task((digits, digits), own, noise="none"))
    assert prepared.inputs.max() == 255
