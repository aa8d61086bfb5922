"""How far a search is, told to whoever wants to know."""

import time


class Progress:
    """Calls back after candidates and generations.

    Args:
        search: A `TaylorLossSearch`.
        candidates: Its `CmaSearch`.
        on_generation: Called after each generation, as `TaylorLossSearch.run` says.
        on_candidate: Called with `done, total` after each candidate.
    """

    def __init__(self, search, candidates, on_generation=None, on_candidate=None):
        self._search, self._candidates = search, candidates
        self._on_generation, self._on_candidate = on_generation, on_candidate
        self._begin, self._before = time.perf_counter(), self._told()
        self._total = search.generations * search.settings["population_size"]

    def candidate(self):
        """To be called when one more candidate has its value."""
        if self._on_candidate is not None:
            self._on_candidate(self._told(), self._total)

    def generation(self):
        """To be called when one more generation is complete."""
        if self._on_generation is None:
            return
        done = self._told()
        rate = (done - self._before) / (time.perf_counter() - self._begin)
        self._on_generation(
            {
                **self._search.history()[-1],
                "generations": self._search.generations,
                "candidates_per_second": rate,
                "seconds_left": (self._total - done) / rate,
            }
        )

    def _told(self):
        return len(self._candidates.history())
