"""The learned losses that come with the package."""

import json

import numpy as np
import pytest

from tfrobustloss import losses, presets
from tfrobustloss.losses import canonical_taylor

KNOWN = {"format", "theta", "fitness", "settings", "seeds", "versions", "hardware"}


@pytest.mark.parametrize("name", presets.names())
def test_loads_and_says_where_it_comes_from(name):
    record = presets.read(name)
    assert set(record) >= KNOWN
    assert record["settings"]["tasks"][0]["dataset"]
    loss = presets.load_preset(name, from_logits=True)
    assert isinstance(loss, losses.TaylorLoss)
    values = loss([0, 1], np.array([[3.0, 0.0, 0.0], [3.0, 0.0, 0.0]], "float32"))
    assert np.isfinite(float(values))
    # right costs less than wrong
    right, wrong = (float(loss([i], np.eye(3)[:1] * 5)) for i in (0, 1))
    assert right < wrong


@pytest.mark.parametrize("name", presets.names())
def test_is_the_polynomial_that_it_says(name):
    record = presets.read(name)
    classes = record["settings"]["tasks"][0]["num_classes"]
    p = np.random.default_rng(0).dirichlet(np.ones(classes), 5).astype("float32")
    ids = np.arange(5)
    vector = [record["coefficients"][key] for key in canonical_taylor.NAMES]
    expected = np.asarray(canonical_taylor.canonical_loss(ids, p, vector))
    loss = presets.load_preset(name, reduction=None)
    # up to a constant, which has no gradient
    received = np.asarray(loss(ids, p))
    np.testing.assert_allclose(np.diff(received), np.diff(expected), atol=1e-5)


def test_a_path_still_works(tmp_path):
    name = presets.names()[0]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(presets.read(name)))
    assert presets.load_preset(path).theta == presets.load_preset(name).theta


def test_an_unknown_name():
    with pytest.raises(ValueError, match=r"one of \['mnist-.*Received: path='mnits'"):
        presets.load_preset("mnits")
