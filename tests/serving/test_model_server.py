"""A real `tensorflow_model_server` serves what `export` writes, where there is one."""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from tests.losses.values import numpy
from tests.serving.models import CLASS_NAMES, image_model
from tfrobustloss import serving
from tfrobustloss.losses import tempered_softmax
from tfrobustloss.serving import _signatures

SERVER = shutil.which("tensorflow_model_server")
pytestmark = pytest.mark.skipif(
    SERVER is None, reason="tensorflow_model_server is not on the PATH"
)
_CONNECT = socket.socket.connect


@pytest.fixture
def _no_network(monkeypatch):
    """Lets a test talk to this machine, and to no other."""

    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            assert address[0] == "127.0.0.1"
        return _CONNECT(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def server(tmp_path):
    """A running server of one model: its folder, log file and REST address."""
    model = image_model("tempered_logits")
    folder, log = tmp_path / "insects", tmp_path / "log"
    serving.export(model, folder, class_names=CLASS_NAMES, image_bytes=True)
    ports = []
    for _ in range(2):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            ports.append(one.getsockname()[1])
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [
                SERVER,
                f"--port={ports[0]}",
                f"--rest_api_port={ports[1]}",
                "--model_name=insects",
                f"--model_base_path={folder}",
                "--file_system_poll_wait_seconds=1",
            ],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},  # its log is read
        )
    address = f"http://127.0.0.1:{ports[1]}/v1/models/insects"
    try:
        _wait_for(address, "1")
        yield model, folder, log, address
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(address, version):
    """Waits until the server says that a version is available."""
    status = None
    for _ in range(120):
        try:
            with urllib.request.urlopen(address, timeout=5) as response:
                status = json.load(response)["model_version_status"]
        except (urllib.error.URLError, ConnectionError) as error:
            status = error
        else:
            available = {
                one["version"] for one in status if one["state"] == "AVAILABLE"
            }
            if available == {version}:
                return
        time.sleep(0.5)
    pytest.fail(f"version {version} was not served: {status}")


def _predict(address, request):
    request = urllib.request.Request(f"{address}:predict", json.dumps(request).encode())
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)["predictions"]


def test_rest_warmup_and_hot_swap(server, images):
    model, folder, log, address = server
    want = numpy(tempered_softmax(model.predict(images, verbose=0), 1.8))
    from_tensors = _predict(address, {"instances": images.tolist()})
    instances = [
        {"image_bytes": {"b64": base64.b64encode(_signatures.png(image)).decode()}}
        for image in images
    ]
    request = {"signature_name": "serving_image_bytes", "instances": instances}
    for answer in (from_tensors, _predict(address, request)):
        received = np.array([one["probabilities"] for one in answer])
        np.testing.assert_allclose(received, want, atol=1e-6)
        likeliest = [CLASS_NAMES[i] for i in want.argmax(-1)]
        assert [one["classes"][0] for one in answer] == likeliest
    # each version has one request a signature to warm up with
    assert "Number of warmup records read: 2" in log.read_text(errors="replace")
    model.set_weights([-each for each in model.get_weights()])
    serving.export(model, folder, class_names=CLASS_NAMES, image_bytes=True)
    _wait_for(address, "2")
    want = numpy(tempered_softmax(model.predict(images, verbose=0), 1.8))
    answer = _predict(address, {"instances": images.tolist()})
    received = np.array([one["probabilities"] for one in answer])
    np.testing.assert_allclose(received, want, atol=1e-6)
