"""Pictures: real PNG files of a sane size, with something drawn on them."""

import io
import struct

import numpy as np
import pytest

from tfrobustloss import plots

matplotlib = pytest.importorskip("matplotlib")


def make_record(num_losses=3, seeds=2, epochs=4):
    generator = np.random.default_rng(0)
    results = []
    for i in range(num_losses):
        accuracy = generator.random((seeds, epochs)).tolist()
        last = float(np.mean(accuracy, axis=0)[-1])
        summary = {"mean": last, "sd": 0.0}
        results.append({"loss": f"loss_{i}", "accuracy": accuracy, "last": summary})
    return {
        "dataset": "digits",
        "noise": "symmetric:0.6",
        "realized_noise_rate": 0.6,
        "model": "mlp2",
        "results": results,
    }


@pytest.mark.parametrize(
    "shape", [(3, 2, 4), (1, 1, 1), (23, 3, 5)], ids=["usual", "least", "many"]
)
def test_png(shape):
    picture = plots.accuracy_curves(make_record(*shape))
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])  # the IHDR chunk
    assert 600 <= width <= 4000
    assert 400 <= height <= 4000
    pixels = matplotlib.image.imread(io.BytesIO(picture))
    assert pixels.std() > 0.02  # not blank


def test_every_loss_is_named_best_first():
    picture = plots.accuracy_curves(make_record(), "curves.svg").decode()
    assert picture.startswith("<?xml")
    record = make_record()
    ranked = sorted(record["results"], key=lambda one: -one["last"]["mean"])
    places = [picture.index(f"<!-- {one['loss']}") for one in ranked]
    assert places == sorted(places)


def test_losses_may_have_unequal_seeds():
    record = make_record()
    del record["results"][0]["accuracy"][1:]
    assert plots.accuracy_curves(record)[:4] == b"\x89PNG"


@pytest.mark.parametrize("path", ["curves", "curves.jpeg2", "png", "a.png/b"])
def test_format_must_be_known(path):
    with pytest.raises(ValueError, match=rf"`path`.*\.png.*path='{path}'"):
        plots.check_format(path)


@pytest.mark.parametrize("path", ["a.png", "a.b.PNG", "a.pdf", "a/b.svg"])
def test_known_formats(path):
    plots.check_format(path)


def test_matplotlib_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.backends", None)
    monkeypatch.delitem(
        __import__("sys").modules, "matplotlib.backends.backend_agg", raising=False
    )
    with pytest.raises(ImportError, match=r"tfrobustloss\[cli\]"):
        plots.check_format("a.png")


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_transition_matrix(classes):
    matrix = np.full((classes, classes), 0.17 / (classes - 1))
    np.fill_diagonal(matrix, 0.83)
    picture = plots.transition_matrix(matrix)
    pixels = matplotlib.image.imread(io.BytesIO(picture))
    assert pixels.std() > 0.02  # not blank
    names = [f"class {i}" for i in range(classes)]
    drawn = plots.transition_matrix(matrix, names, "matrix.svg").decode()
    assert ("<!-- class 1 -->" in drawn) == (classes <= 25)
    assert "<!-- class 0 -->" in drawn
    assert ("<!-- 83 -->" in drawn) == (classes <= 25)


def test_names_of_classes_are_as_many():
    with pytest.raises(ValueError, match="2 names.*'one'"):
        plots.transition_matrix(np.eye(2), ["one"])
