"""Targets that are no targets: an error where they are seen, brought in elsewhere."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.losses.values import numpy
from tfrobustloss import losses
from tfrobustloss._core.backend import compiled, value_and_gradient

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


@pytest.mark.parametrize("bad", [np.nan, -100.0])
@pytest.mark.parametrize(
    ("loss", "shape", "weight_shape"),
    [
        (losses.HingeGAN(), (2, 1), (2,)),
        (losses.NonSaturatingGAN("generator", reduction=None), (2,), (2, 1)),
        (losses.SigmoidFocal(), (2, 3, 4), (2, 3)),
        (losses.IoUBalancedClassification(), (2, 3, 6), (2, 1)),
        (losses.IoUBalancedLocalization(), (2, 3, 6), (2, 3)),
        (losses.GeneralizedDice(), (2, 3, 3, 2), (2,)),
        (losses.Boundary(), (2, 3, 3, 2), (2,)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_excluded_targets_are_not_refused(loss, shape, weight_shape, bad):
    # the targets that a compiled program would take them for: 0
    y_true = np.random.default_rng(0).integers(0, 2, shape).astype("float32")
    y_pred = np.random.default_rng(1).uniform(0, 1, shape).astype("float32")
    weight = np.ones(weight_shape, "float32")
    weight[1] = 0
    zeros, y_true[1] = y_true.copy(), bad
    zeros[1] = 0
    if bad == -100 and loss.name in ("boundary", "iou_balanced_localization"):
        zeros[1] = bad  # a number like others
    value, (slope,) = value_and_gradient(lambda p: loss(y_true, p, weight), y_pred)
    expected = value_and_gradient(lambda p: loss(zeros, p, weight), y_pred)
    if loss.name == "iou_balanced_classification" and bad == -100:
        assert np.isfinite(slope).all()  # its boxes are numbers, its classes shares
    else:
        np.testing.assert_allclose(value, expected[0], rtol=1e-6)
        np.testing.assert_allclose(slope, expected[1][0], rtol=1e-6)
    assert not slope[1].any()
    y_true[0] = np.nan
    with pytest.raises(ValueError, match="`y_true` must be .*nan"):
        loss(y_true, y_pred, weight)


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
