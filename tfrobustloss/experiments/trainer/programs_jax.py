"""Training and validation of a `Task` as JAX programs with a population axis.

The candidates of a group share the seed, hence the order of batches: a layer that sees
the data alone is then one product for all of them. On a CPU, a network that does not
suit XLA's loops (see `_layer_kinds`) is driven step by step from Python instead.
"""

import dataclasses
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Run:
    """Where a group of candidates stands; every array has their axis first.

    Attributes:
        step: Int, steps done by those that are still finite.
        taken: Steps done by each, the one with a non-finite loss included.
        finite: Whether every loss so far was finite.
        trainable: Values of the trainable variables.
        velocity: SGD's momenta.
        others: Values of the other variables.
    """

    step: int
    taken: Any
    finite: Any
    trainable: list
    velocity: list
    others: list


class Programs:
    """The compiled programs of a task; candidates come in groups.

    A group is trained at one of two sizes, 1 and `chunk_size`, so that no program is
    compiled for a last, smaller one.

    Args:
        task: A `Task`.
        total_steps: Number of steps of a whole run.
        chunk_size: Largest group, or None for 1 on a CPU and 64 elsewhere.
    """

    def __init__(self, task, total_steps, chunk_size=None):
        import jax

        on_cpu = jax.default_backend() == "cpu"
        self.group_size = chunk_size or (1 if on_cpu else 64)
        self._task = task
        self._train_data = _resident(task.train)
        self._validation_data = _resident(task.validation)
        self._from_python = on_cpu and not task.one_program
        self._train = jax.jit(self._one_step if self._from_python else self._loop)
        self._evaluate = jax.jit(self._validate)

    def order(self, order):
        """The batches of a run, shape `(steps, batch)`, as the program takes them."""
        import jax

        return jax.device_put(order)

    def begin(self, trainable, others, size):
        """A group of `size` candidates before their first step."""
        import jax.numpy as jnp

        size = self._padded_size(size)
        trainable, others = (
            [jnp.broadcast_to(value, (size, *np.shape(value))) for value in values]
            for values in (trainable, others)
        )
        velocity = [jnp.zeros_like(value) for value in trainable]
        taken = jnp.zeros(size, "int32")
        return Run(0, taken, jnp.ones(size, bool), trainable, velocity, others)

    def train(self, run, vectors, rates, order, stop):
        """The group after the steps up to `stop`, or up to non-finite losses."""
        size = len(run.finite)
        vectors = np.stack([*vectors, *vectors[-1:] * (size - len(vectors))])
        rates = np.asarray([*rates, *rates[-1:] * (size - len(rates))], "float32")
        carry = (run.taken, run.finite, run.trainable, run.velocity, run.others)
        fixed = (vectors, rates, order, self._train_data)
        if self._from_python:
            for step in range(run.step, stop):
                carry = self._train(np.int32(step), carry, fixed)
                if not np.any(carry[1]):
                    break
        else:
            carry = self._train(np.int32(run.step), np.int32(stop), carry, fixed)
        return Run(max(run.step, stop), *carry)

    def describe(self, run):
        """Lists of steps done and of whether every loss was finite."""
        return np.asarray(run.taken).tolist(), np.asarray(run.finite).tolist()

    def evaluate(self, run):
        """Lists of right answers on the validation data, and of finite outputs."""
        results = self._evaluate(run.trainable, run.others, self._validation_data)
        return [np.asarray(result).tolist() for result in results]

    def values(self, run, index):
        """Values of a candidate's trainable and other variables, as arrays."""
        return [
            [np.asarray(value[index]) for value in values]
            for values in (run.trainable, run.others)
        ]

    def regroup(self, members):
        """One group of `(group, index)` pairs, which are at the same step."""
        import jax
        import jax.numpy as jnp

        size = self._padded_size(len(members))
        members = [*members, *members[-1:] * (size - len(members))]
        runs = list({id(run): run for run, _ in members}.values())
        offsets = np.cumsum([0, *(len(run.finite) for run in runs)])
        first = {id(run): begin for run, begin in zip(runs, offsets, strict=False)}
        rows = np.asarray([first[id(run)] + index for run, index in members])
        parts = [
            (run.taken, run.finite, run.trainable, run.velocity, run.others)
            for run in runs
        ]
        chosen = jax.tree.map(lambda *arrays: jnp.concatenate(arrays)[rows], *parts)
        return Run(max(run.step for run in runs), *chosen)

    def _padded_size(self, size):
        return 1 if size == 1 else self.group_size

    def _loop(self, step, stop, carry, fixed):
        import jax
        import jax.numpy as jnp

        def keep_going(state):
            step, (_, finite, *_) = state
            return jnp.logical_and(step < stop, jnp.any(finite))

        def body(state):
            step, carry = state
            return step + 1, self._one_step(step, carry, fixed)

        return jax.lax.while_loop(keep_going, body, (step, carry))[1]

    def _one_step(self, step, carry, fixed):
        """One step of those candidates of a group that are still finite."""
        import jax
        import jax.numpy as jnp

        taken, finite, trainable, velocity, others = carry
        vectors, rates, order, data = fixed
        losses, gradients, after = self._gradients(
            step, trainable, others, vectors, order, data
        )

        def by_candidate(values, like):
            return values.reshape((-1,) + (1,) * (like.ndim - 1))

        def chosen(new, old):
            return jnp.where(by_candidate(finite, old), new, old)

        momentum = self._task.momentum
        moved = [
            v * momentum - g * by_candidate(rates, g)
            for v, g in zip(velocity, gradients, strict=True)
        ]
        weights = [w + v for w, v in zip(trainable, moved, strict=True)]
        new, old = (weights, moved, after), (trainable, velocity, others)
        taken = taken + finite.astype("int32")
        still_finite = jnp.logical_and(finite, jnp.isfinite(losses))
        return taken, still_finite, *jax.tree.map(chosen, new, old)

    def _gradients(self, step, trainable, others, vectors, order, data):
        """Losses of a step's batch, their gradients and the other variables."""
        import jax

        task = self._task

        def compute(size=None, weights=None):
            rows = order[step] if size is None else order[step, :size]
            batch = jax.tree.map(lambda values: values[rows], data)

            def loss(trainable, others, vector):
                return task.batch_loss(trainable, others, vector, batch, weights)

            gradients = jax.vmap(jax.value_and_grad(loss, has_aux=True))
            (losses, after), gradients = gradients(trainable, others, vectors)
            return losses, gradients, after

        if not task.remainder:
            return compute()
        if task.padded:
            return compute(weights=task.batch_weights(step))
        return jax.lax.cond(
            task.is_partial(step), lambda: compute(task.remainder), lambda: compute()
        )

    def _validate(self, trainable, others, data):
        import jax
        import jax.numpy as jnp

        task = self._task

        def body(index, results):
            begin = index * task.validation_batch
            inputs, labels = jax.tree.map(
                lambda values: jax.lax.dynamic_slice_in_dim(
                    values, begin, task.validation_batch
                ),
                data,
            )

            def measure(trainable, others):
                outputs, _, _ = task.outputs(trainable, others, inputs, False)
                return task.correct(outputs, labels, index)

            right, all_finite = jax.vmap(measure)(trainable, others)
            correct, finite = results
            return correct + right, jnp.logical_and(finite, all_finite)

        size = len(trainable[0])
        start = jnp.zeros(size, "int32"), jnp.ones(size, bool)
        return jax.lax.fori_loop(0, task.validation_steps, body, start)


def _resident(data):
    import jax

    return keras.tree.map_structure(jax.device_put, data)
