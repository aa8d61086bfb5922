"""Reads pickles of plain arrays without unpickling: nothing in the file is executed.

Label files of the field are pickles: `.pt` of PyTorch, `.npy` that hold a dict. A
pickle is a program, and unpickling runs it. This reader walks over its opcodes and
builds dicts, lists, numbers, text and plain arrays; a file that asks for anything else
is refused. Names in the file are compared with the few listed here, never imported.

A `pickle.Unpickler` with a restricted `find_class` would be shorter, and is not as
safe: it sets attributes on whatever lies on its stack (BUILD), takes objects from the
extension registry without asking `find_class`, and keeps its memo in an array, so that
a file of 8 bytes allocates gigabytes (LONG_BINPUT). What is built here is bounded by
the size of the file.
"""

import dataclasses
import pickletools

import numpy as np

_KINDS = "biuf"  # of arrays: no text, no records
_OBJECTS = np.dtype(object)  # only for the one dict that a `.npy` may hold
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


class Refused(ValueError):
    """The file holds something this reader does not build."""


@dataclasses.dataclass(frozen=True)
class _Name:
    """A name in the file; compared, never looked up."""

    text: str


@dataclasses.dataclass(eq=False)
class _Array:
    """An array whose content comes later, with its state."""

    value: object = None


@dataclasses.dataclass(eq=False)
class _Dtype:
    """A dtype whose byte order comes later, with its state."""

    value: np.dtype


_MARK = object()
_DAMAGE = (
    *(AttributeError, IndexError, KeyError, OverflowError, RecursionError),
    *(TypeError, ValueError),
)


def read(content, read_storage=None):
    """Builds the object of a pickle from dicts, lists, numbers, text and arrays.

    Args:
        content: The bytes of the pickle.
        read_storage: Function of a storage's key that returns its bytes, for the
            tensors of a `.pt` file; None where there are none.

    Returns:
        The object; tensors and arrays as numpy arrays.

    Raises:
        Refused: The pickle is cut off or asks for anything else.
    """
    machine = _Machine(len(content), read_storage)
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
    """The stack and the memo of a pickle, with harmless values only.

    Args:
        size: Length of the pickle in bytes.
        read_storage: Function of a storage's key that returns its bytes, or None.
    """

    def __init__(self, size, read_storage):
        self._stack, self._memo = [], {}
        self._read_storage, self._storages = read_storage, {}
        self._may_encode = size  # bytes; a text is encoded once in an honest file

    def result(self):
        (value,) = self._stack
        return _finished(value, {})

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
            return _Array()
        if name == _DTYPE and isinstance(arguments[0], str):
            return _Dtype(_plain_dtype(arguments[0]))
        if name == _ENCODE and arguments[1:] == ("latin1",):
            self._may_encode -= len(arguments[0])
            if self._may_encode < 0:
                raise Refused("it builds more bytes than it has")
            return arguments[0].encode("latin1")
        if name in _SCALAR and isinstance(arguments[0], _Dtype):
            return _from_bytes(arguments[0].value, (), arguments[1], "C").item()
        if name in _FROM_BUFFER and isinstance(arguments[1], _Dtype):
            content, dtype, shape, order = arguments
            return _from_bytes(dtype.value, shape, content, order)
        if name == _ORDERED_DICT and arguments == ():
            return {}
        if name == _TENSOR:
            return _tensor(*arguments[:4])
        raise Refused(f"it calls {_shown(function)}")

    def _storage(self, identity):
        kind, storage_type, key = identity[:3]
        known = isinstance(storage_type, _Name) and storage_type.text in _STORAGE_TYPES
        if kind != "storage" or not known or not isinstance(key, str):
            raise Refused(f"it refers to {_shown(storage_type)} outside itself")
        if self._read_storage is None:
            raise Refused("it refers to a tensor that is not in the file")
        if key not in self._storages:
            self._storages[key] = self._read_storage(key)
        dtype = np.dtype(_STORAGE_TYPES[storage_type.text])
        return np.frombuffer(self._storages[key], dtype)


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
    if isinstance(target, _Dtype) and isinstance(state, tuple) and state[1] in "<>|=":
        target.value = target.value.newbyteorder(state[1])
    elif isinstance(target, _Array) and isinstance(state, tuple) and len(state) == 5:
        _, shape, dtype, is_fortran, content = state
        if not isinstance(dtype, _Dtype):
            raise Refused("it has an array without a type")
        if dtype.value == _OBJECTS:
            target.value = _only_object(shape, content)
            return
        order = "F" if is_fortran else "C"
        target.value = _from_bytes(dtype.value, shape, content, order)
    else:
        raise Refused(f"it sets the state of {_shown(target)}")


def _finished(value, done):
    """Replaces the arrays in the value that the pickle left on the stack.

    Args:
        value: What the machine built.
        done: Dict of the ids of finished dicts to their replacement, None for those
            in progress; a dict that is shared many times is finished once.
    """
    if isinstance(value, dict):
        if id(value) not in done:
            done[id(value)] = None
            finished = {key: _finished(one, done) for key, one in value.items()}
            done[id(value)] = finished
        if done[id(value)] is None:
            raise Refused("it is damaged: a dict in itself")
        return done[id(value)]
    if isinstance(value, _Array):
        if value.value is None:
            raise Refused("it has an array without content")
        return _finished(value.value, done)
    if isinstance(value, _Name | _Dtype) or value is _MARK:
        raise Refused(f"it holds {_shown(value)}")
    return value


def _plain_dtype(code):
    dtype = np.dtype(code) if len(code) <= 3 else None
    if dtype == _OBJECTS:
        return dtype
    if dtype is None or dtype.kind not in _KINDS:
        raise Refused(f"it has an array of type {code!r}")
    return dtype


def _only_object(shape, content):
    if shape != () or not isinstance(content, list) or len(content) != 1:
        raise Refused("it has an array of objects")
    return content[0]


def _from_bytes(dtype, shape, content, order):
    if not isinstance(content, bytes | bytearray) or dtype == _OBJECTS:
        raise Refused("it has an array of objects")
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _tensor(storage, offset, shape, strides):
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
