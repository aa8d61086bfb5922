"""The options of `Trainer`, checked wherever they are given."""

from tfrobustloss._core import validation
from tfrobustloss.experiments.trainer.options import Halving

LIMITS = {
    "epochs": validation.Range(low=1, integer=True),
    "batch_size": validation.Range(low=1, integer=True),
    "learning_rate": validation.Range(low=0, open_low=True),
    "momentum": validation.Range(0, 1, open_high=True),
    "num_threads": validation.Range(low=1, integer=True, optional=True),
    "chunk_size": validation.Range(low=1, integer=True, optional=True),
    "seed": validation.Range(low=0, integer=True),
    "steps": validation.Range(low=0, integer=True, optional=True),
}
_OPTIONS = ("chunk_size", "compute_dtype", "halving", "num_threads", "xla")


def check(owner, options):
    """Raises if there is no such option of `Trainer`, or a value cannot be.

    Args:
        owner: Name of what was given the options, for errors.
        options: Dict of arguments of `Trainer` that concern neither data nor steps.
    """
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        constraint = f"of {', '.join(_OPTIONS)}"
        raise TypeError(validation.error(owner, "trainer_options", constraint, unknown))
    validation.check(owner, LIMITS, **options)
    if options.get("compute_dtype") not in (None, "bfloat16"):
        constraint, value = "None or 'bfloat16'", options["compute_dtype"]
        raise ValueError(validation.error(owner, "compute_dtype", constraint, value))
    for name, kind in (("halving", Halving), ("xla", bool)):
        value = options.get(name)
        if value is not None and not isinstance(value, kind):
            constraint = f"None or a {kind.__name__}"
            raise TypeError(validation.error(owner, name, constraint, value))
