"""`tfrobustloss export`: a real run and the mistakes a user can make."""

import os
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.losses.values import numpy
from tests.serving import models
from tfrobustloss import cli
from tfrobustloss.losses import tempered_softmax


@pytest.fixture(scope="module")
def images():
    return models.images()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model that was trained on logits, and its file."""
    model = models.image_model("tempered_logits")
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    return model, str(path)


def test_export(saved, images, tmp_path, capsys):
    model, file = saved
    names = tmp_path / "names.txt"
    names.write_text("ant\nbee\nčmelák\n", encoding="utf-8")
    options = ["--image-bytes", "--class-names", str(names), "--top-k", "1"]
    folder = tmp_path / "insects"
    assert cli.main(["export", file, str(folder), *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    version = str(folder / "1")
    assert f"Written: {version}\n" in out
    assert f"-v {folder}:/models/insects:ro -e MODEL_NAME=insects" in out
    assert "http://127.0.0.1:8501/v1/models/insects:predict" in out
    signatures = tf.saved_model.load(version).signatures
    outputs = signatures["serving_default"](inputs=tf.constant(images, tf.float32))
    want = numpy(tempered_softmax(model.predict(images, verbose=0), 1.8))
    np.testing.assert_allclose(outputs["probabilities"], want, atol=1e-6)
    likeliest = [["ant", "bee", "čmelák"][i] for i in want.argmax(-1)]
    assert [each.decode() for each in outputs["classes"].numpy()[:, 0]] == likeliest


def test_one_unit_is_two_classes(images, tmp_path, capsys):
    model = models.image_model("one_tempered_logit")
    model.save(tmp_path / "model.keras")
    options = ["--image-bytes", "--class-names", "cat,dog"]
    files = [str(tmp_path / "model.keras"), str(tmp_path / "pets")]
    assert cli.main(["export", *files, *options]) == 0
    assert "Written: " in capsys.readouterr().out
    signatures = tf.saved_model.load(str(tmp_path / "pets" / "1")).signatures
    encoded = tf.stack([tf.io.encode_png(image) for image in images])
    p = tempered_softmax(model.predict(images, verbose=0), 1.4)[:, 0]
    for outputs in (
        signatures["serving_default"](inputs=tf.constant(images, tf.float32)),
        signatures["serving_image_bytes"](image_bytes=encoded),
    ):
        received = outputs["probabilities"]
        np.testing.assert_allclose(received, tf.stack([1 - p, p], -1), atol=1e-6)
        likeliest = [b"dog" if each > 0.5 else b"cat" for each in p]
        assert outputs["classes"].numpy()[:, 0].tolist() == likeliest


def test_options(saved, images, tmp_path, capsys):
    model, file = saved
    options = ["--image-bytes", "--scale", "1/2", "--version", "5", "--no-warmup"]
    told = ["--activation", "softmax", "--class-names", "a, b,c"]
    assert cli.main(["export", file, str(tmp_path / "m"), *options, *told]) == 0
    version = tmp_path / "m" / "5"
    assert "assets.extra" not in os.listdir(version)
    serve = tf.saved_model.load(str(version)).signatures["serving_image_bytes"]
    encoded = [tf.io.encode_png(image) for image in images]
    received = serve(image_bytes=tf.stack(encoded))
    want = tf.nn.softmax(model.predict(images / 2, verbose=0))
    np.testing.assert_allclose(received["probabilities"], want, atol=1e-6)
    assert set(received["classes"].numpy().ravel()) <= {b"a", b"b", b"c"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--class-names", "a,b"], "`class_names` must be 3 names"),
        (["--scale", "1/0"], "`scale` must be a finite number above 0, such as"),
        (["--scale", "0"], "`scale` must be .* above 0.*scale='0'"),
        (["--scale", "nan"], "`scale` must be a finite number.*scale='nan'"),
        (["--scale", "1e999"], "`scale` must be a finite number"),
        (["--scale=-1/255"], "`scale` must be a finite number above 0.*'-1/255'"),
        (["--scale", "1/255"], "`scale` must be given with --image-bytes.*'1/255'"),
        (["--top-k", "9"], "`top_k` must be"),
        (["--temperature", "9"], "`temperature` must be in"),
    ],
)
def test_mistakes(options, message, saved, tmp_path, capsys):
    assert cli.main(["export", saved[1], str(tmp_path / "m"), *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tfrobustloss export: error: ")
    assert err.count("\n") == 1
    assert re.search(message, err), err
    assert os.listdir(tmp_path) == []


def test_a_version_that_is_there(saved, tmp_path, capsys):
    (tmp_path / "m" / "1").mkdir(parents=True)
    options = ["--version", "1"]
    assert cli.main(["export", saved[1], str(tmp_path / "m"), *options]) == 2
    assert "`version` must be a number that is free" in capsys.readouterr().err


def test_no_model(tmp_path, capsys):
    assert cli.main(["export", str(tmp_path / "a.keras"), str(tmp_path / "m")]) == 2
    assert "`MODEL.keras` must be a file. Received" in capsys.readouterr().err
