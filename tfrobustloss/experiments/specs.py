"""Parses noise, losses and networks as they are written on a command line."""

import dataclasses
import difflib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tfrobustloss import architectures, losses
from tfrobustloss._core.validation import ParameterError
from tfrobustloss.data import noise as label_noise

_NOT_PARAMETERS = {"self", "from_logits", "ignore_class"}
_REQUIRED = (inspect.Parameter.empty, None)  # the defaults of what may be filled in
_SQUARED_ERROR = (0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 0, 0)
_SAME_CLASSES = {"digits": "mnist"}  # both are the handwritten digits 0 to 9


@dataclasses.dataclass(frozen=True, eq=False)
class NamedLoss:
    """A loss as it was written, and as it was built.

    Attributes:
        label: The text that names it.
        name: Name of its function in `tfrobustloss.losses`.
        loss: `keras.losses.Loss` on logits.
        parameters: Dict of all its parameters, plain JSON values.
        filled_in: Dict of required parameters that were not given, with a description
            of the value that was used.
    """

    label: str
    name: str
    loss: Any
    parameters: dict[str, Any]
    filled_in: dict[str, str]


def noise_matrix(
    text: str, dataset: str, num_classes: int, owner: str = "compare"
) -> np.ndarray:
    """The transition matrix of `none`, `symmetric:R`, `pair:R` or `asymmetric:R`.

    Args:
        text: Kind of noise and its rate.
        dataset: Name of the dataset, whose similar classes `asymmetric` confuses;
            those of the digits are MNIST's.
        num_classes: Int >= 2.
        owner: Name of the class or function that took the text, for errors.

    Returns:
        Row-stochastic float64 matrix, shape `(num_classes, num_classes)`.

    Raises:
        ValueError: There is no such noise, its rate is outside [0, 1], or the
            dataset has no published class map.

    Example:
        >>> noise_matrix("pair:0.25", "digits", 3).tolist()
        [[0.75, 0.25, 0.0], [0.0, 0.75, 0.25], [0.25, 0.0, 0.75]]
    """
    kind, colon, rate = text.strip().partition(":")
    if kind == "none" and not colon:
        return np.eye(num_classes)
    makers = {
        "symmetric": lambda rate: label_noise.symmetric(num_classes, rate),
        "pair": lambda rate: label_noise.pair_flip(num_classes, rate),
        "asymmetric": lambda rate: label_noise.asymmetric(
            _SAME_CLASSES.get(dataset, dataset), rate
        ),
    }
    try:
        return makers[kind](float(rate))
    except KeyError:
        hint = _did_you_mean(kind, ["none", *makers])
    except ValueError as error:
        if "must be" in str(error):
            raise
        hint = "The rate is missing: 0.6, for example." if not rate else ""
    constraint = "none, symmetric:R, pair:R or asymmetric:R with a rate R in [0, 1]"
    raise ParameterError(owner, "noise", text, constraint, hint) from None


def loss_classes() -> dict[str, Any]:
    """Classes of the losses on class labels, by the names of their functions."""
    classes: list[Any] = [
        value
        for value in vars(losses).values()
        if isinstance(value, type)
        and issubclass(value, losses.FunctionLoss)
        and not issubclass(value, losses.TaskLoss)
    ]
    return {one.function.__name__: one for one in classes if one.function is not None}


def architecture(owner: str, name: str, value: str) -> Callable[..., Any]:
    """The function of `tfrobustloss.architectures` of a name.

    Args:
        owner: Name of the class or function that took the name, for errors.
        name: Name of its parameter.
        value: Name of the architecture.

    Raises:
        ValueError: There is no such architecture.
    """
    known = {one: getattr(architectures, one) for one in architectures.__all__}
    return pick(owner, name, value, known)


def pick(owner: str, name: str, value: str, known: Mapping[str, Any]) -> Any:
    """The entry of a dict of choices; raises a ValueError that lists them."""
    if value not in known:
        constraint = f"one of {', '.join(known)}"
        raise ParameterError(owner, name, value, constraint)
    return known[value]


def named_losses(
    text: str,
    matrix: np.ndarray,
    source: str = "true noise",
    counts: np.ndarray | None = None,
) -> tuple[list[NamedLoss], dict[str, str]]:
    """The losses of a comma-separated list, on logits.

    A loss that requires a transition matrix and is given none gets the true one of
    the experiment, which the other losses do not know. `taylor_loss` without `theta`
    is the squared error, and `logit_adjusted` without `class_frequencies` counts the
    training labels.

    Args:
        text: Comma-separated `name` or `name:key=value:key=value`; `all` stands for
            every loss, each with its default parameters. Values are JSON.
        matrix: Transition matrix of the experiment, shape `(classes, classes)`.
        source: What the matrix is, for `filled_in`.
        counts: Training labels of each class, shape `(classes,)`, or None.

    Returns:
        List of `NamedLoss` in the order given, and a dict of the losses that `all`
        could not include, with the reasons.

    Raises:
        ValueError: A loss or a parameter does not exist, or a value is outside its
            range.

    Example:
        >>> chosen, _ = named_losses("adma, focal:gamma=1.5", np.eye(3))
        >>> chosen[1].label, chosen[1].parameters
        ('focal:gamma=1.5', {'gamma': 1.5, 'alpha': None})
    """
    chosen: dict[str, NamedLoss] = {}
    left_out: dict[str, str] = {}
    for label in (part.strip() for part in _split(text, ",")):
        if label != "all":
            chosen.setdefault(label, _build(label, matrix, source, counts))
            continue
        for name in loss_classes():
            try:
                chosen.setdefault(name, _build(name, matrix, source, counts))
            except ValueError as error:
                left_out[name] = str(error)
    return list(chosen.values()), left_out


def _build(
    label: str, matrix: np.ndarray, source: str, counts: np.ndarray | None
) -> NamedLoss:
    name, *pairs = _split(label, ":")
    classes = loss_classes()
    if name not in classes:
        constraint = "names of losses, comma-separated, or all"
        hint = _did_you_mean(name, sorted(classes))
        raise ParameterError("compare", "losses", name, constraint, hint)
    signature = inspect.signature(classes[name].__init__).parameters.values()
    arguments = [p for p in signature if p.kind is not p.VAR_KEYWORD]
    own = {p.name: p.default for p in arguments if p.name not in _NOT_PARAMETERS}
    given = _parameters(label, pairs, list(own))
    offers: dict[str, tuple[Any, str]] = {
        "transition_matrix": (matrix, f"{source} of this comparison"),
        "theta": (_SQUARED_ERROR, "squared error"),
    }
    if counts is not None:  # a class without an example counts as one with one
        counts = np.maximum(counts, 1)
        offers["class_frequencies"] = counts, "counts of the training labels"
    filled_in = {}
    for key, default in own.items():
        if key in offers and key not in given and default in _REQUIRED:
            given[key], filled_in[key] = offers[key]
    if "num_classes" in own:
        given.setdefault("num_classes", len(matrix))
    try:
        if "from_logits" in [argument.name for argument in arguments]:
            given["from_logits"] = True
        loss = classes[name](**given)
        loss(np.zeros(2, "int32"), np.zeros((2, len(matrix)), "float32"))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{label}: {error}") from None
    config = loss.get_config()
    return NamedLoss(label, name, loss, {key: config[key] for key in own}, filled_in)


def _parameters(label: str, pairs: list[str], known: list[str]) -> dict[str, Any]:
    given = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key not in known:
            constraint = "name:key=value:key=value with parameters of that loss"
            hint = _did_you_mean(key, known) if known else "It has no parameters."
            hint = f"No parameter is called {key!r}. {hint}" if equals else hint
            raise ParameterError("compare", "losses", label, constraint, hint)
        given[key] = _value(value)
    return given


def _value(text: str) -> Any:
    """Parses JSON, `.5`, `True` and `None`; any other text is returned as it is."""
    words = {"true": True, "false": False, "none": None}
    readers: Iterable[Callable[[str], Any]] = (
        json.loads,
        float,
        lambda word: words[word.lower()],
    )
    for read in readers:
        try:
            return read(text)
        except (ValueError, KeyError):
            continue
    return text


def _split(text: str, separator: str) -> list[str]:
    """Splits `text` at each `separator` that is not inside brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that lists the known names, those close to `word` first."""
    known = list(known)
    close = [one for one in known if _initials(one) == word.lower()]
    close += difflib.get_close_matches(word, known, cutoff=0.5)
    others = [one for one in known if one not in close]
    return f"There are: {', '.join([*dict.fromkeys(close), *others])}."


def _initials(name: str) -> str:
    return "".join(part[0] for part in name.split("_"))
