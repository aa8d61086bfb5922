"""Options of `Trainer`, their ranges, and the score that it returns."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)

LIMITS = {
    "epochs": Range(low=1, integer=True),
    "batch_size": Range(low=1, integer=True),
    "learning_rate": Range(low=0, open_low=True),
    "momentum": Range(0, 1, open_high=True),
    "num_threads": Range(low=1, integer=True, optional=True),
    "chunk_size": Range(low=1, integer=True, optional=True),
    "seed": Range(low=0, integer=True),
    "steps": Range(low=0, integer=True, optional=True),
}
_OPTIONS = ("chunk_size", "compute_dtype", "halving", "num_threads", "xla")


@dataclasses.dataclass(frozen=True)
class Score:
    """Result of one candidate with one seed.

    Attributes:
        accuracy: Share of right answers on the validation data, or its estimate by
            noisy labels. The lowest possible one if the training diverged: 0, or,
            corrected by a matrix, the smallest entry of its inverse.
        diverged: Whether a loss, or an output at the end, was not finite.
        steps: Steps taken, the one with the non-finite loss included.
        seconds: Time it took; for a group trained together, its share.
        stopped: Whether successive halving dropped it: `accuracy` is then that of the
            step at which it was dropped. Rank it below those that finished.
    """

    accuracy: float
    diverged: bool
    steps: int
    seconds: float
    stopped: bool = False


@dataclasses.dataclass(frozen=True)
class Halving:
    """Successive halving: when to drop the worse candidates of a population.

    Attributes:
        rungs: Increasing shares of the steps, in (0, 1), after which to compare.
        keep: Share of the candidates, in (0, 1), that continue after each.
    """

    rungs: tuple[float, ...] = (0.25,)
    keep: float = 0.5

    def __post_init__(self) -> None:
        """Checks the shares."""
        inside = Range(0, 1, open_low=True, open_high=True)
        check("Halving", {"keep": inside}, keep=self.keep)
        for rung in self.rungs:
            check("Halving", {"rungs": inside}, rungs=rung)
        if list(self.rungs) != sorted(set(self.rungs)):
            raise ParameterError("Halving", "rungs", self.rungs, "increasing")


def check_options(owner: str, options: Mapping[str, Any]) -> None:
    """Raises if an option of `Trainer` does not exist or has a bad value.

    Args:
        owner: Name of the class or function that took the options.
        options: Dict of arguments of `Trainer` that concern neither data nor steps.

    Raises:
        TypeError: There is no such option, or a value is of the wrong kind.
        ValueError: A value is outside its range.
    """
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        constraint = f"of {', '.join(_OPTIONS)}"
        raise ParameterTypeError(owner, "trainer_options", unknown, constraint)
    check(owner, LIMITS, **options)
    if options.get("compute_dtype") not in (None, "bfloat16"):
        constraint, value = "None or 'bfloat16'", options["compute_dtype"]
        raise ParameterError(owner, "compute_dtype", value, constraint)
    for name, kind in (("halving", Halving), ("xla", bool)):
        value = options.get(name)
        if value is not None and not isinstance(value, kind):
            constraint = f"None or a {kind.__name__}"
            raise ParameterTypeError(owner, name, value, constraint)
