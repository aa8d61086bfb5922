"""Selection by noisy labels, on numbers worked by hand."""

import numpy as np
import pytest

from tfrobustloss._core import noisy_accuracy
from tfrobustloss.data import noise
from tfrobustloss.experiments import selection


def test_worth():
    predicted = np.array([[0, 1, 1], [1, 1, 0]])
    plain = selection.worth_of(np.array([0, 1, 0]), predicted, None)
    np.testing.assert_array_equal(plain, [[1, 1, 0], [0, 1, 1]])
    # inverse of [[.75, .25], [.25, .75]]: [[1.5, -.5], [-.5, 1.5]]
    values = noisy_accuracy.values_of_pairs("test", noise.symmetric(2, 0.25))
    worth = selection.worth_of(np.array([0, 1, 0]), predicted, values)
    np.testing.assert_allclose(worth, [[1.5, 1.5, -0.5], [-0.5, 1.5, 1.5]])


def test_smoothed():
    # by hand: the ends have fewer epochs
    found = noisy_accuracy.smoothed([0, 3, 6, 0], 3)
    np.testing.assert_allclose(found, [1.5, 3, 3, 3])
    np.testing.assert_array_equal(noisy_accuracy.smoothed([1, 2], 1), [1, 2])


def test_best_epoch_is_the_first_of_equals():
    worth = np.array([[0, 1], [1, 0], [0, 0]])
    assert selection.best_epoch(worth, window=1) == 0


def test_no_example_judges_the_epoch_that_it_chose():
    # accuracy is 1/2 at every epoch by chance: the best epoch seems better, and
    # cross-fitting takes that away
    worth = np.random.default_rng(0).integers(0, 2, (200, 400)).astype(float)
    assert worth[selection.best_epoch(worth, 1)].mean() > 0.55
    fitted = [selection.cross_fitted(worth, seed, 1).mean() for seed in range(20)]
    assert np.mean(fitted) == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(selection.cross_fitted(worth[:, :1]), worth[0, :1])


def test_an_example_held_out_twice_is_one_label():
    worth = selection.Worth(4)
    worth.add(np.array([0, 1]), np.array([1.0, 0.0]))
    worth.add(np.array([1, 2]), np.array([1.0, 1.0]))
    estimate, error, count = worth.estimate()
    # weights 1, 2, 1 and values 1, 1/2, 1
    assert estimate == pytest.approx(3 / 4)
    assert error == pytest.approx(np.sqrt(1 / 16 + 4 / 16 + 1 / 16) / 4)
    assert count == pytest.approx(16 / 6)


def test_an_interrupted_loss_is_compared_on_what_both_have():
    whole, part = selection.Worth(4), selection.Worth(4)
    for indices in ([0, 1], [2, 3]):
        whole.add(np.array(indices), np.array([1.0, 0.0]))
    part.add(np.array([0, 1]), np.array([1.0, 0.0]))
    assert whole.less(part) == (0.0, 0.0)  # the same on both, not 1/4 better
    assert part.less(whole) == (0.0, 0.0)


def test_verdicts():
    random = np.random.default_rng(0)
    everything = np.arange(2000)
    right = random.random(2000)
    worths = {}
    for name, accuracy in (("base", 0.7), ("same", 0.71), ("better", 0.9)):
        worths[name] = selection.Worth(2000)
        worths[name].add(everything, (right < accuracy).astype(float))
    found = selection.compare_to_best(worths, "base")
    assert found["better"].beats_baseline
    assert not found["base"].beats_baseline
    assert found["better"].near_best
    assert not found["same"].near_best
    shared = found["same"]
    assert shared.gain == pytest.approx(np.mean((right >= 0.7) & (right < 0.71)))
    # paired: a fifth of the error of two independent estimates
    assert shared.gain_error < 0.005


def test_nothing_beats_the_baseline_by_chance():
    # 40 losses as good as the baseline, 50 times: by Bonferroni's inequality the
    # share of comparisons that find one better is at most 2.5 %
    false = 0
    for seed in range(50):
        random = np.random.default_rng(seed)
        worths = {}
        for name in range(40):
            worths[str(name)] = selection.Worth(300)
            right = (random.random(300) < 0.7).astype(float)
            worths[str(name)].add(np.arange(300), right)
        found = selection.compare_to_best(worths, "0")
        false += any(each.beats_baseline for each in found.values())
    assert false <= 4
