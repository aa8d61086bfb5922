"""Nothing public escapes: each loss has a row, a value table and a README line."""

import inspect
import pathlib
import re

import keras
import pytest

from tests.losses.other_tasks.task_rows import TASK_ROWS
from tests.losses.rows import ROWS
from tfrobustloss import losses

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLASSES = [
    value
    for name, value in vars(losses).items()
    if inspect.isclass(value)
    and issubclass(value, keras.losses.Loss)
    and value not in (losses.FunctionLoss, losses.TaskLoss)
]


def _names(classes):
    return sorted({each.__name__ for each in classes})


def test_public_losses_are_those_with_rows():
    of_tasks = [each for each in CLASSES if issubclass(each, losses.TaskLoss)]
    of_labels = [each for each in CLASSES if each not in of_tasks]
    assert _names(of_labels) == _names(row.loss_class for row in ROWS)
    assert _names(of_tasks) == _names(row.loss_class for row in TASK_ROWS)


def test_names_of_rows_are_unique():
    names = [row.name for row in [*ROWS, *TASK_ROWS]]
    assert sorted(names) == sorted(set(names))


def test_public_losses_are_those_of_the_readme():
    lines = (ROOT / "README.md").read_text().splitlines()
    in_table = [re.match(r"\| `([A-Z]\w+)` \|", line) for line in lines]
    assert sorted(found[1] for found in in_table if found) == _names(CLASSES)


@pytest.mark.parametrize("loss_class", CLASSES, ids=lambda each: each.__name__)
def test_loss_has_a_value_table(loss_class):
    family = loss_class.__module__.rpartition(".")[2]
    (path,) = (ROOT / "tests" / "losses").rglob(f"test_{family}.py")
    text = path.read_text()
    function = loss_class.function.__name__
    assert re.search(rf"\b({loss_class.__name__}|{function})\b", text)


@pytest.mark.parametrize("loss_class", CLASSES, ids=lambda each: each.__name__)
def test_loss_and_its_function_are_exported_and_registered(loss_class):
    function = loss_class.function.__name__
    assert {loss_class.__name__, function} <= set(losses.__all__)
    assert getattr(losses, function) is loss_class.function
    registered = keras.saving.get_registered_name(loss_class)
    assert registered == f"tfrobustloss>{loss_class.__name__}"


def test_all_lists_what_is_there():
    public = {
        name
        for name, value in vars(losses).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    modules = {n for n in losses.__all__ if inspect.ismodule(getattr(losses, n))}
    assert public == set(losses.__all__) - modules
