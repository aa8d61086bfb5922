"""A Taylor loss as a vector to search, in three forms; arguments of the search."""

import importlib.resources
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrobustloss import losses, presets
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)
from tfrobustloss.experiments import trainer
from tfrobustloss.losses import canonical_taylor, families, taylor_polynomial

FORMS = ("canonical", "12", "16")
STARTS = ("gce", "mae", "ce", "zeros")
_GCE_SCALE = 1.5  # the scale at which the published search began
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
    "eta": Range(low=0, open_low=True, optional=True),
}


def checked_rates(
    numbers: Mapping[str, Any],
    learning_rates: Any,
    trainer_options: Mapping[str, Any],
) -> list[float]:
    """Validates the arguments of `TaylorLossSearch`.

    Args:
        numbers: Dict of names of `LIMITS` to values.
        learning_rates: A number or a sequence of them.
        trainer_options: Dict of further arguments of `Trainer`.

    Returns:
        The learning rates as a list.

    Raises:
        TypeError: A value is of the wrong kind, or an option is unknown.
        ValueError: A value is outside its range.
    """
    check("search", LIMITS, **numbers)
    rates = np.atleast_1d(learning_rates).tolist()
    for rate in rates or [None]:
        check("search", LIMITS, learning_rate=rate)
    trainer.check_options("search", trainer_options)
    return rates


def decisive_options(trainer_options: Mapping[str, Any]) -> dict[str, str]:
    """The options of `Trainer` that the values of candidates depend on, as texts."""
    return {
        name: str(value)
        for name, value in trainer_options.items()
        if name != "num_threads"  # changes nothing but the time
    }


def start_file(start: Any) -> str | None:
    """Path of the preset that a start is read from; None if it is no preset.

    Args:
        start: As in `Form.start`.
    """
    if not isinstance(start, str | os.PathLike) or start in STARTS:
        return None
    if start in presets.names():
        return str(importlib.resources.files(presets) / f"{os.fspath(start)}.json")
    return os.fspath(start)


class Form:
    """A parametrization of `TaylorLoss`: its vectors, their starts and their scale.

    Args:
        name: `"canonical"`, `"12"` or `"16"`.
        num_classes: Int >= 2.
        eta: None to leave the scale free, or the range > 0 of every loss: eq. 5 of
            the paper. Its constant, which has no gradient, is left out.

    Attributes:
        num_classes: As given.
        family: `LossFamily` of the vectors that `scaled` returns.
    """

    def __init__(self, name: str, num_classes: int, eta: float | None = None) -> None:
        if name not in FORMS:
            constraint = f"one of {', '.join(FORMS)}"
            raise ParameterError("search", "form", name, constraint)
        check("search", LIMITS, eta=eta)
        self.name = name
        self.eta = eta
        self.num_classes = num_classes
        if name == "canonical":
            self.family = families.canonical_taylor(num_classes)
        else:
            self.family = families.taylor(int(name))

    def start(self, start: Any) -> np.ndarray:
        """The vector where a search begins.

        Args:
            start: One of `STARTS`, path of a preset, `TaylorLoss`, or a vector.

        Returns:
            Float64 array.

        Raises:
            TypeError: `start` is none of these.
            ValueError: The preset does not exist, or the vector has another length.
        """
        if isinstance(start, str) and start in STARTS:
            return self._from_canonical(self._named(start))
        if isinstance(start, str | os.PathLike):
            start = self._preset(start)
        if isinstance(start, losses.TaylorLoss):
            return self._from_theta(start.get_config()["theta"])
        try:
            vector = np.asarray(start, "float64")
        except (TypeError, ValueError):
            constraint = f"one of {', '.join(STARTS)}, a preset, a `TaylorLoss` or a "
            raise ParameterTypeError(
                "search", "start", start, f"{constraint}vector"
            ) from None
        if vector.shape != (self.family.dimension,) or not np.isfinite(vector).all():
            names = ", ".join(self.family.names)
            constraint = f"{self.family.dimension} finite numbers: {names}"
            raise ParameterError("search", "start", start, constraint)
        return vector

    def scaled(self, vector: np.ndarray) -> np.ndarray:
        """The vector whose loss has the range `eta`; NaN for a constant loss."""
        vector = np.array(vector, "float64")
        if self.eta is None:
            return vector
        low, high = taylor_polynomial.find_bounds(self._theta(vector), self.num_classes)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = self.eta / np.float64(high - low)
        if high - low < 1e-12 * max(1.0, abs(low)) or not np.isfinite(factor):
            return np.full_like(vector, np.nan)
        vector[0 if self.name == "canonical" else 2 :] *= factor
        return vector

    def theta(self, vector: np.ndarray) -> list[float]:
        """The parameters of the `TaylorLoss` of a vector, scaled."""
        return self._theta(self.scaled(vector))

    def coefficients(self, vector: np.ndarray) -> np.ndarray:
        """The canonical form of a vector, scaled."""
        return canonical_taylor.from_theta(self.theta(vector), self.num_classes)

    def _theta(self, vector: np.ndarray) -> list[float]:
        if self.name == "canonical":
            return canonical_taylor.to_theta(vector, self.num_classes)
        return [float(value) for value in vector]

    def _named(self, start: str) -> np.ndarray:
        fit = {
            "gce": lambda: _GCE_SCALE * self._fit(losses.GeneralizedCrossEntropy(0.7)),
            "mae": lambda: self._fit(losses.MeanAbsoluteError()),
            "ce": lambda: self._fit(losses.CrossEntropy()),
            "zeros": lambda: np.zeros(6),
        }
        return fit[start]()

    def _fit(self, loss: Any) -> np.ndarray:
        return canonical_taylor.fit(loss, self.num_classes)

    def _from_canonical(self, vector: np.ndarray) -> np.ndarray:
        if self.name == "canonical":
            return vector
        return self._from_theta(canonical_taylor.to_theta(vector, self.num_classes))

    def _from_theta(self, theta: Sequence[float]) -> np.ndarray:
        if self.name == "canonical":
            return canonical_taylor.from_theta(theta, self.num_classes)
        size = self.family.dimension
        return np.array([*theta, *[0.0] * size][:size])  # the last four do nothing

    def _preset(self, path: str | os.PathLike[str]) -> Any:
        try:
            return presets.load_preset(path)
        except ValueError as error:
            constraint = f"one of {', '.join(STARTS)}, a preset or a vector"
            hint = str(error).removeprefix("load_preset: ")
            raise ParameterError("search", "start", path, constraint, hint) from None
