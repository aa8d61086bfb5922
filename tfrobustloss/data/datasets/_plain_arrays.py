"""The arrays, types and tensors that a label file may hold, built from plain bytes."""

import dataclasses

import numpy as np

_KINDS = "biuf"  # of arrays: no text, no records
OBJECTS = np.dtype(object)  # allowed only for the one dict that a `.npy` may hold


class Refused(ValueError):
    """The file holds something this reader does not build."""


@dataclasses.dataclass(eq=False)
class Array:
    """An array on its way: empty until its state arrives."""

    value: object = None


@dataclasses.dataclass(eq=False)
class Dtype:
    """A dtype on its way: its byte order comes with its state."""

    value: np.dtype


def plain_dtype(code):
    dtype = np.dtype(code) if len(code) <= 3 else None
    if dtype == OBJECTS:
        return dtype
    if dtype is None or dtype.kind not in _KINDS:
        raise Refused(f"it has an array of type {code!r}")
    return dtype


def only_object(shape, content):
    if shape != () or not isinstance(content, list) or len(content) != 1:
        raise Refused("it has an array of objects")
    return content[0]


def from_bytes(dtype, shape, content, order):
    if not isinstance(content, bytes | bytearray) or dtype == OBJECTS:
        raise Refused("it has an array of objects")
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def tensor(storage, offset, shape, strides):
    """A tensor that fills its storage from `offset` on in row-major order."""
    expected, step = [], 1
    for length in reversed(shape):
        expected.append(step)
        step *= max(length, 1)
    if not isinstance(storage, np.ndarray) or tuple(strides) != tuple(expected[::-1]):
        raise Refused("it has a tensor with gaps")
    if offset < 0 or min(shape, default=1) < 0:
        raise Refused("it is damaged: a negative size")
    size = int(np.prod(shape, dtype=np.int64))
    return storage[offset : offset + size].reshape(shape)
