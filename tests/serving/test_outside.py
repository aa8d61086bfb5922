"""TF Serving's loader takes what `export` writes, with no package to help it."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from tests.losses.values import numpy
from tests.serving.models import ENDINGS, class_names
from tfrobustloss import serving
from tfrobustloss.serving import _c_loader, _outside

# one for each activation; which one a model has is tested in `test_activation.py`
EXPORTED = [
    *("softmax", "tempered_layer", "tempered_logits", "softmax_logits"),
    *("sigmoid_logits", "one_tempered_logit"),
]


@pytest.fixture(scope="module")
def encoded(images):
    return [tf.io.encode_png(image).numpy() for image in images]


@pytest.fixture(scope="module")
def answers(exported, images, encoded):
    """One process for all models: name -> answers to tensors, to images, to others."""
    others = [
        tf.io.encode_png(np.full((24, 30, 1), 200, "uint8")).numpy(),
        tf.io.encode_jpeg(np.full((5, 8, 3), 200, "uint8")).numpy(),
        tf.io.encode_png(np.uint16(257) * images[0]).numpy(),
    ]
    requests = []
    for name in EXPORTED:
        version = exported(name)[1]
        for signature, inputs in (
            ("serving_default", {"inputs": images}),
            ("serving_image_bytes", {"image_bytes": encoded}),
            ("serving_image_bytes", {"image_bytes": others}),
        ):
            one = {"version": version, "signature_name": signature, "inputs": inputs}
            requests.append(one)
    results, modules = _outside.run(requests)
    rows = [results[i : i + 3] for i in range(0, len(results), 3)]
    return dict(zip(EXPORTED, rows, strict=True)), modules


def expected(name, model, images):
    outputs = model(images, training=False)
    if name == "softmax":  # of the others a program would be compiled for nothing
        outputs = model.predict(images, verbose=0)
    return numpy(ENDINGS[name][2](keras.ops.convert_to_tensor(outputs)))


def test_the_process_has_no_package(answers):
    _, modules = answers
    assert "ctypes" in modules
    foreign = {"tensorflow", "keras", "tfrobustloss", "numpy", "google", "absl"}
    assert not modules & foreign


@pytest.mark.parametrize("name", EXPORTED)
def test_probabilities_are_those_of_predict(name, exported, images, answers):
    want = expected(name, exported(name)[0], images)
    from_tensors, from_images, _ = answers[0][name]
    assert from_tensors["probabilities"].dtype == np.float32
    # a few roundings of float32: predict's batches are compiled as another program
    np.testing.assert_allclose(from_tensors["probabilities"], want, rtol=0, atol=3e-7)
    np.testing.assert_array_equal(
        from_images["probabilities"], from_tensors["probabilities"]
    )


@pytest.mark.parametrize("name", EXPORTED)
def test_classes_are_the_likeliest_names(name, answers):
    for outputs in answers[0][name]:
        p = outputs["probabilities"]
        order = np.argsort(-p, axis=-1, kind="stable")[:, :2]
        scores = np.take_along_axis(p, order, -1)
        np.testing.assert_array_equal(outputs["scores"], scores)
        names = [[each.decode() for each in row] for row in outputs["classes"]]
        assert names == [[class_names(name)[i] for i in row] for row in order]


def test_the_models_differ(answers):
    first = [rows[0]["probabilities"] for rows in answers[0].values()]
    # some are the same network by another loss: softmax, two temperatures and sigmoid
    different = {each.tobytes() for each in first}
    assert len(different) >= 4


def test_other_sizes_and_formats_are_brought_to_the_model(exported, answers):
    same, other = answers[0]["softmax"][1:]
    grey = np.full((1, 8, 8, 1), 200, "uint8")
    want = expected("softmax", exported("softmax")[0], grey)[0]
    for row in range(2):  # 24 x 30 pixels; JPEG in colour, 5 x 8 pixels
        np.testing.assert_allclose(other["probabilities"][row], want, atol=1e-5)
    assert np.abs(same["probabilities"] - want).max() > 1e-3
    sixteen_bits = other["probabilities"][2]
    np.testing.assert_array_equal(sixteen_bits, same["probabilities"][0])


def test_versions_that_are_none(exported, tmp_path, monkeypatch):
    x, version = np.zeros((1, 8, 8, 1)), exported("softmax")[1]
    folder = os.path.dirname(version)
    message = "predict_outside: `version` must be the path that `export` returned.*"
    for path, hint in (
        (tmp_path, "no saved_model.pb"),
        (tmp_path / "missing", "no saved_model.pb"),
        (os.path.join(version, "saved_model.pb"), "no saved_model.pb"),
        (folder, f"folder of versions, of which '{version}' is the newest"),
    ):
        with pytest.raises(ValueError, match=message + hint):
            serving.predict_outside(path, x)
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    message = "predict_outside: `version` must be a version that can be loaded"
    with pytest.raises(ValueError, match=message):
        serving.predict_outside(tmp_path, x)
    monkeypatch.chdir(folder)
    received = serving.predict_outside("1", x)
    assert received["probabilities"].shape == (1, 3)


def test_signatures_that_are_none(exported):
    x, version = np.zeros((1, 8, 8, 1)), exported("softmax")[1]
    message = r"`signature_name` must be .*'other'.*'serving_default', 'serving_image"
    with pytest.raises(ValueError, match=message):
        serving.predict_outside(version, x, "other")
    with pytest.raises(TypeError, match="`signature_name` must be a text.*=None"):
        serving.predict_outside(version, x, None)


@pytest.mark.parametrize(
    ("inputs", "kind", "message"),
    [
        ("abc", ValueError, r"`inputs` .*'abc'.*inputs has the shape \[\], not"),
        (np.zeros((0, 8, 8, 1)), ValueError, r"`inputs.shape` .*\(0, 8, 8, 1\)"),
        ([], ValueError, r"`inputs.shape` .*\(0,\)"),
        ({"inputs": {1}}, TypeError, r"`inputs` .*numbers, text or bytes.*\{1\}"),
    ],
)
def test_inputs_that_do_not_fit(inputs, kind, message, exported):
    with pytest.raises(kind, match=f"^predict_outside: {message}"):
        serving.predict_outside(exported("softmax")[1], inputs)


@pytest.fixture(scope="module")
def library():
    return _c_loader.Library(_outside._library())


@pytest.mark.parametrize(
    ("signature", "inputs", "message"),
    [
        ("serving_default", {"other": [1.0]}, r"takes \['inputs'\], not \['other'\]"),
        (
            "serving_default",
            {"inputs": [1.0], "b": 1},
            r"takes \['inputs'\], not \['b'",
        ),
        ("serving_default", {}, r"takes \['inputs'\], not \[\]"),
        ("serving_default", {"inputs": [[1.0], [1.0, 2.0]]}, "rows of different len"),
        (
            "serving_default",
            {"inputs": [["a"] * 8] * 8},
            r"shape \[8, 8\], not \[batch",
        ),
        (
            "serving_default",
            {"inputs": [[[["a"]] * 8] * 8]},
            r"takes numbers \(float32\) as inputs",
        ),
        ("serving_image_bytes", {"image_bytes": "a"}, r"shape \[\], not \[batch\]"),
        ("serving_image_bytes", {"image_bytes": [1]}, "takes texts or bytes as image"),
        (
            "serving_image_bytes",
            {"image_bytes": ["a.png"]},
            "Unknown image file format",
        ),
    ],
)
def test_errors_of_the_loader(signature, inputs, message, exported, library):
    version = _c_loader.Version(library, exported("softmax")[1])
    with pytest.raises(_c_loader.InputError, match=message):
        version.run(signature, inputs)


@pytest.mark.parametrize(
    ("dtype", "given", "outputs"),
    [
        ("int32", [[1, 2]], "float32"),
        ("uint16", [[1, 2]], "float32"),
        ("float16", [[0.5, -2.0]], "float32"),
        ("float64", [[0.1, 0.25]], "float64"),
    ],
)
def test_types(dtype, given, outputs, tmp_path, library):
    inputs = keras.Input((2,), dtype=dtype)
    x = keras.ops.cast(inputs, outputs)
    model = keras.Model(inputs, keras.layers.Softmax(dtype=outputs)(x))
    version = serving.export(model, tmp_path / "a")
    received = _c_loader.Version(library, version).run(
        "serving_default", {"inputs": given}
    )
    assert received["probabilities"]["dtype"] == outputs
    assert received["classes"]["dtype"] == "int32"
    want = numpy(model(tf.constant(given, dtype)))
    np.testing.assert_array_equal(received["probabilities"]["values"], want)
    decoded = _outside._from_json(received["probabilities"])
    assert decoded.dtype == outputs
    if dtype.startswith(("int", "uint")):
        with pytest.raises(_c_loader.InputError, match=rf"numbers \({dtype}\)"):
            _c_loader.Version(library, version).run(
                "serving_default", {"inputs": [[1.5, 2]]}
            )


def test_a_version_is_a_path():
    with pytest.raises(TypeError, match="`version` must be a path.*version=None"):
        serving.predict_outside(None, np.zeros((1, 2)))


def test_tensors_are_inputs_too(exported, images):
    version = exported("softmax")[1]
    received = serving.predict_outside(version, tf.constant(images))
    want = serving.predict_outside(version, images)
    np.testing.assert_array_equal(received["probabilities"], want["probabilities"])


def test_several_inputs_and_text(tmp_path):
    a, b = keras.Input((3,), name="a"), keras.Input((), dtype="string", name="b")
    table = keras.layers.StringLookup(vocabulary=["x", "y"], output_mode="one_hot")
    both = keras.layers.Concatenate()([a, table(b)])
    outputs = keras.layers.Dense(2, activation="softmax")(both)
    model = keras.Model({"a": a, "b": b}, outputs)
    version = serving.export(model, tmp_path / "text")
    inputs = {"a": np.ones((2, 3), "float32"), "b": ["y", "unknown"]}
    received = serving.predict_outside(version, inputs)
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    want = numpy(model(tensors))
    np.testing.assert_allclose(received["probabilities"], want, atol=1e-7)
    assert received["classes"].tolist() == np.argsort(-want, -1).tolist()


def test_numbers_of_fields_and_types():
    meta_graph = meta_graph_pb2.MetaGraphDef.DESCRIPTOR.fields_by_name
    signature = meta_graph_pb2.SignatureDef.DESCRIPTOR.fields_by_name
    tensor = meta_graph_pb2.TensorInfo.DESCRIPTOR.fields_by_name
    assert meta_graph["signature_def"].number == _c_loader.SIGNATURE_DEF
    assert signature["inputs"].number == _c_loader.INPUTS
    assert signature["outputs"].number == _c_loader.OUTPUTS
    assert tensor["name"].number == _c_loader.NAME
    assert tensor["dtype"].number == _c_loader.DTYPE
    assert types_pb2.DT_STRING == _c_loader.STRING
    for number, code in _c_loader.FORMATS.items():
        assert tf.as_dtype(number).as_numpy_dtype(1) == np.dtype(code).type(1)
        assert tf.as_dtype(number).size == np.dtype(code).itemsize
        assert tf.as_dtype(number).name == _c_loader.DTYPES[number]
    assert types_pb2.DT_BOOL == _c_loader.BOOL
    shape = tensor_shape_pb2.TensorShapeProto.DESCRIPTOR
    assert tensor["tensor_shape"].number == _c_loader.SHAPE
    assert shape.fields_by_name["dim"].number == _c_loader.DIM
    assert shape.fields_by_name["unknown_rank"].number == _c_loader.UNKNOWN_RANK
    assert shape.nested_types_by_name["Dim"].fields_by_name["size"].number == (
        _c_loader.SIZE
    )
    for sizes in ((), (None, 3), (2, 0), None):
        message = tf.TensorShape(sizes).as_proto().SerializeToString()
        assert _c_loader.shape_of(message) == sizes
