"""Checks of static shapes."""

from tfrobustloss._core.validation import ParameterError


def check_rank(owner, **tensors):
    """Raises for tensors of unknown rank, which `tf.numpy_function` gives."""
    for name, tensor in tensors.items():
        shape = getattr(tensor, "shape", None)
        if getattr(shape, "rank", 0) is None:  # TensorFlow's alone
            constraint = "of a known number of axes"
            hint = (
                f"Say its shape, which `tf.numpy_function` loses: "
                f"`tf.ensure_shape({name}, shape)`."
            )
            raise ParameterError(owner, name, str(shape), constraint, hint)


def agree(first, second):
    """True if two static shapes are compatible; None is any length."""
    return len(first) == len(second) and all(
        None in (a, b) or a == b for a, b in zip(first, second, strict=True)
    )
