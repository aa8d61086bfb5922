"""The trainer against `fit`, against itself in parts and threads, and at its edges."""

import contextlib
import copy
import dataclasses
import functools
import random

import keras
import numpy as np
import pytest

from tests.experiments.trainer import networks
from tfrobustloss import losses
from tfrobustloss.experiments.trainer.initial_weights import (
    InitialValues,
    mixed_precision_twin,
)
from tfrobustloss.experiments.trainer.layer_kinds import may_be_padded, suits_xla
from tfrobustloss.experiments.trainer.trainer import Halving, Trainer
from tfrobustloss.losses import families

BACKEND = keras.backend.backend()
pytestmark = pytest.mark.skipif(
    BACKEND not in ("tensorflow", "jax"), reason="the trainer has no torch programs"
)

FAMILY = families.generalized_cross_entropy()
TAYLOR = families.taylor(12)
TRAIN, VALIDATION = networks.examples(200), networks.examples(90, seed=1)
# together: every way to compile a step, state, random numbers, penalties
NETWORKS = [networks.dense, networks.branched, networks.random, networks.unknown]


def make_trainer(model, family=FAMILY, **options):
    options = {"epochs": 2, "batch_size": 64, "learning_rate": 0.1, **options}
    data = {"train": TRAIN, "validation": VALIDATION}
    data = {name: options.pop(name, value) for name, value in data.items()}
    return Trainer(model, family, **data, **options)


@contextlib.contextmanager
def undisturbed(model):
    """Asserts that no global random state and no variable of `model` is changed."""
    before = [keras.ops.convert_to_numpy(v.value) for v in model.variables]
    states = random.getstate(), np.random.get_state()[1].copy()
    yield
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
    after = [keras.ops.convert_to_numpy(v.value) for v in model.variables]
    assert_same(after, before)


@functools.cache
def trainer_of(make, family=FAMILY):
    """One compiled trainer a network, for all tests that train it plainly."""
    model = make()
    with undisturbed(model):
        return make_trainer(model, family, num_threads=1)


def variant(trainer, **attributes):
    """The same compiled programs with other threads or halving."""
    other = copy.copy(trainer)
    vars(other).update(attributes)
    return other


def assert_same(ours, theirs, atol=0):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=atol)


def fit(model, trainer, vector, seed, epochs, **sgd):
    """Trains `model` by Keras from where a trainer starts, on the same batches."""
    for variable, value in zip(
        model.variables, trainer.initial_values(seed), strict=True
    ):
        variable.assign(value)
    # layers that draw random numbers draw others under XLA
    draws = len(model.variables) > len(model.weights)
    jit = draws and suits_xla(model) if BACKEND == "tensorflow" else "auto"
    optimizer = keras.optimizers.SGD(**{"learning_rate": 0.1, "momentum": 0.9, **sgd})
    optimizer.build(model.trainable_variables)
    compiled = {"jit_compile": jit}
    if BACKEND == "tensorflow" and not jit:
        compiled = {"run_eagerly": True}  # the same step, and nothing to trace
    model.compile(optimizer, trainer.family.build(vector), **compiled)
    images, labels = TRAIN
    for epoch in range(epochs):
        order = trainer.batch_order(seed, epoch)
        model.fit(images[order], labels[order], 64, shuffle=False, verbose=0)


@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_the_same_as_fit(make):
    # 8 steps, two of them of partial batches: far fewer than rounding needs to grow
    model, trainer = make(), trainer_of(make)
    progress = trainer.advance(trainer.begin(3), [0.4])
    fit(model, trainer, [0.4], 3, epochs=2)
    assert_same(trainer.weights(progress), model.get_weights(), atol=2e-6)
    images, labels = VALIDATION
    logits = keras.ops.convert_to_numpy(model(images, training=False))
    accuracy = np.mean(logits.argmax(axis=-1) == labels)
    assert trainer.accuracy(progress) == pytest.approx(accuracy, abs=1e-6)
    assert (progress.step, progress.diverged) == (8, False)


def test_the_same_as_fit_at_another_rate_without_momentum():
    model = networks.dense()
    trainer = make_trainer(model, momentum=0.0, epochs=1)
    weights = trainer.weights_after([0.4], seed=3, learning_rate=0.03)
    fit(model, trainer, [0.4], 3, epochs=1, learning_rate=0.03, momentum=0.0)
    assert_same(weights, model.get_weights(), atol=1e-6)


@pytest.mark.parametrize("make", [networks.dense, networks.random, networks.unknown])
def test_in_parts_as_in_one_run(make):
    trainer = trainer_of(make)
    progress = trainer.begin(seed=2)
    for steps in (1, 4, None):
        before = progress.step
        progress = trainer.advance(progress, [0.6], steps)
        assert progress.step == (8 if steps is None else before + steps)
    whole = trainer.weights_after([0.6], seed=2)
    assert_same(trainer.weights(progress), whole)
    score = trainer.score([0.6], seed=2)
    assert trainer.accuracy(progress) == score.accuracy
    assert (score.steps, score.diverged, score.stopped) == (8, False, False)
    assert trainer.advance(progress, [0.6]).step == 8  # nothing is left


def test_one_program_for_every_draw_of_the_labels():
    images, labels = TRAIN
    other, third = (np.random.default_rng(s).permutation(labels) for s in (0, 1))
    traces = []

    def function(y_true, y_pred, vector):
        traces.append(1)
        return FAMILY.function(y_true, y_pred, vector)

    plain = trainer_of(networks.dense)
    trainer = make_trainer(
        plain._model,
        dataclasses.replace(FAMILY, function=function),
        train=(images, np.stack([other, labels, third], axis=1)),
        label_draws=True,
    )
    assert (plain.num_draws, trainer.num_draws) == (1, 3)
    weights = [trainer.weights_after([0.4], 5, draw=draw) for draw in range(3)]
    before = len(traces)
    assert_same(weights[1], plain.weights_after([0.4], 5), atol=1e-6)
    for draw in (0, 2):
        assert np.abs(weights[draw][0] - weights[1][0]).max() > 0.01
    # and for all else that a training is given
    trainer.score([0.7], seed=1, learning_rate=0.2, draw=2)
    trainer.advance(trainer.begin(1), [0.3], 3, draw=2)
    found = trainer.score_many([[0.1], [0.2]], seeds=[0, 2], draw=1)
    expected = plain.score_many([[0.1], [0.2]], seeds=[0, 2])
    for row, known in zip(found, expected, strict=True):
        accuracy = [one.accuracy for one in known]
        assert [one.accuracy for one in row] == pytest.approx(accuracy, abs=0.012)
    assert len(traces) == before


def test_draws_of_one_hot_labels():
    ids = trainer_of(networks.dense)
    rows = np.eye(networks.CLASSES)[TRAIN[1]]
    trainer = make_trainer(
        ids._model,
        train=(TRAIN[0], np.stack([rows[::-1], rows], axis=1)),
        validation=(VALIDATION[0], np.eye(networks.CLASSES)[VALIDATION[1]]),
        label_draws=True,
    )
    progress = trainer.advance(trainer.begin(), [0.4], draw=1)
    assert_same(trainer.weights(progress), ids.weights_after([0.4]), atol=1e-6)
    assert trainer.accuracy(progress) == ids.score([0.4]).accuracy


def test_no_steps_are_the_initial_weights():
    trainer = trainer_of(networks.dense)
    start = trainer.initial_values(5)
    assert_same(trainer.weights_after([0.6], 5, 0), start)


def test_threads_change_nothing():
    vectors, seeds = np.linspace(0, 1, 7)[:, None], [0, 5]
    trainer = trainer_of(networks.dense)
    threaded = variant(trainer, num_threads=4)
    told = []
    many = threaded.score_many(
        vectors, seeds, on_scores=lambda index, scores: told.append((index, scores))
    )
    assert sorted(index for index, _ in told) == list(range(7))
    assert all(many[index] is scores for index, scores in told)
    for vector, row in zip(vectors, many, strict=True):
        for seed, score in zip(seeds, row, strict=True):
            assert score.accuracy == trainer.score(vector, seed).accuracy


def test_rates_of_candidates():
    trainer = trainer_of(networks.dense)
    rows = trainer.score_many([[0.4], [0.4]], [1], learning_rates=[0.001, 0.5])
    for row, rate in zip(rows, (0.001, 0.5), strict=True):
        expected = trainer.score([0.4], 1, learning_rate=rate)
        assert row[0].accuracy == expected.accuracy


@pytest.mark.parametrize("make", [networks.unbounded, networks.unbounded_convolution])
def test_divergence(make):
    trainer = trainer_of(make, TAYLOR)
    absolute = np.array(TAYLOR.initial)
    wild = 1e37 * absolute
    rows = trainer.score_many([absolute, wild, absolute])
    bad = rows[1][0]
    assert (bad.accuracy, bad.diverged) == (0.0, True)
    assert 1 <= bad.steps <= 3  # stopped at once
    assert rows[0][0].accuracy == rows[2][0].accuracy > 0.3
    progress = trainer.advance(trainer.begin(), wild)
    assert progress.diverged
    assert progress.step == bad.steps
    assert trainer.accuracy(progress) == 0
    assert trainer.advance(progress, absolute).step == bad.steps
    # a last step to infinite weights counts too
    progress = trainer.advance(trainer.begin(), absolute, 1, learning_rate=3e38)
    assert not progress.diverged  # its loss was finite
    assert trainer.accuracy(progress) == 0


def test_a_divergence_is_the_worst_that_noisy_labels_can_say():
    matrix = [[0.7, 0.3, 0], [0, 0.7, 0.3], [0.3, 0, 0.7]]
    trainer = make_trainer(networks.unbounded(), TAYLOR, validation_matrix=matrix)
    worst = np.linalg.inv(matrix).min()
    assert worst < -0.5
    bad = trainer.score(1e37 * np.array(TAYLOR.initial))
    assert bad.diverged
    assert bad.accuracy == trainer.worst == pytest.approx(worst, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "family", "vector"),
    [
        (networks.dense, FAMILY, [0.4]),
        (networks.unbounded_convolution, TAYLOR, TAYLOR.initial),
    ],
)
def test_bfloat16_is_near_float32(make, family, vector):
    exact = trainer_of(make, family)
    rough = make_trainer(exact._model, family, compute_dtype="bfloat16")
    assert rough._runner._problem.model.layers[0].compute_dtype == "bfloat16"
    runs = [(one, one.advance(one.begin(), vector)) for one in (exact, rough)]
    weights = [trainer.weights(progress) for trainer, progress in runs]
    assert {values.dtype.name for values in weights[1]} == {"float32"}
    assert_same(*weights, atol=0.05)
    accuracy = [trainer.accuracy(progress) for trainer, progress in runs]
    assert accuracy[0] > 0.3
    assert accuracy[1] == pytest.approx(accuracy[0], abs=0.08)


def test_halving_keeps_the_best():
    trainer, vectors = trainer_of(networks.dense), np.linspace(0, 1, 6)[:, None]
    rates = [0.1, 1e-6, 0.2, 1e-6, 0.3, 1e-6]  # every second one learns nothing
    options = {"seeds": [0, 1], "learning_rates": rates}
    plain = trainer.score_many(vectors, **options)
    halved = variant(trainer, _halving=Halving(rungs=(0.5,)), num_threads=2)
    told = []
    rows = halved.score_many(
        vectors, **options, on_scores=lambda index, _: told.append(index)
    )
    assert sorted(told) == list(range(6))
    for index, (row, expected) in enumerate(zip(rows, plain, strict=True)):
        for score, whole in zip(row, expected, strict=True):
            assert score.stopped == (index % 2 == 1)
            assert score.steps == (4 if score.stopped else 8)
            if not score.stopped:
                assert score.accuracy == whole.accuracy


def test_nothing_outside_is_disturbed():
    trainer = trainer_of(networks.random)  # made without a trace, too
    with undisturbed(trainer._model):
        trainer.score_many([[0.4], [0.5]], seeds=[0, 1])


def test_a_seed_gives_its_initial_values():
    start = [InitialValues(networks.network(seed=7)) for _ in range(2)]
    first, again = (one.values(4)[0][0] for one in start)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - start[0].values(5)[0][0]).max() > 0.1


def test_order_of_batches():
    trainer = trainer_of(networks.dense)
    assert sorted(trainer.batch_order(4)) == list(range(200))
    assert (trainer.batch_order(4) != trainer.batch_order(4, 1)).any()
    assert (trainer.batch_order(4) != trainer.batch_order(5)).any()


def test_frozen_weights_stay():
    model = networks.dense()
    model.layers[1].trainable = False
    given = model.get_weights()
    trainer = make_trainer(model, epochs=1)
    weights = trainer.weights_after([0.4], seed=1)
    np.testing.assert_array_equal(weights[0], given[0])
    assert np.abs(weights[2] - given[2]).max() > 0.01


def test_a_function_of_the_seed_in_place_of_a_model():
    def build(seed):
        return networks.network(seed=seed)

    trainer = make_trainer(build, epochs=1)
    for seed in (0, 3):
        kernel = build(seed).get_weights()[0]
        np.testing.assert_array_equal(trainer.initial_values(seed)[0], kernel)
    assert trainer.score([0.4], seed=3).steps == 4


@pytest.mark.parametrize(
    ("make", "xla", "padded"),
    [
        (networks.dense, True, True),
        (networks.branched, True, True),
        (networks.random, True, False),
        (networks.convolutional, False, False),
        (networks.unknown, False, False),
    ],
)
def test_kinds_of_networks(make, xla, padded):
    model = make()
    assert (suits_xla(model), may_be_padded(model)) == (xla, padded)
    nested = keras.Sequential([keras.Input(networks.SHAPE), model])
    assert (suits_xla(nested), may_be_padded(nested)) == (xla, padded)


def test_operations_between_layers_are_not_known():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.ops.square(keras.layers.Dense(3)(inputs)))
    assert not suits_xla(model)


def test_a_twin_in_mixed_precision_keeps_statistics():
    normalization = keras.layers.Normalization()
    normalization.adapt(TRAIN[0])
    model = networks.network(normalization)
    twin = mixed_precision_twin(model)
    expected, found = (np.asarray(one(TRAIN[0])) for one in (model, twin))
    np.testing.assert_allclose(expected, found, atol=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "`epochs`.*epochs=0"),
        ({"momentum": 1.0}, r"`momentum`.*momentum=1\.0"),
        ({"compute_dtype": "float16"}, "`compute_dtype`.*'float16'"),
        ({"train": (TRAIN[0], TRAIN[1][:-1])}, r"`train`.*\[199, 200\]"),
        ({"validation": (TRAIN[0][:0], TRAIN[1][:0])}, r"`validation`.*\[0\]"),
        ({"label_draws": True}, r"`train`.*\(examples, draws, \.\.\.\).*\(200,\)"),
    ],
)
def test_settings_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(networks.dense(), **options)


def test_a_model_without_weights_yet():
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="`model` must be built"):
        make_trainer(model)


def test_arguments_are_checked():
    trainer = trainer_of(networks.dense)
    with pytest.raises(ValueError, match=r"`vector` must be 1 numbers: q.*0\.5"):
        trainer.score([0.1, 0.5])
    with pytest.raises(ValueError, match=r"`draw` must be .*\[0, 0\].*draw=1"):
        trainer.score_many([[0.1]], draw=1)
    with pytest.raises(ValueError, match=r"`draw`.*draw=-1"):
        trainer.advance(trainer.begin(), [0.1], draw=-1)
    with pytest.raises(TypeError, match="`label_draws` must be True or False.*=2"):
        make_trainer(networks.dense(), label_draws=2)
    with pytest.raises(ValueError, match="`seed`.*seed=-1"):
        trainer.score([0.1], seed=-1)
    with pytest.raises(ValueError, match="`learning_rates` must be 2 numbers"):
        trainer.score_many([[0.1], [0.2]], learning_rates=[0.1])
    with pytest.raises(ValueError, match=r"`rungs` must be increasing.*0\.2"):
        Halving(rungs=(0.4, 0.2))
    with pytest.raises(ValueError, match=r"`rungs`.*rungs=1\.5"):
        Halving(rungs=(1.5,))


@pytest.mark.skipif(BACKEND != "jax", reason="chunks are for JAX")
@pytest.mark.parametrize("make", [networks.dense, networks.random])
def test_a_chunk_is_its_candidates(make):
    model, vectors = make(), np.linspace(0, 1, 5)[:, None]
    halving = Halving(rungs=(0.25, 0.5))
    rows = make_trainer(model, chunk_size=3).score_many(vectors, [0, 1])
    halved = make_trainer(model, chunk_size=3, halving=halving)
    serial = make_trainer(model, chunk_size=1)
    for vector, row in zip(vectors, rows, strict=True):
        for seed, score in enumerate(row):
            # one row of 90 may be decided by rounding
            expected = serial.score(vector, seed).accuracy
            assert score.accuracy == pytest.approx(expected, abs=0.012)
    finished = [
        (score.accuracy, row[seed].accuracy)
        for scores, row in zip(halved.score_many(vectors, [0, 1]), rows, strict=True)
        for seed, score in enumerate(scores)
        if not score.stopped
    ]
    assert len(finished) == 4  # of 5, 3 and then 2 go on, with 2 seeds each
    assert all(one == other for one, other in finished)


@pytest.mark.parametrize(
    "family", [families.canonical_taylor(3), families.bi_tempered_logistic()]
)
def test_families_train(family):
    score = make_trainer(networks.dense(), family, epochs=1, xla=False).score(
        family.initial
    )
    assert score.accuracy > 0.3
    assert isinstance(family.build(family.initial), losses.FunctionLoss)
