"""A loss as a hyper-parameter of Optuna and of Keras Tuner."""

import contextlib
import inspect
from collections.abc import Mapping

from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.losses.published_ranges import DROP_IN, RANGES


def suggest(trial, names=None, prefix="", from_logits=False, **options):
    """Draws a loss, and its hyper-parameters from their published ranges.

    The loss is a categorical hyper-parameter called `loss`; those of a loss have its
    name in front, `generalized_cross_entropy.q`, and are conditional on it. Ranges go
    from the smallest to the largest value that authors published, on a logarithmic
    scale where these are decades apart; what has a single published value keeps its
    default. The scale of a loss is a learning rate: let the tuner choose that as well.

    With Optuna, `trial` is its `Trial`:

        def objective(trial):
            model = build_model()
            loss = losses.suggest(trial, from_logits=True)
            rate = trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
            model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
            ...

        study.optimize(objective, n_trials=50)
        best = losses.suggest(study.best_params, from_logits=True)

    Args:
        trial: Optuna's `Trial` or `FixedTrial`, Keras Tuner's `HyperParameters`, or
            the values of a finished trial as a dict (`study.best_params`,
            `hyper_parameters.values`), which give its loss again.
        names: The losses to choose from, by their class names, those of their
            functions (`"focal"`) or as classes: any that needs no argument.
            None is cross-entropy and eleven losses for wrong labels that can replace
            it as they are.
        prefix: Text that goes before the names of the hyper-parameters, with a dot:
            for several losses in one trial.
        from_logits: Whether the loss is to read logits.
        **options: `ignore_class`, `reduction`, `name` and `dtype`: see `FunctionLoss`.

    Returns:
        `keras.losses.Loss`.

    Raises:
        TypeError: `trial` is of no kind above.
        ValueError: A name is unknown, a loss is for logits only, or the values of a
            finished trial lack the loss or one of its parameters.

    Example:
        >>> import keras_tuner
        >>> def build(hp):
        ...     loss = suggest(hp, ["MeanAbsoluteError", "Focal"], from_logits=True)
        ...     rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
        ...     return loss  # in yours: a model compiled with both
        >>> hp = keras_tuner.HyperParameters()
        >>> build(hp).name
        'mean_absolute_error'
        >>> [one.name for one in hp.space]
        ['loss', 'focal.gamma', 'learning_rate']
        >>> suggest({"loss": "focal", "focal.gamma": 0.5}).gamma
        0.5
    """
    draws = _draws(trial)
    if names is None:
        classes = tuple(RANGES) if isinstance(trial, Mapping) else DROP_IN
    else:
        classes = _classes(names, from_logits)
    path = f"{prefix}." if prefix else ""
    loss_class, arguments = _draw(draws, f"{path}loss", path, classes)
    return _build(loss_class, arguments, from_logits, options)


def _classes(names, from_logits):
    """The classes of a sequence of names, each once."""
    names = [names] if isinstance(names, str | type) else list(names)
    known = {name: each for each in RANGES for name in _names(each)}
    constraint = f"names of losses among {', '.join(map(_name, RANGES))}"
    if not names:
        raise ParameterError("suggest", "names", names, constraint)
    classes = []
    for name in names:
        if name not in known:
            hint = "Losses that need an argument, such as a matrix, are not among them."
            raise ParameterError("suggest", "names", name, constraint, hint)
        _check_logits(known[name], from_logits)
        classes.append(known[name])
    return tuple(dict.fromkeys(classes))


def _name(loss_class):
    return loss_class.function.__name__


def _names(loss_class):
    return _name(loss_class), loss_class.__name__, loss_class


def _takes_probabilities(loss_class):
    return "from_logits" in inspect.signature(loss_class).parameters


def _check_logits(loss_class, from_logits):
    if not (from_logits or _takes_probabilities(loss_class)):
        constraint = f"True for {_name(loss_class)}"
        hint = "It reads logits only: give it a model that ends in logits."
        raise ParameterError("suggest", "from_logits", from_logits, constraint, hint)


def _draw(draws, parent, path, classes):
    """A class and its arguments, in which inner losses are pairs of both as well.

    None where the scope around it is not active: Keras Tuner is told of all
    hyper-parameters at once, and gives no values for those of the other losses.
    """
    by_name = {_name(each): each for each in classes}
    chosen, found = draws.category(parent, list(by_name)), None
    if chosen is not None and chosen not in by_name:
        constraint = f"one of {', '.join(by_name)}"
        raise ParameterError("suggest", parent, chosen, constraint)
    for name, each in by_name.items():
        if name != chosen and not draws.all_at_once:
            continue
        with draws.scope(parent, name):
            arguments = _arguments(draws, f"{path}{name}.", each)
        if name == chosen:
            found = each, arguments
    return found


def _arguments(draws, path, loss_class):
    signature = inspect.signature(loss_class).parameters
    arguments = {}
    for name, drawn in RANGES[loss_class].items():
        place = f"{path}{name}"
        if isinstance(drawn, tuple):
            arguments[name] = _draw(draws, place, f"{place}.", drawn)
        elif drawn is not None:
            default = signature[name].default
            inside = drawn.low <= default <= drawn.high
            arguments[name] = draws.number(place, drawn, default if inside else None)
    return arguments


def _build(loss_class, arguments, from_logits, options):
    _check_logits(loss_class, from_logits)
    built = {
        name: _build(*value, from_logits, {}) if isinstance(value, tuple) else value
        for name, value in arguments.items()
    }
    if _takes_probabilities(loss_class):
        built["from_logits"] = from_logits
    return loss_class(**built, **options)


def _draws(trial):
    """The tuner's own calls behind one face; neither package is imported."""
    if isinstance(trial, Mapping):
        return _Values(trial)
    if hasattr(trial, "suggest_categorical"):
        return _Optuna(trial)
    if hasattr(trial, "conditional_scope"):
        return _KerasTuner(trial)
    constraint = (
        "Optuna's `Trial`, Keras Tuner's `HyperParameters`, or a dict of values"
    )
    raise ParameterTypeError("suggest", "trial", trial, constraint)


class _Values:
    """The values of a finished trial."""

    all_at_once = False

    def __init__(self, values):
        self._values = values

    def category(self, name, choices):
        return self._get(name)

    def number(self, name, drawn, default):
        return self._get(name)

    def scope(self, parent, value):
        return contextlib.nullcontext()

    def _get(self, name):
        if name not in self._values:
            hint = "Is it of another `prefix`, or of another version of this package?"
            constraint = f"a trial's values, with {name!r} among them"
            given = sorted(self._values)
            raise ParameterError("suggest", "trial", given, constraint, hint)
        return self._values[name]


class _Optuna:
    all_at_once = False  # a trial asks for what it needs

    def __init__(self, trial):
        self._trial = trial

    def category(self, name, choices):
        return self._trial.suggest_categorical(name, choices)

    def number(self, name, drawn, default):
        draw = self._trial.suggest_int if drawn.integer else self._trial.suggest_float
        return draw(name, drawn.low, drawn.high, log=drawn.log)

    def scope(self, parent, value):
        return contextlib.nullcontext()


class _KerasTuner:
    all_at_once = True  # the first model that is built defines the space

    def __init__(self, hyper_parameters):
        self._space = hyper_parameters

    def category(self, name, choices):
        return self._space.Choice(name, choices)

    def number(self, name, drawn, default):
        draw = self._space.Int if drawn.integer else self._space.Float
        scale = "log" if drawn.log else "linear"
        return draw(name, drawn.low, drawn.high, sampling=scale, default=default)

    def scope(self, parent, value):
        return self._space.conditional_scope(parent, [value])
