"""A quicker gradient of max pooling than TensorFlow's own on a CPU.

`MaxPoolGrad` takes a quarter of a small convolutional network's step. Where windows
do not overlap, each value is compared with its window's maximum instead, in one pass
compiled by XLA.
"""

import functools

_NAME = "TfrobustlossMaxPool"


def gradients(compute, variables):
    """What `compute()` returns, and the gradients of the first thing in it.

    Only inside a `tf.function`: operations made there can be given other gradients.
    """
    import tensorflow as tf

    _register()
    graph = tf.compat.v1.get_default_graph()
    with graph.gradient_override_map({"MaxPool": _NAME}):
        results = compute()
    zero = tf.UnconnectedGradients.ZERO
    return results, tf.gradients(results[0], variables, unconnected_gradients=zero)


@functools.cache
def _register():
    import tensorflow as tf

    compiled = tf.function(_to_the_largest, jit_compile=True, autograph=False)

    @tf.RegisterGradient(_NAME)
    def _gradient(op, upstream):
        inputs, outputs = op.inputs[0], op.outputs[0]
        size = op.get_attr("ksize")
        _, height, width, channels = inputs.shape
        apart = size == op.get_attr("strides") and size[0] == size[3] == 1
        whole = None not in (height, width, channels) and not (
            height % size[1] or width % size[2]
        )
        channels_last = op.get_attr("data_format") == b"NHWC"
        if apart and whole and channels_last:
            return compiled(inputs, outputs, upstream, size[1], size[2])
        return tf.raw_ops.MaxPoolGrad(
            orig_input=inputs,
            orig_output=outputs,
            grad=upstream,
            ksize=size,
            strides=op.get_attr("strides"),
            padding=op.get_attr("padding"),
            explicit_paddings=op.get_attr("explicit_paddings"),
            data_format=op.get_attr("data_format"),
        )


def _to_the_largest(inputs, outputs, upstream, rows, columns):
    """`upstream` at the first largest value of every window, 0 elsewhere."""
    import tensorflow as tf

    _, height, width, channels = inputs.shape
    shape = (-1, height // rows, rows, width // columns, columns, channels)
    windows = tf.reshape(inputs, shape)
    free = tf.ones_like(outputs, "bool")
    filled = []
    for row in range(rows):
        line = []
        for column in range(columns):
            largest = tf.equal(windows[:, :, row, :, column], outputs)
            line.append(tf.where(free & largest, upstream, tf.zeros_like(upstream)))
            free &= ~largest
        filled.append(tf.stack(line, axis=3))
    return tf.reshape(tf.stack(filled, axis=2), tf.shape(inputs))
