"""Reads pickled arrays without unpickling: nothing that the file names is ever run.

Label files of the field are pickles: `.pt` of PyTorch, `.npy` that hold a dict. A
pickle is a program, and unpickling runs it. This reader walks over its opcodes and
knows how to build a dict, a list, numbers, text and plain arrays; whatever else a file
asks for is refused. Names of functions in the file are compared with the few listed
here and never imported.
"""

import dataclasses
import pickletools

import numpy as np

from tfrobustloss.data.datasets._plain_arrays import (
    OBJECTS,
    Array,
    Dtype,
    Refused,
    from_bytes,
    only_object,
    plain_dtype,
    tensor,
)

_RECONSTRUCT = {
    "numpy.core.multiarray _reconstruct",
    "numpy._core.multiarray _reconstruct",
}
_SCALAR = {"numpy.core.multiarray scalar", "numpy._core.multiarray scalar"}
_FROM_BUFFER = {"numpy.core.numeric _frombuffer", "numpy._core.numeric _frombuffer"}
_ENCODE = "_codecs encode"
_NDARRAY = "numpy ndarray"
_DTYPE = "numpy dtype"
_ORDERED_DICT = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
_STORAGE_TYPES = {
    "torch ByteStorage": "<u1",
    "torch CharStorage": "<i1",
    "torch ShortStorage": "<i2",
    "torch IntStorage": "<i4",
    "torch LongStorage": "<i8",
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch BoolStorage": "?",
}
_NAMES = {
    *_RECONSTRUCT,
    *_SCALAR,
    *_FROM_BUFFER,
    *_STORAGE_TYPES,
    _ENCODE,
    _NDARRAY,
    _DTYPE,
    _ORDERED_DICT,
    _TENSOR,
}


@dataclasses.dataclass(frozen=True)
class _Name:
    """A name that the file mentions; a mark of its own, never looked up."""

    text: str


_MARK = object()
_DAMAGE = (
    *(AttributeError, IndexError, KeyError, OverflowError, RecursionError),
    *(TypeError, ValueError),
)


def read(content, read_storage=None):
    """The object that a pickle describes, of dicts, lists, numbers, text and arrays.

    Args:
        content: The bytes of the pickle.
        read_storage: Function of a storage's key that returns its bytes, for the
            tensors of a `.pt` file; None where there are none.

    Returns:
        The object; tensors and arrays as numpy arrays.

    Raises:
        Refused: The pickle is cut off or asks for anything else.
    """
    machine = _Machine(read_storage)
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "STOP":
                return machine.result()
            machine.step(opcode.name, argument)
    except Refused:
        raise
    except _DAMAGE as error:
        raise Refused(f"it is damaged: {error}") from None
    raise Refused("it is cut off")


class _Machine:
    """The stack and the memo of a pickle, with harmless values only."""

    def __init__(self, read_storage):
        self._stack, self._memo, self._read_storage = [], {}, read_storage

    def result(self):
        (value,) = self._stack
        return _finished(value)

    def step(self, opcode, argument):
        stack = self._stack
        if opcode in _VALUES:
            stack.append(argument)
        elif opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode]())
        elif opcode in ("PROTO", "FRAME"):
            pass
        elif opcode == "MARK":
            stack.append(_MARK)
        elif opcode == "POP":
            stack.pop()
        elif opcode in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[int(argument)] = stack[-1]
        elif opcode == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif opcode in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self._memo[int(argument)])
        elif opcode in ("TUPLE1", "TUPLE2", "TUPLE3"):
            stack.append(tuple(self._pop(int(opcode[-1]))))
        elif opcode == "TUPLE":
            stack.append(tuple(self._pop_to_mark()))
        elif opcode in ("LIST", "APPENDS"):
            self._extend(self._pop_to_mark(), new=opcode == "LIST")
        elif opcode == "APPEND":
            self._extend(self._pop(1))
        elif opcode in ("DICT", "SETITEMS"):
            self._fill(self._pop_to_mark(), new=opcode == "DICT")
        elif opcode == "SETITEM":
            self._fill(self._pop(2))
        elif opcode == "GLOBAL":
            stack.append(_name(argument))
        elif opcode == "STACK_GLOBAL":
            module, name = self._pop(2)
            stack.append(_name(f"{module} {name}"))
        elif opcode == "REDUCE":
            function, arguments = self._pop(2)
            stack.append(self._call(function, arguments))
        elif opcode == "BUILD":
            (state,) = self._pop(1)
            _set_state(stack[-1], state)
        elif opcode == "BINPERSID":
            (identity,) = self._pop(1)
            stack.append(self._storage(identity))
        else:
            raise Refused(f"it uses the instruction {opcode}")

    def _pop(self, count):
        values = self._stack[-count:]
        if len(values) < count or any(value is _MARK for value in values):
            raise Refused("it is damaged: an instruction lacks its operands")
        del self._stack[-count:]
        return values

    def _pop_to_mark(self):
        values = []
        while (value := self._stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _extend(self, values, new=False):
        if new:
            self._stack.append([])
        target = self._stack[-1]
        if not isinstance(target, list):
            raise Refused("it is damaged: something is appended to no list")
        target.extend(values)

    def _fill(self, values, new=False):
        if new:
            self._stack.append({})
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise Refused("it is damaged: something is set in no dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | int):
                raise Refused(f"it has a key of type {type(key).__name__}")
            target[key] = value

    def _call(self, function, arguments):
        name = function.text if isinstance(function, _Name) else None
        if not isinstance(arguments, tuple):
            name = None
        if name in _RECONSTRUCT and arguments[0] == _Name(_NDARRAY):
            return Array()
        if name == _DTYPE and isinstance(arguments[0], str):
            return Dtype(plain_dtype(arguments[0]))
        if name == _ENCODE and arguments[1:] == ("latin1",):
            return arguments[0].encode("latin1")
        if name in _SCALAR and isinstance(arguments[0], Dtype):
            return from_bytes(arguments[0].value, (), arguments[1], "C").item()
        if name in _FROM_BUFFER and isinstance(arguments[1], Dtype):
            content, dtype, shape, order = arguments
            return from_bytes(dtype.value, shape, content, order)
        if name == _ORDERED_DICT and arguments == ():
            return {}
        if name == _TENSOR:
            return tensor(*arguments[:4])
        raise Refused(f"it calls {_shown(function)}")

    def _storage(self, identity):
        kind, storage_type, key = identity[:3]
        known = isinstance(storage_type, _Name) and storage_type.text in _STORAGE_TYPES
        if kind != "storage" or not known or not isinstance(key, str):
            raise Refused(f"it refers to {_shown(storage_type)} outside itself")
        if self._read_storage is None:
            raise Refused("it refers to a tensor that is not in the file")
        dtype = np.dtype(_STORAGE_TYPES[storage_type.text])
        return np.frombuffer(self._read_storage(key), dtype)


_VALUES = {
    *("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "FLOAT"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}


def _name(text):
    if text not in _NAMES:
        raise Refused(f"it names {text.replace(' ', '.')}")
    return _Name(text)


def _shown(value):
    if isinstance(value, _Name):
        return value.text.replace(" ", ".")
    return f"a value of type {type(value).__name__}"


def _set_state(target, state):
    if isinstance(target, Dtype) and isinstance(state, tuple) and state[1] in "<>|=":
        target.value = target.value.newbyteorder(state[1])
    elif isinstance(target, Array) and isinstance(state, tuple) and len(state) == 5:
        _, shape, dtype, is_fortran, content = state
        if not isinstance(dtype, Dtype):
            raise Refused("it has an array without a type")
        if dtype.value == OBJECTS:
            target.value = only_object(shape, content)
            return
        order = "F" if is_fortran else "C"
        target.value = from_bytes(dtype.value, shape, content, order)
    else:
        raise Refused(f"it sets the state of {_shown(target)}")


def _finished(value):
    """The arrays in the value that the pickle left on the stack."""
    if isinstance(value, dict):
        return {key: _finished(one) for key, one in value.items()}
    if isinstance(value, Array):
        if value.value is None:
            raise Refused("it has an array without content")
        return _finished(value.value)
    if isinstance(value, _Name | Dtype) or value is _MARK:
        raise Refused(f"it holds {_shown(value)}")
    return value
