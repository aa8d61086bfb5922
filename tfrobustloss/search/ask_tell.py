"""Ask and tell, with a journal: what a search does around the way it draws points."""

import math
import warnings

from tfrobustloss._core.validation import ParameterTypeError, Range, check
from tfrobustloss.search import journal as _journal
from tfrobustloss.search._generation import Generation, Record

_RTOL = 1e-9  # how far rounding may take a replay from the journal


class AskTell:
    """Hands out the candidates of a strategy and collects their values.

    Args:
        strategy: Has `sample()` (list of points), `further(generation, id)` (one more
            of the same distribution), `tell(generation)`, `finished` (dict of reasons),
            `run` (int) and `sigma` (float).
        settings: Dict, plain JSON: everything the points depend on.
        packages: Dict of package names to versions, for the journal.
        journal: Path of the journal, or None.
    """

    def __init__(self, strategy, settings, packages, journal):
        self._strategy = strategy
        self._settings = settings
        self._packages = packages
        self._sign = -1.0 if settings["direction"] == "max" else 1.0
        self._records = []
        self._best = None
        self._generation = None  # the one under way, drawn when it is first needed
        self._complete = 0
        self._next_id = 0
        self._journal = None
        if journal is not None:
            self._journal = self._continued(_journal.Journal(journal))

    def ask(self):
        """The next `Candidate` of this generation that is not handed out yet, or None.

        None: all are out and some untold, or the search is finished. With `overflow`,
        the former draws a further candidate, except while candidates are evaluated
        again.
        """
        generation = self._current()
        if generation is None:
            return None
        due = generation.hand_out(1)
        if not due and self._settings["overflow"] and not generation.first_in:
            entry = {"generation": generation.index, "id": generation.next_id}
            if self._journal:
                self._journal.append({**entry, "further": True})
            self._draw_further()
            due = generation.hand_out(1)
        return due[0] if due else None

    def ask_generation(self):
        """List of all candidates of this generation that are not handed out yet."""
        generation = self._current()
        return generation.hand_out() if generation else []

    def pending(self):
        """List of the candidates of this generation that are untold, asked or not."""
        generation = self._current()
        return generation.untold() if generation else []

    def tell(self, candidate_id, value):
        """Takes the value of a candidate; it is in the journal when this returns.

        Args:
            candidate_id: Int, `Candidate.id`.
            value: Number; NaN and infinities rank last, whatever the direction.

        Returns:
            Whether it counted: False if that candidate has a value already, or if its
            generation went on without it.

        Raises:
            TypeError: `value` is not a number.
            ValueError: There was no such candidate.
        """
        value = _number(value)
        generation = self._current()
        last = (generation.next_id if generation else self._next_id) - 1
        ids = Range(low=0, high=last, integer=True)
        check("CmaSearch", {"candidate_id": ids}, candidate_id=candidate_id)
        candidate = generation.get(candidate_id) if generation else None
        if candidate is None:
            return False
        if self._journal:
            self._journal.append(_journal.entry_of(candidate, value))
        self._take(candidate, value)
        return True

    def history(self):
        """List of a `Record` per value, in the order in which they were told."""
        return list(self._records)

    def close(self):
        """Lets go of the journal, so that another search can continue it."""
        if self._journal:
            self._journal.close()

    @property
    def generation(self):
        """Number of generations that are complete, over all runs."""
        return self._complete

    @property
    def best(self):
        """Pair of the best point and its value, or None before the first finite one."""
        return self._best

    @property
    def finished(self):
        """Dict of the reasons to stop, empty while the search goes on."""
        return dict(self._strategy.finished)

    def _current(self):
        """The generation under way, or None after the last."""
        if self._generation is None and not self._strategy.finished:
            self._generation = Generation(
                self._complete,
                self._next_id,
                self._strategy.sample(),
                self._settings["reevaluations"],
                self._sign,
            )
        return self._generation

    def _draw_further(self):
        generation = self._generation
        generation.add(self._strategy.further(generation.index, generation.next_id))

    def _take(self, candidate, value):
        generation = self._generation
        self._records.append(
            Record(**vars(candidate), value=value, run=self._strategy.run)
        )
        value = generation.take(candidate, value)
        if value is not None and math.isfinite(value):
            if self._best is None or self._sign * value < self._sign * self._best[1]:
                self._best = candidate.x, value
        if generation.complete:
            self._generation = None
            self._complete += 1
            self._next_id = generation.next_id
            self._strategy.tell(generation)

    def _continued(self, journal):
        """The journal, once what it holds has been told again."""
        try:
            if journal.entries:
                recorded = journal.entries[0]["options"]
                check_same(self._settings, recorded, journal.path)
                journal.keep(self._replay(journal.entries))
            else:
                journal.keep(0)
                journal.start({"options": self._settings, "packages": self._packages})
        except BaseException:
            journal.close()
            raise
        return journal

    def _replay(self, entries):
        """Tells what a journal holds; returns how many of its entries made sense."""
        count, self._farthest = 1, 0.0
        while count < len(entries) and self._told_again(entries[count]):
            count += 1
        if self._farthest > _RTOL:
            warnings.warn(
                "CmaSearch: the points of the journal are not those asked here, by up "
                f"to {self._farthest:.1g}. It was written with "
                f"{entries[0]['packages']}, and this is {self._packages}. The search "
                "goes on from the journal's points, not exactly as it would have.",
                stacklevel=5,
            )
        return count

    def _told_again(self, entry):
        """Takes an entry of the journal; returns whether it fits in here."""
        generation = self._current()
        if generation is None or entry["generation"] > generation.index:
            return False
        if entry.get("further"):
            if entry["id"] == generation.next_id:
                self._draw_further()
            return entry["id"] < generation.next_id
        candidate = generation.get(entry["id"])
        if candidate is None:  # told twice: what came first counts
            return entry["id"] < generation.next_id
        x, value = _journal.told(entry)
        if x.shape != candidate.x.shape:
            return False
        scale = abs(x) + self._strategy.sigma
        distance = float((abs(x - candidate.x) / scale).max())
        self._farthest = max(self._farthest, distance)
        if distance > _RTOL:  # else pycma had better be told what it asked
            candidate = generation.replace(candidate, x)
        self._take(candidate, value)
        return True


def _number(value):
    try:
        if not isinstance(value, str | bytes):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise ParameterTypeError("CmaSearch", "value", value, "a number")


def check_same(given, recorded, path):
    """Raises if a journal belongs to a search that was asked for something else.

    Args:
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
            f"CmaSearch: `journal` {path!r} is of a search with other options. "
            f"Received: {table}. Use CmaSearch.resume({path!r}) to go on with that "
            "one, or another path for a new search."
        )
