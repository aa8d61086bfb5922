"""Values of the detection losses, and of boxes' overlap."""

import math

import keras
import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import numpy
from tfrobustloss import losses
from tfrobustloss.losses.other_tasks.boxes import paired_iou

CENTRED = [0.0, 0.0, 0.0, 0.0]  # deltas: the anchor itself


@pytest.mark.parametrize(
    ("logit", "target", "parameters", "expected"),
    [
        (1.0, 1.0, {}, 0.00566451),  # losses.md A11, these four
        (1.0, 0.0, {}, 0.52640123),
        (-1.0, 1.0, {}, 0.17546708),
        (-1.0, 0.0, {}, 0.01699354),
        (1.0, 1.0, {"gamma": 0.0, "alpha": None}, math.log1p(math.exp(-1))),
        (1.0, 0.0, {"gamma": 0.0, "alpha": None}, math.log1p(math.exp(1))),
        # linear in the target, by the four above
        (1.0, 0.25, {}, 0.25 * 0.00566451 + 0.75 * 0.52640123),
    ],
)
def test_sigmoid_focal(logit, target, parameters, expected):
    p = 1 / (1 + math.exp(-logit))
    for y_pred, from_logits in ((logit, True), (p, False)):
        loss = losses.SigmoidFocal(**parameters, from_logits=from_logits)
        value = float(loss(np.float32([[target]]), np.float32([[y_pred]])))
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-8)


def test_sigmoid_focal_equals_keras():
    random = np.random.default_rng(1)
    y_true = (random.random((20, 3)) > 0.7).astype("float32")
    logits = random.normal(0, 2, (20, 3)).astype("float32")
    built_in = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True,
        alpha=0.25,
        gamma=2.0,
        from_logits=True,
        reduction=None,
    )
    loss = losses.SigmoidFocal(from_logits=True, reduction=None)
    # Keras takes the mean over classes
    expected = 3 * numpy(built_in(y_true, logits))
    np.testing.assert_allclose(numpy(loss(y_true, logits)), expected, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.5, 1.0, 2.0])
def test_a_sure_and_right_anchor_is_zero_and_flat(gamma):
    # Keras' form gives NaN at gamma = 0.5, logit 200 (losses.md A11)
    z = np.float32([[200.0]])

    def loss(z):
        return losses.sigmoid_focal(np.ones((1, 1)), z, gamma, from_logits=True)

    assert float(loss(z)[0]) == 0
    np.testing.assert_allclose(gradient(loss, z), 0, atol=1e-12)


def test_mean_over_positive_rows():
    y_true = np.float32([[1, 0], [0, 0], [0, 1], [0, 0], [0, 0]])
    logits = np.random.default_rng(0).normal(0, 1, (5, 2)).astype("float32")
    total = float(
        losses.SigmoidFocal(reduction="sum", from_logits=True)(y_true, logits)
    )
    loss = losses.SigmoidFocal(per_positive=True, from_logits=True)
    np.testing.assert_allclose(float(loss(y_true, logits)), total / 2, rtol=1e-6)
    # no positives: divided by 1
    total = float(
        losses.SigmoidFocal(reduction="sum", from_logits=True)(0 * y_true, logits)
    )
    np.testing.assert_allclose(float(loss(0 * y_true, logits)), total, rtol=1e-6)


def _row(iou, target, cross_entropy):
    """A row `[box, target]` with its prediction, of this overlap and cross-entropy."""
    # a box of the same place and height, `iou` times as wide
    p = math.exp(-cross_entropy)
    p = p if target else 1 - p
    return [*CENTRED, target], [0.0, 0.0, math.log(iou), 0.0, p]


def test_iou_balanced_classification():
    # losses.md A12: cross-entropies .5 and 1 of positives, .3 of background
    rows = [_row(0.9, 1, 0.5), _row(0.5, 1, 1.0), _row(0.7, 0, 0.3)]
    y_true, y_pred = (np.float32(part) for part in zip(*rows, strict=True))
    loss = losses.IoUBalancedClassification(gamma=0.0, alpha=None, reduction=None)
    values = numpy(loss(y_true, y_pred))
    expected = [1.64098226 * 0.5, 0.67950887 * 1.0, 0.3]
    np.testing.assert_allclose(values, expected, rtol=5e-6)
    np.testing.assert_allclose(values.sum(), 1.8, rtol=1e-6)
    # the weights are constants: the slope is weight times that of cross-entropy
    slope = gradient(lambda y_pred: loss(y_true, y_pred), y_pred)
    np.testing.assert_array_equal(slope[:, :4], 0)
    weight = np.array([-1.64098226, -0.67950887, 1])
    own = np.array([math.exp(-0.5), math.exp(-1.0), math.exp(-0.3)])
    np.testing.assert_allclose(slope[:, 4], weight / own, rtol=5e-6)


def test_eta_0_is_the_focal_loss():
    y_true, y_pred = _batch()
    loss = losses.IoUBalancedClassification(eta=0.0, from_logits=True, reduction=None)
    plain = losses.SigmoidFocal(from_logits=True, reduction=None)
    np.testing.assert_allclose(
        numpy(loss(y_true, y_pred)),
        numpy(plain(y_true[..., 4:], y_pred[..., 4:])),
        rtol=1e-5,
    )


def _batch():
    random = np.random.default_rng(0)
    classes = np.eye(3, dtype="float32")[[0, 2, 1, 0, 2, 1]]
    classes[[1, 4]] = 0
    boxes = random.normal(0, 0.3, (2, 6, 4)).astype("float32")
    y_true = np.concatenate([boxes[0], classes], axis=-1)
    logits = random.normal(0, 1, (6, 3)).astype("float32")
    return y_true, np.concatenate([boxes[1], logits], axis=-1)


@pytest.mark.parametrize("boxes_apart", [False, True])
def test_no_positives_or_no_overlap(boxes_apart):
    y_true, y_pred = _batch()
    if boxes_apart:
        y_pred[:, 0] += 1000
    else:
        y_true[:, 4:] = 0
    loss = losses.IoUBalancedClassification(from_logits=True, reduction=None)
    plain = losses.SigmoidFocal(from_logits=True, reduction=None)
    expected = numpy(plain(y_true[:, 4:], y_pred[:, 4:]))
    np.testing.assert_allclose(numpy(loss(y_true, y_pred)), expected, rtol=1e-5)
    slope = gradient(lambda y_pred: loss(y_true, y_pred), y_pred)
    assert np.isfinite(slope).all()


def test_iou_balanced_localization():
    # losses.md A12: smooth L1 .15636364 (d = .05, .2) and .945 (d = 1), IoU .9 and .5.
    # Boxes of which only a side moves, or which move along the other, have that IoU.
    matched = np.float32([[0, 0, 20, 10, 1], [0, 0, 2, 2, 1], [3, 3, 1, 1, 0]])
    value = losses.iou_balanced_localization(
        matched[1:2, :4], np.float32([[0, 0, 2, 1]]), box_format="xyxy"
    )
    np.testing.assert_allclose(float(value[0]), 0.5**1.5 * 0.945, rtol=1e-6)
    predicted = matched[:, :4] + np.float32([[0.05, 0, 0.2, 0], [0] * 3 + [1], [9] * 4])
    loss = losses.IoUBalancedLocalization(lam=0.0, box_format="xyxy", reduction=None)
    values = numpy(loss(matched, predicted))
    np.testing.assert_allclose(values, [0.15636364, 0.945, 0], rtol=1e-5)
    # the sum of the sheet: 0.46761357 = .9^1.5 * .15636364 + .5^1.5 * .945
    total = 0.9**1.5 * values[0] + 0.5**1.5 * values[1]
    np.testing.assert_allclose(total, 0.46761357, rtol=1e-5)


def test_localization_means_over_positives_and_has_no_slope_through_the_overlap():
    y_true, y_pred = _batch()
    per_anchor = losses.IoUBalancedLocalization(reduction=None)
    values = numpy(per_anchor(y_true, y_pred))
    assert (values[[1, 4]] == 0).all()
    mean = float(losses.IoUBalancedLocalization()(y_true, y_pred))
    np.testing.assert_allclose(mean, values.sum() / 4, rtol=1e-6)
    d = y_pred[:, :4] - y_true[:, :4]
    iou = numpy(paired_iou(y_true[:, :4], y_pred[:, :4], "deltas"))
    expected = iou[:, None] ** 1.5 * np.clip(d / 0.11, -1, 1)
    expected[[1, 4]] = 0
    slope = gradient(lambda y_pred: per_anchor(y_true, y_pred), y_pred)
    np.testing.assert_allclose(slope[:, :4], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(slope[:, 4:], 0)


def test_localization_without_positives_is_0():
    y_true, y_pred = _batch()
    y_true[:, 4:] = 0
    assert float(losses.IoUBalancedLocalization()(y_true, y_pred)) == 0


def test_boxes_alone_are_all_positives():
    y_true, y_pred = _batch()
    loss = losses.IoUBalancedLocalization(reduction=None)
    values = numpy(loss(y_true[:, :4], y_pred[:, :4]))
    assert (values > 0).all()


@pytest.mark.parametrize(
    ("box_format", "first", "second", "expected"),
    [
        ("xyxy", [0, 0, 2, 2], [1, 1, 3, 3], 1 / 7),
        ("yxyx", [0, 0, 2, 2], [0, 0, 1, 2], 1 / 2),
        ("xywh", [0, 0, 2, 2], [1, 1, 2, 2], 1 / 7),
        ("center_xywh", [1, 1, 2, 2], [2, 2, 2, 2], 1 / 7),
        ("center_yxhw", [1, 1, 2, 2], [1, 1, 2, 2], 1),
        ("xyxy", [0, 0, 1, 1], [1, 0, 2, 1], 0),  # touching
        ("xyxy", [0, 0, 0, 0], [0, 0, 0, 0], 0),  # no area
        ("xyxy", [2, 2, 0, 0], [0, 0, 2, 2], 0),  # inside out
        ("deltas", [0, 0, 0, 0], [1, 1, 0, 0], 0),
        ("deltas", [0, 0, 0, 0], [0.5, 0, 0, 0], 1 / 3),
        ("deltas", [0, 0, 0, 0], [0, 0, math.log(0.5), 0], 1 / 2),
    ],
)
def test_overlap(box_format, first, second, expected):
    iou = paired_iou(np.float32(first), np.float32(second), box_format)
    np.testing.assert_allclose(float(iou), expected, rtol=1e-6)


def test_deltas_need_no_anchor():
    # against Keras' decoding with real anchors, and its overlap of every pair
    random = np.random.default_rng(2)
    boxes = keras.utils.bounding_boxes
    corner = random.uniform(0, 50, (8, 2))
    anchors = np.concatenate([corner, corner + random.uniform(5, 50, (8, 2))], axis=-1)
    deltas = random.normal(0, 1, (2, 8, 4)).astype("float32")
    variance = [0.1, 0.1, 0.2, 0.2]
    decoded = [
        boxes.decode_deltas_to_boxes(
            keras.ops.convert_to_tensor(anchors, "float32"),
            keras.ops.convert_to_tensor(one),
            anchor_format="xyxy",
            box_format="xyxy",
            encoded_format="center_xywh",
            variance=variance,
        )
        for one in deltas
    ]
    every_pair = boxes.compute_iou(*decoded, bounding_box_format="xyxy")
    iou = paired_iou(*map(keras.ops.convert_to_tensor, deltas), "deltas", variance)
    np.testing.assert_allclose(numpy(iou), np.diag(numpy(every_pair)), rtol=1e-4)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"box_format": "corners"}, "box_format"),
        ({"variance": [0.1, 0.1, 0.2]}, "variance"),
        ({"variance": [0.1, 0.1, 0.2, 0.0]}, "variance"),
        ({"variance": "a"}, "variance"),
        ({"variance": [[0.1], [0.1, 0.2]]}, "variance"),
        ({"variance": [None] * 4}, "variance"),
        ({"variance": [0.1, 0.1, 0.2, 0.2], "box_format": "xyxy"}, "variance"),
    ],
)
def test_refused(given, named):
    for loss_class in losses.IoUBalancedClassification, losses.IoUBalancedLocalization:
        with pytest.raises(ValueError, match=rf"{loss_class.__name__}: `{named}` must"):
            loss_class(**given)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"sigmoid_focal: `y_true` must be"):
        losses.sigmoid_focal(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"`y_true` must be .* 5 wide or more"):
        losses.iou_balanced_classification(np.ones((2, 4)), np.ones((2, 4)))
