"""The contract: every row of `rows.py` through the checks of the battery.

Mathematics depends on the parameters, so it runs once a row; machinery is the code of
a class whatever its parameters, so it runs once a class and kind of arguments.
`test_interoperability.py` saves and loads all losses in one file.
"""

import dataclasses

import pytest

from tests.losses.rows import ROWS, machinery_rows
from tfrobustloss import testing

FORMULAS = (
    testing.check_traits,
    testing.check_numerical_gradient,
    testing.check_logits,
)
PROGRAMS = (testing.check_graph, testing.check_xla, testing.check_edges)
MACHINERY = [
    check
    for check in testing.LOSS_CHECKS
    if check not in (*FORMULAS, *PROGRAMS, testing.check_save_load)
]
# class -> name of its first row
FIRST = {row.loss_class: row.name for row in reversed(ROWS)}


@pytest.mark.numerics
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_mathematics(row):
    """The checks of programs share one: of every format in a class' first row only."""
    loss, traits = row.build(), row.traits
    testing.check_loss(loss, traits, FORMULAS)
    if row.name != FIRST[row.loss_class] and "rows" in traits.label_formats:
        traits = dataclasses.replace(traits, label_formats=("rows",))
    testing.check_loss(loss, traits, PROGRAMS)


# what each backend rounds and traces in its own way; `fit` takes a step on each of them
# in `test_interoperability.py`
NUMERICS = {testing.check_dtypes, testing.check_no_retrace}


def _machinery():
    for check in MACHINERY:
        marks = [pytest.mark.numerics] if check in NUMERICS else []
        for row in machinery_rows(check.__name__):
            name = f"{row.name}-{check.__name__}"
            yield pytest.param(row, check, id=name, marks=marks)


@pytest.mark.parametrize(("row", "check"), list(_machinery()))
def test_machinery(row, check):
    reason = check(row.build(), row.traits)
    if reason is not None:
        pytest.skip(reason)


def test_every_class_is_in_the_battery():
    for check in MACHINERY:
        checked = {row.loss_class for row in machinery_rows(check.__name__)}
        for row in ROWS:
            known = row.loss_class in checked or check.__name__ in row.traits.skips
            assert known, f"{check.__name__} for {row.name}"
