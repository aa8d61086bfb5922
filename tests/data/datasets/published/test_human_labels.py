"""Label files: read as they are published, and refused where they want to run."""

import io
import pathlib
import pickle
import struct
import zipfile

import numpy as np
import pytest

from tfrobustloss import data
from tfrobustloss.data import load_human_labels
from tfrobustloss.data.datasets.published import plain_pickle

SHARED = pathlib.Path(__file__).parents[5] / "shared" / "data" / "tfds"
CLEAN = np.array([6, 9, 9, 4, 1], np.int64)
WORSE = np.array([4, 9, 0, 5, 1], np.int64)


def text(value):
    """The instruction for a string, as Python 2's pickles and PyTorch's have it."""
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def array(values, dtype="i8"):
    """The instructions for an array in a pickle of protocol 2, as numpy 1 wrote it."""
    values = np.asarray(values)
    bytes_as_text = values.tobytes().decode("latin1")
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
        + (b"c_codecs\nencode\n" + text("b") + text("latin1") + b"\x86R\x87R(K\x01")
        + (b"K" + bytes([len(values)]) + b"\x85")
        + (b"cnumpy\ndtype\n" + text(dtype) + b"\x89\x88\x87R(K\x03" + text("<"))
        + (b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89c_codecs\nencode\n")
        + (text(bytes_as_text) + text("latin1") + b"\x86Rtb")
    )


def entries(**parts):
    """The instructions for a dict, its values given as instructions."""
    body = b"".join(text(name) + part for name, part in parts.items())
    return b"\x80\x02}(" + body + b"u."


def archive(path, content, method=zipfile.ZIP_STORED, folder="archive", **storages):
    """A `.pt` file as PyTorch writes it."""
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr(f"{folder}/data.pkl", content)
        file.writestr(f"{folder}/version", "3\n")
        for key, values in storages.items():
            file.writestr(f"{folder}/data/{key[1:]}", np.asarray(values).tobytes())
    return path


def tensor(kind, key, length, shape=None, stride=b"K\x01\x85", offset=b"K\x00"):
    shape = shape or b"K" + bytes([length]) + b"\x85"
    storage = (
        b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key)
    ) + (text("cpu") + b"K" + bytes([length]) + b"tQ")
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + shape + stride
    ) + b"\x89ccollections\nOrderedDict\n)RtR"


PUBLISHED = entries(clean_label=array(CLEAN), worse_label=array(WORSE))


def check(found):
    assert list(found) == ["clean_label", "worse_label"]
    for name, expected in (("clean_label", CLEAN), ("worse_label", WORSE)):
        assert found[name].dtype == np.int64
        np.testing.assert_array_equal(found[name], expected)


# --- what can be read


def test_the_instructions_above_are_what_pickle_reads():
    found = pickle.loads(PUBLISHED)  # noqa: S301 - made above
    np.testing.assert_array_equal(found["worse_label"], WORSE)


def test_pt_with_numpy_arrays(tmp_path):
    check(load_human_labels(archive(tmp_path / "a.pt", PUBLISHED)))


def test_pt_with_lists(tmp_path):
    numbers = b"](" + b"".join(b"K" + bytes([one]) for one in CLEAN) + b"e"
    content = entries(clean_label=numbers, worse_label=array(WORSE))
    check(load_human_labels(archive(tmp_path / "a.pt", content)))


def test_pt_with_tensors(tmp_path):
    parts = [tensor("LongStorage", "0", 5), tensor("IntStorage", "1", 5)]
    content = entries(clean_label=parts[0], worse_label=parts[1])
    storages = dict(_0=CLEAN, _1=WORSE.astype(np.int32))
    check(load_human_labels(archive(tmp_path / "a.pt", content, **storages)))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_npy_of_a_dict(tmp_path, protocol):
    value = np.array({"clean_label": CLEAN, "worse_label": WORSE}, object)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|O", "fortran_order": False, "shape": ()}
    )
    content = pickle.dumps(value, protocol=protocol)
    (tmp_path / "a.npy").write_bytes(header.getvalue() + content)
    check(load_human_labels(tmp_path / "a.npy"))


def test_npz_and_npy_of_arrays(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", clean_label=CLEAN, worse_label=WORSE)
    check(load_human_labels(tmp_path / "a.npz"))
    np.save(tmp_path / "b.npy", WORSE.astype(np.int16))
    found = load_human_labels(str(tmp_path / "b.npy"))
    np.testing.assert_array_equal(found["noisy_label"], WORSE)
    assert found["noisy_label"].dtype == np.int64


@pytest.mark.parametrize("dtype", ["i1", "i2", "<i4", ">i8", "u1"])
def test_every_integer_type(tmp_path, dtype):
    for protocol in (2, 4):
        content = pickle.dumps({"a": CLEAN.astype(dtype)}, protocol=protocol)
        path = archive(tmp_path / f"{protocol}.pt", content)
        np.testing.assert_array_equal(load_human_labels(path)["a"], CLEAN)


def test_scalars_and_shared_values():
    shared = [1, 2]
    value = {"a": shared, "b": shared, "c": 1.5, "d": (None, True), "e": np.int64(3)}
    assert plain_pickle.read(pickle.dumps(value)) == value


# --- what is refused


class Evil:
    def __init__(self, function, *arguments):
        self.parts = function, arguments

    def __reduce__(self):
        return self.parts


def touch(path):
    pathlib.Path(path).touch()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", ["value", "key", "array", "build"])
def test_nothing_is_run(tmp_path, protocol, place):
    trace = tmp_path / "it ran"
    evil = Evil(touch, str(trace))
    if place == "value":
        content = pickle.dumps({"a": evil}, protocol=protocol)
    elif place == "key":
        content = pickle.dumps([({"a": CLEAN}, evil)], protocol=protocol)
    elif place == "array":
        content = pickle.dumps({"a": np.array([evil, 1], object)}, protocol=protocol)
    else:
        content = pickle.dumps([evil, {"a": CLEAN}], protocol=protocol)
    path = archive(tmp_path / "a.pt", content)
    with pytest.raises(ValueError, match="cannot be read"):
        load_human_labels(path)
    assert not trace.exists()
    pickle.loads(content)  # noqa: S301 - the same bytes do run where they are unpickled
    assert trace.exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"cos\nsystem\n" + text("true") + b"\x85R.", r"names os\.system"),
        (b"cbuiltins\neval\n" + text("1") + b"\x85R.", r"names builtins\.eval"),
        (b"\x8c\x02os\x8c\x06system\x93.", r"names os\.system"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(tR.", "damaged"),
        (b"cnumpy\nndarray\n)R.", r"calls numpy\.ndarray"),
        (b"ccollections\nOrderedDict\n(K\x01tR.", "calls collections.OrderedDict"),
        (b"c_codecs\nencode\n" + text("a") + text("rot13") + b"\x86R.", "_codecs"),
        (b"(i__main__\nA\n.", "instruction INST"),
        (b"(cos\nsystem\no.", "names os.system"),
        (b"K\x01\x85\x81.", "instruction NEWOBJ"),
        (b"\x82\x01.", "instruction EXT1"),
        (text("x") + b"Q.", "damaged|outside"),
        (b"Px\n.", "instruction PERSID"),
        (b"}K\x01b.", "sets the state of a value of type dict"),
        (b"K\x01", "cut off|damaged"),
        (b"", "cut off|damaged"),
        (b"K\x01K\x02.", "damaged"),
        (b"h\x05.", "damaged"),
        (b"R.", "damaged"),
        (b"(.", "damaged|holds"),
        (b"\xff.", "damaged"),
        (b"}q\x00" + text("a") + b"h\x00s.", "damaged"),  # a dict in itself
        (b"cnumpy\nndarray\n.", r"holds numpy\.ndarray"),
        (b"}Nh\x00s.", "damaged"),
        (b"}N(NNd" + b"s.", "damaged|key"),
    ],
)
def test_crafted_pickles(content, match):
    with pytest.raises(plain_pickle.Refused, match=match):
        plain_pickle.read(content)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ((b"K\x05\x85c", b"K\x06\x85c"), "damaged"),  # more elements than bytes
        ((text("i8"), text("O8")), "array of objects"),
        ((text("i8"), text("V8")), "type 'V8'"),
        ((text("i8"), text("f8,")), "type|damaged"),
    ],
)
def test_crafted_arrays(changed, match):
    assert changed[0] in PUBLISHED
    with pytest.raises(plain_pickle.Refused, match=match):
        plain_pickle.read(PUBLISHED.replace(*changed))


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        (dict(kind="LongStorage", key="../../etc/passwd"), "no item|There is no item"),
        (dict(kind="LongStorage", key="0", stride=b"K\x02\x85"), "gaps"),
        (dict(kind="LongStorage", key="0", offset=b"J\xff\xff\xff\xff"), "negative"),
        (dict(kind="LongStorage", key="0", shape=b"K\x63\x85"), "damaged"),
        (dict(kind="QInt8Storage", key="0"), r"names torch\.QInt8Storage"),
    ],
)
def test_crafted_tensors(tmp_path, parts, match):
    content = entries(a=tensor(length=5, **parts))
    path = archive(tmp_path / "a.pt", content, _0=CLEAN)
    with pytest.raises(ValueError, match=match):
        load_human_labels(path)


def test_every_cut_is_refused():
    for length in range(len(PUBLISHED)):
        with pytest.raises(plain_pickle.Refused):
            plain_pickle.read(PUBLISHED[:length])


def test_noise_on_the_bytes_never_gets_out_of_hand():
    generator = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(PUBLISHED)
        for place in generator.integers(0, len(damaged), 3):
            damaged[place] = generator.integers(0, 256)
        try:
            plain_pickle.read(bytes(damaged))
        except plain_pickle.Refused:
            pass


def test_what_is_built_is_bounded_by_the_file(tmp_path):
    # 60 dicts that each hold the one before twice: 2 ** 60 if each were copied
    shared = {"a": 1}
    for _ in range(60):
        shared = {"a": shared, "b": shared}
    found = plain_pickle.read(pickle.dumps(shared))
    assert found["a"]["b"] is found["b"]["a"]
    # an index of the memo that pickle's own would allocate 64 GB for
    assert plain_pickle.read(b"Nr\xff\xff\xff\xff.") is None
    # a text that is encoded 200 times, a storage that is read 200 times
    encode = b"c_codecs\nencode\n" + text("a" * 1000) + text("latin1") + b"\x86"
    again = b"q\x00" + b"c_codecs\nencode\nh\x00R" * 200
    with pytest.raises(plain_pickle.Refused, match="more bytes than it has"):
        plain_pickle.read(b"(" + encode + again + b"t.")
    identity = b"(" + text("storage") + b"ctorch\nLongStorage\n" + text("0")
    identity += text("cpu") + b"K\x05tq\x00"
    reads = []
    content = b"(" + identity + b"h\x00Q" * 200 + b"t."
    plain_pickle.read(content, lambda key: reads.append(key) or CLEAN.tobytes())
    assert reads == ["0"]
    for length in (b"\x8e", b"\x96", b"\x8d", b"\x95"):  # of bytes, text, a frame
        with pytest.raises(plain_pickle.Refused):
            plain_pickle.read(length + struct.pack("<Q", 1 << 40) + b"a.")


def test_archives_that_are_refused(tmp_path):
    small = archive(tmp_path / "a.pt", PUBLISHED, method=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed or too large"):
        load_human_labels(small)
    (tmp_path / "b.pt").write_bytes(PUBLISHED)
    with pytest.raises(ValueError, match=r"before 1\.6"):
        load_human_labels(tmp_path / "b.pt")
    with zipfile.ZipFile(tmp_path / "c.pt", "w") as file:
        file.writestr("a/other", b"")
    with pytest.raises(ValueError, match=r"no data\.pkl"):
        load_human_labels(tmp_path / "c.pt")


@pytest.mark.parametrize("dtype", ["f8", "?"])
def test_entries_must_be_integers(tmp_path, dtype):
    np.savez(tmp_path / "a.npz", a=CLEAN.astype(dtype))
    with pytest.raises(ValueError, match=r"\['a'\]` must be an array of integers"):
        load_human_labels(tmp_path / "a.npz")


def test_entries_must_have_one_length(tmp_path):
    np.savez(tmp_path / "a.npz", a=CLEAN, b=CLEAN[1:])
    with pytest.raises(ValueError, match=r"one length.*'a': 5, 'b': 4"):
        load_human_labels(tmp_path / "a.npz")


def test_objects_in_an_npz_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([Evil(touch, "x")], object))
    with pytest.raises(ValueError, match="cannot be read"):
        load_human_labels(tmp_path / "a.npz")


def test_the_file_must_be_there(tmp_path):
    with pytest.raises(ValueError, match=r"cifar-10-100n.*non-commercial"):
        load_human_labels(tmp_path / "CIFAR-10_human.pt")
    (tmp_path / "a.csv").touch()
    with pytest.raises(ValueError, match=r"\.npy, \.npz or \.pt"):
        load_human_labels(tmp_path / "a.csv")


# --- the order of a dataset

ORDER = [3, 0, 4, 1]  # four of the five, as a slice of a set that TFDS shuffled


def made(ids=True, labels=None):
    names = np.array([f"train_{i:05d}" for i in ORDER]) if ids else None
    labels = CLEAN[ORDER] if labels is None else labels
    images = np.zeros((len(labels), 2, 2, 1), np.uint8)
    return data.ImageDataset(images, labels, 10, "made", tuple("0123456789"), names)


def test_labels_follow_the_ids(tmp_path):
    np.savez(tmp_path / "a.npz", clean_label=CLEAN, worse_label=WORSE)
    found = load_human_labels(tmp_path / "a.npz", made())
    np.testing.assert_array_equal(found["worse_label"], WORSE[ORDER])
    np.testing.assert_array_equal(found["clean_label"], CLEAN[ORDER])


def test_a_file_in_the_order_of_the_dataset_is_left_alone(tmp_path):
    np.savez(tmp_path / "a.npz", clean_label=CLEAN[ORDER], worse_label=WORSE[ORDER])
    found = load_human_labels(tmp_path / "a.npz", made())
    np.testing.assert_array_equal(found["worse_label"], WORSE[ORDER])


def test_a_path_is_a_path():
    with pytest.raises(TypeError, match="load_human_labels: `path`.*path=None"):
        load_human_labels(None)


def test_a_dataset_that_does_not_fit(tmp_path):
    np.savez(tmp_path / "a.npz", clean_label=CLEAN, worse_label=WORSE)
    with pytest.raises(ValueError, match=r"2 of 4 clean labels differ"):
        load_human_labels(tmp_path / "a.npz", made(labels=np.array([4, 6, 2, 3])))
    with pytest.raises(ValueError, match=r"`dataset.ids`.*None"):
        load_human_labels(tmp_path / "a.npz", made(ids=False))
    np.savez(tmp_path / "b.npz", noisy=CLEAN[:3])
    with pytest.raises(ValueError, match=r"from 0 to 2.*train_00004"):
        load_human_labels(tmp_path / "b.npz", made())


def test_ids_of_cifar10_are_the_numbers_of_the_original_order():
    if not (SHARED / "cifar10").is_dir():
        pytest.skip(f"no prepared cifar10 in {SHARED}")
    tfds = pytest.importorskip("tensorflow_datasets")
    # not by `data.load`, which reads all 50,000 labels
    builder = tfds.builder("cifar10", data_dir=SHARED)
    some = builder.as_dataset("train", decoders={"image": tfds.decode.SkipDecoding()})
    ids = [one["id"].decode() for one in some.take(4).as_numpy_iterator()]
    # first entries of the authors' image_order_c10.npy, read once: TFDS -> original
    first = [int(one.split("_")[1]) for one in ids]
    assert first == [16399, 1680, 47917, 17307]
