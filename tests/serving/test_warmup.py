"""Warm-up requests, read back with descriptors of TF Serving's published numbers."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import (
    resource_handle_pb2,
    tensor_pb2,
    tensor_shape_pb2,
    types_pb2,
)

from tests.serving.models import vector_model
from tfrobustloss import serving
from tfrobustloss.serving import _signatures, _warmup

PACKAGE = "tensorflow.serving"
TENSOR = ".tensorflow.TensorProto"
# message -> {field: (number, type)}; from tensorflow_serving/apis/*.proto at
# github.com/tensorflow/serving, the same in the package tensorflow-serving-api 2.21
MESSAGES = {
    "ModelSpec": {"name": (1, None), "signature_name": (3, None)},
    "InputsEntry": {"key": (1, None), "value": (2, TENSOR)},
    "PredictRequest": {
        "model_spec": (1, f".{PACKAGE}.ModelSpec"),
        "inputs": (2, f".{PACKAGE}.InputsEntry"),
    },
    "PredictLog": {"request": (1, f".{PACKAGE}.PredictRequest")},
    "PredictionLog": {"predict_log": (6, f".{PACKAGE}.PredictLog")},
}


@pytest.fixture(scope="module")
def prediction_log():
    """The class of `PredictionLog`, independent of what wrote the records."""
    pool = descriptor_pool.DescriptorPool()
    for module in (types_pb2, tensor_shape_pb2, resource_handle_pb2, tensor_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="prediction_log.proto", package=PACKAGE, syntax="proto3"
    )
    file.dependency.append(tensor_pb2.DESCRIPTOR.name)
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            message.field.add(
                name=field,
                number=number,
                label=kinds.LABEL_REPEATED
                if field == "inputs"
                else kinds.LABEL_OPTIONAL,
                type=kinds.TYPE_STRING if kind is None else kinds.TYPE_MESSAGE,
                type_name=kind,
            )
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName(f"{PACKAGE}.PredictionLog")
    return message_factory.GetMessageClass(descriptor)


def read(version, message):
    path = f"{version}/assets.extra/tf_serving_warmup_requests"
    requests = []
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
        log = message.FromString(record)
        assert log.SerializeToString() == record, "fields that are not known"
        request = log.predict_log.request
        tensors = {
            entry.key: tf.make_ndarray(
                tensor_pb2.TensorProto.FromString(entry.value.SerializeToString())
            )
            for entry in request.inputs
        }
        requests.append((request.model_spec.signature_name, tensors))
    return requests


def test_a_blank_example_a_signature(exported, prediction_log):
    requests = dict(read(exported("softmax")[1], prediction_log))
    assert set(requests) == {"serving_default", "serving_image_bytes"}
    (name, tensor), *others = requests["serving_default"].items()
    assert (name, others) == ("inputs", [])
    assert tensor.dtype == np.float32
    np.testing.assert_array_equal(tensor, np.zeros((1, 8, 8, 1)))
    image = tf.io.decode_image(requests["serving_image_bytes"]["image_bytes"][0])
    np.testing.assert_array_equal(image, np.zeros((8, 8, 1)))


def test_examples(tmp_path, prediction_log):
    model = vector_model(activation="softmax")
    x = np.arange(400.0).reshape(200, 2)  # in float64: lengths above 127 bytes too
    version = serving.export(model, tmp_path / "a", warmup=x)
    requests = read(version, prediction_log)
    assert {name for name, _ in requests} == {"serving_default"}
    received = np.concatenate([tensors["inputs"] for _, tensors in requests])
    assert received.dtype == np.float32
    np.testing.assert_array_equal(received, x)


def test_none(tmp_path):
    model = vector_model(activation="softmax")
    version = serving.export(model, tmp_path / "a", warmup={})
    assert not tf.io.gfile.exists(f"{version}/assets.extra")


def test_long_content_has_a_long_length(prediction_log):
    # one, two and three bytes of length
    for size in (1, 127, 128, 16_384, 100_000):
        content = b"x" * size
        record = _warmup._prediction_log("s", {"k": np.array([content], object)})
        request = prediction_log.FromString(record).predict_log.request
        assert request.inputs[0].value.string_val == [content]


@pytest.mark.parametrize(
    ("warmup", "message"),
    [
        (
            np.zeros((3, 5)),
            r"`warmup` must be examples of shape \(None, 2\) for serving_d",
        ),
        ([], "`warmup` must be examples of shape"),
        (
            {"serving_other": np.zeros((3, 2))},
            "keys of .*Received: warmup='serving_other",
        ),
        ({"serving_default": {"x": np.zeros((3, 2))}}, r"inputs \['inputs'\]"),
        ([[1.0], [1.0, 2.0]], r"shape \(None, 2\).*warmup=\(\)"),
        ([["a", "b"]], r"shape \(None, 2\).*warmup=\(\)"),
        (np.zeros((1001, 2)), "at most 1000 examples. Received: warmup=1001"),
    ],
)
def test_bad_examples(warmup, message, tmp_path):
    with pytest.raises(ValueError, match=f"export: .*{message}"):
        serving.export(
            vector_model(activation="softmax"), tmp_path / "a", warmup=warmup
        )
    assert list(tmp_path.iterdir()) == []


def test_an_image_that_is_none_is_refused_before_it_is_written(images, tmp_path):
    from tests.serving.models import image_model

    png = _signatures.png(images[0])
    folder = tmp_path / "a"
    message = "`warmup` must be examples that .*'one for serving_image_bytes'. .*image"
    with pytest.raises(ValueError, match=message):
        serving.export(
            image_model("softmax"),
            folder,
            image_bytes=True,
            warmup={"serving_image_bytes": [png, b"no image"]},
        )
    assert not folder.exists()
