"""Which activation a model is exported with, and which models are refused."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from tests.losses.values import numpy
from tests.serving.models import ENDINGS, image_model, two_columns, vector_model
from tfrobustloss import layers, losses
from tfrobustloss.serving import _activation

LOGITS = np.array([[2.0, 0.0, -1.0]], "float32")
ONE = np.array([[2.0], [-3.0]], "float32")
SIGMOID, SOFTMAX = numpy(ops.sigmoid(LOGITS)), numpy(ops.softmax(LOGITS))


def found(loss, outputs=LOGITS, **options):
    """What a model of one loss that ends in logits gives for `outputs`."""
    model = vector_model(loss, units=outputs.shape[-1])
    function, _ = _activation.find("export", model, **options)
    return numpy(function(ops.convert_to_tensor(outputs)))


@pytest.mark.parametrize("name", ENDINGS)
def test_activation_is_read_off_the_loss(name):
    function, _ = _activation.find("export", image_model(name))
    outputs = ops.sigmoid(ONE if name.startswith("one_") else LOGITS)
    np.testing.assert_allclose(
        numpy(function(outputs)), numpy(ENDINGS[name][2](outputs)), atol=1e-7
    )


# --- what each loss says

FOCAL = losses.SigmoidFocal(from_logits=True)
BCE = keras.losses.BinaryCrossentropy(from_logits=True)
CCE = keras.losses.CategoricalCrossentropy(from_logits=True)
TEMPERED = losses.BiTemperedLogistic(t2=1.7, from_logits=True)
CLIP = losses.LogitClip(max_norm=0.5)
CLIPPED = LOGITS * 0.5 / np.linalg.norm(LOGITS)


class OwnSigmoid(losses.TaskLoss):
    """A user's loss that says its activation."""

    function = staticmethod(losses.sigmoid_focal)

    def __init__(self, from_logits=True, **keras_options):
        super().__init__({"from_logits": from_logits}, **keras_options)

    def activation(self, logits):
        return ops.sigmoid(logits)


class OwnSilent(losses.TaskLoss):
    """A user's loss that says it is on logits, but not of which activation."""

    function = staticmethod(losses.sigmoid_focal)

    def __init__(self, from_logits=True, **keras_options):
        super().__init__({"from_logits": from_logits}, **keras_options)


class OwnCrossEntropy(losses.FunctionLoss):
    """A user's classification loss."""

    function = staticmethod(losses.cross_entropy)

    def __init__(self, from_logits=True, **keras_options):
        super().__init__({"from_logits": from_logits}, **keras_options)


def region(loss):
    return losses.RegionBoundary(loss, from_logits=True)


def tempered(logits):
    return numpy(losses.tempered_softmax(logits, 1.7))


@pytest.mark.parametrize(
    ("loss", "want"),
    [
        (FOCAL, SIGMOID),
        (losses.IoUBalancedClassification(from_logits=True), SIGMOID),
        (OwnSigmoid(), SIGMOID),
        (OwnCrossEntropy(), SOFTMAX),
        (losses.GeneralizedDice(from_logits=True), SOFTMAX),
        (losses.Boundary(from_logits=True), SOFTMAX),
        (region(None), SOFTMAX),
        (region(FOCAL), SIGMOID),
        (region(OwnSigmoid()), SIGMOID),
        (region(BCE), SIGMOID),
        (region(CCE), SOFTMAX),
        (region(keras.losses.Dice()), SOFTMAX),  # it is given probabilities
        (region(TEMPERED), tempered(LOGITS)),
        (region(region(FOCAL)), SIGMOID),
        (region(CLIP), numpy(ops.softmax(CLIPPED))),
        (CLIP, numpy(ops.softmax(CLIPPED))),
        (losses.LogitClip(TEMPERED, max_norm=0.5), tempered(CLIPPED)),
        (losses.LogitBias(bias=3.0), SOFTMAX),  # labels are not there to be biased
        (losses.LogitBias(TEMPERED), tempered(LOGITS)),
        (losses.LogitAdjusted(TEMPERED, [3, 2, 1]), tempered(LOGITS)),
        (losses.ActivePassive(TEMPERED, TEMPERED), tempered(LOGITS)),
        ([FOCAL], SIGMOID),
        ({"dense": FOCAL}, SIGMOID),
        (BCE, SIGMOID),
        (keras.losses.BinaryFocalCrossentropy(from_logits=True), SIGMOID),
        (keras.losses.CategoricalFocalCrossentropy(from_logits=True), SOFTMAX),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True), SOFTMAX),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_logits(loss, want):
    np.testing.assert_allclose(found(loss), want, atol=1e-6)


def test_every_loss_says_it():
    says = {
        "SigmoidFocal": "sigmoid",
        "IoUBalancedClassification": "sigmoid",
        "AsymmetricMultiLabel": "sigmoid",
        "Hill": "sigmoid",
        "MultiLabel": "sigmoid",
        "SelfPacedCorrection": "sigmoid",
        "GeneralizedDice": "softmax",
        "NoiseRobustDice": "softmax",
        "TLoss": "softmax",
        "Boundary": "softmax",
        "RegionBoundary": "softmax",
    }
    for name, value in vars(losses).items():
        if not isinstance(value, type) or not issubclass(value, losses.TaskLoss):
            continue
        if name in says:
            want = {"sigmoid": SIGMOID, "softmax": SOFTMAX}[says[name]]
            inner = {"MultiLabel": [losses.CrossEntropy(from_logits=True)]}
            loss = value(*inner.get(name, []))
            np.testing.assert_allclose(numpy(loss.activation(LOGITS)), want, atol=1e-6)
        else:
            assert value.activation is None, name


@pytest.mark.parametrize(
    "loss",
    [
        losses.CrossEntropy(),
        FOCAL.__class__(),
        OwnSilent(from_logits=False),
        losses.GeneralizedDice(),
        losses.generalized_cross_entropy,
        losses.sigmoid_focal,
        functools.partial(losses.generalized_cross_entropy, q=0.5),
        "categorical_crossentropy",
        "bce",
        "kl_divergence",
        keras.losses.BinaryCrossentropy(),
        keras.losses.binary_crossentropy,
        keras.losses.dice,
        keras.losses.Dice(),
        keras.losses.Tversky(),
        keras.losses.KLDivergence(),
        keras.losses.CategoricalGeneralizedCrossEntropy(),
    ],
)
def test_losses_on_probabilities(loss):
    np.testing.assert_array_equal(found(loss), LOGITS)


def own_function(y_true, y_pred):
    return ops.mean(ops.square(y_true - ops.softmax(y_pred)), axis=-1)


SILENT = [
    losses.WassersteinGAN(),
    losses.MinimaxGAN(),
    losses.LeastSquaresGAN(),
    losses.IoUBalancedLocalization(),
    own_function,
    "mse",
    keras.losses.Huber(),
    keras.losses.CategoricalHinge(),
]


@pytest.mark.parametrize("loss", SILENT)
def test_losses_that_do_not_say(loss):
    with pytest.raises(ValueError, match=r"`model` must be .*, with loss=.*\"linear\""):
        found(loss)
    # it need not say anything where the model does
    for last in ("softmax", "sigmoid"):
        model = vector_model(loss, activation=last)
        assert _activation.find("export", model)[1] == "linear"


@pytest.mark.parametrize(
    "loss",
    [
        OwnSilent(),
        region(OwnSilent()),
        functools.partial(losses.generalized_cross_entropy, from_logits=True),
    ],
    ids=["task", "region", "partial"],
)
def test_logits_without_a_known_activation(loss):
    with pytest.raises(ValueError, match=r"loss whose activation is known.*\"sigmoid"):
        found(loss)
    np.testing.assert_allclose(found(loss, activation="sigmoid"), SIGMOID, atol=1e-7)


@pytest.mark.parametrize("from_logits", [False, True])
def test_rows_of_boxes_and_classes(from_logits):
    loss = losses.IoUBalancedClassification(from_logits=from_logits)
    rows = np.zeros((1, 7), "float32")
    with pytest.raises(ValueError, match=r"`model` must be .*alone.*\[\.\.\., 4:\]"):
        found(loss, rows)
    np.testing.assert_array_equal(found(loss, rows, activation="sigmoid"), rows + 0.5)


# --- one unit


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (FOCAL, {}),
        (BCE, {}),
        (region(BCE), {}),
        (losses.GeneralizedDice(from_logits=True), {}),
        (region(keras.losses.Dice()), {}),
        (None, {"activation": "sigmoid"}),
        (losses.CrossEntropy(from_logits=True), {"activation": "sigmoid"}),
        (losses.CrossEntropy(from_logits=True), {}),
        (OwnCrossEntropy(), {}),
        (losses.LogitBias(bias=3.0), {}),
        (losses.ActivePassive(from_logits=True), {}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_one_unit_is_two_classes(loss, options):
    want = numpy(two_columns(ops.sigmoid(ONE)))
    np.testing.assert_allclose(found(loss, ONE, **options), want, atol=1e-7)


ZERO_AND_ONE = np.concatenate([np.zeros_like(ONE), ONE], axis=-1)


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (TEMPERED, {}),
        (losses.LogitBias(TEMPERED), {}),
        (losses.ActivePassive(TEMPERED, TEMPERED), {}),
        (None, {"temperature": 1.7}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_one_tempered_unit_is_two_classes(loss, options):
    want = tempered(ZERO_AND_ONE)
    np.testing.assert_allclose(found(loss, ONE, **options), want, atol=1e-6)


def test_one_clipped_unit_is_two_classes():
    a = -np.logaddexp(0, np.concatenate([ONE, -ONE], axis=-1))  # log(1 - p), log(p)
    clipped = a * 0.5 / np.linalg.norm(a, axis=-1, keepdims=True)
    want = numpy(ops.softmax(clipped))
    np.testing.assert_allclose(found(CLIP, ONE), want, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"activation": "linear"}])
def test_one_probability_is_two_classes(options):
    model = vector_model("binary_crossentropy", units=1, activation="sigmoid")
    function, _ = _activation.find("export", model, **options)
    np.testing.assert_allclose(
        numpy(function(ops.convert_to_tensor([[0.25]]))), [[0.75, 0.25]]
    )


def test_one_channel_of_maps():
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(1, 1)(inputs))
    model.compile("sgd", FOCAL)
    function, _ = _activation.find("export", model)
    maps = np.random.default_rng(0).normal(size=(2, 3, 4, 1)).astype("float32")
    want = numpy(two_columns(ops.sigmoid(maps)))
    np.testing.assert_allclose(numpy(function(maps)), want, atol=1e-7)


@pytest.mark.parametrize(
    ("loss", "last", "options"),
    [
        (CCE, None, {}),
        (region(CCE), None, {}),
        (None, None, {"activation": "softmax"}),
        (None, "softmax", {}),
        ("binary_crossentropy", "softmax", {}),
        ("binary_crossentropy", "softmax", {"activation": "linear"}),
    ],
)
def test_a_softmax_of_one_unit_is_refused(loss, last, options):
    model = vector_model(loss, units=1, activation=last)
    with pytest.raises(ValueError, match=r"`model` must be wider than one unit"):
        _activation.find("export", model, **options)


def test_a_tempered_softmax_layer_of_one_unit_is_a_probability():
    last = [keras.layers.Dense(1), layers.TemperedSoftmax(1.2)]
    model = keras.Sequential([keras.Input((2,)), *last])
    function, text = _activation.find("export", model)
    assert text == "linear"
    p = numpy(function(ops.convert_to_tensor([[0.25]])))
    np.testing.assert_allclose(p, [[0.75, 0.25]])


# --- what is said


def test_given_activations():
    model = vector_model()
    for options, want in (
        ({"temperature": 1.5}, losses.tempered_softmax(LOGITS, 1.5)),
        ({"activation": "softmax"}, SOFTMAX),
        ({"activation": "sigmoid"}, SIGMOID),
        ({"activation": "linear"}, LOGITS),
    ):
        function, _ = _activation.find("export", model, **options)
        np.testing.assert_array_equal(numpy(function(LOGITS)), numpy(want))


@pytest.mark.parametrize("ends", ["softmax", "sigmoid"])
@pytest.mark.parametrize(
    "options",
    [{"activation": "softmax"}, {"activation": "sigmoid"}, {"temperature": 2}],
)
def test_probabilities_get_no_second_activation(ends, options):
    model = vector_model(losses.CrossEntropy(from_logits=True), activation=ends)
    (name,) = options
    with pytest.raises(ValueError, match=rf"`{name}` must be None.*=\"linear\""):
        _activation.find("export", model, **options)
    _, text = _activation.find("export", model, activation="linear")
    assert text == "linear"
    with pytest.raises(ValueError, match='ends in prob.*="linear"') as caught:
        _activation.find("export", model)
    assert 'activation="softmax"' not in str(caught.value)  # what would be refused
