"""Targets that are no targets: an error where they are seen, brought in elsewhere."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.losses.values import numpy
from tfrobustloss import losses
from tfrobustloss._core.backend import compiled

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
        r"\[0, 1\].*\[255.0\].*by 255.*one-hot",
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


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "hint"),
    [
        (losses.SigmoidFocal(), (8,), (8, 3), r"one_hot\(y_true, 3\)"),
        (losses.SigmoidFocal(), (8, 1), (8, 3), r"one_hot\(y_true\[..., 0\], 3\)"),
        (losses.SigmoidFocal(), (8,), (8, 1), r"y_true\[..., None\]"),
        (losses.GeneralizedDice(), (2, 4, 4), (2, 4, 4, 3), r"one_hot\(y_true, 3\)"),
        (losses.GeneralizedDice(), (2, 4, 4), (2, 4, 4, 1), r"y_true\[..., None\]"),
        (losses.Boundary(), (2, 4, 4), (2, 4, 4, 1), r"y_true\[..., None\]"),
    ],
)
def test_class_ids_and_missing_axes_get_a_hint(loss, y_true, y_pred, hint):
    with pytest.raises(ValueError, match=rf"`y_true` must be of the shape .*{hint}"):
        loss(np.zeros(y_true, "int32"), np.full(y_pred, 0.5, "float32"))


@pytest.mark.parametrize("loss", [losses.SigmoidFocal(), losses.Boundary()])
def test_other_shapes_get_no_hint(loss):
    with pytest.raises(ValueError, match=r"Received: y_true=\(2, 5\)\.$"):
        loss(np.zeros((2, 5)), np.full((2, 4, 3), 0.5))


@pytest.mark.parametrize(
    "loss",
    [
        losses.SigmoidFocal(),
        losses.IoUBalancedClassification(),
        losses.IoUBalancedLocalization(),
        losses.GeneralizedDice(),
        losses.Boundary(),
        losses.RegionBoundary(),
        losses.HingeGAN(),
    ],
    ids=lambda loss: loss.name,
)
def test_a_target_of_unknown_rank(loss):
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("other backends know every shape")

    @tf.function
    def program(images):
        y_true = tf.numpy_function(lambda x: x, [images], tf.float32)
        return loss(y_true, images)

    message = r"\w+: `y_true` must be of a known number of axes.*`tf.ensure_shape"
    with pytest.raises(ValueError, match=message):
        program(tf.zeros((2, 4, 6)))


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
