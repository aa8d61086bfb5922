"""Training and validation of a `Problem` as JAX programs with a population axis.

The candidates of a group share the seed and the draw of the labels, hence the batches:
a layer that sees the data alone is then one product for all of them. On a CPU, a
network that does not suit XLA's loops (see `layer_kinds`) is driven step by step from
Python instead.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from tfrobustloss.experiments.trainer.initial_weights import Values
from tfrobustloss.experiments.trainer.problem import Examples, Problem, Tensor


@dataclasses.dataclass(frozen=True)
class Run:
    """State of a group of candidates; every array has their axis first.

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
    """The compiled programs of a problem; candidates come in groups.

    A group is trained at one of two sizes, 1 and `chunk_size`, so that no program is
    compiled for a last, smaller one.

    Args:
        problem: A `Problem`.
        total_steps: Number of steps of a whole run.
        chunk_size: Largest group, or None for 1 on a CPU and 64 elsewhere.
    """

    def __init__(
        self, problem: Problem, total_steps: int, chunk_size: int | None = None
    ) -> None:
        import jax

        on_cpu = jax.default_backend() == "cpu"
        self.group_size = chunk_size or (1 if on_cpu else 64)
        self._problem = problem
        self._train_data = _resident(problem.train)
        self._validation_data = _resident(problem.validation)
        self._from_python = on_cpu and not problem.one_program
        self._train = jax.jit(self._one_step if self._from_python else self._loop)
        self._evaluate = jax.jit(self._validate)

    def order(self, order: np.ndarray) -> Tensor:
        """The batches of a run, shape `(steps, batch)`, as the program takes them."""
        import jax

        return jax.device_put(order)

    def begin(self, trainable: list, others: list, size: int) -> Run:
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

    def train(
        self,
        run: Run,
        vectors: list[np.ndarray],
        rates: list[float],
        draw: int,
        order: Tensor,
        stop: int,
    ) -> Run:
        """The group after the steps up to `stop`, or up to non-finite losses."""
        size = len(run.finite)
        fixed = (
            np.stack([*vectors, *vectors[-1:] * (size - len(vectors))]),
            np.asarray([*rates, *rates[-1:] * (size - len(rates))], "float32"),
            np.int32(draw),
            order,
            self._train_data,
        )
        carry = (run.taken, run.finite, run.trainable, run.velocity, run.others)
        if self._from_python:
            for step in range(run.step, stop):
                carry = self._train(np.int32(step), carry, fixed)
                if not np.any(carry[1]):
                    break
        else:
            carry = self._train(np.int32(run.step), np.int32(stop), carry, fixed)
        return Run(max(run.step, stop), *carry)

    def describe(self, run: Run) -> tuple[list[int], list[bool]]:
        """Lists of steps done and of whether every loss was finite."""
        return np.asarray(run.taken).tolist(), np.asarray(run.finite).tolist()

    def evaluate(self, run: Run) -> tuple[list[float], list[bool]]:
        """Lists of right answers on the validation data, and of finite outputs."""
        correct, finite = self._evaluate(
            run.trainable, run.others, self._validation_data
        )
        return np.asarray(correct).tolist(), np.asarray(finite).tolist()

    def values(self, run: Run, index: int) -> Values:
        """Values of a candidate's trainable and other variables, as arrays."""
        return (
            [np.asarray(value[index]) for value in run.trainable],
            [np.asarray(value[index]) for value in run.others],
        )

    def regroup(self, members: list[tuple[Run, int]]) -> Run:
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

    def _padded_size(self, size: int) -> int:
        return 1 if size == 1 else self.group_size

    def _loop(self, step: Tensor, stop: Tensor, carry: tuple, fixed: tuple) -> tuple:
        import jax
        import jax.numpy as jnp

        def keep_going(state: tuple) -> Tensor:
            step, (_, finite, *_) = state
            return jnp.logical_and(step < stop, jnp.any(finite))

        def body(state: tuple) -> tuple:
            step, carry = state
            return step + 1, self._one_step(step, carry, fixed)

        return jax.lax.while_loop(keep_going, body, (step, carry))[1]

    def _one_step(self, step: Tensor, carry: tuple, fixed: tuple) -> tuple:
        """One step of those candidates of a group that are still finite."""
        import jax
        import jax.numpy as jnp

        taken, finite, trainable, velocity, others = carry
        vectors, rates, draw, order, data = fixed
        losses, gradients, after = self._gradients(
            step, trainable, others, vectors, draw, order, data
        )

        def by_candidate(values: Tensor, like: Tensor) -> Tensor:
            return values.reshape((-1,) + (1,) * (like.ndim - 1))

        def chosen(new: Tensor, old: Tensor) -> Tensor:
            return jnp.where(by_candidate(finite, old), new, old)

        momentum = self._problem.momentum
        moved = [
            v * momentum - g * by_candidate(rates, g)
            for v, g in zip(velocity, gradients, strict=True)
        ]
        weights = [w + v for w, v in zip(trainable, moved, strict=True)]
        new, old = (weights, moved, after), (trainable, velocity, others)
        taken = taken + finite.astype("int32")
        still_finite = jnp.logical_and(finite, jnp.isfinite(losses))
        return taken, still_finite, *jax.tree.map(chosen, new, old)

    def _gradients(
        self,
        step: Tensor,
        trainable: list,
        others: list,
        vectors: Tensor,
        draw: Tensor,
        order: Tensor,
        data: Examples,
    ) -> tuple[Tensor, list, list]:
        """Losses of a step's batch, their gradients and the other variables."""
        import jax

        problem = self._problem

        def compute(
            size: int | None = None, weights: Tensor | None = None
        ) -> tuple[Tensor, list, list]:
            rows = order[step] if size is None else order[step, :size]
            batch = jax.tree.map(lambda values: values[rows], data)

            def loss(
                trainable: list, others: list, vector: Tensor
            ) -> tuple[Tensor, list]:
                return problem.batch_loss(
                    trainable, others, vector, draw, batch, weights
                )

            gradients = jax.vmap(jax.value_and_grad(loss, has_aux=True))
            (losses, after), gradients = gradients(trainable, others, vectors)
            return losses, gradients, after

        if not problem.remainder:
            return compute()
        if problem.padded:
            return compute(weights=problem.batch_weights(step))
        return jax.lax.cond(
            problem.is_partial(step),
            lambda: compute(problem.remainder),
            lambda: compute(),
        )

    def _validate(
        self, trainable: list, others: list, data: Examples
    ) -> tuple[Tensor, Tensor]:
        import jax
        import jax.numpy as jnp

        problem = self._problem

        def body(index: Tensor, results: tuple[Tensor, Tensor]) -> tuple:
            begin = index * problem.validation_batch
            inputs, labels = jax.tree.map(
                lambda values: jax.lax.dynamic_slice_in_dim(
                    values, begin, problem.validation_batch
                ),
                data,
            )

            def measure(trainable: list, others: list) -> tuple[Tensor, Tensor]:
                outputs, _, _ = problem.outputs(trainable, others, inputs, False)
                return problem.correct(outputs, labels, index)

            right, all_finite = jax.vmap(measure)(trainable, others)
            correct, finite = results
            return correct + right, jnp.logical_and(finite, all_finite)

        size = len(trainable[0])
        start = jnp.zeros(size, problem.count_type), jnp.ones(size, bool)
        return jax.lax.fori_loop(0, problem.validation_steps, body, start)


def _resident(data: Examples) -> Any:
    import jax

    return keras.tree.map_structure(jax.device_put, data)
