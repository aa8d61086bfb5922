"""`tf.saved_model.load` needs neither Keras nor this package."""

import sys

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.losses.values import numpy

BLOCKED = ("keras", "tf_keras", "keras_tuner", "tfrobustloss")


def test_load_without_keras(exported, images, monkeypatch):
    model, version = exported("tempered_layer")
    want = numpy(model(images, training=False))
    for name in [*BLOCKED, *sys.modules]:
        if name.partition(".")[0] in BLOCKED:
            monkeypatch.setitem(sys.modules, name, None)  # an import of it fails
    loaded = tf.saved_model.load(version)
    serve = loaded.signatures["serving_default"]
    received = serve(inputs=tf.constant(images, tf.float32))["probabilities"]
    monkeypatch.undo()
    assert set(loaded.signatures) == {"serving_default", "serving_image_bytes"}
    np.testing.assert_allclose(received.numpy(), want, atol=3e-7)


def test_no_object_is_one_of_keras(exported):
    """What a process with Keras in it would load as something else."""
    with open(f"{exported('tempered_layer')[1]}/saved_model.pb", "rb") as file:
        (graph,) = saved_model_pb2.SavedModel.FromString(file.read()).meta_graphs
    nodes = graph.object_graph_def.nodes
    kinds = {node.user_object.identifier for node in nodes}
    assert "_generic_user_object" in kinds
    kinds |= {node.registered_name for node in nodes}
    assert not {kind for kind in kinds if "keras" in kind or "tfrobustloss" in kind}
