"""One row per loss and parametrisation: what the whole battery runs over.

`python -m pytest tests/losses/test_every_loss.py -k TaylorLoss-squared` runs one.
"""

import dataclasses
import math

import numpy as np

from tfrobustloss import losses
from tfrobustloss.testing import LossTraits


@dataclasses.dataclass(frozen=True)
class Row:
    """A loss of the battery.

    Attributes:
        loss_class: Class.
        label: Name of the parametrisation; with the class' name it is the test's id.
        arguments: Constructor arguments.
        traits: What the loss claims; see `LossTraits`.
        gaps: Names of checks known to fail, with the reason: strict xfail.
    """

    loss_class: type
    label: str = ""
    arguments: dict = dataclasses.field(default_factory=dict)
    traits: LossTraits = dataclasses.field(default_factory=LossTraits)
    gaps: dict = dataclasses.field(default_factory=dict)

    @property
    def name(self):
        return "-".join(filter(None, (self.loss_class.__name__, self.label)))

    def build(self):
        return self.loss_class(**self.arguments)


def row(loss_class, label="", arguments=None, gaps=None, **traits):
    return Row(loss_class, label, arguments or {}, LossTraits(**traits), gaps or {})


def relabelled(name, per_class):
    """Renames the classes of a parameter that has a value for each."""

    def rename(loss, order):
        config = loss.get_config()
        return type(loss).from_config({**config, name: per_class(config[name], order)})

    return rename


def _permuted_matrix(matrix, order):
    return np.asarray(matrix)[np.ix_(order, order)]


_permuted_list = relabelled("alpha", lambda values, order: np.asarray(values)[order])
_permuted_counts = relabelled(
    "class_frequencies", lambda values, order: np.asarray(values)[order]
)
_rename_matrix = relabelled("transition_matrix", _permuted_matrix)

# rows that sum to 1, not symmetric: class 1 is often called 2, class 3 often 0
_MATRIX = [
    [0.9, 0.1, 0.0, 0.0],
    [0.0, 0.6, 0.4, 0.0],
    [0.05, 0.05, 0.8, 0.1],
    [0.3, 0.0, 0.0, 0.7],
]
_IDENTITY = np.eye(4).tolist()
_BAD_MATRICES = (
    ("transition_matrix", [[0.5, 0.4], [0.0, 1.0]]),
    ("transition_matrix", [[1.5, -0.5], [0.0, 1.0]]),
    ("transition_matrix", [[0.5, 0.5]]),
    ("transition_matrix", [[math.nan, 1.0], [0.0, 1.0]]),
)

_SQUARED = [0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 0, 0]
_ABSOLUTE = [0, 0, 1, 0, 0, 0, -2, 0, 0, 0, 0, 0]
# the check vector of losses.md, A1: every coefficient differs from 0
_GENERAL = [0.1, 0.2, 1, -2, 3, -4, 0.5, -0.6, 0.7, -0.8, 0.9, -1]
_GENERAL_16 = [*_SQUARED[:2], 0.3, 2, 0.2, 0.1, -2, 0.1, 0.1, 0.1, 0.1, 0.1, 1, 2, 3, 4]
_BAD_THETAS = (
    ("theta", [0.0] * 11),
    ("theta", [math.nan, *_SQUARED[1:]]),
    ("eta", 0.0),
    ("eta", -1.0),
    ("num_classes", 1),
)

# a shift of the logits changes their length: not what their softmax says
_LENGTH_MATTERS = {"check_logits": "normalised logits: see `normalize`"}
# what speaks of one example's value; the counterparts for these losses are in
# `test_mutual_information.py` and `test_peer.py`
_WHOLE_BATCH = dict.fromkeys(
    (
        "check_per_sample",
        "check_reductions",
        "check_sample_weight",
        "check_masks",
        "check_ignore_class",
        "check_numerical_gradient",
        "check_batch_order",
        "check_traits",
    ),
    "one value a batch, not one an example",
)


def _tempered(label, t1, t2, label_smoothing=0.0, **traits):
    arguments = {"t1": t1, "t2": t2, "label_smoothing": label_smoothing}
    if t1 < 1 and label_smoothing == 0:
        traits["bounds"] = (0, 1 / (1 - t1))
    traits.setdefault("zero_at_label", label_smoothing == 0)
    return row(losses.BiTemperedLogistic, label, arguments, **traits)


ROWS = [
    row(
        losses.CrossEntropy,
        bounds=(0, -math.log(1e-7)),  # of probabilities clipped at 1e-7
        symmetric=False,
        zero_at_label=True,
        equals={"keras.losses": lambda y, p: _keras_cross_entropy(y, p)},
    ),
    row(
        losses.CrossEntropy,
        "smoothed",
        {"label_smoothing": 0.1},
        symmetric=False,
        zero_at_label=False,
        equals={"keras.losses": lambda y, p: _keras_cross_entropy(y, p, 0.1)},
    ),
    row(
        losses.CrossEntropy,
        "from_logits",
        {"from_logits": True},
        equals={
            "float64 log-sum-exp": lambda y, z: _log_sum_exp(z) - _picked(y, z),
        },
    ),
    row(
        losses.CrossEntropy,
        "negative",
        {"label_smoothing": -1.0},
        symmetric=False,
        zero_at_label=False,
        equals={
            "its formula": lambda y, p: np.log(p).mean(-1) - 2 * np.log(_picked(y, p))
        },
    ),
    row(
        losses.CrossEntropy,
        "even",
        {"label_smoothing": 1.0},
        symmetric=False,  # the label plays no part: the sum is K times the loss
        prefers_label=False,
        zero_at_label=False,
        skips={"check_trains": "the label plays no part at smoothing 1"},
    ),
    row(
        losses.MeanAbsoluteError,
        bounds=(0, 2),
        symmetric=True,
        zero_at_label=True,
        equals={
            "the distance to the one-hot label": lambda y, p: np.abs(
                np.eye(p.shape[-1])[y] - p
            ).sum(-1)
        },
    ),
    row(
        losses.GeneralizedCrossEntropy,
        bounds=(0, 1 / 0.7),
        symmetric=False,
        zero_at_label=True,
        equals={"its formula": lambda y, p: (1 - _picked(y, p) ** 0.7) / 0.7},
    ),
    row(
        losses.GeneralizedCrossEntropy,
        "q1",
        {"q": 1.0},
        bounds=(0, 1),
        symmetric=True,
        zero_at_label=True,
        equals={
            "half the absolute error": lambda y, p: losses.mean_absolute_error(y, p) / 2
        },
    ),
    row(
        losses.GeneralizedCrossEntropy,
        "q0",
        {"q": 0.0},
        zero_at_label=True,
        equals={"cross-entropy": losses.cross_entropy},
    ),
    row(
        losses.SymmetricCrossEntropy,
        zero_at_label=True,
        symmetric=False,
    ),
    row(
        losses.SymmetricCrossEntropy,
        "reverse",
        {"alpha": 0.0, "beta": 0.5, "log_zero": -4.0},
        bounds=(0, 2),
        symmetric=True,
        zero_at_label=True,
        equals={"the absolute error": losses.mean_absolute_error},
    ),
    row(
        losses.SymmetricCrossEntropy,
        "forward",
        {"alpha": 1.0, "beta": 0.0},
        zero_at_label=True,
        equals={"cross-entropy": losses.cross_entropy},
    ),
    row(losses.SoftBootstrap, zero_at_label=True, symmetric=False),
    row(
        losses.SoftBootstrap,
        "beta1",
        {"beta": 1.0},
        equals={"cross-entropy": losses.cross_entropy},
    ),
    row(losses.HardBootstrap, zero_at_label=True, symmetric=False),
    row(
        losses.HardBootstrap,
        "beta1",
        {"beta": 1.0},
        equals={"cross-entropy": losses.cross_entropy},
    ),
    row(
        losses.ForwardCorrection,
        "pairs",
        {"transition_matrix": _MATRIX},
        num_classes=4,
        relabelled=_rename_matrix,
        refused=_BAD_MATRICES,
        zero_at_label=False,
        equals={
            "its formula": lambda y, p: -np.log(_picked(y, p @ np.asarray(_MATRIX)))
        },
    ),
    row(
        losses.ForwardCorrection,
        "identity",
        {"transition_matrix": _IDENTITY},
        num_classes=4,
        zero_at_label=True,
        equals={"cross-entropy": losses.cross_entropy},
    ),
    row(
        losses.BackwardCorrection,
        "pairs",
        {"transition_matrix": _MATRIX},
        num_classes=4,
        relabelled=_rename_matrix,
        refused=(*_BAD_MATRICES, ("transition_matrix", [[0.5, 0.5], [0.5, 0.5]])),
        equals={
            "its formula": lambda y, p: (
                -_picked(y, np.log(p) @ np.linalg.inv(_MATRIX).T)
            )
        },
    ),
    row(
        losses.BackwardCorrection,
        "identity",
        {"transition_matrix": _IDENTITY},
        num_classes=4,
        zero_at_label=True,
        equals={"cross-entropy": losses.cross_entropy},
    ),
    row(losses.Focal, zero_at_label=True, symmetric=False, refused=(("alpha", -1.0),)),
    row(losses.Focal, "gamma0.5", {"gamma": 0.5}, zero_at_label=True),
    row(
        losses.Focal,
        "gamma0",
        {"gamma": 0.0},
        zero_at_label=True,
        equals={"cross-entropy": losses.cross_entropy},
    ),
    row(
        losses.Focal,
        "alpha_per_class",
        {"gamma": 1.5, "alpha": [0.5, 1.0, 2.0, 0.25]},
        num_classes=4,
        relabelled=_permuted_list,
        zero_at_label=True,
        refused=(("alpha", [0.5, -1.0]), ("alpha", [[0.5]])),
    ),
    row(losses.Adma, bounds=(0, math.e - 1), symmetric=False, zero_at_label=True),
    row(
        losses.Adma,
        "linear",
        {"scaling_factor": 1.0, "base": 2.0},
        bounds=(0, 1),
        zero_at_label=True,
        equals={"its formula": lambda y, p: 2 - 2 ** _picked(y, p)},
    ),
    _tempered("0.8-1.2", 0.8, 1.2, symmetric=False),
    _tempered("0.5-4", 0.5, 4.0),
    _tempered("0.2-1", 0.2, 1.0),
    _tempered("0.8-0.8", 0.8, 0.8),
    _tempered("0.5-0.8", 0.5, 0.8),
    _tempered("0.8-0.5", 0.8, 0.5),
    _tempered("0-1.5", 0.0, 1.5),
    _tempered("1-1", 1.0, 1.0, equals={"cross-entropy": losses.cross_entropy}),
    _tempered("smoothed", 0.8, 1.2, 0.1),
    row(
        losses.TaylorLoss,
        "squared",
        {"theta": _SQUARED},
        variables={"theta": _GENERAL},
        refused=_BAD_THETAS,
        equals={"squared error less 1": lambda y, p: _mean_squares(y, p)},
    ),
    row(
        losses.TaylorLoss,
        "absolute",
        {"theta": _ABSOLUTE},
        symmetric=True,
        equals={
            "absolute error less 1": lambda y, p: (
                (losses.mean_absolute_error(y, p) - 1) / p.shape[-1]
            )
        },
    ),
    row(
        losses.TaylorLoss,
        "general",
        {"theta": _GENERAL},
        prefers_label=False,
        skips={"check_trains": "coefficients of no use, all different"},
    ),
    row(losses.TaylorLoss, "16", {"theta": _GENERAL_16}),
    row(
        losses.TaylorLoss,
        "eta",
        {"theta": _SQUARED, "eta": 2.0, "num_classes": 4},
        num_classes=4,
        bounds=(0, 2),
        zero_at_label=True,
        equals={
            "squared error": lambda y, p: (_mean_squares(y, p) + 1 / 4) * 2 / (2 / 4)
        },
    ),
    row(
        losses.ReverseCrossEntropy,
        bounds=(0, -math.log(1e-4)),
        symmetric=True,
        zero_at_label=True,
        equals={
            "a multiple of the absolute error": lambda y, p: (
                losses.mean_absolute_error(y, p) * (-math.log(1e-4) / 2)
            )
        },
    ),
    row(
        losses.NormalizedCrossEntropy,
        bounds=(0, 1),
        symmetric=True,
        zero_at_label=True,
        equals={
            "its formula": lambda y, p: _picked(y, np.log(p)) / np.log(p).sum(-1),
        },
    ),
    row(losses.NormalizedFocal, bounds=(0, 1), symmetric=True, zero_at_label=True),
    row(
        losses.NormalizedGeneralizedCrossEntropy,
        bounds=(0, 1),
        symmetric=True,
        zero_at_label=True,
        equals={
            "its formula": lambda y, p: (
                (1 - _picked(y, p) ** 0.7) / (1 - p**0.7).sum(-1)
            ),
        },
    ),
    row(
        losses.AsymmetricGeneralizedCrossEntropy,
        bounds=(0, (1.6**0.6 - 0.6**0.6) / 0.6),
        symmetric=False,
        zero_at_label=True,
        equals={
            "its formula": lambda y, p: (1.6**0.6 - (0.6 + _picked(y, p)) ** 0.6) / 0.6
        },
    ),
    row(
        losses.AsymmetricUnhinged,
        bounds=(0, (5.5**3 - 4.5**3) / 3),
        symmetric=False,
        zero_at_label=True,
        equals={"its formula": lambda y, p: ((5.5 - _picked(y, p)) ** 3 - 4.5**3) / 3},
    ),
    row(
        losses.AsymmetricExponential,
        bounds=(math.exp(-0.4), 1),
        symmetric=False,
        zero_at_label=False,
        equals={"its formula": lambda y, p: np.exp(-_picked(y, p) / 2.5)},
    ),
    row(
        losses.AsymmetricMeanSquaredError,
        bounds=(29**2 / 5, 901 / 5),
        symmetric=False,
        zero_at_label=False,
        equals={
            "its formula": lambda y, p: ((30 * np.eye(p.shape[-1])[y] - p) ** 2).mean(
                -1
            )
        },
    ),
    row(
        losses.PartiallyHuberizedCrossEntropy,
        "tau2",
        {"tau": 2.0},
        bounds=(0, 1 + math.log(2)),
        symmetric=False,
        zero_at_label=True,
        equals={
            "its formula": lambda y, p: np.where(
                _picked(y, p) > 0.5,
                -np.log(_picked(y, p)),
                1 + math.log(2) - 2 * _picked(y, p),
            )
        },
    ),
    row(
        losses.PartiallyHuberizedGeneralizedCrossEntropy,
        "tau2",
        {"q": 0.5, "tau": 2.0},  # by hand: c = 1/4, the value there 1, so at 0: 1.5
        bounds=(0, 1.5),
        symmetric=False,
        zero_at_label=True,
        equals={
            "its formula": lambda y, p: np.where(
                _picked(y, p) > 0.25,
                2 * (1 - _picked(y, p) ** 0.5),
                1.5 - 2 * _picked(y, p),
            )
        },
    ),
    row(
        losses.ActiveNegativeCrossEntropy,
        "5-5",
        {"alpha": 5.0, "beta": 5.0},
        bounds=(0, 10),
        symmetric=True,
        zero_at_label=True,
    ),
    row(losses.ActiveNegativeFocal, bounds=(0, 2), symmetric=True, zero_at_label=True),
    row(losses.JensenShannon, bounds=(0, 2), symmetric=False, zero_at_label=True),
    row(
        losses.JointAsymmetric,
        bounds=(29**2 / 5, 1 + 901 / 5),
        zero_at_label=False,
    ),
    row(
        losses.ActivePassive,
        "published",
        {
            "active": losses.NormalizedFocal(gamma=0.5),
            "passive": losses.MeanAbsoluteError(),
            "alpha": 10.0,
            "beta": 0.5,
        },
        bounds=(0, 11),
        symmetric=True,
        zero_at_label=True,
    ),
    row(
        losses.LogitClip,
        "around_generalized",
        {
            "loss": losses.GeneralizedCrossEntropy(q=0.5, from_logits=True),
            "max_norm": 1.5,
        },
        bounds=(0, 2),
        symmetric=False,
        zero_at_label=False,
    ),
    row(
        losses.LogitAdjusted,
        "around_generalized",
        {
            "loss": losses.GeneralizedCrossEntropy(q=0.5, from_logits=True),
            "class_frequencies": [40.0, 20.0, 5.0, 1.0],
        },
        num_classes=4,
        relabelled=_permuted_counts,
        variables={"class_frequencies": [1.0, 2.0, 3.0, 4.0]},
        bounds=(0, 2),
        symmetric=False,
        zero_at_label=True,
        refused=(
            ("class_frequencies", [1.0, 0.0]),
            ("class_frequencies", [1.0, math.nan]),
            ("class_frequencies", "many"),
            ("class_frequencies", None),
        ),
        equals={"its formula": lambda y, z: _adjusted(y, z, [40, 20, 5, 1])},
    ),
    row(
        losses.LogitBias,
        "absolute",
        {"bias": 2.4},
        bounds=(0, 2),
        symmetric=False,
        zero_at_label=True,
    ),
    row(
        losses.TaylorCrossEntropy,
        "order3",
        {"order": 3},
        bounds=(0, 11 / 6),
        symmetric=False,
        zero_at_label=True,
        equals={
            "its formula": lambda y, p: sum(
                (1 - _picked(y, p)) ** i / i for i in (1, 2, 3)
            )
        },
    ),
    row(
        losses.TaylorCrossEntropy,
        "order1",
        {"order": 1},
        bounds=(0, 1),
        symmetric=True,
        zero_at_label=True,
        equals={
            "half the absolute error": lambda y, p: losses.mean_absolute_error(y, p) / 2
        },
    ),
    row(
        losses.PolyCrossEntropy,
        symmetric=False,
        zero_at_label=True,
        equals={
            "cross-entropy and absolute error": lambda y, p: (
                losses.cross_entropy(y, p) + losses.mean_absolute_error(y, p)
            )
        },
    ),
    row(
        losses.EpsilonSoftmaxCrossEntropy,
        bounds=(0, -math.log(1e-8)),
        symmetric=False,
        zero_at_label=True,
        equals={"its formula": lambda y, p: _epsilon_softmax(y, p, 1e4)},
    ),
    row(
        losses.TruncatedGeneralizedCrossEntropy,
        bounds=(0, (1 - 0.5**0.7) / 0.7),
        symmetric=False,
        zero_at_label=True,
        equals={
            "its formula": lambda y, p: (
                (1 - np.maximum(_picked(y, p), 0.5) ** 0.7) / 0.7
            )
        },
        skips={"check_trains": "no gradient while p is at most k: needs a warm-up"},
    ),
    row(
        losses.TruncatedGeneralizedCrossEntropy,
        "k0",
        {"k": 0.0},
        zero_at_label=True,
        equals={"generalized cross-entropy": losses.generalized_cross_entropy},
    ),
    row(
        losses.Unhinged,
        symmetric=True,
        zero_at_label=False,
        equals={
            "cross-entropy less its mean over labels": lambda y, p: (
                np.log(p).mean(-1) - np.log(_picked(y, p))
            )
        },
    ),
    row(losses.ConfidenceRegularized, symmetric=False, zero_at_label=False),
    row(
        losses.MeanSquaredError,
        bounds=(0, 2),
        symmetric=False,
        zero_at_label=True,
        equals={"keras.losses": lambda y, p: _keras("mean_squared_error", y, p, 5)},
    ),
    row(
        losses.SquaredHinge,
        bounds=(4 / 5, 8 / 5),
        symmetric=False,
        zero_at_label=False,
        equals={"keras.losses": lambda y, p: _keras("squared_hinge", y, p, 1)},
    ),
    row(
        losses.Baikal,
        bounds=(5 * math.log(5) + 1, 1.001e7),  # of probabilities clipped at 1e-7
        symmetric=False,
        zero_at_label=False,
    ),
    row(
        losses.NegativeLearning,
        bounds=(0, -math.log(1e-7) / 4),
        symmetric=False,
        zero_at_label=True,
        equals={
            "its formula": lambda y, p: (
                (np.log1p(-_picked(y, p)) - np.log1p(-p).sum(-1)) / (p.shape[-1] - 1)
            )
        },
    ),
    row(
        losses.SparseRegularized,
        symmetric=False,
        zero_at_label=False,
        skips=_LENGTH_MATTERS,
    ),
    row(
        losses.SparseRegularized,
        "plain",
        {"temperature": 1.0, "exponent": 1.0, "normalize": False, "weight": 0.5},
        equals={"cross-entropy": lambda y, p: losses.cross_entropy(y, p) + 0.5},
    ),
    row(
        losses.LabelDistributionallyRobust,
        bounds=(-math.log(5), 5.1),
        zero_at_label=False,
        skips=_LENGTH_MATTERS,
    ),
    row(
        losses.LabelDistributionallyRobust,
        "plain",
        {"margin": 0.0, "normalize": False},
        equals={"cross-entropy": lambda y, p: losses.cross_entropy(y, p) - math.log(5)},
    ),
    row(losses.DeterminantMutualInformation, skips=_WHOLE_BATCH),
    row(
        losses.AdaptiveLabelDistributionallyRobust,
        bounds=(-math.log(5) * 1.25, 6),
        zero_at_label=False,
        skips={
            **_LENGTH_MATTERS,
            "check_numerical_gradient": "the gradient holds the temperature constant",
        },
    ),
    row(
        losses.SDivergence,
        bounds=(0, 3),
        symmetric=False,
        zero_at_label=True,
        equals={
            "bi-tempered": lambda y, p: 1.5 * losses.bi_tempered_logistic(y, p, 0.5, 1)
        },
    ),
    row(
        losses.SDivergence,
        "lambda_",
        {"alpha": 0.5, "lambda_": -0.5},
        bounds=(0, 8 / 3),  # by hand: A = B = 3/4
        symmetric=False,
        zero_at_label=True,
        equals={
            "its formula": lambda y, p: (
                ((p**1.5).sum(-1) - 2 * _picked(y, p) ** 0.75 + 1) / 0.75
            )
        },
    ),
    row(
        losses.SDivergence,
        "brier",
        {"alpha": 1.0, "lambda_": -0.3},
        bounds=(0, 2),
        zero_at_label=True,
        equals={"squared error": losses.mean_squared_error},
    ),
    row(losses.Peer, skips=_WHOLE_BATCH),
]


def machinery_rows(check):
    """One row a class and kind of arguments, of those that do not skip the check.

    Scalars are one kind, whatever their value; a list, a matrix or another loss is one
    of its own, and so is being tied to a number of classes.
    """
    chosen = {}
    for each in ROWS:
        if check in each.traits.skips:
            continue
        kinds = frozenset(
            name
            for name, value in each.arguments.items()
            if isinstance(value, bool) or not isinstance(value, int | float)
        )
        chosen.setdefault((each.loss_class, each.traits.num_classes, kinds), each)
    return list(chosen.values())


def _picked(ids, values):
    return np.take_along_axis(np.asarray(values), ids[..., None], -1)[..., 0]


def _log_sum_exp(z):
    return np.log(np.exp(z.astype("float64")).sum(-1))


def _mean_squares(ids, p):
    return ((np.eye(p.shape[-1])[ids] - p) ** 2).mean(-1) - 1 / p.shape[-1]


def _keras_cross_entropy(ids, p, label_smoothing=0.0):
    import keras

    return keras.losses.categorical_crossentropy(
        np.eye(p.shape[-1], dtype="float32")[ids], p, label_smoothing=label_smoothing
    )


def _keras(name, ids, p, scale):
    import keras

    rows = np.eye(p.shape[-1], dtype="float32")[ids]
    return scale * np.asarray(getattr(keras.losses, name)(rows, p))


def _epsilon_softmax(ids, p, m):
    largest = p == p.max(-1, keepdims=True)
    p = (p.astype("float64") + m * largest) / (m + 1)
    return -np.log(_picked(ids, p))


def _adjusted(ids, z, counts):
    p = z.astype("float64") + np.log(counts)
    p = np.exp(p) / np.exp(p).sum(-1, keepdims=True)
    return 2 * (1 - np.sqrt(_picked(ids, p)))
