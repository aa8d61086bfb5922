"""The candidates of one generation: which are out, which came back, what they cost."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """A point to be evaluated.

    Attributes:
        id: Int, counted from 0 over the whole search.
        generation: Int, counted from 0 over all runs.
        x: Read-only array, shape `(dimension,)`.
        repeats: Id of the candidate that this one evaluates again, or None.
    """

    id: int
    generation: int
    x: np.ndarray
    repeats: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Record(Candidate):
    """A candidate with the value that was told.

    Attributes:
        value: Float, NaN and infinities as they came.
        run: Int, the number of restarts before it.
    """

    value: float = math.nan
    run: int = 0


class Generation:
    """Candidates and their values, from the first draw to the last value.

    Args:
        index: Int, counted from 0.
        first_id: Id of its first candidate.
        points: List of arrays, the population.
        reevaluations: How many of the best are evaluated again.
        sign: -1.0 where larger values are better, else 1.0.
    """

    def __init__(self, index, first_id, points, reevaluations, sign):
        self.index = index
        self.next_id = first_id
        self._size = len(points)
        self._reevaluations = reevaluations
        self._sign = sign
        self._candidates = {}
        self._handed_out = set()
        self._first = {}  # id -> value
        self._second = {}  # id of the first evaluation -> value of the second
        for point in points:
            self.add(point)

    def add(self, x, repeats=None):
        """A further candidate."""
        x = np.array(x, dtype=float)
        x.flags.writeable = False
        candidate = Candidate(self.next_id, self.index, x, repeats)
        self._candidates[candidate.id] = candidate
        self.next_id += 1
        return candidate

    def replace(self, candidate, x):
        """Puts another point in the place of a candidate's; returns the new one."""
        x.flags.writeable = False
        candidate = dataclasses.replace(candidate, x=x)
        self._candidates[candidate.id] = candidate
        return candidate

    def get(self, candidate_id):
        """The candidate that still wants a value, or None."""
        candidate = self._candidates.get(candidate_id)
        return None if candidate is None or self._is_told(candidate) else candidate

    def untold(self):
        """List of the candidates without a value, handed out or not."""
        return [c for c in self._candidates.values() if not self._is_told(c)]

    def hand_out(self, most=None):
        """List of up to `most` candidates that were not handed out yet."""
        due = [c for c in self.untold() if c.id not in self._handed_out][:most]
        self._handed_out.update(candidate.id for candidate in due)
        return due

    @property
    def first_in(self):
        """Whether the values of all first evaluations are there."""
        return len(self._first) == self._size

    def take(self, candidate, value):
        """Records a value.

        Returns:
            The value by which the candidate may be called the best, or None.
        """
        if candidate.repeats is not None:
            self._second[candidate.repeats] = value
            return self.value(candidate.repeats)
        self._first[candidate.id] = value
        if self.first_in:  # those still out come too late
            self._candidates = {i: self._candidates[i] for i in sorted(self._first)}
            finite = [i for i in self._candidates if math.isfinite(self._first[i])]
            best = sorted(finite, key=lambda i: self._sign * self._first[i])
            for i in best[: self._reevaluations]:
                self.add(self._candidates[i].x, repeats=i)
        return None if self._reevaluations else value

    @property
    def complete(self):
        """Whether no value is wanted any more."""
        return self.first_in and not self.untold()

    @property
    def repeated(self):
        """Number of second evaluations."""
        return len(self._second)

    def value(self, candidate_id):
        """The value of a candidate, the mean of both where it was evaluated twice."""
        first, second = self._first[candidate_id], self._second.get(candidate_id)
        return first if second is None else first / 2 + second / 2

    def points(self):
        """The points that were told, in the order of their ids."""
        return [self._candidates[i].x for i in self._first_ids()]

    def costs(self, mean):
        """What is to be minimised, for each of `points()`.

        Args:
            mean: Those without a finite value rank last, nearer to this point first.

        Returns:
            List of floats, empty if no value is finite.
        """
        costs = [self._sign * self.value(i) for i in self._first_ids()]
        finite = [cost for cost in costs if math.isfinite(cost)]
        lost = [k for k, cost in enumerate(costs) if not math.isfinite(cost)]
        if not finite:
            return []
        worst = max(finite)
        step = worst - min(finite) or abs(worst) * 1e-3 or 1.0
        points = self.points()
        lost.sort(key=lambda k: float(np.linalg.norm(points[k] - mean)))
        for rank, k in enumerate(lost, 1):
            costs[k] = worst + rank * step
        return costs

    def _first_ids(self):
        return sorted(self._first)

    def _is_told(self, candidate):
        if candidate.repeats is None:
            return candidate.id in self._first
        return candidate.repeats in self._second
