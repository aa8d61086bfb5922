"""What `export` writes, what it refuses, and that nothing is left half-written."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from tests.losses.values import numpy
from tests.serving.models import image_model, vector_model
from tfrobustloss import losses, serving
from tfrobustloss.serving import _signatures

LOGITS = np.array([[2.0, 0.0, -1.0]], "float32")


def meta_graph(version):
    with open(os.path.join(version, "saved_model.pb"), "rb") as file:
        return saved_model_pb2.SavedModel.FromString(file.read()).meta_graphs[0]


@pytest.mark.parametrize("name", ["tempered_layer", "tempered_logits", "one_logit"])
def test_operations_are_tensorflows_own(name, exported):
    found = _signatures.operations(meta_graph(exported(name)[1]).graph_def)
    assert "DecodeImage" in found  # the scan sees functions too
    assert not {each for each in found if "PyFunc" in each}
    # DecodeImage's file of kernels and the like come with `import tensorflow`
    assert {each for each in found if op_def_registry.get(each) is None} == set()
    assert not {each for each in found if "Random" in each or "Dropout" in each}


def test_the_version_holds_no_state_of_training(exported):
    model, version = exported("softmax")
    kept = {
        name for name, _ in tf.train.list_variables(f"{version}/variables/variables")
    }
    values = {each for each in kept if each.endswith("VARIABLE_VALUE")}
    assert len(values) == len(model.trainable_variables)
    assert len(values) < len(model.variables)  # the seeds of three layers are gone


def test_named_inputs_and_outputs(exported):
    # what `saved_model_cli show --all` prints
    signatures = meta_graph(exported("tempered_logits")[1]).signature_def
    inputs = {"serving_default": "inputs", "serving_image_bytes": "image_bytes"}
    assert set(inputs) < set(signatures)
    for name, given in inputs.items():
        one = signatures[name]
        assert one.method_name == "tensorflow/serving/predict"
        assert list(one.inputs) == [given]
        assert one.inputs[given].tensor_shape.dim[0].size == -1
        shapes = {
            key: [dim.size for dim in value.tensor_shape.dim]
            for key, value in one.outputs.items()
        }
        wanted = {"probabilities": [-1, 3], "classes": [-1, 2], "scores": [-1, 2]}
        assert shapes == wanted
        assert one.outputs["classes"].dtype == tf.string.as_datatype_enum


def test_versions_count_up(tmp_path):
    model, folder = vector_model(activation="softmax"), tmp_path / "new" / "model"
    assert serving.export(model, str(folder), version=7) == str(folder / "7")
    assert serving.export(model, folder) == str(folder / "8")
    (folder / "notes").mkdir()
    before = (folder / "7" / "saved_model.pb").read_bytes()
    message = (
        r"export: `version` must be a number that is free. Received: version=7. .*9"
    )
    with pytest.raises(ValueError, match=message):
        serving.export(model, folder, version=7)
    assert (folder / "7" / "saved_model.pb").read_bytes() == before
    assert sorted(os.listdir(folder)) == ["7", "8", "notes"]
    # a server of another user may read it, where this process lets others read
    modes = [os.stat(folder / each).st_mode & 0o555 for each in ("8", "notes")]
    assert modes[0] == modes[1]


def test_mixed_precision_serves_float32(tmp_path):
    layer = keras.layers.Dense(3, dtype="mixed_float16")
    model = keras.Sequential([keras.Input((2,)), layer])
    version = serving.export(model, tmp_path / "a", temperature=1.2)
    serve = tf.saved_model.load(version).signatures["serving_default"]
    outputs = serve(inputs=tf.constant([[1.0, 2.0]]))
    assert outputs["probabilities"].dtype == tf.float32
    assert float(tf.reduce_sum(outputs["probabilities"])) == pytest.approx(1, abs=1e-6)


def test_preprocessing_is_in_the_graph(tmp_path, images):
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(3, activation="softmax")(
        keras.layers.Flatten()(inputs)
    )
    model = keras.Model(inputs, outputs)
    version = serving.export(
        model, tmp_path / "a", image_bytes=True, preprocessing=lambda x: x / 255 - 0.5
    )
    serve = tf.saved_model.load(version).signatures["serving_image_bytes"]
    encoded = tf.constant([_signatures.png(image) for image in images])
    received = serve(image_bytes=encoded)["probabilities"]
    want = model(images.astype("float32") / 255 - 0.5)
    np.testing.assert_allclose(numpy(received), numpy(want), atol=1e-6)


def test_per_pixel_classes(tmp_path):
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 1, activation="softmax")(inputs))
    version = serving.export(model, tmp_path / "a", top_k=1)
    serve = tf.saved_model.load(version).signatures["serving_default"]
    outputs = serve(inputs=tf.zeros((2, 5, 6, 1)))
    assert outputs["probabilities"].shape == (2, 5, 6, 4)
    assert outputs["classes"].shape == (2, 5, 6, 1)


def test_per_pixel_probabilities_of_one_unit(tmp_path):
    inputs = keras.Input((None, None, 1))
    layer = keras.layers.Conv2D(1, 1, kernel_initializer="ones")
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", losses.GeneralizedDice(from_logits=True))
    version = serving.export(model, tmp_path / "a", class_names=["no", "yes"])
    serve = tf.saved_model.load(version).signatures["serving_default"]
    maps = np.float32([[[[2.0], [-1.0]]]])
    outputs = serve(inputs=tf.constant(maps))
    p = 1 / (1 + np.exp(-maps))
    np.testing.assert_allclose(
        outputs["probabilities"], np.concatenate([1 - p, p], -1), atol=1e-6
    )
    names = outputs["classes"].numpy().tolist()
    assert names == [[[[b"yes", b"no"], [b"no", b"yes"]]]]
    np.testing.assert_allclose(
        outputs["scores"][..., 0], np.maximum(p, 1 - p)[..., 0], atol=1e-6
    )


def test_variable_parameters_are_exported_at_their_value(tmp_path):
    def loss(t2, max_norm):
        inner = losses.BiTemperedLogistic(0.8, t2, from_logits=True)
        clip = losses.LogitClip(inner, max_norm=max_norm)
        return losses.RegionBoundary(clip, from_logits=True)

    t2, max_norm = (keras.Variable(1.0, trainable=False) for _ in range(2))
    model = vector_model(loss(t2, max_norm))
    t2.assign(2.0)
    max_norm.assign(0.5)
    serve = tf.saved_model.load(serving.export(model, tmp_path / "a")).signatures
    x = np.array([[3.0, -1.0]], "float32")
    received = serve["serving_default"](inputs=tf.constant(x))["probabilities"]
    want = loss(2.0, 0.5).activation(model(x))
    np.testing.assert_allclose(numpy(received), numpy(want), atol=1e-6)


def interpreter(folder):
    with pytest.warns(UserWarning, match="deprecated"):
        return tf.lite.Interpreter(str(folder / "model.tflite"))


def run_tflite(folder, **inputs):
    """Probabilities of the one signature of `folder / "model.tflite"`."""
    lite = interpreter(folder)
    (signature,) = lite.get_signature_list().values()
    assert signature == {"inputs": sorted(inputs), "outputs": ["probabilities"]}
    return lite.get_signature_runner("serving_default")(**inputs)["probabilities"]


def test_tflite(tmp_path):
    model = vector_model(losses.BiTemperedLogistic(0.8, 1.3, from_logits=True))
    serving.export_tflite(model, tmp_path / "model.tflite")
    x = np.array([[1.0, -2.0], [0.5, 3.0]], "float32")
    want = numpy(losses.tempered_softmax(model(x), 1.3))
    np.testing.assert_allclose(run_tflite(tmp_path, inputs=x), want, atol=1e-6)
    # without the signature too, as apps of the C interface do
    lite = interpreter(tmp_path)
    lite.allocate_tensors()
    lite.set_tensor(lite.get_input_details()[0]["index"], x[:1])
    lite.invoke()
    received = lite.get_tensor(lite.get_output_details()[0]["index"])
    np.testing.assert_allclose(received, want[:1], atol=1e-6)


def test_tflite_of_several_inputs_and_one_unit(tmp_path):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    both = keras.layers.Concatenate()([a, b])
    outputs = keras.layers.Dense(1)(both)
    model = keras.Model({"b": b, "a": a}, outputs)
    loss = losses.LogitClip(losses.BiTemperedLogistic(0.8, 1.3, from_logits=True))
    model.compile("sgd", loss)
    serving.export_tflite(model, tmp_path / "model.tflite")
    x = {"a": np.ones((4, 3), "float32"), "b": np.zeros((4, 2), "float32")}
    p = numpy(loss.activation(model(x)))
    want = np.concatenate([1 - p, p], -1)
    np.testing.assert_allclose(run_tflite(tmp_path, **x), want, atol=1e-6)


def test_tflite_refuses_outputs_that_are_no_probabilities(tmp_path):
    with pytest.raises(ValueError, match="export_tflite: the outputs must be prob"):
        serving.export_tflite(_wrong_loss(), tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []


def recurrent(**options):
    layer = keras.layers.GRU(4, **options)
    last = keras.layers.Dense(2, activation="softmax")
    return keras.Sequential([keras.Input((2, 3)), layer, last])


def determinant():
    last = keras.layers.Lambda(lambda x: tf.linalg.inv(x)[:, 0])
    return keras.Sequential([keras.Input((2, 2)), last, keras.layers.Softmax()])


@pytest.mark.parametrize(
    ("make", "operation"),
    [(recurrent, "TensorListReserve"), (determinant, "MatrixInv")],
)
def test_tflite_of_operations_that_need_flex(make, operation, tmp_path):
    path = tmp_path / "model.tflite"
    message = (
        rf"export_tflite: `model` must be made of .*Missing: .*{operation}.*"
        "unroll=True, or say allow_flex=True"
    )
    with pytest.raises(ValueError, match=message):
        serving.export_tflite(make(), path)
    assert list(tmp_path.iterdir()) == []


def test_tflite_with_the_flex_delegate(tmp_path):
    path = tmp_path / "model.tflite"
    serving.export_tflite(determinant(), path, allow_flex=True)
    assert b"FlexMatrixInv" in path.read_bytes()


def test_tflite_of_an_unrolled_layer(tmp_path):
    model = recurrent(unroll=True)
    serving.export_tflite(model, tmp_path / "model.tflite")
    x = np.random.default_rng(0).normal(size=(2, 2, 3)).astype("float32")
    want = numpy(model(x))
    np.testing.assert_allclose(run_tflite(tmp_path, inputs=x), want, atol=1e-6)


def test_allow_flex_is_a_switch(tmp_path):
    with pytest.raises(TypeError, match="export_tflite: `allow_flex` .*'no'"):
        serving.export_tflite(vector_model(), tmp_path / "a.tflite", allow_flex="no")


def test_a_tflite_path_is_a_path():
    with pytest.raises(TypeError, match="export_tflite: `path` must be a path.*=None"):
        serving.export_tflite(vector_model(), None)


class Subclassed(keras.Model):
    """A model with a head around another one, in an attribute of any name."""

    def __init__(self, backbone, attribute="model", units=3):
        super().__init__()
        setattr(self, attribute, backbone)
        self.attribute, self.head = attribute, keras.layers.Dense(units)
        self.dropout = keras.layers.Dropout(0.5)
        self.softmax = keras.layers.Softmax()  # not a part of `call`

    def call(self, x, training=False):
        x = getattr(self, self.attribute)(x, training=training)
        return self.head(tf.nn.relu(self.dropout(x, training=training)))


@pytest.mark.parametrize(("attribute", "units"), [("model", 3), ("backbone", 1)])
def test_a_subclassed_model_is_exported_whole(attribute, units, tmp_path):
    model = Subclassed(vector_model(units=8), attribute, units)
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    x = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    want = tf.sigmoid(model(x))
    if units == 1:  # both files are of the same `network`
        want = tf.concat([1 - want, want], -1)
        serving.export_tflite(model, tmp_path / "model.tflite")
        received = run_tflite(tmp_path, inputs=x)
    else:
        serve = tf.saved_model.load(serving.export(model, tmp_path / "a")).signatures
        received = serve["serving_default"](inputs=tf.constant(x))["probabilities"]
    np.testing.assert_allclose(received, want, atol=1e-6)


class OfTwo(keras.Model):
    """A subclassed model of a dict of inputs."""

    def __init__(self):
        super().__init__()
        self.head = keras.layers.Dense(3)

    def call(self, inputs):
        return self.head(tf.concat([inputs["a"], inputs["b"]], -1))


def test_a_subclassed_model_of_several_inputs(tmp_path):
    model = OfTwo()
    x = {"a": tf.ones((2, 3)), "b": tf.zeros((2, 4))}
    want = tf.nn.softmax(model(x))
    version = serving.export(model, tmp_path / "a", activation="softmax")
    serve = tf.saved_model.load(version).signatures["serving_default"]
    np.testing.assert_allclose(serve(**x)["probabilities"], want, atol=1e-6)


class OfNumpy(OfTwo):
    """A model whose code cannot become a graph."""

    def call(self, inputs):
        return self.head(np.asarray(inputs["a"]))


class OfTwoArguments(OfTwo):
    """A model with two arguments."""

    def call(self, a, b):
        return self.head(tf.concat([a, b], -1))


def test_subclassed_models_that_cannot_be_exported(tmp_path):
    a = OfNumpy()
    a({"a": np.ones((2, 3)), "b": np.ones((2, 3))})
    b = OfTwoArguments()
    b(tf.ones((2, 3)), tf.ones((2, 4)))
    for model in (a, b):
        message = "export: `model` must be functional or sequential.* Wrap it: x = ke"
        with pytest.raises(ValueError, match=message):
            serving.export(model, tmp_path / "a", activation="softmax")


class Wrapper(keras.Model):
    """A model that only adds to the training of another one."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def exported_model(self):
        return self.inner

    def call(self, x):
        return self.inner(x) * 0


def test_wrappers_say_which_model_is_exported(tmp_path, images):
    augment = pytest.importorskip("tfrobustloss.data.augment")
    inner = image_model("softmax_logits")
    inner.compile("sgd", "categorical_crossentropy")  # not what it is trained with
    attached = augment.attach(inner, augment.adma("mnist"), seed=0)
    assert augment.detach(attached) is attached.exported_model() is inner
    model = Wrapper(attached)
    model.compile("sgd", losses.SigmoidFocal(from_logits=True))
    serve = tf.saved_model.load(serving.export(model, tmp_path / "a")).signatures
    x = images.astype("float32")
    received = serve["serving_default"](inputs=tf.constant(x))["probabilities"]
    want = tf.sigmoid(inner(x, training=False))
    np.testing.assert_allclose(received, want, atol=1e-6)
    serving.export_tflite(model, tmp_path / "model.tflite")
    np.testing.assert_allclose(run_tflite(tmp_path, inputs=x), want, atol=1e-5)


# --- what is refused


def _two_outputs():
    x = keras.Input((2,))
    return keras.Model(x, [keras.layers.Dense(2)(x), keras.layers.Dense(3)(x)])


def _logits_and_softmax():
    return vector_model(losses.CrossEntropy(from_logits=True), activation="softmax")


def _wrong_loss():
    ones = {"kernel_initializer": "ones", "bias_initializer": "ones"}
    return vector_model(losses.CrossEntropy(), **ones)


def _one_output():
    # in [0, 1] for small inputs, beyond it for large ones
    model = vector_model(losses.SigmoidFocal(), units=1)
    model.set_weights([np.float32([[0.1], [0.1]]), np.float32([0.5])])
    return model


def python_function(x):
    return tf.numpy_function(lambda y: y, [x], tf.float32)


class Unknown(keras.losses.Loss):
    from_logits = True

    def call(self, y_true, y_pred):
        return y_pred


SOFT = {"activation": "softmax"}
IMAGES = {"image_bytes": True}
BAD = [
    (lambda: keras.Sequential([keras.layers.Dense(3)]), {}, ValueError, "`mod.*bu"),
    (lambda: OfTwo(), {}, ValueError, "`model` .*built"),
    (_two_outputs, SOFT, ValueError, "`model` must be a model with one output"),
    (lambda: "model.keras", {}, TypeError, "`model` must be a keras.Model"),
    (vector_model, {}, ValueError, "`model` must be compiled.* temperature=t2"),
    (_logits_and_softmax, {}, ValueError, "`model` must end in logits"),
    (_wrong_loss, {}, ValueError, "must be probabilities"),
    (lambda: vector_model(Unknown()), {}, ValueError, "loss=Unknown .*temperature=t2"),
    (vector_model, {"activation": "relu"}, ValueError, "`activation`.*'relu'"),
    (vector_model, {"temperature": 0}, ValueError, r"`temperature`.*\(0, 5\]"),
    (vector_model, {"temperature": 2, **SOFT}, ValueError, "`temperature`.*None"),
    (vector_model, {"class_names": ["a"], **SOFT}, ValueError, r"3 names.*\['a'\].* 1"),
    (vector_model, {"class_names": "abc", **SOFT}, TypeError, "`class_names`.*list of"),
    (vector_model, {"class_names": [1, 2, 3], **SOFT}, TypeError, "`class_names`"),
    (vector_model, {"class_names": 7, **SOFT}, TypeError, "`class_names`.*=7"),
    (vector_model, {"class_names": {"a": 2, "b": 0, "c": 1}}, TypeError, "`class_n"),
    (vector_model, {"image_bytes": "no"}, TypeError, "`image_bytes`.*'no'"),
    (vector_model, {"top_k": 4, **SOFT}, ValueError, r"`top_k`.*\[1, 3\].*k=4"),
    (_one_output, {}, ValueError, "must be probabilities.*model.export"),
    (_one_output, {"activation": "linear"}, ValueError, "must be probabilities"),
    (vector_model, {"version": 0, **SOFT}, ValueError, "`version`.*version=0"),
    (vector_model, {"version": "1", **SOFT}, TypeError, "`version`.*version='1'"),
    (vector_model, {**IMAGES, **SOFT}, ValueError, r"`image_bytes`.*shapes \[\(2,\)\]"),
    (vector_model, {"preprocessing": abs, **SOFT}, ValueError, "`prepro.*image"),
    (
        lambda: image_model("softmax"),
        {"preprocessing": 2, **IMAGES},
        TypeError,
        "`preprocessing`.*=2.*Rescaling",
    ),
    (
        lambda: image_model("softmax"),
        {"preprocessing": keras.layers.Rescaling(0.0), **IMAGES},
        ValueError,
        "`preprocessing`.*depend on the image.* It gives 0, .* for every image",
    ),
    (
        lambda: image_model("softmax"),
        {"preprocessing": lambda x: x * np.nan, **IMAGES},
        ValueError,
        "`preprocessing`.*finite.* It gives NaN",
    ),
    (
        lambda: image_model("softmax"),
        {"preprocessing": lambda x: x[:, :4], **IMAGES},
        ValueError,
        r"`preprocessing`.*\(batch, 8, 8, 1\)",
    ),
    (
        lambda: image_model("softmax"),
        {"preprocessing": lambda x: np.asarray(x), **IMAGES},
        ValueError,
        "`preprocessing`.*symbolic",
    ),
    (
        lambda: image_model("softmax"),
        {"preprocessing": python_function, **IMAGES},
        ValueError,
        "free of Python functions.*PyFunc",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("make", "options", "kind", "message"), BAD)
def test_bad_arguments(make, options, kind, message, tmp_path):
    with pytest.raises(kind, match=f"^export: .*{message}"):
        serving.export(make(), tmp_path / "model", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_long_list_of_names_is_not_printed_whole(tmp_path):
    with pytest.raises(ValueError, match="These are 900") as caught:
        serving.export(
            vector_model(),
            tmp_path / "a",
            class_names=["name"] * 900,
            activation="softmax",
        )
    assert len(str(caught.value)) < 300


def test_paths_that_cannot_be_written(tmp_path):
    model = vector_model(activation="softmax")
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ValueError, match="export: `path` must be a folder.*is a file"):
        serving.export(model, file)
    message = "`path` must be a folder that can be written.*Not a directory"
    with pytest.raises(ValueError, match=message):
        serving.export(model, file / "below" / "it")
    with pytest.raises(ValueError, match="`path` must be a folder of this machine"):
        serving.export(model, "gs://bucket/model")
    with pytest.raises(TypeError, match="`path` must be a path. Received: path=3"):
        serving.export(model, 3)
    assert file.read_text() == "mine"
    assert os.listdir(tmp_path) == ["file"]


def test_a_model_behind_augmentation_is_exported_without_it(tmp_path, images):
    augment = pytest.importorskip("tfrobustloss.data.augment")
    network = image_model("keras_logits")
    loss = losses.BiTemperedLogistic(0.8, 1.4, from_logits=True)
    model = augment.attach(network, augment.adma("mnist"), seed=0)
    model.compile("sgd", loss)
    version = serving.export(model, tmp_path / "a")
    serve = tf.saved_model.load(version).signatures["serving_default"]
    received = serve(inputs=tf.constant(images, tf.float32))["probabilities"]
    want = loss.activation(network(images, training=False))
    np.testing.assert_allclose(numpy(received), numpy(want), atol=1e-6)


@pytest.mark.parametrize(
    ("error", "folder"),
    [(OSError("disk full"), "new/deep"), (KeyboardInterrupt(), "old")],
)
def test_a_failure_in_the_middle_leaves_nothing(error, folder, monkeypatch, tmp_path):
    (tmp_path / "old" / "1").mkdir(parents=True)

    def fail(version, requests):
        assert os.path.exists(os.path.join(version, "saved_model.pb"))
        raise error

    monkeypatch.setattr("tfrobustloss.serving._warmup.write", fail)
    with pytest.raises(type(error)):
        serving.export(vector_model(activation="softmax"), tmp_path / folder)
    assert os.listdir(tmp_path) == ["old"]
    assert os.listdir(tmp_path / "old") == ["1"]
