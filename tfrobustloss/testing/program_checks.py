"""Checks of gradients and of compiled programs."""

import keras
import numpy as np
from keras import ops

from tfrobustloss._core import backend
from tfrobustloss.testing.harness import (
    activate,
    both_kinds,
    examples,
    expect,
    expect_close,
    expect_finite,
    from_logits,
    labels,
    num_classes,
    per_example,
    predictions,
    promise,
    reduced,
    scalar_alternatives,
    shared,
    takes,
    to_numpy,
    with_options,
)
from tfrobustloss.testing.variants import Programs


@promise
def check_graph(loss, traits):
    """A compiled program gives the value and the gradient of an eager call."""
    programs = shared(Programs, loss, traits)
    _expect_eager(programs, programs.graph)


@promise
def check_xla(loss, traits):
    """XLA gives the value and the gradient of an eager call; finite at the edges."""
    if keras.backend.backend() == "torch":
        return "torch has no XLA"
    if keras.backend.backend() == "jax":
        return "jax.jit is XLA: check_graph"
    programs = shared(Programs, loss, traits)
    _expect_eager(programs, programs.xla)
    _expect_all_finite("XLA", programs.variants, *programs.xla(*programs.extreme))
    return None


def _expect_eager(programs, program):
    """Compares a compiled program with eager calls of the variants."""
    variants = programs.variants
    values, gradients = programs.eager
    program_values, program_gradients = program(*programs.mixed)
    ordinary = programs.ordinary
    for i, name in enumerate(variants.names()):
        expect_finite(f"value on {name}", program_values[i])
        expect_finite(f"gradient on {name}", program_gradients[i])
        expect_close(f"value on {name}", program_values[i], values[i], 1e-4, 1e-5)
        # at the edges the gradient is as large as 1/p: compared where p is ordinary
        received = program_gradients[i][:ordinary]
        expected = gradients[i][:ordinary]
        expect_close(f"gradient on {name}", received, expected, 1e-4, 1e-5)


@promise
def check_edges(loss, traits):
    """Value and gradient are finite at p = 0, 1e-12, 1 and logits of +-100, +-1e4."""
    programs = shared(Programs, loss, traits)
    variants = programs.variants
    for how, run in (
        ("eager", variants.values_and_gradients),
        ("compiled", programs.graph),
    ):
        _expect_all_finite(how, variants, *run(*programs.extreme))


def _expect_all_finite(how, variants, values, gradients):
    for i, name in enumerate(variants.names()):
        expect_finite(f"value, {how}, {name}", values[i])
        expect_finite(f"gradient, {how}, {name}", gradients[i])


@promise
def check_numerical_gradient(loss, traits):
    """The gradient is that of float64 central differences."""
    if not takes(loss, "dtype"):
        return "has no dtype"
    ids, logits = examples(traits, spread=0.4)
    with backend.double_precision():
        exact = with_options(loss, dtype="float64")
        for kind in map(_per_example_of, both_kinds(exact)):
            y_pred = predictions(kind, logits.astype("float64"))
            for y_true in _hard_and_soft(traits, ids):
                name = "logits" if from_logits(kind) else "probabilities"
                _expect_slope(name, kind, y_true, y_pred)
    return None


def _per_example_of(loss):
    return reduced(loss, None)


def _hard_and_soft(traits, ids):
    yield labels(traits, ids)
    if "rows" in traits.label_formats:
        classes = num_classes(traits)
        yield np.random.default_rng(2).dirichlet([1.0] * classes, len(ids))


def _expect_slope(name, loss, y_true, y_pred):
    """Compares all directions at once: a batch of every example moved along each."""
    step, rtol, atol = 1e-5, 1e-5, 1e-7
    if keras.backend.backend() == "torch":  # Keras' maximum, mean, matmul: float32
        step, rtol, atol = 3e-3, 1e-2, 2e-3
    classes = y_pred.shape[-1]
    moves = step * np.eye(classes)[:, None]
    moved = np.concatenate([y_pred + moves, y_pred - moves]).reshape(-1, classes)
    labels_of_moved = np.concatenate([y_true] * 2 * classes)
    values = per_example(loss, labels_of_moved, moved).reshape(2, classes, -1)
    expected = (values[0] - values[1]).T / (2 * step)
    _, (received,) = backend.value_and_gradient(lambda x: loss(y_true, x), y_pred)
    kind = "soft rows" if y_true.ndim == 2 and y_true.shape[-1] > 1 else "class ids"
    expect_close(f"gradient on {name}, {kind}", received, expected, rtol, atol)


@promise
def check_no_retrace(loss, traits):
    """A second call traces nothing, also after assigning to a hyper-parameter."""
    if keras.backend.backend() == "torch":
        return "torch traces nothing"
    first, second = (_pair(loss, traits, seed) for seed in (0, 1))
    program, traced = _counted(loss)
    program(*first)
    program(*second)
    expect(len(traced) == 1, f"{len(traced)} traces for 2 calls of a compiled program")
    loss(*first)
    with backend.graphs_built() as built:
        loss(*second)
    expect(not built, f"{len(built)} graphs built by a second eager call")
    if keras.backend.backend() == "tensorflow":  # JAX takes variables as arguments
        _check_variables(loss, traits, first)


def _pair(loss, traits, seed):
    ids, logits = examples(traits, seed=seed)
    given = labels(traits, ids), predictions(loss, logits)
    return [ops.convert_to_tensor(x) for x in given]


def _counted(loss):
    traced = []

    def step(y_true, y_pred):
        traced.append(1)
        return loss(y_true, y_pred)

    return backend.compiled(step), traced


def _check_variables(loss, traits, given):
    """Every hyper-parameter in turn, all of them variables of one program."""
    others = {**scalar_alternatives(loss), **traits.variables}
    if not others:
        return
    variables = {
        name: keras.Variable(getattr(loss, name), trainable=False, dtype="float32")
        for name in others
    }
    program, traced = _counted(with_options(loss, **variables))
    expect_close("with variables", program(*given), loss(*given), 1e-4, 1e-5)
    for name, other in others.items():
        before = ops.convert_to_numpy(variables[name])
        variables[name].assign(other)
        expected = with_options(loss, **{name: other})(*given)
        received = program(*given)
        expect_close(f"{name} assigned {other}", received, expected, 1e-4, 1e-5)
        variables[name].assign(before)
    expect(len(traced) == 1, f"{len(traced)} traces after assigning to {list(others)}")


@promise
def check_trains(loss, traits):
    """One training step lowers the loss on a separable toy set."""
    classes = num_classes(traits)
    ids = np.arange(3 * classes, dtype="int32") % classes
    random = np.random.default_rng(3)
    x = 2 * np.eye(classes)[ids] + random.normal(0, 0.1, (len(ids), classes))
    x = x.astype("float32")
    model = keras.Sequential([keras.Input((classes,)), keras.layers.Dense(classes)])
    if not from_logits(loss):
        model.add(keras.layers.Activation(lambda z: activate(loss, z)))
    kernel = random.normal(0, 0.05, (classes, classes))
    model.set_weights([kernel, np.zeros(classes)])
    # Adam's first step is as long for a small gradient as for a large one; eagerly,
    # since `check_graph` holds that a compiled step is the same
    model.compile(keras.optimizers.Adam(0.1), loss=loss, run_eagerly=True)
    y_true = labels(traits, ids)
    total = reduced(loss, "sum_over_batch_size")
    before = to_numpy(total(y_true, model(x)))
    model.train_on_batch(x, y_true)
    after = to_numpy(total(y_true, model(x)))
    expect(after < before - 1e-5 * max(1, abs(before)), f"from {before} to {after}")
