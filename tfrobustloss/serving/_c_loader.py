"""A SavedModel run by TensorFlow's C library, with Python's standard library alone.

    python -I -S _c_loader.py LIBTENSORFLOW < requests.json > responses.json

Loads versions with `TF_LoadSessionFromSavedModel`, the C++ loader that TF Serving uses.
`predict_outside` starts this file where no package can be imported, so it imports none.
Requests and responses have the form of TF Serving's REST interface: nested lists of
numbers, bytes as `{"b64": text}`.
"""

import base64
import ctypes
import json
import math
import struct
import sys

# TF_DataType -> format of `struct`, and its name
FORMATS = {
    **{1: "f", 2: "d", 3: "i", 4: "B", 5: "h", 6: "b", 9: "q", 10: "?", 17: "H"},
    **{19: "e", 22: "I", 23: "Q"},
}
DTYPES = {
    **{1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8"},
    **{9: "int64", 10: "bool", 17: "uint16", 19: "float16", 22: "uint32"},
    **{23: "uint64"},
}
STRING, BOOL = 7, 10
_STRING_SIZE = 24  # of a TF_TString

# Field numbers of TensorFlow's meta_graph.proto.
SIGNATURE_DEF = 5  # of MetaGraphDef
INPUTS, OUTPUTS = 1, 2  # of SignatureDef
NAME, DTYPE, SHAPE = 1, 2, 3  # of TensorInfo
DIM, UNKNOWN_RANK = 2, 3  # of TensorShapeProto
SIZE = 1  # of TensorShapeProto.Dim
_KEY, _VALUE = 1, 2  # of an entry of any map


class _Buffer(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("free", ctypes.c_void_p),
    ]


class _Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


_POINTER, _SIZE, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
_TEXT, _LONG = ctypes.c_char_p, ctypes.c_int64
# name -> result, arguments; of tensorflow/c/c_api.h, tf_tensor.h and tf_status.h
_FUNCTIONS = {
    "TF_NewStatus": (_POINTER, []),
    "TF_GetCode": (_INT, [_POINTER]),
    "TF_Message": (_TEXT, [_POINTER]),
    "TF_NewGraph": (_POINTER, []),
    "TF_NewSessionOptions": (_POINTER, []),
    "TF_NewBuffer": (ctypes.POINTER(_Buffer), []),
    "TF_LoadSessionFromSavedModel": (
        _POINTER,
        [
            *(_POINTER, _POINTER, _TEXT, ctypes.POINTER(_TEXT), _INT),
            *(_POINTER, ctypes.POINTER(_Buffer), _POINTER),
        ],
    ),
    "TF_GraphOperationByName": (_POINTER, [_POINTER, _TEXT]),
    "TF_AllocateTensor": (_POINTER, [_INT, ctypes.POINTER(_LONG), _INT, _SIZE]),
    "TF_TensorData": (_POINTER, [_POINTER]),
    "TF_TensorType": (_INT, [_POINTER]),
    "TF_TensorByteSize": (_SIZE, [_POINTER]),
    "TF_NumDims": (_INT, [_POINTER]),
    "TF_Dim": (_LONG, [_POINTER, _INT]),
    "TF_StringInit": (None, [_POINTER]),
    "TF_StringCopy": (None, [_POINTER, _TEXT, _SIZE]),
    "TF_StringGetDataPointer": (_POINTER, [_POINTER]),
    "TF_StringGetSize": (_SIZE, [_POINTER]),
    "TF_SessionRun": (
        None,
        [
            *(_POINTER, _POINTER, ctypes.POINTER(_Output), ctypes.POINTER(_POINTER)),
            *(_INT, ctypes.POINTER(_Output), ctypes.POINTER(_POINTER), _INT),
            *(_POINTER, _INT, _POINTER, _POINTER),
        ],
    ),
}


class SignatureError(RuntimeError):
    """A signature that the version does not have."""


class InputError(RuntimeError):
    """Inputs that do not fit their signature, or that the version cannot answer."""


class Library:
    """The functions of the C library that are needed, with their types.

    Args:
        path: Path of `libtensorflow_cc`.
    """

    def __init__(self, path):
        library = ctypes.CDLL(path)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def checked(self, name, *arguments):
        """Calls a function whose last argument is a status, and raises its error."""
        status = self.TF_NewStatus()
        result = getattr(self, name)(*arguments, status)
        if self.TF_GetCode(status):
            raise RuntimeError(self.TF_Message(status).decode())
        return result

    def tensor(self, dtype, wanted, values):
        """A tensor from nested lists.

        Args:
            dtype: TF_DataType.
            wanted: Tuple of sizes, None for any; or None for any shape.
            values: Nested lists, or one value.
        """
        shape, flat = [], values
        while isinstance(flat, list):
            shape.append(len(flat))
            flat = flat[0] if flat else None
        flat = values if shape else [values]
        for _ in shape[1:]:
            flat = [each for row in flat for each in row]
        if len(flat) != math.prod(shape):
            raise InputError("rows of different lengths")
        fits = wanted is None or len(wanted) == len(shape)
        if not fits or any(
            size not in (None, given)
            for size, given in zip(wanted or (), shape, strict=wanted is not None)
        ):
            sizes = ["batch" if size is None else size for size in wanted]
            text = f"the shape {shape}, not {sizes}"
            raise InputError(text.replace("'", ""))
        if dtype == BOOL and not all(isinstance(each, bool) for each in flat):
            raise TypeError("not a bool")
        text = dtype == STRING
        size = _STRING_SIZE if text else struct.calcsize(FORMATS[dtype])
        dims = (_LONG * len(shape))(*shape)
        tensor = self.TF_AllocateTensor(dtype, dims, len(shape), size * len(flat))
        data = self.TF_TensorData(tensor)
        if not text:
            packed = struct.pack(f"{len(flat)}{FORMATS[dtype]}", *flat)
            ctypes.memmove(data, packed, len(packed))
            return tensor
        for index, each in enumerate(flat):
            coded = isinstance(each, dict)
            content = base64.b64decode(each["b64"]) if coded else each.encode()
            self.TF_StringInit(data + index * size)
            self.TF_StringCopy(data + index * size, content, len(content))
        return tensor

    def values(self, tensor):
        """Type and nested lists of a tensor, as `{"dtype": name, "values": lists}`."""
        dtype = self.TF_TensorType(tensor)
        shape = [self.TF_Dim(tensor, i) for i in range(self.TF_NumDims(tensor))]
        data = self.TF_TensorData(tensor)
        count = math.prod(shape)
        if dtype == STRING:
            flat = []
            for index in range(count):
                each = data + index * _STRING_SIZE
                start, size = (
                    self.TF_StringGetDataPointer(each),
                    self.TF_StringGetSize(each),
                )
                content = ctypes.string_at(start, size)
                flat.append({"b64": base64.b64encode(content).decode()})
        else:
            content = ctypes.string_at(data, self.TF_TensorByteSize(tensor))
            flat = list(struct.unpack(f"{count}{FORMATS[dtype]}", content))
        for size in reversed(shape[1:]):
            flat = [flat[i : i + size] for i in range(0, len(flat), max(size, 1))]
        values = flat if shape else flat[0]
        return {"dtype": DTYPES.get(dtype, "object"), "values": values}


class Version:
    """A loaded version.

    Args:
        library: A `Library`.
        path: Its folder.
    """

    def __init__(self, library, path):
        self._library, self._graph = library, library.TF_NewGraph()
        meta_graph = library.TF_NewBuffer()
        self._session = library.checked(
            "TF_LoadSessionFromSavedModel",
            *(library.TF_NewSessionOptions(), None, path.encode()),
            *((_TEXT * 1)(b"serve"), 1, self._graph, meta_graph),
        )
        content = meta_graph.contents
        self._signatures = signatures(ctypes.string_at(content.data, content.length))

    def run(self, name, inputs):
        """Outputs of a signature, a dict of names to what `Library.values` gives."""
        if name not in self._signatures:
            known = [each for each in sorted(self._signatures) if each[:2] != "__"]
            raise SignatureError(f"The version has {known}.")
        wanted, given = (
            self._signatures[name]["outputs"],
            self._signatures[name]["inputs"],
        )
        if set(inputs) != set(given):
            raise InputError(f"{name} takes {sorted(given)}, not {sorted(inputs)}.")
        tensors = []
        for key, (_, dtype, shape) in given.items():
            try:
                tensors.append(self._library.tensor(dtype, shape, inputs[key]))
            except InputError as error:
                raise InputError(f"{key} has {error}.") from None
            except (AttributeError, KeyError, TypeError, ValueError, struct.error):
                kind = DTYPES.get(dtype, f"numbers of type {dtype}")
                kind = "texts or bytes" if dtype == STRING else f"numbers ({kind})"
                text = f"{name} takes {kind} as {key}, and all of one shape."
                raise InputError(text) from None
        results = (_POINTER * len(wanted))()
        try:
            self._library.checked(
                "TF_SessionRun",
                *(self._session, None),
                *(self._places(given), (_POINTER * len(given))(*tensors), len(given)),
                *(self._places(wanted), results, len(wanted)),
                *(None, 0, None),
            )
        except RuntimeError as error:
            raise InputError(str(error).partition("\n")[0]) from None
        values = map(self._library.values, results)
        return dict(zip(wanted, values, strict=True))

    def _places(self, tensors):
        places = (_Output * len(tensors))()
        for place, (name, *_) in zip(places, tensors.values(), strict=True):
            operation, _, index = name.partition(":")
            found = self._library.TF_GraphOperationByName(
                self._graph, operation.encode()
            )
            place.operation, place.index = found, int(index or 0)
        return places


def signatures(meta_graph):
    """What a serialized `MetaGraphDef` says of its signatures.

    Args:
        meta_graph: Bytes.

    Returns:
        Dict of names to `{"inputs": tensors, "outputs": tensors}`; tensors are a dict
        of names to `(name in the graph, TF_DataType, shape)`, the shape as `shape_of`
        gives it.
    """
    found = {}
    for number, entry in fields(meta_graph):
        if number == SIGNATURE_DEF:
            parts = dict(fields(entry))
            inputs, outputs = {}, {}
            for kind, each in fields(parts[_VALUE]):
                if kind in (INPUTS, OUTPUTS):
                    one = dict(fields(each))
                    info = dict(fields(one[_VALUE]))
                    shape = shape_of(info.get(SHAPE, b""))
                    place = (info[NAME].decode(), info.get(DTYPE, 0), shape)
                    (inputs if kind == INPUTS else outputs)[one[_KEY].decode()] = place
            found[parts[_KEY].decode()] = {"inputs": inputs, "outputs": outputs}
    return found


def shape_of(message):
    """Sizes of a serialized `TensorShapeProto`, None for any; None for any rank."""
    sizes = []
    for number, content in fields(message):
        if number == UNKNOWN_RANK and content:
            return None
        if number == DIM:
            size = dict(fields(content)).get(SIZE, 0)
            sizes.append(None if size >> 63 else size)  # -1 is any
    return tuple(sizes)


def fields(message):
    """Pairs of a field's number and its content, of protobuf's wire format."""
    position = 0

    def varint():
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while position < len(message):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            yield tag >> 3, varint()
            continue
        size = varint() if kind == 2 else {1: 8, 5: 4}[kind]
        position += size
        yield tag >> 3, message[position - size : position]


def main():
    """Answers the requests of standard input on standard output."""
    library, versions, responses = Library(sys.argv[1]), {}, []
    for request in json.load(sys.stdin):
        path = request["version"]
        try:
            if path not in versions:
                versions[path] = Version(library, path)
            outputs = versions[path].run(request["signature_name"], request["inputs"])
            responses.append({"outputs": outputs})
        except RuntimeError as error:
            names = {InputError: "inputs", SignatureError: "signature_name"}
            name = names.get(type(error), "version")
            responses.append({"error": str(error), "name": name})
    modules = sorted({name.partition(".")[0] for name in sys.modules})
    json.dump({"responses": responses, "modules": modules}, sys.stdout)


if __name__ == "__main__":
    main()
