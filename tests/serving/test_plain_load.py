"""`tf.saved_model.load` needs neither Keras nor this package."""

import json
import subprocess
import sys

import numpy as np

from tests.losses.values import numpy

CODE = """
import importlib.machinery, json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("keras", "tf_keras", "tfrobustloss"):
            # TensorFlow looks where Keras is, and may; only loading it fails
            return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        raise ImportError(f"{spec.name} is blocked")

    def exec_module(self, module):
        raise ImportError("blocked")

sys.meta_path.insert(0, Blocked())
import tensorflow as tf

request = json.load(sys.stdin)
loaded = tf.saved_model.load(request["version"])
serve = loaded.signatures["serving_default"]
outputs = serve(inputs=tf.constant(request["inputs"], tf.float32))
modules = [name for name in sys.modules if name.startswith(("keras", "tfrobustloss"))]
p = outputs["probabilities"].numpy().tolist()
answer = {"modules": modules, "signatures": list(loaded.signatures), "p": p}
json.dump(answer, sys.stdout)
"""


def test_load_without_keras(exported, images):
    model, version = exported("tempered_layer")
    done = subprocess.run(
        [sys.executable, "-I", "-c", CODE],
        input=json.dumps({"version": version, "inputs": images.tolist()}),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["modules"] == []
    assert set(answer["signatures"]) == {"serving_default", "serving_image_bytes"}
    want = numpy(model.predict(images, verbose=0))
    np.testing.assert_allclose(np.array(answer["p"], "float32"), want, atol=3e-7)
