"""No loss gives a NaN: random cases, as many a class as `FUZZ_EXAMPLES` says.

A few in the suite; `benchmarks/fuzz_losses.py` runs this file with thousands.
"""

import json
import os

import hypothesis
import keras
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from tests.losses import fuzz
from tests.losses.rows import row
from tfrobustloss import losses
from tfrobustloss.losses.base import FunctionLoss

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", 10))
SEED = int(os.environ.get("FUZZ_SEED", 0))

FUZZED = fuzz.by_class()


def written_down(case):
    return f"python benchmarks/fuzz_losses.py --case '{json.dumps(case)}'"


@pytest.mark.numerics
@pytest.mark.parametrize("name", FUZZED)
def test_fuzz(name):
    if keras.backend.backend() == "jax" and "FUZZ_EXAMPLES" not in os.environ:
        pytest.skip("JAX compiles each operation for each shape: set FUZZ_EXAMPLES")
    draw_cases(FUZZED[name], EXAMPLES)


def draw_cases(rows, examples, phases=tuple(Phase)):
    """Runs as many cases, each of one of the rows; refused ones do not count."""
    named = {row.name: row for row in rows}

    @hypothesis.seed(SEED)
    @settings(
        max_examples=examples,
        phases=phases,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,  # one is enough, and is no group of exceptions
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of([fuzz.cases(row) for row in rows]))
    def every_case(case):
        try:
            fuzz.run(named[case["row"]], case)
        except fuzz.Refused:
            reject()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{written_down(case)}") from None

    every_case()


def test_one_case():
    """The case that `--case` names, if any."""
    case = os.environ.get("FUZZ_CASE")
    if case is None:
        pytest.skip("no case is given: benchmarks/fuzz_losses.py gives one")
    case = json.loads(case)
    rows = {row.name: row for group in FUZZED.values() for row in group}
    assert case["row"] in rows, f"no row {case['row']!r}: one of {', '.join(rows)}"
    chosen = rows[case["row"]]
    fuzz.in_range(chosen, case)
    fuzz.run(chosen, case)


def naive_cross_entropy(y_true, y_pred, from_logits=False):
    p = keras.ops.softmax(y_pred) if from_logits else y_pred
    return -keras.ops.sum(y_true.dense(p.dtype) * keras.ops.log(p), axis=-1)


@keras.saving.register_keras_serializable(package="tests")
class Naive(FunctionLoss):
    """Cross-entropy as one writes it first."""

    function = staticmethod(naive_cross_entropy)
    one_unit = False

    def __init__(self, from_logits=False, **options):
        super().__init__(from_logits=from_logits, **options)


@keras.saving.register_keras_serializable(package="tests")
class Low(losses.GeneralizedCrossEntropy):
    """Below its bounds where a parameter is not the default."""

    def call(self, y_true, y_pred):
        return super().call(y_true, y_pred) - 100 * (self.q != 0.7)


@keras.saving.register_keras_serializable(package="tests")
class Picky(losses.GeneralizedCrossEntropy):
    """Refuses what its range allows."""

    def __init__(self, q=0.7, **options):
        super().__init__(q, **options)
        if q not in (0, 0.7, 1):
            raise ValueError("Picky: `q` must not be that.")


@keras.saving.register_keras_serializable(package="tests")
class Careless(losses.GeneralizedCrossEntropy):
    """Counts what is to be ignored."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        self.ignore_class, ignored = None, self.ignore_class
        y_true = keras.ops.convert_to_tensor(y_true)
        outside = keras.ops.logical_or(y_true < 0, y_true >= max(2, y_pred.shape[-1]))
        value = super().__call__(keras.ops.where(outside, 0, y_true), y_pred)
        self.ignore_class = ignored
        return value


BROKEN = {
    Naive: r"(value|gradient).*(nan|inf)",
    Low: r"below 0",
    Picky: r"refused: Picky: `q` must",
    Careless: r"of an ignored row|of ignored rows",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_it_bites(broken):
    formats = ("rows",) if broken is Naive else ("ids",)
    candidate = row(broken, label_formats=formats)
    bitten = rf"(?s){BROKEN[broken]}.*fuzz_losses.py --case .*{broken.__name__}"
    with pytest.raises(AssertionError, match=bitten):
        # one case in seven or more bites, so that 100 miss once in five million runs;
        # the first to bite is enough, and is not made small
        draw_cases([candidate], 100, phases=[Phase.generate])
