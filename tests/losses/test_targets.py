"""Targets that are no targets: an error where they are seen, brought in elsewhere."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.losses.values import numpy
from tfrobustloss import losses
from tfrobustloss._backend import compiled

BOX = [0.0, 0.0, 1.0, 1.0]
WRONG_TARGETS = {
    "focal": (losses.SigmoidFocal(), [[3.0]], [[0.5]], r"\[0, 1\].*\[3.0\].*column"),
    "classification": (
        losses.IoUBalancedClassification(),
        [[*BOX, -1.0]],
        [[*BOX, 0.5]],
        r"\[0, 1\].*\[-1.0\]",
    ),
    "box": (losses.IoUBalancedLocalization(), [[np.nan] * 4], [BOX], "finite.*nan"),
    "dice": (
        losses.GeneralizedDice(),
        [[[255.0, 0.0]]],
        [[[0.5, 0.5]]],
        r"\[0, 1\].*\[255.0\].*by 255",
    ),
    "boundary": (losses.Boundary(), [[[np.inf, 0.0]]], [[[0.5, 0.5]]], "finite.*inf"),
    "hinge": (losses.HingeGAN(), [-1.0], [0.5], r"\[0, 1\].*1 stands for real"),
    "minimax": (losses.MinimaxGAN(), [np.nan], [0.5], r"\[0, 1\].*nan"),
}
each_wrong = pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "message"), WRONG_TARGETS.values(), ids=WRONG_TARGETS
)


@each_wrong
def test_visible_targets_that_are_none(loss, y_true, y_pred, message):
    with pytest.raises(ValueError, match=f"`y_true` must be .*{message}"):
        loss(y_true, np.array(y_pred, "float32"))


@each_wrong
def test_hidden_targets_that_are_none_are_brought_in(loss, y_true, y_pred, message):
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch sees every target")
    y_true, y_pred = np.array(y_true, "float32"), np.array(y_pred, "float32")
    inside = y_true if np.isfinite(y_true).all() else np.nan_to_num(y_true, posinf=0)
    inside = inside if "finite" in message else np.clip(inside, 0, 1)
    program = compiled(lambda y, p: loss(y, p))
    actual = numpy(program(*map(ops.convert_to_tensor, (y_true, y_pred))))
    np.testing.assert_allclose(actual, numpy(loss(inside, y_pred)), rtol=1e-6)
