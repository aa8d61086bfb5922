"""A loss as a hyper-parameter: of Optuna, of Keras Tuner, and of a finished trial."""

import inspect

import keras
import keras_tuner
import numpy as np
import pytest

from tfrobustloss import losses
from tfrobustloss.losses import suggest
from tfrobustloss.losses.published_ranges import DROP_IN, RANGES, Drawn

EVERY = [each.__name__ for each in RANGES]


def drawn():
    """Pairs of a class and the name of a parameter, and its range."""
    for each, ranges in RANGES.items():
        for name, limits in ranges.items():
            if isinstance(limits, Drawn):
                yield each, name, limits


def without_arguments():
    """The public losses on class labels that need no argument."""
    for name in losses.__all__:
        each = getattr(losses, name)
        if not (inspect.isclass(each) and issubclass(each, losses.FunctionLoss)):
            continue
        if issubclass(each, losses.TaskLoss) or each is losses.FunctionLoss:
            continue
        try:
            each()
        except TypeError:
            continue
        yield each


def numbers_of(loss_class):
    """Names of its parameters but the switches."""
    signature = inspect.signature(loss_class).parameters.values()
    return {
        each.name
        for each in signature
        if each.kind is not each.VAR_KEYWORD
        and not isinstance(each.default, bool)
        and each.name != "from_logits"
    }


def same(first, second):
    return (type(first), first.get_config()) == (type(second), second.get_config())


# the ranges


def test_every_loss_has_ranges():
    every = set(without_arguments())
    assert not every - set(RANGES), "write their ranges into published_ranges.py"
    assert set(RANGES) <= every
    for each, ranges in RANGES.items():
        assert set(ranges) == numbers_of(each), each
    assert set(DROP_IN) < set(RANGES)


def test_ranges_lie_within_the_limits():
    for each, name, limits in drawn():
        allowed = each.limits[name]
        assert limits.low < limits.high
        assert limits.low > 0 or not limits.log
        assert limits.integer == allowed.integer
        for value in (limits.low, limits.high):
            assert allowed.contains(value), (each, name)
            assert getattr(each(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("loss_class", "name", "low", "high"),
    [
        # losses.md, sections A and C, and the configurations of the authors' code
        (losses.SymmetricCrossEntropy, "alpha", 0.01, 10),  # MNIST, WebVision
        (losses.BiTemperedLogistic, "t2", 1, 4),
        (losses.PartiallyHuberizedCrossEntropy, "tau", 2, 50),  # dmizr/phuber
        (losses.JensenShannon, "pi", 0.1, 0.9),
        (losses.ActiveNegativeCrossEntropy, "alpha", 1, 20),  # MNIST, WebVision
        (losses.LogitClip, "max_norm", 0.5, 2.5),
    ],
)
def test_published_ranges(loss_class, name, low, high):
    limits = RANGES[loss_class][name]
    assert (limits.low, limits.high) == (low, high)


# Optuna


@pytest.fixture
def optuna():
    module = pytest.importorskip("optuna")
    module.logging.set_verbosity(module.logging.WARNING)
    return module


def test_optuna_draws_and_gives_again(optuna):
    found = []

    def objective(trial):
        found.append(suggest(trial, EVERY, from_logits=True))
        return 0.0

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=150)
    for trial, loss in zip(study.trials, found, strict=True):
        name = trial.params["loss"]
        assert loss.function.__name__ == name
        assert loss.from_logits is True
        assert all(key.split(".")[0] in ("loss", name) for key in trial.params)
        assert same(suggest(trial.params, from_logits=True), loss)
        fixed = optuna.trial.FixedTrial(trial.params)
        assert same(suggest(fixed, EVERY, from_logits=True), loss)
    names = {trial.params["loss"] for trial in study.trials}
    assert len(names) > 30  # of 39, each left out by chance once in fifty
    tau = optuna.distributions.FloatDistribution(2.0, 50.0, log=True)
    order = optuna.distributions.IntDistribution(2, 6)
    distributions = {}
    for trial in study.trials:
        distributions |= trial.distributions
    assert distributions["partially_huberized_cross_entropy.tau"] == tau
    assert distributions["taylor_cross_entropy.order"] == order


def test_optuna_draws_the_losses_of_a_combination(optuna):
    trial = optuna.trial.FixedTrial(
        {
            "loss": "active_passive",
            "active_passive.active": "normalized_focal",
            "active_passive.passive": "mean_absolute_error",
            "active_passive.alpha": 10.0,
            "active_passive.beta": 0.5,
        }
    )
    loss = suggest(trial, from_logits=True)
    assert isinstance(loss.active, losses.NormalizedFocal)
    assert isinstance(loss.passive, losses.MeanAbsoluteError)
    assert (loss.alpha, loss.beta) == (10, 0.5)
    assert loss.active.from_logits
    assert loss.passive.from_logits


# Keras Tuner


def test_keras_tuner_knows_the_whole_space_at_once():
    hp = keras_tuner.HyperParameters()
    first = suggest(hp, EVERY, from_logits=True)
    assert isinstance(first, losses.CrossEntropy)
    places = {
        f"{each.function.__name__}.{name}": limits for each, name, limits in drawn()
    }
    by_name = {one.name: one for one in hp.space}
    assert set(places) < set(by_name)
    for place, limits in places.items():
        one = by_name[place]
        assert (one.min_value, one.max_value) == (limits.low, limits.high)
        assert one.sampling == ("log" if limits.log else "linear")
        assert [(c.name, c.values) for c in one.conditions] == [
            ("loss", [place.split(".")[0]])
        ]
    assert by_name["generalized_cross_entropy.q"].default == 0.7  # of the class


class Draws(keras_tuner.RandomSearch):
    """Draws losses, and trains nothing."""

    def run_trial(self, trial):
        hp = trial.hyperparameters
        self.found.append((hp.copy(), suggest(hp, EVERY, from_logits=True)))
        return 0.0


def test_keras_tuner_draws_and_gives_again(tmp_path):
    hp = keras_tuner.HyperParameters()
    suggest(hp, EVERY, from_logits=True)
    tuner = Draws(max_trials=30, seed=0, hyperparameters=hp, directory=tmp_path)
    tuner.found = []
    tuner.search()
    names = set()
    for hp, loss in tuner.found:
        names.add(hp.values["loss"])
        assert loss.function.__name__ == hp.values["loss"]
        assert same(suggest(hp, EVERY, from_logits=True), loss)
        assert same(suggest(hp.values, from_logits=True), loss)
    assert len(tuner.found) == 30
    assert len(names) > 12


class Model(keras_tuner.HyperModel):
    """A model whose loss is a hyper-parameter."""

    def build(self, hp):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
        loss = suggest(hp, ["Focal", "Adma"], from_logits=True)
        model.compile("sgd", loss, metrics=["accuracy"], run_eagerly=True)
        return model


def test_keras_tuner_trains(tmp_path):
    tuner = keras_tuner.RandomSearch(
        Model(), "val_accuracy", max_trials=2, seed=1, directory=tmp_path
    )
    x, y = np.eye(2, dtype="float32"), np.arange(2)
    tuner.search(x, y, validation_data=(x, y), verbose=0)
    trials = tuner.oracle.trials.values()
    for trial in trials:
        values = trial.hyperparameters.values
        assert ("focal.gamma" in values) == (values["loss"] == "focal")
        assert ("adma.scaling_factor" in values) == (values["loss"] == "adma")
    best = tuner.get_best_hyperparameters()[0]
    assert same(
        suggest(best, ["Focal", "Adma"], from_logits=True),
        suggest(best.values, from_logits=True),
    )


# names, prefixes and options


def test_names_as_one_would_write_them():
    for names in (["Focal", losses.Adma], ["focal", "Adma", "adma"]):
        hp = keras_tuner.HyperParameters()
        assert suggest(hp, names).name == "focal"
        assert hp.space[0].values == ["focal", "adma"]
    assert suggest(keras_tuner.HyperParameters(), "adma").name == "adma"


def test_by_default_there_are_losses_that_replace_cross_entropy():
    for from_logits in (False, True):
        hp = keras_tuner.HyperParameters()
        loss = suggest(hp, from_logits=from_logits)
        assert isinstance(loss, losses.CrossEntropy)
        assert loss.from_logits is from_logits
        assert len(hp.space[0].values) == 12


def test_two_losses_in_one_trial():
    hp = keras_tuner.HyperParameters()
    first = suggest(hp, ["focal"], prefix="student")
    second = suggest(hp, ["focal", "adma"], prefix="teacher")
    assert [one.name for one in hp.space] == [
        "student.loss",
        "student.focal.gamma",
        "teacher.loss",
        "teacher.focal.gamma",
        "teacher.adma.scaling_factor",
    ]
    values = {**hp.values, "teacher.focal.gamma": 0.5}
    assert suggest(values, prefix="student").gamma == first.gamma == 2
    assert suggest(values, prefix="teacher").gamma == 0.5
    assert second.gamma == 2


def test_options_of_the_loss():
    values = {
        "loss": "active_passive",
        "active_passive.active": "normalized_cross_entropy",
        "active_passive.passive": "mean_absolute_error",
        "active_passive.alpha": 1,
        "active_passive.beta": 1,
    }
    loss = suggest(values, ignore_class=255, reduction="sum", name="best")
    assert (loss.ignore_class, loss.reduction, loss.name) == (255, "sum", "best")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["focal", "gce"],
            "`names` must be names of losses among cross_entropy, .*gce",
        ),
        (["TaylorLoss"], "an argument, such as a matrix, are not among them"),
        (["SigmoidFocal"], "`names` must be names of losses among"),
        ([], r"`names` must be names of losses among .*names=\[\]"),
        (["LogitClip"], "`from_logits` must be True for logit_clip"),
    ],
)
def test_names_that_are_none(names, message):
    with pytest.raises(ValueError, match=f"suggest: .*{message}"):
        suggest(keras_tuner.HyperParameters(), names)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"`trial` must be .* with 'loss' among them. Received: trial=\[\]"),
        ({"loss": "focal"}, "with 'focal.gamma' among them"),
        ({"a.loss": "focal", "a.focal.gamma": 1}, "Is it of another `prefix`"),
        ({"loss": "gce"}, "`loss` must be one of cross_entropy, .*loss='gce'"),
        (
            {"loss": "logit_clip", "logit_clip.max_norm": 1},
            "`from_logits` must be True",
        ),
    ],
)
def test_values_that_are_none(values, message):
    with pytest.raises(ValueError, match=f"suggest: .*{message}"):
        suggest(values)


def test_a_trial_that_is_none():
    with pytest.raises(TypeError, match="suggest: `trial` must be Optuna's `Trial`"):
        suggest(None)
