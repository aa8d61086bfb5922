"""Ask and tell: the generations of a search, their values, and its journal."""

import dataclasses
import math
import os
import warnings
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from tfrobustloss._core.validation import ParameterTypeError, Range, check
from tfrobustloss.search.journal import Journal

_RTOL = 1e-9  # how far rounding may take a replayed candidate from the recorded one

X = TypeVar("X")  # what a candidate is: a vector, a text, a tree


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate(Generic[X]):
    """A point to be evaluated.

    Attributes:
        id: Int, counted from 0 over the whole search.
        generation: Int, counted from 0 over all runs.
        x: The point; not to be changed.
        repeats: Id of the candidate that this one evaluates again, or None.
    """

    id: int
    generation: int
    x: X
    repeats: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Record(Candidate[X]):
    """A candidate with its value.

    Attributes:
        value: Float, NaN and infinities included.
        run: Int, the number of restarts before it.
    """

    value: float = math.nan
    run: int = 0


class Codec(Generic[X]):
    """How candidates are written to a journal and compared after a replay.

    This class is for plain JSON values, for example texts, which are equal or not. A
    subclass writes other kinds.
    """

    def encode(self, x: X) -> Any:
        """The candidate as a plain JSON value."""
        return x

    def decode(self, written: Any) -> X:
        """The candidate of a JSON value.

        Raises:
            ValueError: No candidate of this search is written like that.
        """
        return written

    def distance(self, recorded: X, drawn: X) -> float:
        """How far a recorded candidate is from the one drawn in its place; 0 is equal.

        Above 1e-9 the search goes on from the recorded one, with a warning.
        """
        return 0.0 if recorded == drawn else math.inf


class Strategy(Protocol[X]):
    """What draws the candidates and learns from their values."""

    finished: dict[str, Any]  # the reasons to stop; empty while the search goes on
    run: int  # number of restarts so far

    def sample(self) -> Sequence[X]:
        """The candidates of the next generation."""

    def further(self, generation: int, candidate_id: int) -> X:
        """One more candidate of the same distribution."""

    def tell(self, generation: "Generation[X]") -> None:
        """Learns from the values of a complete generation."""


class Generation(Generic[X]):
    """Candidates and their values, from the first draw to the last value.

    Args:
        index: Int, counted from 0.
        first_id: Id of its first candidate.
        points: The population.
        reevaluations: How many of the best are evaluated again.
        sign: -1.0 where larger values are better, else 1.0.
    """

    def __init__(
        self,
        index: int,
        first_id: int,
        points: Sequence[X],
        reevaluations: int,
        sign: float,
    ) -> None:
        self.index = index
        self.next_id = first_id
        self._size = len(points)
        self._reevaluations = reevaluations
        self._sign = sign
        self._candidates: dict[int, Candidate[X]] = {}
        self._handed_out: set[int] = set()
        self._first: dict[int, float] = {}  # id -> value
        self._second: dict[int, float] = {}  # id of the first -> value of the second
        for point in points:
            self.add(point)

    def add(self, x: X, repeats: int | None = None) -> Candidate[X]:
        """Adds a candidate and returns it."""
        candidate = Candidate(self.next_id, self.index, x, repeats)
        self._candidates[candidate.id] = candidate
        self.next_id += 1
        return candidate

    def replace(self, candidate: Candidate[X], x: X) -> Candidate[X]:
        """Replaces a candidate's point and returns the new candidate."""
        candidate = dataclasses.replace(candidate, x=x)
        self._candidates[candidate.id] = candidate
        return candidate

    def get(self, candidate_id: int) -> Candidate[X] | None:
        """The candidate, or None if it does not wait for a value."""
        candidate = self._candidates.get(candidate_id)
        return None if candidate is None or self._is_told(candidate) else candidate

    def untold(self) -> list[Candidate[X]]:
        """The candidates without a value, handed out or not."""
        return [c for c in self._candidates.values() if not self._is_told(c)]

    def hand_out(self, most: int | None = None) -> list[Candidate[X]]:
        """Up to `most` candidates that were not handed out yet."""
        due = [c for c in self.untold() if c.id not in self._handed_out][:most]
        self._handed_out.update(candidate.id for candidate in due)
        return due

    @property
    def first_in(self) -> bool:
        """Whether the values of all first evaluations are there."""
        return len(self._first) == self._size

    def take(self, candidate: Candidate[X], value: float) -> float | None:
        """Records a value.

        Returns:
            The value by which the candidate may become the best, or None.
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
    def complete(self) -> bool:
        """Whether all values are there."""
        return self.first_in and not self.untold()

    @property
    def repeated(self) -> int:
        """Number of second evaluations."""
        return len(self._second)

    def value(self, candidate_id: int) -> float:
        """The value of a candidate, the mean of both where it was evaluated twice."""
        first, second = self._first[candidate_id], self._second.get(candidate_id)
        return first if second is None else first / 2 + second / 2

    def points(self) -> list[X]:
        """The points that have values, in the order of their ids."""
        return [self._candidates[i].x for i in sorted(self._first)]

    def costs(self) -> list[float]:
        """What is to be minimised, for each of `points()`; NaN and infinities too."""
        return [self._sign * self.value(i) for i in sorted(self._first)]

    def _is_told(self, candidate: Candidate[X]) -> bool:
        if candidate.repeats is None:
            return candidate.id in self._first
        return candidate.repeats in self._second


class AskTell(Generic[X]):
    """Hands out the candidates of a strategy and collects their values.

    With a journal every value is on disk before `tell` returns. A search that opens
    the journal again, with the same settings, tells the strategy the same values: it
    goes on as if it had never stopped.

    Args:
        strategy: A `Strategy`.
        owner: Name of the search's class, for errors. Its `resume(path)` continues a
            journal.
        codec: A `Codec`.
        settings: Dict, plain JSON: everything that the candidates depend on.
            `direction` is `"min"` or `"max"`; `reevaluations` (0) and `overflow`
            (False) are those of `CmaSearch`.
        packages: Dict of package names to versions, for the journal.
        journal: Path of the journal, or None.
        journal_format: First entry of the journal's header: a name and a version.
    """

    def __init__(
        self,
        strategy: Strategy[X],
        *,
        owner: str,
        codec: Codec[X],
        settings: dict[str, Any],
        packages: dict[str, str],
        journal: str | os.PathLike[str] | None,
        journal_format: str,
    ) -> None:
        self._strategy = strategy
        self._owner = owner
        self._codec = codec
        self._settings = settings
        self._packages = packages
        self._sign = -1.0 if settings["direction"] == "max" else 1.0
        self._records: list[Record[X]] = []
        self._best: tuple[X, float] | None = None
        # the one under way, drawn when it is first needed
        self._generation: Generation[X] | None = None
        self._complete = 0
        self._next_id = 0
        self._farthest = 0.0  # distance of a replayed candidate from the recorded one
        self._journal: Journal | None = None
        if journal is not None:
            opened = Journal(journal, owner, journal_format)
            self._journal = self._continued(opened)

    def ask(self) -> Candidate[X] | None:
        """The next `Candidate` of this generation that is not handed out yet, or None.

        None: all are out and some have no value yet, or the search is finished. With
        `overflow`, the former draws a further candidate, except while candidates are
        evaluated again.
        """
        generation = self._current()
        if generation is None:
            return None
        due = generation.hand_out(1)
        if not due and self._settings.get("overflow") and not generation.first_in:
            entry = {"generation": generation.index, "id": generation.next_id}
            if self._journal:
                self._journal.append({**entry, "further": True})
            self._draw_further(generation)
            due = generation.hand_out(1)
        return due[0] if due else None

    def ask_generation(self) -> list[Candidate[X]]:
        """All candidates of this generation that are not handed out yet."""
        generation = self._current()
        return generation.hand_out() if generation else []

    def pending(self) -> list[Candidate[X]]:
        """The candidates of this generation without a value, asked for or not."""
        generation = self._current()
        return generation.untold() if generation else []

    def tell(self, candidate_id: int, value: float) -> bool:
        """Takes the value of a candidate; it is in the journal when this returns.

        Args:
            candidate_id: Int, `Candidate.id`.
            value: Number; NaN and infinities rank last, whatever the direction.

        Returns:
            Whether it counted: False if that candidate has a value already, or if its
            generation went on without it.

        Raises:
            TypeError: `value` is not a number.
            ValueError: The search has no candidate of this id.
        """
        value = _number(self._owner, value)
        generation = self._current()
        last = (generation.next_id if generation else self._next_id) - 1
        ids = Range(low=0, high=last, integer=True)
        check(self._owner, {"candidate_id": ids}, candidate_id=candidate_id)
        candidate = generation.get(candidate_id) if generation else None
        if generation is None or candidate is None:
            return False
        if self._journal:
            self._journal.append(self._entry(candidate, value))
        self._take(generation, candidate, value)
        return True

    def history(self) -> list[Record[X]]:
        """A `Record` per value, in the order in which they arrived."""
        return list(self._records)

    def close(self) -> None:
        """Releases the journal, so that another search can continue it."""
        if self._journal:
            self._journal.close()

    @property
    def generation(self) -> int:
        """Number of generations that are complete, over all runs."""
        return self._complete

    @property
    def best(self) -> tuple[X, float] | None:
        """Pair of the best point and its value, or None before the first finite one."""
        return self._best

    @property
    def finished(self) -> dict[str, Any]:
        """Dict of the reasons to stop, empty while the search goes on."""
        return dict(self._strategy.finished)

    def _current(self) -> Generation[X] | None:
        """The generation under way, or None after the last."""
        if self._generation is None and not self._strategy.finished:
            self._generation = Generation(
                self._complete,
                self._next_id,
                self._strategy.sample(),
                self._settings.get("reevaluations", 0),
                self._sign,
            )
        return self._generation

    def _draw_further(self, generation: Generation[X]) -> None:
        generation.add(self._strategy.further(generation.index, generation.next_id))

    def _take(
        self, generation: Generation[X], candidate: Candidate[X], value: float
    ) -> None:
        self._records.append(
            Record(**vars(candidate), value=value, run=self._strategy.run)
        )
        known = generation.take(candidate, value)
        if known is not None and math.isfinite(known):
            if self._best is None or self._sign * known < self._sign * self._best[1]:
                self._best = candidate.x, known
        if generation.complete:
            self._generation = None
            self._complete += 1
            self._next_id = generation.next_id
            self._strategy.tell(generation)

    # --- the journal

    def _entry(self, candidate: Candidate[X], value: float) -> dict[str, Any]:
        return {
            "generation": candidate.generation,
            "id": candidate.id,
            "x": self._codec.encode(candidate.x),
            "value": value if math.isfinite(value) else str(value),
        }

    def _continued(self, journal: Journal) -> Journal:
        """The journal, after its values have been told to the strategy."""
        try:
            if journal.entries:
                recorded = journal.entries[0]["options"]
                check_same(self._owner, self._settings, recorded, journal.path)
                journal.keep(self._replay(journal.entries))
            else:
                journal.keep(0)
                journal.start({"options": self._settings, "packages": self._packages})
        except BaseException:
            journal.close()
            raise
        return journal

    def _replay(self, entries: list[dict[str, Any]]) -> int:
        """Tells the strategy what a journal holds; returns how many entries fit."""
        count = 1
        while count < len(entries) and self._replay_entry(entries[count]):
            count += 1
        if self._farthest > _RTOL:
            far = f", by up to {self._farthest:.1g}"
            warnings.warn(
                f"{self._owner}: the points of the journal are not those asked here"
                f"{far if math.isfinite(self._farthest) else ''}. It was written with "
                f"{entries[0]['packages']}, and this is {self._packages}. The search "
                "goes on from the journal's points, not exactly as it would have.",
                stacklevel=5,
            )
        return count

    def _replay_entry(self, entry: dict[str, Any]) -> bool:
        """Takes an entry of the journal; returns whether it fits the search so far."""
        generation = self._current()
        if generation is None or entry["generation"] > generation.index:
            return False
        if entry.get("further"):
            if entry["id"] == generation.next_id:
                self._draw_further(generation)
            return entry["id"] < generation.next_id
        candidate = generation.get(entry["id"])
        if candidate is None:  # two values of one candidate: the first counts
            return entry["id"] < generation.next_id
        try:
            x = self._codec.decode(entry["x"])
        except ValueError:
            return False
        distance = self._codec.distance(x, candidate.x)
        self._farthest = max(self._farthest, distance)
        if distance > _RTOL:  # below, strategies prefer what they drew themselves
            candidate = generation.replace(candidate, x)
        self._take(generation, candidate, float(entry["value"]))
        return True


def check_same(
    owner: str, given: dict[str, Any], recorded: dict[str, Any], path: str
) -> None:
    """Raises if a journal belongs to a search with other settings.

    Args:
        owner: Name of the search's class.
        given: Dict of settings.
        recorded: Dict of the settings in the journal's header.
        path: Path of the journal.

    Raises:
        ValueError: Some setting differs.
    """
    names = [*given, *(name for name in recorded if name not in given)]
    differing = [name for name in names if given.get(name) != recorded.get(name)]
    if differing:
        table = "; ".join(
            f"{name}={given.get(name)!r}, there {name}={recorded.get(name)!r}"
            for name in differing
        )
        raise ValueError(
            f"{owner}: `journal` {path!r} is of a search with other options. "
            f"Received: {table}. Use {owner}.resume({path!r}) to go on with that "
            "one, or another path for a new search."
        )


def _number(owner: str, value: Any) -> float:
    try:
        if not isinstance(value, str | bytes):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise ParameterTypeError(owner, "value", value, "a number")
