"""What scoring candidates takes and gives."""

import dataclasses

from tfrobustloss._core import validation


@dataclasses.dataclass(frozen=True)
class Score:
    """What became of one candidate with one seed.

    Attributes:
        accuracy: Share of right answers on the validation data; 0 if it diverged.
        diverged: Whether a loss, or an output at the end, was not finite.
        steps: Steps taken, the one with the non-finite loss included.
        seconds: Time it took; of a group trained together, its share.
        stopped: Whether successive halving gave it up: `accuracy` is the one at that
            step. Rank it below those that finished.
    """

    accuracy: float
    diverged: bool
    steps: int
    seconds: float
    stopped: bool = False


@dataclasses.dataclass(frozen=True)
class Halving:
    """When to give up on the worse candidates of a population.

    Attributes:
        rungs: Increasing shares of the steps, in (0, 1), after which to compare.
        keep: Share of the candidates, in (0, 1), that go on from each.
    """

    rungs: tuple[float, ...] = (0.25,)
    keep: float = 0.5

    def __post_init__(self):
        inside = validation.Range(0, 1, open_low=True, open_high=True)
        validation.check("Halving", {"keep": inside}, keep=self.keep)
        for rung in self.rungs:
            validation.check("Halving", {"rungs": inside}, rungs=rung)
        if list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError(
                validation.error("Halving", "rungs", "increasing", self.rungs)
            )
