"""History and progress of a search: one record a generation."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfrobustloss.search.ask_tell import Record
from tfrobustloss.search.cmaes import CmaSearch


def summaries(records: Sequence[Record[np.ndarray]], count: int) -> list[dict]:
    """A dict per complete generation, of plain JSON values.

    Args:
        records: `CmaSearch.history()`.
        count: Number of complete generations.

    Returns:
        List of dicts, see `TaylorLossSearch.history`.
    """
    members: dict[int, list[Record[np.ndarray]]] = {}
    for record in records:
        members.setdefault(record.generation, []).append(record)
    found: list[dict] = []
    best_so_far: float | None = None
    for generation in range(count):
        # in the order of the draws, not in that in which trainings ended
        own = sorted(members[generation], key=lambda record: record.id)
        values = [one.value for one in own]
        finite = [value for value in values if math.isfinite(value)]
        best = max(finite, default=None)
        best_so_far = max(
            (value for value in (best, best_so_far) if value is not None), default=None
        )
        found.append(
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
    return found


def median(values: Sequence[float]) -> float | None:
    """Median where values that are not finite rank last; None if it is one of them."""
    ordered = sorted(v if math.isfinite(v) else -math.inf for v in values)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return middle if math.isfinite(middle) else None


class Progress:
    """Calls the user's progress callbacks.

    Args:
        search: A `TaylorLossSearch`.
        candidates: Its `CmaSearch`.
        on_generation: Called after each generation, see `TaylorLossSearch.run`.
        on_candidate: Called with `done, total` after each candidate.
    """

    def __init__(
        self,
        search: Any,
        candidates: CmaSearch,
        on_generation: Callable[[dict], Any] | None = None,
        on_candidate: Callable[[int, int], Any] | None = None,
    ) -> None:
        self._search, self._candidates = search, candidates
        self._on_generation, self._on_candidate = on_generation, on_candidate
        self._begin, self._before = time.perf_counter(), self._done()
        self._total = search.generations * search.settings["population_size"]

    def candidate(self) -> None:
        """Reports one more candidate with a value."""
        if self._on_candidate is not None:
            self._on_candidate(self._done(), self._total)

    def generation(self) -> None:
        """Reports one more complete generation."""
        if self._on_generation is None:
            return
        done = self._done()
        rate = (done - self._before) / (time.perf_counter() - self._begin)
        self._on_generation(
            {
                **self._search.history()[-1],
                "generations": self._search.generations,
                "candidates_per_second": rate,
                "seconds_left": (self._total - done) / rate,
            }
        )

    def _done(self) -> int:
        return len(self._candidates.history())
