"""Training and validation of a `Task` as TensorFlow programs, each traced once.

A network that suits XLA trains in one XLA program: the loop over its steps included,
so that Python takes part once a run. Others train in a graph's loop, whose convolutions
are oneDNN's (XLA's gradients of convolutions are slow inside a loop, on a CPU), with
XLA for the update of the weights alone.
"""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Run:
    """Where one candidate stands; tensors, never changed in place.

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
    """The compiled programs of a task; candidates come in groups of one.

    Args:
        task: A `Task`.
        total_steps: Number of steps of a whole run.
        chunk_size: Not used.
    """

    group_size = 1

    def __init__(self, task, total_steps, chunk_size=None):
        import tensorflow as tf

        self._task = task
        self._train_data = _resident(task.train)
        self._validation_data = _resident(task.validation)
        specs = [
            [tf.TensorSpec(v.shape, v.dtype) for v in variables]
            for variables in (
                task.model.trainable_variables,
                task.model.trainable_variables,
                task.model.non_trainable_variables,
            )
        ]
        step = tf.TensorSpec((), "int32")
        compiled = tf.function(
            self._loop, jit_compile=task.one_program or None, autograph=False
        )
        self._train = compiled.get_concrete_function(
            step,
            tf.TensorSpec((), "bool"),
            *specs,
            tf.TensorSpec((task.dimension,), "float32"),
            tf.TensorSpec((), "float32"),
            tf.TensorSpec((total_steps, task.batch_size), "int32"),
            step,
        )
        # validation runs once: compiling it by XLA would take longer than it saves
        compiled = tf.function(self._validate, autograph=False)
        self._evaluate = compiled.get_concrete_function(specs[0], specs[2])

    def order(self, order):
        """The batches of a run, shape `(steps, batch)`, as the program takes them."""
        import tensorflow as tf

        return tf.constant(order, "int32")

    def begin(self, trainable, others, size):
        """A group of `size` = 1 candidate before its first step."""
        import tensorflow as tf

        trainable = [tf.constant(value) for value in trainable]
        others = [tf.constant(value) for value in others]
        velocity = [tf.zeros_like(value) for value in trainable]
        return Run(tf.constant(0), tf.constant(True), trainable, velocity, others)

    def train(self, run, vectors, rates, order, stop):
        """The group after the steps up to `stop`, or up to a non-finite loss."""
        import tensorflow as tf

        results = self._train(
            run.step,
            run.finite,
            run.trainable,
            run.velocity,
            run.others,
            tf.constant(vectors[0], "float32"),
            tf.constant(rates[0], "float32"),
            order,
            tf.constant(stop, "int32"),
        )
        return Run(*results)

    def describe(self, run):
        """Lists of steps done and of whether every loss was finite."""
        return [int(run.step)], [bool(run.finite)]

    def evaluate(self, run):
        """Lists of right answers on the validation data, and of finite outputs."""
        correct, finite = self._evaluate(run.trainable, run.others)
        return [int(correct)], [bool(finite)]

    def values(self, run, index):
        """Values of a candidate's trainable and other variables, as arrays."""
        return [v.numpy() for v in run.trainable], [v.numpy() for v in run.others]

    def regroup(self, members):
        """One group of `(group, index)` pairs."""
        ((run, _),) = members
        return run

    def _loop(
        self, step, finite, trainable, velocity, others, vector, rate, order, stop
    ):
        import tensorflow as tf

        momentum = self._task.momentum

        def update(trainable, velocity, gradients, rate):
            velocity = [
                v * momentum - g * rate
                for v, g in zip(velocity, gradients, strict=True)
            ]
            moved = [w + v for w, v in zip(trainable, velocity, strict=True)]
            return moved, velocity

        if not self._task.one_program:
            update = tf.function(update, jit_compile=True, autograph=False)

        def body(step, finite, trainable, velocity, others):
            loss, gradients, others = self._gradients(
                step, trainable, others, vector, order
            )
            trainable, velocity = update(trainable, velocity, gradients, rate)
            return step + 1, tf.math.is_finite(loss), trainable, velocity, others

        return tf.while_loop(
            lambda step, finite, *_: tf.logical_and(step < stop, finite),
            body,
            (step, finite, trainable, velocity, others),
            parallel_iterations=1,
        )

    def _gradients(self, step, trainable, others, vector, order):
        """Loss of a step's batch, its gradients and the other variables."""
        import tensorflow as tf

        task = self._task

        def compute(size=None, weights=None):
            rows = order[step] if size is None else order[step, :size]
            batch = tf.nest.map_structure(
                lambda values: tf.gather(values, rows), self._train_data
            )
            with tf.GradientTape() as tape:
                tape.watch(trainable)
                loss, after = task.batch_loss(trainable, others, vector, batch, weights)
            gradients = tape.gradient(
                loss, trainable, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            return loss, gradients, after

        if not task.remainder:
            return compute()
        if not task.one_program:  # batches of any size
            size = tf.where(task.is_partial(step), task.remainder, task.batch_size)
            return compute(size)
        if task.padded:
            return compute(weights=task.batch_weights(step))
        return tf.cond(
            task.is_partial(step), lambda: compute(task.remainder), lambda: compute()
        )

    def _validate(self, trainable, others):
        import tensorflow as tf

        task = self._task

        def body(index, correct, finite):
            rows = index * task.validation_batch + tf.range(task.validation_batch)
            inputs, labels = tf.nest.map_structure(
                lambda values: tf.gather(values, rows), self._validation_data
            )
            outputs, _, _ = task.outputs(trainable, others, inputs, False)
            right, all_finite = task.correct(outputs, labels, index)
            return index + 1, correct + right, tf.logical_and(finite, all_finite)

        _, correct, finite = tf.while_loop(
            lambda index, *_: index < task.validation_steps,
            body,
            (tf.constant(0), tf.constant(0), tf.constant(True)),
            parallel_iterations=1,
        )
        return correct, finite


def _resident(data):
    import tensorflow as tf

    return tf.nest.map_structure(tf.constant, data)
