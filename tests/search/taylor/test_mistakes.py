"""What a user can get wrong in a search: one clear error each, and nothing lost."""

import json
import pathlib
import types

import keras
import keras_tuner
import numpy as np
import pytest

from tfrobustloss import data, losses, presets
from tfrobustloss.experiments import task as _tasks
from tfrobustloss.search import CMAES
from tfrobustloss.search.taylor.fitness import choose
from tfrobustloss.search.taylor.search import Task, TaylorLossSearch, make_tasks
from tfrobustloss.search.tuner import roles

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


# --- journals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(nthreads=2), r"`trainer_options`.*num_threads.*\['nthreads'\]"),
        (dict(num_threads="two"), "`num_threads`.*'two'"),
        (dict(halving=0.5), "`halving`.*Halving.*0.5"),
    ],
)
def test_options_of_the_trainer_are_checked_first(options, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        _search(journal=tmp_path / "a.jsonl", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_journal_without_a_value_is_new(tmp_path):
    journal = tmp_path / "a.jsonl"
    _search(journal=journal, sigma0=0.5).close()
    search = _search(journal=journal, sigma0=0.1, epochs=2)
    search._cma.tell(search._cma.pending()[0].id, 0.5)
    search.close()
    with pytest.raises(ValueError, match="sigma0=0.2.*sigma0=0.1"):
        _search(journal=journal, sigma0=0.2, epochs=2)


def test_an_open_journal_keeps_its_settings(tmp_path):
    journal = tmp_path / "a.jsonl"
    search = _search(journal=journal)
    settings = (tmp_path / "a.jsonl.settings.json").read_text()
    with pytest.raises(RuntimeError, match="no other search has open"):
        _search(journal=journal, epochs=2)
    assert (tmp_path / "a.jsonl.settings.json").read_text() == settings
    search.close()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a.jsonl", "the journal"),
        ("b/../a.jsonl.settings.json", "its settings"),
        ("start.json", "the preset of `start`"),
        ("link/start.json", "the preset of `start`"),
        ("b/link.json", "the preset of `start`"),
    ],
)
def test_a_preset_does_not_replace_what_the_search_needs(name, kept, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    start = tmp_path / "start.json"
    (tmp_path / "b" / "link.json").symlink_to(start)
    theta = losses.TaylorLoss([0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 0, 0]).theta
    start.write_text(json.dumps({"format": presets.FORMAT, "theta": list(theta)}))
    content = start.read_text()
    search = _search(journal=tmp_path / "a.jsonl", start=start)
    message = f"save_preset: `path` must be another file than {kept}. .*{name}"
    with pytest.raises(ValueError, match=message):
        search.save_preset(tmp_path / name)
    search.close()
    assert start.read_text() == content


def test_a_preset_of_the_package_is_not_replaced():
    [name] = presets.names()
    search = _search(start=name)
    folder = pathlib.Path(presets.__file__).parent
    with pytest.raises(ValueError, match="`path` must be.*the preset of `start`"):
        search.save_preset(folder / f"{name}.json")


@pytest.mark.parametrize("start", ["a.jsonl", "a.jsonl.settings.json"])
def test_a_journal_does_not_replace_the_start(start, tmp_path):
    path = tmp_path / start
    path.write_text(json.dumps({"format": presets.FORMAT, "theta": [0.0] * 12}))
    content = path.read_text()
    with pytest.raises(ValueError, match="`journal` must be another file than the pr"):
        _search(journal=tmp_path / "a.jsonl", start=path)
    assert path.read_text() == content
    assert list(tmp_path.iterdir()) == [path]


# --- what was found


def test_nothing_is_found_where_all_diverge():
    def score(vectors, seeds, draw):
        return np.full(len(vectors), np.nan)

    fitness = types.SimpleNamespace(score=score, learning_rates=[1e30])
    with pytest.raises(ValueError, match=r"diverged.*\[1e\+30\].*smaller `sigma0`"):
        choose(fitness, np.zeros(6), [], 0, [1, 2])


def test_cmaes_without_a_success(tmp_path):
    class Broken(CMAES):
        def run_trial(self, trial, **fit_kwargs):
            raise ValueError("no such objective")

    space = keras_tuner.HyperParameters()
    space.Float("x", 0, 1)
    options = dict(max_trials=2, hyperparameters=space, directory=tmp_path)
    with pytest.raises(RuntimeError, match="none of 2 trials.*no such objective"):
        Broken(**options).search(verbose=0)


# --- tasks


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


# --- kinds


@pytest.mark.parametrize(
    "start", [losses.CrossEntropy(), None, [[1.0], [1.0, 2.0]], {"a": 1}]
)
def test_starts_of_another_kind(start):
    with pytest.raises((TypeError, ValueError), match="search: `start` must be"):
        _search(start=start)


def test_a_path_as_start(tmp_path):
    with pytest.raises(ValueError, match="`start`.*No such file"):
        _search(start=tmp_path / "a.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(initial=[1]), r"`initial` must be a dict.*\[1\]"),
        (dict(hold="x"), "`hold` must be a dict.*'x'"),
        (dict(hyperparameters={"x": 1}), "`hyperparameters`.*HyperParameters"),
        (dict(overflow="no"), "`overflow`.*'no'"),
        (dict(restarts="ipob"), "`restarts` must be one of 'ipop'.*'ipob'"),
    ],
)
def test_arguments_of_cmaes(options, message, tmp_path):
    with pytest.raises((TypeError, ValueError), match=f"CMAES: {message}"):
        CMAES(lambda hp: None, "val_loss", directory=tmp_path, **options)


@pytest.mark.parametrize("path", [None, 3])
def test_a_preset_is_a_path(path):
    with pytest.raises(TypeError, match=f"load_preset: `path` .*{path}"):
        presets.load_preset(path)


@pytest.mark.parametrize("port", [None, ""])
def test_a_role_without_a_port(port, monkeypatch):
    monkeypatch.setenv(roles.TUNER, "worker-1")
    monkeypatch.setenv(roles.PORT, port or "")
    if port is None:
        monkeypatch.delenv(roles.PORT)
    with pytest.raises(ValueError, match="KERASTUNER_ORACLE_PORT must be.*worker-1"):
        roles.role()
