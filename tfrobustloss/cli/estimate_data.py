"""Input of `tfrobustloss estimate`: the user's files, or a dataset with added noise."""

import argparse
import dataclasses

import numpy as np

from tfrobustloss import data
from tfrobustloss._core.validation import ParameterError, Range, check
from tfrobustloss.cli import own_data
from tfrobustloss.experiments import noise_matrix


@dataclasses.dataclass(frozen=True, eq=False)
class Given:
    """Labels, and the arrays from which their noise is estimated.

    Attributes:
        name: Name in the output.
        labels: Labels as read, or with the noise added.
        probabilities: Array, or None if they have to be predicted.
        features: Array to predict them from, or None.
        num_classes: Number of classes, or None to take it from the arrays.
        class_names: Tuple of strings, or None.
        clean: The right labels, or None if they are not known.
    """

    name: str
    labels: np.ndarray
    probabilities: np.ndarray | None = None
    features: np.ndarray | None = None
    num_classes: int | None = None
    class_names: tuple[str, ...] | None = None
    clean: np.ndarray | None = None


def read(arguments: argparse.Namespace) -> Given:
    """The files named by the options, or the dataset with noise added to its labels.

    Args:
        arguments: Parsed options of the subcommand.

    Returns:
        `Given`.

    Raises:
        ValueError: Options do not go together, a file is no array that can be read
            without running code, or the dataset or the noise does not exist.
    """
    names = ("labels", "probabilities", "features")
    labels, probabilities, features = (getattr(arguments, name) for name in names)
    own = own_data.read("estimate", arguments)
    if own is not None:
        return _own(own, arguments)
    if labels is None:
        for name in ("probabilities", "features"):
            path = getattr(arguments, name)
            if path is not None:
                hint = "Say which labels by --labels FILE.npy."
                raise ParameterError("estimate", name, path, "given with labels", hint)
        return _dataset(arguments)
    if (probabilities is None) == (features is None):
        constraint = "given with --probabilities or with --features, one of them"
        raise ParameterError("estimate", "labels", labels, constraint)
    return Given(
        name=labels,
        labels=read_array("estimate", "labels", labels),
        probabilities=probabilities
        and read_array("estimate", "probabilities", probabilities),
        features=features and read_array("estimate", "features", features),
    )


def read_array(command: str, name: str, path: str) -> np.ndarray:
    """The array of an `.npy` file; nothing in it is unpickled.

    Args:
        command: Name of the subcommand, for errors.
        name: Its option.
        path: Path of the file.

    Raises:
        ValueError: The file does not exist or is not an array of numbers.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        constraint = "a file that exists"
        raise ParameterError(command, name, path, constraint) from None
    except (ValueError, EOFError, OSError) as error:
        constraint, reason = "an .npy file of numbers", str(error).split("\n")[0]
        hint = f"Write it by numpy.save. {reason}"
        raise ParameterError(command, name, path, constraint, hint) from None
    if not isinstance(found, np.ndarray):
        constraint, hint = "an .npy file", "An .npz file holds several arrays."
        raise ParameterError(command, name, path, constraint, hint)
    return found


def _own(own, arguments: argparse.Namespace) -> Given:
    """A user's own data, and perhaps probabilities of their labels."""
    for name in ("labels", "features"):
        if getattr(arguments, name) is not None:
            constraint = "left out with --data, which has its own"
            raise ParameterError("estimate", name, getattr(arguments, name), constraint)
    probabilities = arguments.probabilities
    return Given(
        name=own.source,
        labels=own.labels,
        probabilities=probabilities and data.read_probabilities(probabilities, own),
        features=None if probabilities else own.inputs,
        num_classes=own.num_classes,
        class_names=own.class_names,
    )


def _dataset(arguments: argparse.Namespace) -> Given:
    train = data.load(arguments.dataset, "train", arguments.data_dir)
    matrix = noise_matrix(
        arguments.noise, arguments.dataset, train.num_classes, "estimate"
    )
    chosen = np.arange(len(train.labels))
    if arguments.train_size is not None:
        limit = Range(2, len(train.labels), integer=True)
        size = arguments.train_size
        check("estimate", {"train_size": limit}, train_size=size)
        shuffled = np.random.default_rng(0).permutation(len(train.labels))
        chosen = np.sort(shuffled[:size])
    clean = train.labels[chosen]
    return Given(
        name=arguments.dataset,
        labels=data.noise.corrupt(clean, matrix, arguments.seed),
        features=train.images[chosen],
        num_classes=train.num_classes,
        class_names=train.class_names,
        clean=clean,
    )
