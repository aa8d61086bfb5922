"""Tiny real searches on the digits; numbers alone where nothing needs training."""

import json

import keras
import numpy as np
import pytest

from tests.search.networks import linear
from tfrobustloss import architectures, presets
from tfrobustloss.experiments import task as _tasks
from tfrobustloss.losses import canonical_taylor
from tfrobustloss.losses.taylor_polynomial import find_bounds
from tfrobustloss.search import Task, TaylorLossSearch
from tfrobustloss.search.taylor.parametrization import Form

SMALL = Task("digits", linear, train_size=200, validation_size=100)
QUICK = dict(generations=3, population_size=4, epochs=2, seeds_per_candidate=2)


class _Stop(Exception):
    """What ends a search in the middle, as a kill would."""


def _search(journal=None, task=SMALL, like=None, **options):
    """A search; with the compiled programs of `like`, another one of the same task."""
    search = TaylorLossSearch(task, journal=journal, **{**QUICK, **options})
    search._fitness = like and like._fitness
    return search


def _run_until(search, count):
    """Runs until there are `count` candidates, then stops at once."""

    def stop(done, total):
        if done == count:
            raise _Stop

    with pytest.raises(_Stop):
        search.run(on_candidate=stop)
    search.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search that nobody interrupted."""
    search = _search(tmp_path_factory.mktemp("whole") / "a.jsonl")
    search.progress = []
    search.run(search.progress.append)
    return search


# --- the search


def test_history(whole):
    generations = whole.history()
    assert [one["generation"] for one in generations] == [1, 2, 3]
    assert json.loads(json.dumps(generations)) == generations
    for one in generations:
        assert len(one["vectors"]) == len(one["values"]) == 4
        assert one["best"] == max(one["values"])
        assert one["median"] == pytest.approx(np.median(one["values"]))
        assert one["mean"] == pytest.approx(np.mean(one["values"]))
    assert [one["best_so_far"] for one in generations] == list(
        np.maximum.accumulate([one["best"] for one in generations])
    )


def test_progress(whole):
    assert [one["generation"] for one in whole.progress] == [1, 2, 3]
    assert {one["generations"] for one in whole.progress} == {3}
    assert all(one["candidates_per_second"] > 0 for one in whole.progress)
    assert whole.progress[0]["seconds_left"] > whole.progress[-1]["seconds_left"] == 0


def test_resumed_equals_uninterrupted(whole, tmp_path):
    journal = tmp_path / "a.jsonl"
    # within a generation, at its end, before the last candidate
    for count in (2, 8, 11):
        _run_until(_search(journal, like=whole), count)
    search = _search(journal, like=whole)
    search.run()
    assert search.history() == whole.history()
    assert search.best()["theta"] == whole.best()["theta"]


def test_goes_on_in_the_same_object_and_further(whole, tmp_path):
    search = _search(generations=1, like=whole)
    search.run()
    search.generations = 3
    search.run()
    search.run()  # nothing is left to do
    assert search.history() == whole.history()


def test_threads_change_nothing(whole):
    search = _search(generations=1, num_threads=1)
    search.run()
    assert search.history() == whole.history()[:1]


def test_another_seed_is_another_search(whole):
    search = _search(generations=1, seed=1, like=whole)
    search.run()
    assert search.history()[0]["vectors"] != whole.history()[0]["vectors"]


def test_finds_a_loss_where_there_was_none():
    task = Task("digits", noise="none", train_size=200, validation_size=100)
    options = dict(start="zeros", epochs=20, batch_size=32, seeds_per_candidate=1)
    search = _search(task=task, generations=4, population_size=8, **options)
    search.run()
    # 0.1 is chance, and half of the first candidates learn the wrong way round
    assert search.best()["accuracy"] > 0.7
    assert search.best()["accuracy"] >= max(search.best()["candidates"].values())


def test_seeds_are_disjoint(whole):
    used = [seed for g in range(300) for seed in whole._seeds_of(g)]
    fresh = whole.best()["seeds"]
    assert len(set(used)) == len(used)
    assert min(used + fresh + whole.seeds["noise"]) >= 1000  # `compare` has the others
    assert not set(fresh) & {*used, *whole.seeds["noise"]}


def test_best_loss_is_the_candidate_that_won(whole):
    best = whole.best()
    vectors = np.concatenate([one["vectors"] for one in whole.history()])
    vectors = [whole._cma.mean, *vectors]
    found = [best["coefficients"][name] for name in canonical_taylor.NAMES]
    assert min(np.abs(vectors - np.array(found)).max(axis=1)) < 1e-9
    labels = np.array([0, 1])
    p = np.array([[0.7, 0.1, 0.1, *[0.1 / 7] * 7], [0.1, 0.2, *[0.7 / 8] * 8]])
    expected = canonical_taylor.canonical_loss(labels, p, found)
    loss = whole.best_loss(reduction=None)
    assert np.allclose(loss(labels, p), expected, rtol=1e-5)
    assert whole.best_loss(from_logits=True).from_logits is True


def test_nothing_is_best_before_the_first_generation():
    with pytest.raises(RuntimeError, match="Call `run` first"):
        _search().best()


# --- presets


def test_preset_round_trip(whole, tmp_path):
    path = tmp_path / "found.json"
    record = whole.save_preset(path)
    assert json.loads(path.read_text()) == record
    loss = presets.load_preset(path, from_logits=True)
    assert loss.get_config()["theta"] == whole.best_loss().get_config()["theta"]
    assert keras.losses.deserialize(keras.losses.serialize(loss)).from_logits is True
    assert record["settings"]["tasks"][0]["noise"] == "symmetric:0.6"
    assert record["settings"]["epochs"] == 2
    assert record["generations"] == 3
    assert record["journal"]["file"] == "a.jsonl"
    assert len(record["journal"]["sha256"]) == 64
    assert {"versions", "hardware", "seeds", "fitness"} <= set(record)
    start = Form("canonical", 10).start(str(path))
    expected = list(record["coefficients"].values())
    assert start.tolist() == pytest.approx(expected)


def test_every_form_searches():
    for form in ("12", "16"):
        search = _search(form=form, eta=5.0, generations=1)
        search.run()
        assert len(search.best()["theta"]) == int(form)
        low, high = find_bounds(search.best()["theta"], 10)
        assert high - low == pytest.approx(5.0)


# --- tasks


def test_validation_is_split_from_the_train_split():
    whole = _tasks.prepare(Task("digits"))
    assert whole.description["validation_size"] == 1352 // 4
    assert whole.description["train_size"] == 1352 - 1352 // 4
    assert len(whole.test[1]) == 445
    images = {
        image.tobytes() for part in (whole.validation, whole.test) for image in part[0]
    }
    assert not images & {image.tobytes() for image in whole.inputs}
    few = _tasks.prepare(SMALL)
    assert (len(few.labels), len(few.validation[1])) == (200, 100)


def test_noise_of_a_seed():
    task = _tasks.prepare(SMALL)
    labels = task.train([5, 6, 5])[1]
    assert labels.shape == (200, 3)
    assert (labels[:, 0] == labels[:, 2]).all()
    assert (labels[:, 0] != labels[:, 1]).mean() > 0.4
    assert task.realized_rate(5) == pytest.approx(0.6, abs=0.1)


def _arrays(count, shape=(4,)):
    generator = np.random.default_rng(count)
    inputs = generator.random((count, *shape), "float32")
    return inputs, (inputs.reshape(count, -1).mean(-1) > 0.5).astype(int)


def test_arrays_with_a_trusted_subset_and_a_model_of_ones_own():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="mine")
    task = Task((_arrays(60), _arrays(30)), model, noise="none")
    search = _search(task=task, generations=1)
    search.run()
    assert search.history()[0]["best"] > 0.4
    assert search.best()["accuracy"] > 0.4
    assert search.settings["tasks"][0]["dataset"].startswith("arrays ")
    assert search.settings["tasks"][0]["architecture"].startswith("mine ")


def test_a_matrix_and_a_function_of_ones_own():
    matrix = [[0.9, 0.1, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    given = _arrays(60, (2, 2, 1)), _arrays(30, (2, 2, 1))
    prepared = _tasks.prepare(Task(given, architectures.mlp2, noise=matrix))
    assert prepared.num_classes == 3  # as the matrix says, not the labels
    assert prepared.description["noise"] == matrix
    assert prepared.description["architecture"] == "mlp2"
    assert prepared.network(0).output_shape == (None, 3)
    assert (prepared.train([0])[1][prepared.labels == 1] == 1).all()


# --- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(generations=0), "`generations`.*generations=0"),
        (dict(population_size=2), "`population_size`.*=2"),
        (dict(sigma0=0), "`sigma0`.*=0"),
        (dict(seeds_per_candidate=0), "`seeds_per_candidate`.*=0"),
        (dict(epochs=0), "`epochs`.*=0"),
        (dict(learning_rates=(0.1, -1)), "`learning_rate`.*=-1"),
        (dict(eta=0), "`eta`.*=0"),
        (dict(form="13"), "`form`.*canonical.*'13'"),
        (dict(start="sce"), "`start`.*gce.*'sce'.*No such file"),
        (dict(start=[1.0, 2.0]), "`start`.*6 finite numbers.*2.0"),
        (dict(task=[]), "`tasks`.*one or more"),
        (dict(task=Task("digits", "mlp9")), "`architecture`.*mlp2.*mlp9"),
        (dict(task=Task("digits", noise="pear:0.1")), "`noise`.*pear"),
        (dict(task=Task("digits", noise=np.eye(3))), r"`noise`.*10, 10.*3, 3"),
        (dict(task=Task("digits", train_size=2000)), "`train_size`.*=2000"),
        (dict(task=Task("digits", validation_size=1352)), "`validation_size`.*=1352"),
        (dict(task=Task((_arrays(3),))), "`dataset`.*1 things"),
        (
            dict(
                task=[
                    Task((_arrays(9), _arrays(9)), noise=np.eye(3)),
                    Task((_arrays(9), _arrays(9))),
                ]
            ),
            r"`tasks`.*one number of classes.*\[3, 2\]",
        ),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        _search(**options)


def test_wrong_kinds():
    with pytest.raises(TypeError, match="`learning_rate`.*None"):
        _search(learning_rates=())
    with pytest.raises(TypeError, match="`tasks`.*'digits'"):
        _search(task=["digits"])
