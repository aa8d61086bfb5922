"""Check of what a loss declares about its values."""

import numpy as np

from tfrobustloss.testing.harness import (
    examples,
    expect,
    expect_close,
    from_simplex,
    labels,
    num_classes,
    on_probabilities,
    per_example,
    predictions,
    promise,
)


@promise
def check_traits(loss, traits):
    """What the traits declare holds: symmetric, bounded, zero at the label, equal."""
    ids, logits = examples(traits, (24,), spread=1.0)
    y_true, y_pred = labels(traits, ids), predictions(loss, logits)
    for what, function in traits.equals.items():
        received = per_example(loss, y_true, y_pred)
        expected = function(y_true, y_pred)
        expect_close(f"against {what}", received, expected, 2e-5, 2e-6)
    table, sure = _table_of_values(on_probabilities(loss), traits)
    right, wrong = np.diag(sure), sure[~np.eye(len(sure), dtype=bool)]
    if traits.prefers_label:
        expect(
            right.max() < wrong.min(),
            f"up to {right.max():.6g} for a sure and right prediction, from "
            f"{wrong.min():.6g} for a sure and wrong one",
        )
    if traits.zero_at_label is not None:
        zero = np.abs(right).max() < 1e-5
        expect(zero == traits.zero_at_label, f"{right} for sure and right predictions")
    if traits.bounds is not None:
        low, high = traits.bounds
        least, most = table.min(), table.max()
        slack = 1e-5 * max(1, abs(low), abs(high))
        expect(least >= low - slack, f"{least:.6g}, below the bound {low:.6g}")
        expect(most <= high + slack, f"{most:.6g}, above the bound {high:.6g}")
    if traits.symmetric is not None:
        total = table.sum(axis=1)
        apart = np.ptp(total) / np.abs(table).max()
        expect(
            (apart < 1e-4) == traits.symmetric,
            f"sums over all labels from {total.min():.6g} to {total.max():.6g}, "
            f"declared symmetric={traits.symmetric}",
        )


def _table_of_values(loss, traits):
    """Values of predictions x labels, and those of the sure predictions alone.

    The predictions are the corners of the simplex, its edges' middles and points
    all over it.
    """
    classes = num_classes(traits)
    corners = np.eye(classes)
    random = np.random.default_rng(1)
    spread = [random.dirichlet([a] * classes, 40) for a in (0.1, 1.0, 10.0)]
    middles = (corners[:, None] + corners[None])[np.triu_indices(classes, 1)] / 2
    p = np.concatenate([corners, middles, *spread]).astype("float32")
    ids = np.tile(np.arange(classes, dtype="int32"), len(p))
    y_pred = from_simplex(loss, np.repeat(p, classes, axis=0))
    table = per_example(loss, labels(traits, ids), y_pred).reshape(len(p), classes)
    return table, table[:classes]
