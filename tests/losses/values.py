"""One expected number, looked at through every way to compute it."""

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.backend import compiled

# the common check vectors of the fact sheet: probabilities, and logits Z of others
P = np.array([0.7, 0.2, 0.1])
Z = np.array([2.0, 0.0, -1.0])
PRINTED = 1e-6  # expected numbers with 6 decimals: half a digit, and float32's rounding


def numpy(values):
    return ops.convert_to_numpy(ops.convert_to_tensor(values))


def with_unknown_batch(function, *arrays, autograph=True):
    """`function` in a compiled program that does not know the batch's size.

    As a user compiles it: with AutoGraph, unless as Keras does.
    """
    if keras.backend.backend() != "tensorflow":
        return numpy(compiled(function)(*map(ops.convert_to_tensor, arrays)))
    import tensorflow as tf

    arrays = [tf.convert_to_tensor(array) for array in arrays]
    signature = [tf.TensorSpec((None, *a.shape[1:]), a.dtype) for a in arrays]
    options = {"input_signature": signature, "autograph": autograph}
    return numpy(tf.function(function, **options)(*arrays))


def every_way(function, loss_class, parameters, y_true, p, logits):
    """Dict of what was done to the loss of one example, a float."""
    results = {}
    for kind, y_pred in (("probabilities", p), ("logits", logits)):
        if y_pred is None:
            continue
        y_pred = np.asarray([y_pred], "float32")
        given = {**parameters, "from_logits": kind == "logits"}
        for form, label in y_true.items():
            results[f"function, {form}, {kind}"] = function(label, y_pred, **given)[0]
        # one form: `check_sparse` and `check_reductions` hold the others to it
        form, label = next(iter(y_true.items()))
        results[f"class, {form}, {kind}"] = loss_class(**given)(label, y_pred)
    return {way: float(numpy(value)) for way, value in results.items()}


def check_value(
    function, loss_class, parameters, label, expected, p=P, logits="softmax", atol=None
):
    """Asserts the loss of `label` (a class, or a row of label mass) everywhere.

    `logits` are those of a softmax unless given; None tests probabilities alone.
    """
    if np.ndim(label) == 0:
        one_hot = np.eye(len(logits if p is None else p), dtype="float32")[[label]]
        y_true = {"id": np.array([label]), "one-hot": one_hot}
    else:
        y_true = {"soft": np.array([label], "float32")}
    if isinstance(logits, str):
        logits = np.log(np.asarray(p)) + 1.5  # a shift must not matter
    results = every_way(function, loss_class, parameters, y_true, p, logits)
    for way, value in results.items():
        np.testing.assert_allclose(
            value,
            expected,
            rtol=1e-6,
            atol=PRINTED if atol is None else atol,
            err_msg=f"{loss_class.__name__}{parameters}, label {label}: {way}",
        )


def check_linear(function, parameters, p=P, mass=(0.5, 0.3, 0.2)):
    """Asserts that a soft label's loss is the mean of its classes' losses."""
    y_pred = np.asarray([p], "float32")
    soft = function(np.array([mass], "float32"), y_pred, **parameters)
    hard = [float(function([k], y_pred, **parameters)[0]) for k in range(len(p))]
    expected = np.dot(mass, hard)
    np.testing.assert_allclose(numpy(soft), [expected], rtol=2e-6, atol=1e-7)


def random_probabilities(shape, seed=0, concentration=1.0):
    generator = np.random.default_rng(seed)
    return generator.dirichlet([concentration] * shape[-1], shape[:-1])


def log_softmax(z):
    z = np.asarray(z, "float64")
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))
