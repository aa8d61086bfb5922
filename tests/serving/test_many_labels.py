"""Export of models of many labels at once: a sigmoid and a threshold a class."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.losses.values import numpy
from tests.serving.models import CLASS_NAMES, vector_model
from tfrobustloss import cli, layers, losses, serving
from tfrobustloss.serving import _activation

# logits of three classes by the two inputs
WEIGHTS = [np.float32([[1, -1, 0.5], [0, 2, 1]]), np.float32([0.2, 0, -1])]
X = np.float32([[1, 0], [-2, -2], [-0.7, 1.6], [3, 2]])
THRESHOLDS = [0.3, 0.5, 0.7]


def many_labels(loss=None, **last_layer):
    model = vector_model(loss or losses.Hill(from_logits=True), **last_layer)
    model.layers[-1].set_weights(WEIGHTS)
    return model


def probabilities():
    return 1 / (1 + np.exp(-(X @ WEIGHTS[0] + WEIGHTS[1])))


def check_outputs(outputs, p, thresholds, names=None):
    """Asserts the four outputs, by a loop over examples."""
    assert sorted(outputs) == ["classes", "on", "probabilities", "scores"]
    np.testing.assert_allclose(outputs["probabilities"], p, atol=1e-6)
    assert np.asarray(outputs["on"]).dtype == bool
    columns = [np.asarray(outputs[key]) for key in ("on", "classes", "scores")]
    for row, on, classes, scores in zip(p, *columns, strict=True):
        wanted = [c for c in np.argsort(-row) if row[c] >= thresholds[c]]
        assert sorted(wanted) == np.flatnonzero(on).tolist()
        filled = len(classes) - len(wanted)
        nothing = -1 if names is None else b""
        given = wanted if names is None else [names[c].encode() for c in wanted]
        assert classes.tolist() == [*given, *[nothing] * filled]
        np.testing.assert_allclose(scores, [*row[wanted], *[0] * filled], atol=1e-6)


def test_outside(tmp_path):
    """As TF Serving loads it, without any package."""
    version = serving.export(
        many_labels(), tmp_path / "a", class_names=CLASS_NAMES, thresholds=THRESHOLDS
    )
    outputs = serving.predict_outside(version, X)
    p = probabilities()
    on = p >= THRESHOLDS
    assert on.any(1).tolist() == [True, False, True, True]
    # a likelier class is off where a less likely one is on
    assert on[2].tolist() == [True, True, False]
    assert p[2, 0] < p[2, 2]
    check_outputs(outputs, p, THRESHOLDS, CLASS_NAMES)


def test_ids_and_half_by_default(tmp_path):
    version = serving.export(many_labels(), tmp_path / "a")
    serve = tf.saved_model.load(version).signatures["serving_default"]
    check_outputs(serve(inputs=tf.constant(X)), probabilities(), [0.5] * 3)
    sigmoid = many_labels("binary_crossentropy", activation="sigmoid")
    version = serving.export(sigmoid, tmp_path / "b", thresholds=np.array(THRESHOLDS))
    serve = tf.saved_model.load(version).signatures["serving_default"]
    check_outputs(serve(inputs=tf.constant(X)), probabilities(), THRESHOLDS)
    # without thresholds, Keras' losses keep the outputs of before
    version = serving.export(sigmoid, tmp_path / "c")
    serve = tf.saved_model.load(version).signatures["serving_default"]
    assert "on" not in serve(inputs=tf.constant(X))


def test_the_ends_of_thresholds(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Identity()])
    model.compile("sgd", losses.AsymmetricMultiLabel())
    version = serving.export(
        model, tmp_path / "a", thresholds=[0, 1, 1], activation="linear", top_k=2
    )
    serve = tf.saved_model.load(version).signatures["serving_default"]
    outputs = serve(inputs=tf.constant([[0.0, 1.0, 0.999], [0.0, 0.999, 0.5]]))
    assert outputs["on"].numpy().tolist() == [[True, True, False], [True, False, False]]
    assert outputs["classes"].numpy().tolist() == [[1, 0], [0, -1]]
    assert outputs["scores"].numpy().tolist() == [[1, 0], [0, 0]]


def test_one_label_and_maps(tmp_path):
    inputs = keras.Input((None, None, 1))
    layer = keras.layers.Conv2D(1, 1, kernel_initializer="ones")
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", losses.SelfPacedCorrection(from_logits=True))
    version = serving.export(model, tmp_path / "a", class_names=["cat"])
    serve = tf.saved_model.load(version).signatures["serving_default"]
    outputs = serve(inputs=tf.constant([[[[2.0], [-1.0]]]]))
    assert outputs["classes"].numpy().tolist() == [[[[b"cat"], [b""]]]]
    assert outputs["on"].numpy().tolist() == [[[[True], [False]]]]
    assert outputs["probabilities"].shape == (1, 1, 2, 1)


def test_images(tmp_path):
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.compile("sgd", losses.Hill(from_logits=True))
    version = serving.export(model, tmp_path / "a", image_bytes=True, thresholds=0)
    serve = tf.saved_model.load(version).signatures["serving_image_bytes"]
    image = tf.io.encode_png(np.zeros((2, 2, 1), "uint8"))
    outputs = serve(image_bytes=tf.stack([image]))
    np.testing.assert_allclose(outputs["probabilities"], [[0.5, 0.5]])
    assert outputs["on"].numpy().all()


def test_tflite(tmp_path):
    path = tmp_path / "model.tflite"
    serving.export_tflite(many_labels(), path, thresholds=THRESHOLDS)
    with pytest.warns(UserWarning, match="deprecated"):
        lite = tf.lite.Interpreter(str(path))
    outputs = lite.get_signature_runner("serving_default")(inputs=X)
    assert sorted(outputs) == ["on", "probabilities"]
    np.testing.assert_allclose(outputs["probabilities"], probabilities(), atol=1e-6)
    np.testing.assert_array_equal(outputs["on"], probabilities() >= THRESHOLDS)


@pytest.mark.parametrize(
    ("thresholds", "error", "message"),
    [
        (1.5, ValueError, r"`thresholds` must be in \[0, 1\].*1.5"),
        ("0.5", TypeError, "`thresholds` must be a number"),
        (True, TypeError, "`thresholds` must be a number"),
        ([0.5, None, 0.5], TypeError, "`thresholds` must be a number.*None"),
        ([0.5, 0.5, -1], ValueError, r"`thresholds` must be in \[0, 1\].*-1"),
        ([0.5, 0.5], ValueError, "`thresholds` must be a number, or 3.*These are 2"),
    ],
)
def test_refused(thresholds, error, message, tmp_path):
    model = many_labels()
    with pytest.raises(error, match=f"^export: {message}"):
        serving.export(model, tmp_path / "a", thresholds=thresholds)
    with pytest.raises(error, match=f"^export_tflite: {message}"):
        serving.export_tflite(model, tmp_path / "a.tflite", thresholds=thresholds)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "model",
    [
        lambda: vector_model(losses.CrossEntropy(from_logits=True)),
        lambda: vector_model("categorical_crossentropy", activation="softmax"),
        lambda: vector_model(losses.BiTemperedLogistic(0.8, 1.3, from_logits=True)),
        lambda: keras.Sequential([keras.Input((3,)), layers.TemperedSoftmax(1.2)]),
    ],
)
def test_a_softmax_has_no_thresholds(model, tmp_path):
    message = "`model` must be one with a sigmoid for thresholds.*losses.MultiLabel"
    with pytest.raises(ValueError, match=message):
        serving.export(model(), tmp_path / "a", thresholds=0.5)


def test_losses_of_many_labels_say_so():
    for name in ("AsymmetricMultiLabel", "Hill", "SelfPacedCorrection"):
        loss = getattr(losses, name)(from_logits=True)
        model = vector_model(loss)
        assert _activation.has_several_labels(model)
        assert _activation.has_several_labels(vector_model(), [loss])
        function, _ = _activation.find("export", model, several_labels=True)
        np.testing.assert_allclose(numpy(function(X)), 1 / (1 + np.exp(-X)), atol=1e-6)
    for loss in (None, "mse", "binary_crossentropy", losses.SigmoidFocal()):
        assert not _activation.has_several_labels(vector_model(loss))


def test_the_activation_of_the_inner_loss(tmp_path):
    inner = losses.BiTemperedLogistic(0.8, 1.6, from_logits=True)
    model = many_labels(losses.MultiLabel(inner))
    assert _activation.has_several_labels(model)
    version = serving.export(model, tmp_path / "a", thresholds=THRESHOLDS)
    serve = tf.saved_model.load(version).signatures["serving_default"]
    logits = X @ WEIGHTS[0] + WEIGHTS[1]
    pairs = np.stack([np.zeros_like(logits), logits], axis=-1)
    p = numpy(losses.tempered_softmax(pairs, 1.6))[..., 1]
    assert np.abs(p - probabilities()).max() > 0.01
    check_outputs(serve(inputs=tf.constant(X)), p, THRESHOLDS)


def test_command(tmp_path, capsys):
    path = tmp_path / "model.keras"
    many_labels(losses.SigmoidFocal(from_logits=True)).save(path)
    options = ["--thresholds", "0.3,0.5, 0.7", "--class-names", ",".join(CLASS_NAMES)]
    assert cli.main(["export", str(path), str(tmp_path / "m"), *options]) == 0
    assert "Written: " in capsys.readouterr().out
    serve = tf.saved_model.load(str(tmp_path / "m" / "1")).signatures
    outputs = serve["serving_default"](inputs=tf.constant(X))
    check_outputs(outputs, probabilities(), THRESHOLDS, CLASS_NAMES)
    for text, message in (
        ("a", "`thresholds` must be a number, or numbers separated by commas"),
        ("2", r"`thresholds` must be in [0, 1]"),
        ("0.5,0.5", "`thresholds` must be a number, or 3, one for each class"),
    ):
        options = ["--thresholds", text]
        assert cli.main(["export", str(path), str(tmp_path / "m"), *options]) == 2
        assert message in capsys.readouterr().err
