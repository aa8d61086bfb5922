"""Placement of a pipeline on an accelerator."""

import re
import warnings

from tfrobustloss._core.validation import ParameterError

_NAME = re.compile(r"/?(device:)?(?P<kind>cpu|gpu)(:(?P<number>\d+))?", re.IGNORECASE)


def resolve(device):
    """Resolves the name of a device, to `"/gpu:0"`, or None for the host.

    Warns if the accelerator does not exist.

    Args:
        device: `"gpu"`, `"gpu:1"`, `"cpu"` or None.

    Returns:
        Name of a device of this machine, or None.

    Raises:
        ValueError: `device` is not the name of a device.
    """
    if device is None:
        return None
    found = _NAME.fullmatch(device) if isinstance(device, str) else None
    if found is None:
        constraint = "'gpu', 'gpu:1', 'cpu' or None"
        raise ParameterError("pipeline", "device", device, constraint)
    kind, number = found["kind"].lower(), int(found["number"] or 0)
    if kind == "cpu" and number == 0:
        return None
    if number >= count_devices(kind):
        warnings.warn(
            f"pipeline: there is no device {device!r} on this machine; the pipeline "
            "runs on the CPU.",
            stacklevel=3,
        )
        return None
    return f"/{kind}:{number}"


def count_devices(kind):
    """Number of devices of a kind that TensorFlow sees."""
    import tensorflow as tf

    return len(tf.config.list_logical_devices(kind.upper()))


def run_there(dataset, function, device):
    """Moves batches to a device, applies `function` and prefetches there.

    Args:
        dataset: `tf.data.Dataset` of batches on the host.
        function: Function of a batch's components, or None.
        device: What `resolve` returned, not None.

    Returns:
        `tf.data.Dataset` whose batches are on the device.
    """
    import tensorflow as tf

    if function is None:
        return dataset.apply(tf.data.experimental.prefetch_to_device(device, 2))
    dataset = dataset.apply(tf.data.experimental.copy_to_device(device))
    with tf.device(device):
        if device.startswith("/gpu"):
            # `map` has no kernel for GPUs; this one has, and no public name
            from tensorflow.python.data.experimental.ops import prefetching_ops

            dataset = dataset.apply(prefetching_ops.map_on_gpu(function))
        else:
            dataset = dataset.map(function)
        # what `prefetch_to_device` adds to `copy_to_device`
        return dataset.prefetch(2)
