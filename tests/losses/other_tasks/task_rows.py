"""One row per loss of another task than classification, with data that it takes."""

import dataclasses
import math
from collections.abc import Callable

import keras
import numpy as np

from tfrobustloss import losses


@dataclasses.dataclass(frozen=True)
class TaskRow:
    """A loss of the contract in `test_task_losses.py`.

    Attributes:
        loss_class: Class.
        data: Function of a generator that gives float32 `(y_true, y_pred)`.
        shape: Of the losses per example.
        label: Name of the parametrisation; with the class' name it is the test's id.
        arguments: Constructor arguments.
        others: Arguments with other values, which the config has to keep.
        refused: Pairs `(name, value)` that the constructor must refuse.
        extremes: Values that any prediction may take.
        true_slope: Whether float64 differences of the value are the gradient: not so
            with weights that are constants, or a network in float32.
    """

    loss_class: type
    data: Callable
    shape: tuple
    label: str = ""
    arguments: dict = dataclasses.field(default_factory=dict)
    others: dict = dataclasses.field(default_factory=dict)
    refused: tuple = ()
    extremes: tuple = (0.0, 1e4, -1e4, 1e30, -1e30, 3e38, -3e38)
    true_slope: bool = True

    @property
    def name(self):
        return "-".join(filter(None, (self.loss_class.__name__, self.label)))

    def build(self, **options):
        return self.loss_class(**{**self.arguments, **options})


def _verdicts(random):
    """Real and generated examples, and a critic's logits of them."""
    return np.float32([[1], [0], [0.9], [0], [1], [0]]), _normal(random, (6, 1))


def _normal(random, shape):
    return random.normal(0, 1.5, shape).astype("float32")


def _anchors(random):
    """Targets of three classes for two images of four anchors, half of them 0."""
    targets = np.eye(3)[random.integers(0, 3, (2, 4))] * (np.arange(4) % 2)[:, None]
    return targets.astype("float32"), _normal(random, (2, 4, 3))


def _label_rows(random):
    """Targets of five images and four labels, with missing ones, and logits."""
    targets = random.integers(-1, 2, (5, 4)).astype("float32")
    targets[:, 0] = [1, 0, 0.3, 1, 0]
    targets[4] = -1  # nothing is known of this one, which does not count
    return targets, _normal(random, (5, 4))


def _label_probabilities(random):
    targets, logits = _label_rows(random)
    return targets, _sigmoid(logits)


def _detections(random):
    """The same with boxes, as deltas, in front."""
    targets, logits = _anchors(random)
    boxes = random.normal(0, 0.3, (2, 2, 4, 4)).astype("float32")
    pairs = zip(boxes, (targets, logits), strict=True)
    return tuple(np.concatenate(pair, axis=-1) for pair in pairs)


def _masks(shape, channels):
    """Data of two images with one-hot masks and logits."""

    def data(random):
        ids = random.integers(0, channels, (2, *shape))
        return np.eye(channels, dtype="float32")[ids], _normal(
            random, (2, *shape, channels)
        )

    return data


def _distances(random):
    """Distances of two images, and probabilities."""
    logits = _normal(random, (2, 4, 3, 2))
    return 5 * _normal(random, logits.shape), _sigmoid(logits)


def _masks_and_distances(random):
    masks, logits = _masks((3, 4), 2)(random)
    return np.concatenate([masks, _normal(random, masks.shape)], -1), logits


def _numbers(shape):
    """Targets and predictions, some of them far off."""

    def data(random):
        y_true = _normal(random, shape)
        y_true.reshape(-1)[::5] *= 10
        return y_true, _normal(random, shape)

    return data


def _regressions(data, shape, settings):
    for label, arguments in settings.items():
        yield TaskRow(
            losses.GeneralRobust,
            data,
            shape,
            label=label,
            arguments=arguments,
            others={"alpha": 0.7, "scale": 0.4, "normalized": True},
            refused=(("alpha", math.nan), ("scale", math.inf), ("normalized", 1)),
        )


def _network():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(2, 2, activation="tanh", name=name) for name in "ab"]
    return keras.Sequential([keras.Input((None, None, 3)), *layers])


def _sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


_PROBABILITIES = (0.0, 1.0, 1e-12)
_ROLES = {"refused": (("role", "critic"), ("role", None)), "shape": (6,)}


def _both_roles(loss_class, **others):
    for role, other in (("discriminator", "generator"), ("generator", "discriminator")):
        yield TaskRow(
            loss_class,
            _verdicts,
            label=role,
            arguments={"role": role},
            others={"role": other, **others},
            **_ROLES,
        )


_LABEL_OPTIONS = {"aggregate": "sum", "class_weights": [1.0, 0.0, 2.0, 0.5]}
_LABEL_REFUSED = (
    ("aggregate", "max"),
    ("class_weights", 1.0),
    ("class_weights", [-1.0]),
)


def _logits_and_probabilities(loss_class, **others):
    others = {**others, **_LABEL_OPTIONS}
    yield TaskRow(
        loss_class,
        _label_rows,
        (5,),
        arguments={"from_logits": True},
        others=others,
        refused=_LABEL_REFUSED,
    )
    yield TaskRow(
        loss_class,
        _label_probabilities,
        (5,),
        label="probabilities",
        others={**others, "from_logits": True},
        extremes=(*_PROBABILITIES, 1e4, -1e4, 3e38, -3e38),
    )


TASK_ROWS = [
    *_both_roles(losses.MinimaxGAN),
    *_both_roles(losses.NonSaturatingGAN),
    *_both_roles(losses.LeastSquaresGAN, real=-1.0, fake=2.0, target=0.5),
    *_both_roles(losses.WassersteinGAN),
    *_both_roles(losses.HingeGAN),
    TaskRow(
        losses.SigmoidFocal,
        _anchors,
        (2, 4),
        arguments={"from_logits": True},
        others={"gamma": 0.5, "alpha": None, "per_positive": True},
    ),
    TaskRow(
        losses.SigmoidFocal,
        lambda random: (_anchors(random)[0], _sigmoid(_anchors(random)[1])),
        (2, 4),
        label="probabilities",
        others={"from_logits": True},
        extremes=_PROBABILITIES,
    ),
    *_logits_and_probabilities(
        losses.AsymmetricMultiLabel,
        gamma_positive=1.0,
        gamma_negative=0.5,
        margin=0.2,
    ),
    *_logits_and_probabilities(losses.Hill, lam=2.0, margin=0.5, gamma=1.0),
    *_logits_and_probabilities(
        losses.SelfPacedCorrection,
        threshold=0.8,
        margin=0.5,
        gamma=1.0,
        correction=0.5,
    ),
    TaskRow(
        losses.MultiLabel,
        _label_rows,
        (5,),
        arguments={"loss": losses.BiTemperedLogistic(0.8, 1.4, from_logits=True)},
        others=_LABEL_OPTIONS,
        refused=_LABEL_REFUSED,
    ),
    TaskRow(
        losses.MultiLabel,
        _label_probabilities,
        (5,),
        label="probabilities",
        arguments={"loss": losses.SymmetricCrossEntropy()},
        others=_LABEL_OPTIONS,
        extremes=_PROBABILITIES,
    ),
    TaskRow(
        losses.IoUBalancedClassification,
        _detections,
        (2, 4),
        arguments={"from_logits": True},
        others={
            "eta": 1.0,
            "gamma": 0.0,
            "alpha": 0.5,
            "box_format": "xywh",
            "per_positive": True,
        },
        refused=(("box_format", "corners"), ("variance", [1.0])),
        true_slope=False,
    ),
    TaskRow(
        losses.IoUBalancedLocalization,
        _detections,
        (2, 4),
        others={"lam": 1.0, "beta": 1.0, "variance": [0.1, 0.1, 0.2, 0.2]},
        refused=(("box_format", "corners"), ("variance", [1.0])),
        true_slope=False,
    ),
    TaskRow(
        losses.GeneralizedDice,
        _masks((4, 3), 3),
        (2,),
        arguments={"from_logits": True},
        others={"smooth": 0.5},
    ),
    TaskRow(
        losses.GeneralizedDice,
        lambda random: (
            _masks((4, 3), 2)(random)[0],
            _sigmoid(_normal(random, (2, 4, 3, 2))),
        ),
        (2,),
        label="probabilities",
        others={"from_logits": True},
        extremes=_PROBABILITIES,
    ),
    TaskRow(
        losses.GeneralizedDice,
        lambda random: (
            _masks((5,), 2)(random)[0][..., 1:],
            _normal(random, (2, 5, 1)),
        ),
        (2,),
        label="one_channel",
        arguments={"from_logits": True, "smooth": 1.0},
    ),
    TaskRow(
        losses.Boundary,
        _distances,
        (2,),
        others={"classes": [1], "from_logits": True},
        refused=(("classes", []), ("classes", [-1]), ("classes", 1)),
        extremes=_PROBABILITIES,
    ),
    TaskRow(
        losses.Boundary,
        _masks((2, 3, 2), 3),
        (2,),
        label="volumes",
        arguments={"from_logits": True, "classes": [1, 2]},
    ),
    TaskRow(
        losses.RegionBoundary,
        _masks_and_distances,
        (2,),
        arguments={"from_logits": True, "alpha": 0.3},
        others={"alpha": 0.5, "rebalance": False, "classes": [1]},
        refused=(("classes", []), ("region", "dice")),
    ),
    TaskRow(
        losses.RegionBoundary,
        _masks_and_distances,
        (2,),
        label="cross_entropy",
        arguments={
            "region": losses.CrossEntropy(from_logits=True),
            "from_logits": True,
        },
    ),
    TaskRow(
        losses.Perceptual,
        lambda random: random.uniform(0, 1, (2, 3, 5, 4, 3)).astype("float32"),
        (3,),
        arguments={
            "feature_extractor": _network(),
            "content_layers": ["b"],
            "style_layers": ["a", "b"],
        },
        others={
            "content_weight": 2.0,
            "style_weight": 1.0,
            "total_variation_weight": 0.1,
            "mean_gram": False,
            "style_layers": ["a"],
        },
        refused=(("content_layers", ["c"]), ("style_image", [[1.0]])),
        extremes=(0.0, 1.0, 255.0, -1e4, 1e4),
        true_slope=False,
    ),
    *_regressions(
        _numbers((6, 3)),
        (6,),
        {
            "": {},
            "normalized": {"alpha": 1.2, "scale": 0.7, "normalized": True},
            "steep": {"alpha": 4.0},
        },
    ),
    *_regressions(_numbers((6,)), (6,), {"one_number": {"alpha": -0.5, "scale": 0.3}}),
    *_regressions(_numbers((2, 4, 3, 2)), (2, 4, 3), {"welsch": {"alpha": -math.inf}}),
    TaskRow(
        losses.NoiseRobustDice,
        _masks((4, 3), 3),
        (2,),
        arguments={"from_logits": True},
        others={"gamma": 1.0, "smooth": 0.5, "squared": False, "classes": [1]},
        refused=(("classes", []), ("classes", [-1])),
    ),
    TaskRow(
        losses.NoiseRobustDice,
        lambda random: (
            _masks((4, 3), 2)(random)[0],
            _sigmoid(_normal(random, (2, 4, 3, 2))),
        ),
        (2,),
        label="probabilities",
        arguments={"gamma": 1.2, "classes": [1]},
        others={"from_logits": True},
        extremes=_PROBABILITIES,
    ),
    TaskRow(
        losses.NoiseRobustDice,
        _masks((3, 2, 2), 2),
        (2,),
        label="volumes",
        arguments={"gamma": 1.0, "squared": False, "from_logits": True},
    ),
    TaskRow(
        losses.TLoss,
        _masks((4, 3), 2),
        (2,),
        arguments={"from_logits": True},
        others={"nu": 2.5, "scale": 0.5, "classes": [1]},
        refused=(("classes", []), ("classes", [-1])),
    ),
    TaskRow(
        losses.TLoss,
        lambda random: (
            _masks((3, 2, 2), 2)(random)[0],
            _sigmoid(_normal(random, (2, 3, 2, 2, 2))),
        ),
        (2,),
        label="volumes",
        arguments={"nu": 30.0, "scale": 0.6, "classes": [1]},
        extremes=_PROBABILITIES,
    ),
]
