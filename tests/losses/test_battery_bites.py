"""The battery catches broken losses, each by the check that is meant for it."""

import keras
import numpy as np
import pytest
from keras import ops

from tfrobustloss import losses, testing
from tfrobustloss._core import backend
from tfrobustloss._core.tensors import current_value, visible
from tfrobustloss._core.validation import Range
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.testing import LossCheckError, LossTraits

_ROWS = LossTraits(label_formats=("rows",), wide=False, keeps_dtype=False)
_TENSORFLOW = keras.backend.backend() == "tensorflow"


def _register(loss_class):
    return keras.saving.register_keras_serializable(package="tests")(loss_class)


@_register
class Sound(keras.losses.Loss):
    """A foreign loss without a flaw, on probabilities and one-hot rows: 1 - p."""

    def __init__(self, power=1.0, reduction="sum_over_batch_size", name="sound"):
        super().__init__(name, reduction)
        self.power = power

    def call(self, y_true, y_pred):
        miss = 1 - ops.sum(y_true * y_pred, axis=-1)
        return miss if self.power == 1 else miss**self.power

    def get_config(self):
        return {**super().get_config(), "power": self.power}


@_register
class SlopeAtZero(Sound):
    """An unclamped power: its slope is infinite at p = 0."""

    def call(self, y_true, y_pred):
        return 1 - ops.sqrt(ops.sum(y_true * y_pred, axis=-1))


@_register
class LogarithmOfZero(Sound):
    """An unclamped logarithm: infinite at p = 0."""

    def call(self, y_true, y_pred):
        return -ops.sum(y_true * ops.log(y_pred), axis=-1)


@_register
class NotANumberAtOne(Sound):
    """A value that is finite everywhere and a gradient that is 0 / 0 at p = 1."""

    def call(self, y_true, y_pred):
        return ops.sqrt(1 - ops.sum(y_true * y_pred, axis=-1))


@_register
class ForgottenParameter(Sound):
    """A config without the one parameter."""

    def get_config(self):
        config = super().get_config()
        del config["power"]
        return config


@_register
class ParameterAsArray(Sound):
    """A config that JSON cannot hold."""

    def get_config(self):
        return {**super().get_config(), "power": np.arange(2), "path": object()}


class Unregistered(Sound):
    """A class that a saved model cannot find again."""


@_register
class Unpicklable(Sound):
    """Kept state that cannot be pickled."""

    def __reduce__(self):
        raise TypeError("no pickling here")


@_register
class PredictionForLabel(Sound):
    """Label and prediction mixed up: a label to be predicted from the prediction."""

    def call(self, y_true, y_pred):
        return 1 - ops.max(y_pred, axis=-1) + 0 * ops.sum(y_true, axis=-1)


@_register
class Swapped(Sound):
    """Label and prediction swapped in cross-entropy."""

    def call(self, y_true, y_pred):
        return -ops.sum(y_pred * ops.log(ops.maximum(y_true, 1e-7)), axis=-1)


@_register
class DividedByBatch(Sound):
    """Each value depends on the others of its batch."""

    def call(self, y_true, y_pred):
        values = super().call(y_true, y_pred)
        return values / (1 + ops.max(values))


@_register
class DependsOnPlace(Sound):
    """The first example of a batch counts double."""

    def call(self, y_true, y_pred):
        values = super().call(y_true, y_pred)
        return ops.concatenate([2 * values[:1], values[1:]])


@_register
class ReducesTooEarly(Sound):
    """One value per batch where one per example is due."""

    def call(self, y_true, y_pred):
        return ops.mean(super().call(y_true, y_pred))


@_register
class FlattensRanks(Sound):
    """One value per example, but without the shape of the batch."""

    def call(self, y_true, y_pred):
        return ops.reshape(super().call(y_true, y_pred), (-1,))


@_register
class ForgetsWeights(Sound):
    """Sample weights go nowhere."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        return super().__call__(y_true, y_pred)


@_register
class ForgetsMasks(Sound):
    """A mask of the model goes nowhere."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        return super().__call__(y_true, ops.identity(y_pred) + 0, sample_weight)


@_register
class AlwaysTheMean(Sound):
    """Deaf to `reduction`."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        return ops.mean(super().__call__(y_true, y_pred, sample_weight))


@_register
class CompilesEveryCall(Sound):
    """A new program for each call."""

    def call(self, y_true, y_pred):
        return backend.compiled(super().call)(y_true, y_pred)


@_register
class DependsOnEagerness(Sound):
    """Another value in a compiled program."""

    def call(self, y_true, y_pred):
        values = super().call(y_true, y_pred)
        return values if visible(values) is not None else 2 * values


@_register
class NumpyInside(Sound):
    """Leaves the backend on its way, so it cannot be compiled."""

    def call(self, y_true, y_pred):
        values = np.sum(np.asarray(y_true) * np.asarray(y_pred), axis=-1)
        return ops.convert_to_tensor(1 - values)


@_register
class KilledGradient(Sound):
    """A value that no training can lower."""

    def call(self, y_true, y_pred):
        return ops.stop_gradient(super().call(y_true, y_pred)) + 0 * ops.sum(y_pred, -1)


@_register
class WrongGradient(Sound):
    """A hand-written gradient that is twice too steep."""

    def call(self, y_true, y_pred):
        values = super().call(y_true, y_pred)
        return 2 * values - ops.stop_gradient(values)


@_register
class Ascends(Sound):
    """Rewards wrong predictions."""

    def call(self, y_true, y_pred):
        return -super().call(y_true, y_pred)


@_register
class TakesDtype(Sound):
    """`Sound` with a dtype."""

    def __init__(self, dtype=None, **options):
        super().__init__(**options)
        keras.losses.Loss.__init__(self, self.name, self.reduction, dtype)


@_register
class AlwaysSingle(TakesDtype):
    """Returns float32 whatever its dtype."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        return ops.cast(super().__call__(y_true, y_pred, sample_weight), "float32")


@_register
class GradientOfDtype(WrongGradient, TakesDtype):
    """The wrong gradient, with a dtype for the check to ask for float64."""


@_register
class DrawsFromNumpy(Sound):
    """Draws from numpy's global generator."""

    def call(self, y_true, y_pred):
        return super().call(y_true, y_pred) + 0 * np.random.rand()


@_register
class Noisy(Sound):
    """Not twice the same."""

    def call(self, y_true, y_pred):
        noise = keras.random.uniform(ops.shape(y_pred)[:-1])
        return super().call(y_true, y_pred) + 1e-3 * noise


@_register
class Overwrites(Sound):
    """Normalises the given array in place."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        if isinstance(y_pred, np.ndarray):
            y_pred *= 0.5
        return super().__call__(y_true, y_pred, sample_weight)


@_register
class Remembers(Sound):
    """A config that counts the calls."""

    def call(self, y_true, y_pred):
        self.power = self.power + 1e-3
        return super().call(y_true, y_pred)


@_register
class FirstClassCounts(Sound):
    """Treats one class in its own way and does not say so."""

    def call(self, y_true, y_pred):
        return super().call(y_true, y_pred) * (1 + y_true[..., 0])


def steep_error(y_true, y_pred, steepness=1.0, from_logits=False):
    return steepness * losses.mean_absolute_error(y_true, y_pred, from_logits)


@_register
class Declared(FunctionLoss):
    """A loss of our own kind without a flaw; the following differ in one thing."""

    function = staticmethod(steep_error)
    limits = {"steepness": Range(0, 5, open_low=True)}

    def __init__(self, steepness=1.0, from_logits=False, **options):
        super().__init__(steepness=steepness, from_logits=from_logits, **options)


@_register
class DeclaresAndForgets(Declared):
    """Limits that nobody checks."""

    def __init__(self, steepness=1.0, **options):
        super().__init__(1.0, **options)
        self.steepness = steepness


@_register
class SaysNothing(Declared):
    """An error that names neither parameter nor value."""

    def __init__(self, steepness=1.0, **options):
        try:
            super().__init__(steepness, **options)
        except ValueError:
            raise ValueError("bad argument") from None


@_register
class BakesVariableIn(Declared):
    """Reads a variable once, so that assigning to it changes nothing."""

    def __init__(self, steepness=1.0, **options):
        super().__init__(float(current_value(steepness)), **options)


def deaf_error(y_true, y_pred, steepness=1.0, from_logits=False):
    return steep_error(y_true, y_pred, steepness)


@_register
class LogitsAsProbabilities(Declared):
    """Deaf to `from_logits`."""

    function = staticmethod(deaf_error)


@_register
class IgnoresIgnoring(Declared):
    """Leaves ignored examples in the mean."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        ignored = self.ignore_class
        self.ignore_class = None
        try:
            return super().__call__(ops.maximum(y_true, 0) % 5, y_pred, sample_weight)
        finally:
            self.ignore_class = ignored


@_register
class RowsAreDouble(Declared):
    """One-hot rows have another value than class ids."""

    def call(self, y_true, y_pred):
        values = super().call(y_true, y_pred)
        return values if y_true.rows is None else 2 * values


def miss_of_rows(y_true, y_pred, steepness=1.0, from_logits=False):
    p = ops.softmax(y_pred) if from_logits else y_pred
    return steepness * (1 - ops.sum(y_true.dense(p.dtype) * p, axis=-1))


@_register
class KnowsNoUnit(Declared):
    """Reads predictions by themselves, so that one unit is taken for both classes."""

    function = staticmethod(miss_of_rows)


@_register
class HalfInside(Declared):
    """Class ids go through the type of the predictions."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        y_true = ops.cast(ops.cast(y_true, self.dtype), "int32")
        return super().__call__(y_true, y_pred, sample_weight)


def _broken(loss, check, traits=_ROWS, marks=()):
    name = f"{type(loss).__name__}-{check.__name__}"
    return pytest.param(loss, check, traits, id=name, marks=marks)


_NEEDS_COMPILER = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="torch compiles nothing"
)
_NEEDS_TENSORFLOW = pytest.mark.skipif(
    not _TENSORFLOW, reason="only TensorFlow counts graphs and holds variables"
)
_IDS = LossTraits(label_formats=("ids",))

BROKEN = [
    _broken(SlopeAtZero(), testing.check_edges),
    _broken(LogarithmOfZero(), testing.check_edges),
    _broken(NotANumberAtOne(), testing.check_edges),
    _broken(ForgottenParameter(2.0), testing.check_config),
    _broken(ForgottenParameter(2.0), testing.check_save_load),
    _broken(ParameterAsArray(), testing.check_config),
    _broken(Unregistered(), testing.check_config),
    _broken(Unregistered(), testing.check_save_load),
    _broken(Unpicklable(), testing.check_pickle),
    _broken(PredictionForLabel(), testing.check_traits),
    _broken(Ascends(), testing.check_traits),
    _broken(
        Swapped(),
        testing.check_traits,
        LossTraits(
            label_formats=("rows",), equals={"cross-entropy": losses.cross_entropy}
        ),
    ),
    _broken(DividedByBatch(), testing.check_batch_order),
    _broken(DependsOnPlace(), testing.check_batch_order),
    _broken(ReducesTooEarly(), testing.check_per_sample),
    _broken(FlattensRanks(), testing.check_per_sample),
    _broken(ForgetsWeights(), testing.check_sample_weight),
    _broken(ForgetsMasks(), testing.check_masks),
    _broken(AlwaysTheMean(), testing.check_reductions),
    _broken(CompilesEveryCall(), testing.check_no_retrace, marks=_NEEDS_TENSORFLOW),
    _broken(BakesVariableIn(), testing.check_no_retrace, marks=_NEEDS_TENSORFLOW),
    _broken(DependsOnEagerness(), testing.check_graph, marks=_NEEDS_COMPILER),
    _broken(NumpyInside(), testing.check_graph, marks=_NEEDS_COMPILER),
    _broken(DependsOnEagerness(), testing.check_xla, marks=_NEEDS_TENSORFLOW),
    _broken(KilledGradient(), testing.check_trains),
    _broken(GradientOfDtype(), testing.check_numerical_gradient),
    _broken(AlwaysSingle(), testing.check_dtypes),
    _broken(HalfInside(), testing.check_dtypes, _IDS),
    _broken(DrawsFromNumpy(), testing.check_pure),
    _broken(Noisy(), testing.check_pure),
    _broken(Overwrites(), testing.check_pure),
    _broken(Remembers(), testing.check_pure),
    _broken(FirstClassCounts(), testing.check_permutation),
    _broken(DeclaresAndForgets(), testing.check_limits),
    _broken(SaysNothing(), testing.check_limits),
    _broken(LogitsAsProbabilities(), testing.check_logits),
    _broken(IgnoresIgnoring(), testing.check_ignore_class, _IDS),
    _broken(RowsAreDouble(), testing.check_sparse, LossTraits()),
    _broken(KnowsNoUnit(), testing.check_one_unit, LossTraits()),
]


@pytest.mark.parametrize(("loss", "check", "traits"), BROKEN)
def test_broken_loss_is_caught(loss, check, traits):
    with pytest.raises(LossCheckError, match=check.__name__) as caught:
        check(loss, traits)
    assert type(loss).__name__ in str(caught.value)
    assert "Promised" in str(caught.value)


def test_every_check_is_seen_to_bite():
    bitten = {case.values[1].__name__ for case in BROKEN}
    assert bitten == {check.__name__ for check in testing.LOSS_CHECKS}


@pytest.mark.parametrize(
    ("loss", "traits"),
    [
        (Sound(), _ROWS),
        (TakesDtype(), _ROWS),
        (Declared(), LossTraits(bounds=(0, 2), symmetric=True, zero_at_label=True)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_sound_loss_passes(loss, traits):
    skipped = testing.check_loss(loss, traits)
    assert all(name.startswith("check_") for name in skipped)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bounds": (0, 1)},
        {"bounds": (1, 2)},
        {"symmetric": False},
        {"zero_at_label": False},
        {"equals": {"twice itself": lambda y, p: 2 * losses.mean_absolute_error(y, p)}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_wrong_claim_is_caught(wrong):
    with pytest.raises(LossCheckError, match="check_traits"):
        testing.check_traits(losses.MeanAbsoluteError(), LossTraits(**wrong))


def test_check_loss_names_what_it_skipped():
    traits = LossTraits(skips={"check_pure": "a reason"})
    checks = [testing.check_pure, testing.check_per_sample]
    skipped = testing.check_loss(losses.CrossEntropy(), traits, checks)
    assert skipped == {"check_pure": "a reason"}


def test_error_says_what_was_promised_and_what_came():
    with pytest.raises(AssertionError) as caught:
        testing.check_batch_order(DividedByBatch(2.0), _ROWS)
    text = str(caught.value)
    assert "DividedByBatch(" in text
    assert "power=2.0" in text
    assert "does not depend on the others of its batch" in text
    assert "instead of" in text
