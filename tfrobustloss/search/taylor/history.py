"""The told candidates of a search, a generation a record."""

import math


def generations(told, count):
    """A dict per complete generation, of plain JSON values.

    Args:
        told: `CmaSearch.history()`.
        count: Number of complete generations.

    Returns:
        List of dicts, as `TaylorLossSearch.history` says.
    """
    members = {}
    for record in told:
        members.setdefault(record.generation, []).append(record)
    records, best_so_far = [], None
    for generation in range(count):
        # in the order of the draws, not in that in which trainings ended
        own = sorted(members[generation], key=lambda record: record.id)
        values = [one.value for one in own]
        finite = [value for value in values if math.isfinite(value)]
        best = max(finite, default=None)
        best_so_far = max(
            (value for value in (best, best_so_far) if value is not None), default=None
        )
        records.append(
            {
                "generation": generation + 1,
                "best": best,
                "median": median(values),
                "mean": math.fsum(finite) / len(finite) if finite else None,
                "best_so_far": best_so_far,
                "diverged": len(values) - len(finite),
                "vectors": [one.x.tolist() for one in own],
                "values": [v if math.isfinite(v) else None for v in values],
            }
        )
    return records


def median(values):
    """Median with those that diverged at the bottom; None if it is one of them."""
    ordered = sorted(v if math.isfinite(v) else -math.inf for v in values)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return middle if math.isfinite(middle) else None
