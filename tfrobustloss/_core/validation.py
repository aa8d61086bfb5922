"""Parameter ranges, checks, and the errors that they raise."""

import dataclasses
import math
import numbers

import numpy as np

from tfrobustloss._core.tensors import current_value, is_variable, visible


@dataclasses.dataclass(frozen=True)
class Range:
    """The values a scalar parameter may take; `open_*` excludes an end.

    Attributes:
        low: Smallest value.
        high: Largest value.
        open_low: Whether `low` itself is excluded.
        open_high: Whether `high` itself is excluded.
        integer: Whether only whole numbers are allowed.
        optional: Whether `None` is allowed too.
        hint: What to do about a value outside, when that is not obvious.
        infinite: Whether an infinite end is itself allowed.
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    integer: bool = False
    optional: bool = False
    hint: str = ""
    infinite: bool = False

    def contains(self, value):
        """True if `value` is inside; NaN never is."""
        if not math.isfinite(value):
            return self.infinite and value in (self.low, self.high)
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        whole = not self.integer or value == int(value)
        return above and below and whole

    def __str__(self):
        """Returns the range in interval notation: `(0, 1]`."""
        low, high = (math.isinf(x) and not self.infinite for x in (self.low, self.high))
        left = "(" if self.open_low or low else "["
        right = ")" if self.open_high or high else "]"
        kind = "an integer in " if self.integer else "in "
        none = " or None" if self.optional else ""
        return f"{kind}{left}{self.low:g}, {self.high:g}{right}{none}"


def check(owner, limits, **parameters):
    """Raises if a parameter lies outside its range.

    A variable is held to its range where its value can be seen, so not in a
    compiled program.

    Args:
        owner: Name of the class or function that took the parameters.
        limits: Dict of parameter names to `Range`.
        **parameters: Values; those without a range are not looked at.

    Raises:
        TypeError: A value is not a number.
        ValueError: A value is outside its range.
    """
    for name, limit in limits.items():
        if name not in parameters:
            continue
        value = parameters[name]
        if is_variable(value):
            value = visible(value)
            if value is None:
                continue
        value = current_value(value)
        if value is None and limit.optional:
            continue
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise ParameterTypeError(owner, name, value, "a number", limit.hint)
        if not limit.contains(value):
            raise ParameterError(owner, name, value, limit, limit.hint)


def check_choice(owner, name, value, choices):
    """Raises a ValueError if a parameter is not one of its choices."""
    if not isinstance(value, str) or value not in choices:
        constraint = f"one of {', '.join(map(repr, choices))}"
        raise ParameterError(owner, name, value, constraint)


def check_flag(owner, name, value):
    """Raises a TypeError if a switch is not a bool."""
    if not isinstance(value, bool | np.bool_):
        hint = "Any text, even 'no', would count as True."
        raise ParameterTypeError(owner, name, value, "True or False", hint)


class Described(Exception):
    """The parts and the message of a parameter error."""

    # Keras and AutoGraph add their context to an error by building it again from its
    # text alone, and an error of another type where that fails; these keep them from it
    _keras_call_info_injected = True
    ag_pass_through = True

    def __init__(self, owner, name, value, constraint, hint=""):
        self.owner, self.name, self.value = owner, name, value
        self.constraint, self.hint = str(constraint), hint
        text = f"{owner}: `{name}` must be {constraint}. Received: {name}={value!r}."
        super().__init__(f"{text} {hint}".rstrip())

    def __reduce__(self):
        parts = (self.owner, self.name, self.value, self.constraint, self.hint)
        return type(self), parts


class ParameterError(Described, ValueError):
    """A parameter whose value is not allowed.

    Args:
        owner: Name of the class or function that took the parameter.
        name: Name of the parameter.
        value: What was received.
        constraint: What the value must be, to follow "must be": a text or a `Range`.
        hint: Sentence that says what to do, when that is not obvious.

    Attributes:
        owner: As given.
        name: As given.
        value: As given.
        constraint: As text.
        hint: As given.
    """


class ParameterTypeError(Described, TypeError):
    """A parameter of the wrong kind; arguments and attributes of `ParameterError`."""
