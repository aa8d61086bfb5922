"""No loss gives a NaN: random cases, as many as `FUZZ_EXAMPLES` says.

`benchmarks/fuzz_losses.py` runs this file with many.
"""

import json
import os

import keras
import pytest
from hypothesis import HealthCheck, given, settings

from tests.losses import fuzz
from tests.losses.rows import ROWS

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", 200))
SEED = int(os.environ.get("FUZZ_SEED", 0))

# one row a class: parameters are drawn anyway; rows without a class axis have none
FUZZED = list({row.loss_class: row for row in reversed(ROWS)}.values())[::-1]


def written_down(row, case):
    return (
        f"python benchmarks/fuzz_losses.py --loss {row.name} "
        f"--case '{json.dumps(case)}'"
    )


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in FUZZED])
def test_fuzz(row):
    if keras.backend.backend() == "jax" and "FUZZ_EXAMPLES" not in os.environ:
        pytest.skip("JAX compiles each operation for each shape: set FUZZ_EXAMPLES")
    draw_cases(row, EXAMPLES)


def draw_cases(row, examples):
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=SEED == 0,
        print_blob=False,
        report_multiple_bugs=False,  # one is enough, and is no group of exceptions
        suppress_health_check=list(HealthCheck),
    )
    @given(case=fuzz.cases(row))
    def every_case(case):
        try:
            fuzz.run(row, case)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{written_down(row, case)}") from None

    every_case()


def test_one_case():
    """The case that `--case` names, if any."""
    case = os.environ.get("FUZZ_CASE")
    if case is None:
        pytest.skip("no case is given: benchmarks/fuzz_losses.py gives one")
    name, rows = os.environ["FUZZ_LOSS"], {row.name: row for row in ROWS}
    assert name in rows, f"no loss {name!r}: one of {', '.join(rows)}"
    row = rows[name]
    case = json.loads(case)
    fuzz.in_range(row, case)
    fuzz.run(row, case)


@keras.saving.register_keras_serializable(package="tests")
class Naive(keras.losses.Loss):
    """Cross-entropy as one writes it first."""

    def __init__(self, from_logits=False, **options):
        super().__init__(**options)
        self.from_logits = from_logits

    def call(self, y_true, y_pred):
        p = keras.ops.softmax(y_pred) if self.from_logits else y_pred
        return -keras.ops.sum(y_true * keras.ops.log(p), axis=-1)

    def get_config(self):
        return {**super().get_config(), "from_logits": self.from_logits}


def test_it_bites():
    from tests.losses.rows import row
    from tfrobustloss.testing import LossTraits

    naive = row(Naive, label_formats=("rows",))
    assert isinstance(naive.traits, LossTraits)
    bitten = r"(?s)(value|gradient).*fuzz_losses.py --loss Naive"
    with pytest.raises(AssertionError, match=bitten):
        draw_cases(naive, 200)  # however few the others are given
