"""What a search for a Taylor loss was asked to do, checked before anything is kept."""

import numpy as np

from tfrobustloss._core.validation import Range, check
from tfrobustloss.experiments import trainer

LIMITS = {
    "generations": Range(low=1, integer=True),
    "population_size": Range(low=3, integer=True),
    "sigma0": Range(low=0, open_low=True),
    "seeds_per_candidate": Range(low=1, integer=True),
    "noise_draws": Range(low=1, integer=True),
    "learning_rate": Range(low=0, open_low=True),
    "epochs": Range(low=1, integer=True),
    "batch_size": Range(low=1, integer=True),
    "momentum": Range(0, 1, open_high=True),
    "seed": Range(0, 2**32 - 1, integer=True),
    "lease_seconds": Range(low=0, open_low=True),
}


def checked_rates(numbers, learning_rates, trainer_options):
    """Raises if a search cannot be run like that.

    Args:
        numbers: Dict of names of `LIMITS` to values.
        learning_rates: A number or a sequence of them.
        trainer_options: Dict of further arguments of `Trainer`.

    Returns:
        The learning rates as a list.

    Raises:
        TypeError: A value is of the wrong kind, or there is no such option.
        ValueError: A value is outside its range.
    """
    check("search", LIMITS, **numbers)
    rates = np.atleast_1d(learning_rates).tolist()
    for rate in rates or [None]:
        check("search", LIMITS, learning_rate=rate)
    trainer.check_options("search", trainer_options)
    return rates


def recorded(trainer_options):
    """The options of `Trainer` that decide the values of candidates, as texts."""
    return {
        name: str(value)
        for name, value in trainer_options.items()
        if name != "num_threads"  # changes nothing but the time
    }
