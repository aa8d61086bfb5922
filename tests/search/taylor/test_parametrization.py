"""The forms of a Taylor loss, where they start, and the arguments of the search."""

import numpy as np
import pytest

from tfrobustloss import losses
from tfrobustloss.losses import canonical_taylor
from tfrobustloss.losses.taylor_polynomial import find_bounds
from tfrobustloss.search import Task, TaylorLossSearch
from tfrobustloss.search.taylor.parametrization import Form

SMALL = Task("digits", train_size=60, validation_size=40)


def _search(**options):
    quick = dict(generations=1, population_size=3, epochs=1, seeds_per_candidate=1)
    return TaylorLossSearch(SMALL, **{**quick, **options})


@pytest.mark.parametrize("name", ["12", "16"])
@pytest.mark.parametrize("start", ["gce", "mae", "ce", "zeros"])
def test_a_start_is_the_same_loss_in_every_form(name, start):
    form = Form(name, 10)
    vector = form.start(start)
    assert len(vector) == int(name)
    expected = Form("canonical", 10).start(start)
    assert form.coefficients(vector) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["canonical", "12", "16"])
def test_eta_is_the_range(name):
    form = Form(name, 5, eta=3.0)
    vector = form.start("gce") + 0.1
    low, high = find_bounds(form.theta(vector), 5)
    assert high - low == pytest.approx(3.0)
    assert form.scaled(7 * vector if name == "canonical" else vector) == pytest.approx(
        form.scaled(vector)
    )
    assert np.isnan(form.scaled(np.zeros(form.family.dimension))).all()


def test_a_loss_and_a_vector_as_start():
    form = Form("canonical", 4)
    vector = np.array([-1.0, 0.5, 0.2, 0.3, -0.1, 0.4])
    loss = losses.TaylorLoss(canonical_taylor.to_theta(vector, 4))
    assert form.start(loss) == pytest.approx(vector)
    assert form.start(vector.tolist()).tolist() == vector.tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(nthreads=2), r"`trainer_options`.*num_threads.*\['nthreads'\]"),
        (dict(num_threads="two"), "`num_threads`.*'two'"),
        (dict(halving=0.5), "`halving`.*Halving.*0.5"),
    ],
)
def test_options_of_the_trainer_are_checked_first(options, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        _search(journal=tmp_path / "a.jsonl", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "start", [losses.CrossEntropy(), None, [[1.0], [1.0, 2.0]], {"a": 1}]
)
def test_starts_of_another_kind(start):
    with pytest.raises((TypeError, ValueError), match="search: `start` must be"):
        _search(start=start)


def test_a_path_as_start(tmp_path):
    with pytest.raises(ValueError, match="`start`.*No such file"):
        _search(start=tmp_path / "a.json")
