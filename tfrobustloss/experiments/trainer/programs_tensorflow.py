"""Training and validation of a `Problem` as TensorFlow programs, each traced once.

A network that suits XLA trains in one XLA program that includes the loop over its
steps, so that Python runs once per training. Others train in a graph's loop, whose
convolutions are oneDNN's (on a CPU, XLA's gradients of convolutions are slow inside a
loop), with XLA for the update of the weights alone.
"""

import dataclasses
from typing import Any

import numpy as np

from tfrobustloss.experiments.trainer.initial_weights import Values
from tfrobustloss.experiments.trainer.problem import Examples, Problem, Tensor


@dataclasses.dataclass(frozen=True)
class Run:
    """State of one candidate: tensors, never changed in place.

    Attributes:
        step: Steps done or, when it stopped at a non-finite loss, tried.
        finite: Whether every loss so far was finite.
        trainable: Values of the trainable variables.
        velocity: SGD's momenta.
        others: Values of the other variables.
    """

    step: Any
    finite: Any
    trainable: list
    velocity: list
    others: list


class Programs:
    """The compiled programs of a problem; candidates come in groups of one.

    Args:
        problem: A `Problem`.
        total_steps: Number of steps of a whole run.
        chunk_size: Not used.
    """

    group_size = 1

    def __init__(
        self, problem: Problem, total_steps: int, chunk_size: int | None = None
    ) -> None:
        import tensorflow as tf

        self._problem = problem
        self._train_data = _resident(problem.train)
        self._validation_data = _resident(problem.validation)
        specs = [
            [tf.TensorSpec(v.shape, v.dtype) for v in variables]
            for variables in (
                problem.model.trainable_variables,
                problem.model.trainable_variables,
                problem.model.non_trainable_variables,
            )
        ]
        step = tf.TensorSpec((), "int32")
        compiled = tf.function(
            self._loop, jit_compile=problem.one_program or None, autograph=False
        )
        self._train = compiled.get_concrete_function(
            step,
            tf.TensorSpec((), "bool"),
            *specs,
            tf.TensorSpec((problem.dimension,), "float32"),
            tf.TensorSpec((), "int32"),
            tf.TensorSpec((), "float32"),
            tf.TensorSpec((total_steps, problem.batch_size), "int32"),
            step,
        )
        # validation runs once: compiling it by XLA would take longer than it saves
        compiled = tf.function(self._validate, autograph=False)
        self._evaluate = compiled.get_concrete_function(specs[0], specs[2])

    def order(self, order: np.ndarray) -> Tensor:
        """The batches of a run, shape `(steps, batch)`, as the program takes them."""
        import tensorflow as tf

        return tf.constant(order, "int32")

    def begin(self, trainable: list, others: list, size: int) -> Run:
        """A group of `size` = 1 candidate before its first step."""
        import tensorflow as tf

        trainable = [tf.constant(value) for value in trainable]
        others = [tf.constant(value) for value in others]
        velocity = [tf.zeros_like(value) for value in trainable]
        return Run(tf.constant(0), tf.constant(True), trainable, velocity, others)

    def train(
        self,
        run: Run,
        vectors: list[np.ndarray],
        rates: list[float],
        draw: int,
        order: Tensor,
        stop: int,
    ) -> Run:
        """The group after the steps up to `stop`, or up to a non-finite loss."""
        import tensorflow as tf

        results = self._train(
            run.step,
            run.finite,
            run.trainable,
            run.velocity,
            run.others,
            tf.constant(vectors[0], "float32"),
            tf.constant(draw, "int32"),
            tf.constant(rates[0], "float32"),
            order,
            tf.constant(stop, "int32"),
        )
        return Run(*results)

    def describe(self, run: Run) -> tuple[list[int], list[bool]]:
        """Lists of steps done and of whether every loss was finite."""
        return [int(run.step)], [bool(run.finite)]

    def evaluate(self, run: Run) -> tuple[list[float], list[bool]]:
        """Lists of right answers on the validation data, and of finite outputs."""
        correct, finite = self._evaluate(run.trainable, run.others)
        return [correct.numpy().item()], [bool(finite)]

    def values(self, run: Run, index: int) -> Values:
        """Values of a candidate's trainable and other variables, as arrays."""
        return [v.numpy() for v in run.trainable], [v.numpy() for v in run.others]

    def regroup(self, members: list[tuple[Run, int]]) -> Run:
        """One group of `(group, index)` pairs."""
        ((run, _),) = members
        return run

    def _loop(
        self,
        step: Tensor,
        finite: Tensor,
        trainable: list,
        velocity: list,
        others: list,
        vector: Tensor,
        draw: Tensor,
        rate: Tensor,
        order: Tensor,
        stop: Tensor,
    ) -> tuple:
        import tensorflow as tf

        momentum = self._problem.momentum

        def update(
            trainable: list, velocity: list, gradients: list, rate: Tensor
        ) -> tuple[list, list]:
            velocity = [
                v * momentum - g * rate
                for v, g in zip(velocity, gradients, strict=True)
            ]
            moved = [w + v for w, v in zip(trainable, velocity, strict=True)]
            return moved, velocity

        if not self._problem.one_program:
            update = tf.function(update, jit_compile=True, autograph=False)

        def body(
            step: Tensor,
            finite: Tensor,
            trainable: list,
            velocity: list,
            others: list,
        ) -> tuple:
            loss, gradients, others = self._gradients(
                step, trainable, others, vector, draw, order
            )
            trainable, velocity = update(trainable, velocity, gradients, rate)
            return step + 1, tf.math.is_finite(loss), trainable, velocity, others

        return tf.while_loop(
            lambda step, finite, *_: tf.logical_and(step < stop, finite),
            body,
            (step, finite, trainable, velocity, others),
            parallel_iterations=1,
        )

    def _gradients(
        self,
        step: Tensor,
        trainable: list,
        others: list,
        vector: Tensor,
        draw: Tensor,
        order: Tensor,
    ) -> tuple[Tensor, list, list]:
        """Loss of a step's batch, its gradients and the other variables."""
        import tensorflow as tf

        problem = self._problem

        def compute(
            size: Tensor | None = None, weights: Tensor | None = None
        ) -> tuple[Tensor, list, list]:
            rows = order[step] if size is None else order[step, :size]
            batch = tf.nest.map_structure(
                lambda values: tf.gather(values, rows), self._train_data
            )
            with tf.GradientTape() as tape:
                tape.watch(trainable)
                loss, after = problem.batch_loss(
                    trainable, others, vector, draw, batch, weights
                )
            gradients = tape.gradient(
                loss, trainable, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            return loss, gradients, after

        if not problem.remainder:
            return compute()
        if not problem.one_program:  # batches of any size
            size = tf.where(
                problem.is_partial(step), problem.remainder, problem.batch_size
            )
            return compute(size)
        if problem.padded:
            return compute(weights=problem.batch_weights(step))
        return tf.cond(
            problem.is_partial(step),
            lambda: compute(problem.remainder),
            lambda: compute(),
        )

    def _validate(self, trainable: list, others: list) -> tuple[Tensor, Tensor]:
        import tensorflow as tf

        problem = self._problem

        def body(index: Tensor, correct: Tensor, finite: Tensor) -> tuple:
            rows = index * problem.validation_batch + tf.range(problem.validation_batch)
            inputs, labels = tf.nest.map_structure(
                lambda values: tf.gather(values, rows), self._validation_data
            )
            outputs, _, _ = problem.outputs(trainable, others, inputs, False)
            right, all_finite = problem.correct(outputs, labels, index)
            return index + 1, correct + right, tf.logical_and(finite, all_finite)

        _, correct, finite = tf.while_loop(
            lambda index, *_: index < problem.validation_steps,
            body,
            (tf.constant(0), tf.zeros((), problem.count_type), tf.constant(True)),
            parallel_iterations=1,
        )
        return correct, finite


def _resident(data: Examples) -> Any:
    import tensorflow as tf

    return tf.nest.map_structure(tf.constant, data)
