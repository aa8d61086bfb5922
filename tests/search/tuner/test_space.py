"""Hyper-parameters as points of the unit cube: values worked by hand."""

import keras_tuner
import numpy as np
import pytest

from tfrobustloss.search.tuner.space import Space


def space_of(kind, *arguments, **options):
    hyperparameters = keras_tuner.HyperParameters()
    getattr(hyperparameters, kind)("a", *arguments, **options)
    return hyperparameters


@pytest.mark.parametrize(
    ("kind", "arguments", "options", "unit", "value"),
    [
        ("Float", (-1, 3), {}, 0.25, 0.0),
        ("Float", (-1, 3), {}, 1.0, 3.0),
        ("Float", (1e-4, 1.0), {"sampling": "log"}, 0.5, 1e-2),  # the geometric mean
        ("Float", (1e-4, 1.0), {"sampling": "log"}, 1.0, 1.0),
        ("Float", (1.0, 4.0), {"sampling": "reverse_log"}, 0.5, 3.0),  # 4 + 1 - 1 * 2
        # both ends of a grid are on it; Keras Tuner itself never samples this 1.0
        ("Float", (0.0, 1.0), {"step": 0.2}, 1.0, 1.0),
        ("Float", (0.0, 1.0), {"step": 0.2}, 0.0, 0.0),
        ("Float", (0.0, 0.3), {"step": 0.1}, 0.99, 0.3),  # 3 * .1 is above .3
        ("Float", (1e-3, 10), {"step": 10, "sampling": "log"}, 0.5, 0.1),
        ("Int", (6, 12), {}, 0.5, 9),
        ("Int", (6, 12), {}, 1.0, 12),
        ("Int", (6, 13), {"step": 3}, 0.99, 12),
        ("Int", (1, 512), {"sampling": "log"}, 1.0, 512),
        ("Int", (2, 32), {"sampling": "log", "step": 2}, 0.5, 8),
        ("Float", (-1, 3), {}, 1.5, 3.0),  # outside the cube: clipped
    ],
)
def test_value(kind, arguments, options, unit, value):
    space = Space(space_of(kind, *arguments, **options))
    found = space.values(np.array([unit]))["a"]
    assert found == pytest.approx(value)
    assert type(found) is (int if kind == "Int" else float)
    assert arguments[0] <= found <= arguments[1]


@pytest.mark.parametrize(
    ("kind", "arguments", "options"),
    [
        ("Float", (-1, 3), {}),
        ("Float", (1e-4, 1.0), {"sampling": "log"}),
        ("Float", (1.0, 4.0), {"sampling": "reverse_log"}),
        ("Float", (0.0, 1.0), {"step": 0.1}),
        ("Float", (1e-3, 10), {"step": 10, "sampling": "log"}),
        ("Float", (1.0, 8.0), {"step": 2, "sampling": "reverse_log"}),
        ("Int", (6, 12), {}),
        ("Int", (1, 512), {"sampling": "log"}),
        ("Int", (2, 32), {"sampling": "log", "step": 2}),
    ],
)
def test_value_and_unit_are_inverse(kind, arguments, options):
    space = Space(space_of(kind, *arguments, **options))
    for unit in np.linspace(0, 1, 101):
        values = space.values([unit])
        again = space.dimensions[0].unit(values["a"])
        assert space.values([again])["a"] == pytest.approx(values["a"])


def test_start_is_the_default_or_the_middle():
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Float("given", 0, 1, default=0.25)
    hyperparameters.Float("none", 0, 1)  # Keras Tuner calls 0.0 its default
    hyperparameters.Float("initial", 0, 1, default=0.25)
    space = Space(hyperparameters)
    assert space.start({"initial": np.float64(0.75)}) == [0.25, 0.5, 0.75]


def test_integers_stay_in_play():
    deviation = Space(space_of("Int", 1, 10)).dimensions[0].least_deviation
    assert deviation == pytest.approx(0.02)  # a fifth of a step
    assert Space(space_of("Float", 1, 10)).dimensions[0].least_deviation == 0


def network():
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Float("rate", 0, 1)
    hyperparameters.Choice("model", ["mlp", "cnn"])
    with hyperparameters.conditional_scope("model", ["mlp"]):
        hyperparameters.Int("units", 1, 9)
    with hyperparameters.conditional_scope("model", ["cnn"]):
        hyperparameters.Int("filters", 1, 9)
    return hyperparameters


def test_a_held_parent_decides_what_is_searched():
    space = Space(network(), {"model": "cnn"})
    assert space.names == ["rate", "filters"]
    values = space.values([0.5, 0.5])
    assert values == {"rate": 0.5, "filters": 5, "model": "cnn"}


def test_a_conditional_number_is_held_where_it_is_active():
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Int("layers", 1, 2)
    with hyperparameters.conditional_scope("layers", [2]):
        hyperparameters.Int("units", 1, 9)
    with pytest.raises(ValueError, match=r"\['layers'\].*'units'.*hold="):
        Space(hyperparameters)
    space = Space(hyperparameters, {"units": 5})
    assert space.values([0.0]) == {"layers": 1}
    assert space.values([1.0]) == {"layers": 2, "units": 5}


@pytest.mark.parametrize(
    ("kind", "arguments", "way_out"),
    [
        ("Choice", (["relu", "tanh"],), "hold={'a': 'relu'}"),
        ("Choice", ([16, 32],), "hp.Int"),
        ("Boolean", (), "hp.Fixed"),
    ],
)
def test_what_is_no_number_is_refused_with_the_way_out(kind, arguments, way_out):
    hyperparameters = space_of(kind, *arguments)
    hyperparameters.Float("b", 0, 1)
    with pytest.raises(ValueError, match=f"{kind} 'a'") as error:
        Space(hyperparameters)
    assert way_out in str(error.value)
    assert "BayesianOptimization" in str(error.value)


def test_fixed_and_empty_ranges_are_kept():
    hyperparameters = space_of("Fixed", 5)
    hyperparameters.Int("one", 3, 3)
    hyperparameters.Float("b", 0, 1)
    assert Space(hyperparameters).values([0.5]) == {"a": 5, "one": 3, "b": 0.5}


@pytest.mark.parametrize(
    ("hold", "message"),
    [
        ({"no": 1}, r"hold.*\['no'\]"),
        ({"rate": 2}, r"hold\['rate'\].*\[0, 1\].*=2"),
        ({"model": "rnn"}, r"hold\['model'\].*'mlp'.*'rnn'"),
        ({"rate": 0.5, "model": "mlp", "units": 1.5}, r"integer.*1\.5"),
        ({"rate": 0.5, "model": "mlp", "units": 5}, "no `Float` or `Int`"),
    ],
)
def test_impossible_holds(hold, message):
    with pytest.raises(ValueError, match=message):
        Space(network(), hold)


@pytest.mark.parametrize(
    ("initial", "message"),
    [
        ({"b": 1}, r"initial.*\['a'\].*\['b'\]"),
        ({"a": 2}, r"initial\['a'\].*=2"),
        ({"a": float("nan")}, "nan"),
        ({"a": True}, "True"),
    ],
)
def test_impossible_starts(initial, message):
    with pytest.raises(ValueError, match=message):
        Space(space_of("Float", 0, 1)).start(initial)
