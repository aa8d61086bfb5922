"""`Task`: a dataset with wrong labels, and the network that is trained on it."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from tfrobustloss import data
from tfrobustloss._core import noisy_accuracy
from tfrobustloss._core.labels import stochastic_matrix
from tfrobustloss._core.models import check_logits
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
    check_choice,
)
from tfrobustloss.experiments import task_data
from tfrobustloss.experiments.specs import architecture, noise_matrix
from tfrobustloss.experiments.task_data import Split

_OWNER = "Task"
_VALIDATIONS = ("clean", "noisy")
# Simulated noise of validation labels has one draw. Comparisons have seeds below 1000,
# searches up to 500,004.
_VALIDATION_SEED = 900_000
_SIZES = {
    "train_size": Range(low=1, integer=True, optional=True),
    "validation_size": Range(low=0, integer=True, optional=True),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A dataset with wrong labels, and the network that is trained on it.

    Attributes:
        dataset: Name of a dataset for `tfrobustloss.data.load`; or `(train,
            validation)` or `(train, validation, test)`, each `(inputs, labels)` with
            inputs as the network takes them and class ids, or an `ImageDataset`,
            whose images are scaled to [0, 1] for a network given by name and stay
            bytes for your own; or `LabelledData` of `tfrobustloss.data.read`. Labels of
            the test have to be right, and those of the validation unless it is noisy.
        architecture: Name of a function of `tfrobustloss.architectures`, another
            function `(input_shape, num_classes, seed) -> model`, or a built model
            whose output is logits: one a class, or a single one for two classes.
        noise: `symmetric:R`, `pair:R`, `asymmetric:R` or a transition matrix by which
            training labels are changed, or `none` for labels that are wrong already.
        train_size: Number of training examples, or None for all that are left.
        validation_size: Number of validation examples split from the train split of a
            dataset given by name, or from `LabelledData`; None for a quarter, at most
            2000 with clean labels and 20,000 with noisy ones; 0 where nothing is chosen
            on validation data. The test split is never used for it.
        validation: `"clean"` for right validation labels (of `LabelledData` the trusted
            examples), or `"noisy"` for labels as wrong as those of the training data:
            with simulated noise one draw that is not drawn again.
        validation_matrix: With noisy validation, the transition matrix by which its
            accuracy is corrected, shape `(classes, classes)`, for example of
            `data.estimate.report`; `"noise"` for that of `noise`; or None for plain
            accuracy, which ranks losses as well under symmetric noise.
        data_dir: Folder of prepared TFDS data, or None for the default of TFDS.
    """

    dataset: str | tuple | data.LabelledData = "digits"
    architecture: str | Callable | keras.Model = "mlp2"
    noise: Any = "symmetric:0.6"
    train_size: int | None = None
    validation_size: int | None = None
    data_dir: str | None = None
    validation: str = "clean"
    validation_matrix: Any = None


def make_tasks(
    datasets: Any, architectures: Any = ("mlp2",), **options: Any
) -> list[Task]:
    """A `Task` for each of several datasets with each of several networks.

    Args:
        datasets: Sequence of `Task.dataset`, or one name.
        architectures: Sequence of `Task.architecture`, or one of them.
        **options: Other arguments of `Task`.

    Returns:
        List of `Task`.

    Raises:
        ValueError: There is no dataset or no network.

    Example:
        >>> tasks = make_tasks(["digits"], ["mlp2", "mlp3"], noise="pair:0.4")
        >>> [(task.dataset, task.architecture) for task in tasks]
        [('digits', 'mlp2'), ('digits', 'mlp3')]
    """
    one = isinstance(datasets, str | data.LabelledData)
    datasets = [datasets] if one else list(datasets)
    if isinstance(architectures, str) or callable(architectures):
        architectures = [architectures]
    architectures = list(architectures)
    for name, given in (("datasets", datasets), ("architectures", architectures)):
        if not given:
            raise ParameterError("make_tasks", name, given, "one or more")
    return [
        Task(dataset=dataset, architecture=network, **options)
        for dataset in datasets
        for network in architectures
    ]


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
    """A task with its data in memory.

    Attributes:
        inputs: Inputs of the training examples.
        labels: Their labels before the noise.
        validation: `(inputs, labels)`, or None.
        test: The same with clean labels, or None.
        matrix: Transition matrix, or None for no noise.
        validation_matrix: Transition matrix that corrects the accuracy on noisy
            validation labels, or None.
        num_classes: Int.
        is_clean: Whether `labels` are known to be right: those of a named dataset.
        network: A built model, or a function of a seed that returns one, as `Trainer`
            takes it.
        description: Dict of plain JSON values that identifies the task.
    """

    inputs: np.ndarray
    labels: np.ndarray
    validation: Any
    test: Any
    matrix: np.ndarray | None
    validation_matrix: np.ndarray | None
    num_classes: int
    is_clean: bool
    network: Any
    description: dict[str, Any]

    @property
    def transition_matrix(self) -> np.ndarray:
        """`matrix`, or the identity for no noise."""
        return np.eye(self.num_classes) if self.matrix is None else self.matrix

    def train(self, seeds: Iterable[int]) -> Split:
        """`(inputs, labels)` with a column of noisy labels for each seed.

        Without noise there is one column.
        """
        if self.matrix is None:
            return self.inputs, self.labels.astype("int32")[:, None]
        columns = [data.noise.corrupt(self.labels, self.matrix, s) for s in seeds]
        return self.inputs, np.stack(columns, axis=1).astype("int32")

    def draw(self, index: int) -> int:
        """The column of the seed at an index."""
        return 0 if self.matrix is None else index

    def validation_needed(self, difference: float = 0.02) -> int | None:
        """Noisy validation examples that tell two losses apart; None if not known.

        Args:
            difference: Float in (0, 1), of their clean accuracies.

        Returns:
            Int, see `data.examples_needed`; None for clean validation, or where neither
            the noise nor a matrix is known.
        """
        is_noisy = self.description.get("validation") == "noisy"
        matrix = self.validation_matrix
        matrix = self.matrix if matrix is None else matrix
        if not is_noisy or matrix is None:
            return None
        return data.examples_needed(difference, matrix)

    def realized_rate(self, seed: int) -> float | None:
        """Share of wrong training labels with the noise of a seed; None if unknown.

        Of labels that are wrong already, without simulated noise, nobody knows it.
        """
        if self.matrix is None and not self.is_clean:
            return None
        changed = self.train([seed])[1][:, 0] != self.labels
        return round(float(np.mean(changed)), 6)


def prepare(task: Task) -> Prepared:
    """Loads the data of a task and checks it.

    Args:
        task: A `Task`.

    Returns:
        A `Prepared`.

    Raises:
        ValueError: There is no such dataset, network or noise, or a size does not fit.
        TypeError: `task` is not a `Task`.
    """
    if not isinstance(task, Task):
        raise ParameterTypeError("prepare", "task", task, "a `Task`")
    check(_OWNER, _SIZES, **{name: getattr(task, name) for name in _SIZES})
    check_choice(_OWNER, "validation", task.validation, _VALIDATIONS)
    if isinstance(task.dataset, str):
        splits, num_classes = task_data.load(task)
        name = task.dataset
    elif isinstance(task.dataset, data.LabelledData):
        splits, num_classes = task_data.labelled(task)
        name = f"{os.path.basename(task.dataset.source)} {task.dataset.digest}"
    else:
        splits, num_classes = task_data.given(task)
        name = f"arrays {task_data.digest(splits)}"
    task_data.check_labels(splits, num_classes)
    train, validation, test = splits
    matrix = _matrix(task, num_classes)
    validation_matrix = None
    if validation is not None and task.validation == "noisy":
        if isinstance(task.dataset, str) and matrix is not None:
            validation = validation[0], validation_noise(validation[1], matrix)
        validation_matrix = _validation_matrix(task, matrix, num_classes)
    elif task.validation_matrix is not None:
        constraint, given = "None with clean validation labels", "a matrix"
        raise ParameterError(_OWNER, "validation_matrix", given, constraint)
    noise = task.noise
    if matrix is not None and not isinstance(noise, str):
        noise = matrix.tolist()
    network, network_name = _network(task, train[0].shape[1:], num_classes)
    return Prepared(
        inputs=train[0],
        labels=train[1],
        validation=validation,
        test=test,
        matrix=matrix,
        validation_matrix=validation_matrix,
        num_classes=num_classes,
        is_clean=isinstance(task.dataset, str),
        network=network,
        description={
            "dataset": name,
            "architecture": network_name,
            "noise": noise,
            "train_size": len(train[1]),
            "validation_size": 0 if validation is None else len(validation[1]),
            "num_classes": num_classes,
            **_judged_by(task, validation_matrix),
        },
    )


def validation_noise(labels: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Validation labels with simulated noise: one draw that no search or training has.

    Args:
        labels: Class ids, shape `(examples,)`.
        matrix: Transition matrix, or None for no noise.

    Returns:
        Class ids of the same type.
    """
    if matrix is None:
        return labels
    return data.noise.corrupt(labels, matrix, _VALIDATION_SEED).astype(labels.dtype)


def _judged_by(task: Task, matrix: np.ndarray | None) -> dict[str, Any]:
    """Entries of the description for noisy validation; empty for a clean one."""
    if task.validation == "clean":
        return {}
    values = None if matrix is None else matrix.tolist()
    return {"validation": "noisy", "validation_matrix": values}


def _validation_matrix(
    task: Task, matrix: np.ndarray | None, num_classes: int
) -> np.ndarray | None:
    """The matrix that corrects noisy validation, checked; None for plain accuracy."""
    name, given = "validation_matrix", task.validation_matrix
    if given is None:
        return None
    if isinstance(given, str):
        if given != "noise" or matrix is None:
            constraint = "a matrix, None, or 'noise' where noise is simulated"
            hint = "Estimate one: `data.estimate.report(...).transition_matrix`."
            raise ParameterError(_OWNER, name, given, constraint, hint)
        given = matrix
    noisy_accuracy.values_of_pairs(_OWNER, given)  # it can be inverted
    checked = stochastic_matrix(_OWNER, name, given)
    if len(checked) != num_classes:
        constraint = f"of {num_classes} classes"
        raise ParameterError(_OWNER, f"{name}.shape", checked.shape, constraint)
    return checked


def prepare_all(tasks: Task | Sequence[Task]) -> list[Prepared]:
    """Loads and checks the tasks of one search.

    Args:
        tasks: A `Task` or a sequence of them.

    Returns:
        List of `Prepared`.

    Raises:
        ValueError: There are none, they differ in their number of classes, one has no
            validation data, or as `prepare`.
        TypeError: They are not `Task`s.
    """
    tasks = [tasks] if isinstance(tasks, Task) else tasks
    is_list = isinstance(tasks, list | tuple)
    if not is_list or not all(isinstance(task, Task) for task in tasks):
        raise ParameterTypeError("search", "tasks", tasks, "`Task`s")
    if not tasks:
        raise ParameterError("search", "tasks", tasks, "one or more")
    prepared = [prepare(task) for task in tasks]
    for one in prepared:
        if one.validation is None:
            constraint = "above 0: a search chooses on the validation data"
            raise ParameterError(_OWNER, "validation_size", 0, constraint)
    classes = [task.num_classes for task in prepared]
    if len(set(classes)) > 1:
        constraint = "of one number of classes, on which the scale of a loss depends"
        raise ParameterError("search", "tasks", classes, constraint)
    return prepared


def _matrix(task: Task, num_classes: int) -> np.ndarray | None:
    if not isinstance(task.noise, str):
        matrix = np.asarray(task.noise, "float64")
        if matrix.shape != (num_classes, num_classes):
            constraint = f"a matrix of shape {(num_classes, num_classes)}"
            raise ParameterError(_OWNER, "noise", matrix.shape, constraint)
        data.noise.corrupt(np.zeros(1, int), matrix, 0)  # checks that rows sum to 1
        return matrix
    if task.noise == "none":
        return None
    named = task.dataset if isinstance(task.dataset, str) else "arrays"
    return noise_matrix(task.noise, named, num_classes, _OWNER)


def _network(task: Task, shape: tuple, num_classes: int) -> tuple[Any, str]:
    """The network as `Trainer` takes it, and a name that identifies it."""
    given = task.architecture
    if isinstance(given, keras.Model):
        check_logits(_OWNER, "architecture", given, num_classes)
        config = json.dumps(given.get_config(), sort_keys=True, default=str)
        digest = hashlib.sha256(config.encode()).hexdigest()[:12]
        return given, f"{given.name} {digest}"
    name = given if isinstance(given, str) else getattr(given, "__name__", str(given))
    if isinstance(given, str):
        build = architecture(_OWNER, "architecture", given)
    elif callable(given):
        build = given
        model = build(shape, num_classes, seed=0)
        check_logits(_OWNER, "architecture", model, num_classes)
    else:
        constraint = "a name, a function or a `keras.Model`"
        raise ParameterTypeError(_OWNER, "architecture", given, constraint)
    return lambda seed: build(shape, num_classes, seed=seed), name
