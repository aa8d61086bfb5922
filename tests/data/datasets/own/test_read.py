"""A user's own data: folders, tables, `.npz` files, trusted, test and corrections."""

import csv
import json
import os
import pathlib
import struct
import warnings
import zlib

import keras
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from tfrobustloss import data

RANDOM = np.random.default_rng(0)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)


def pixels(*shape):
    return RANDOM.integers(0, 256, shape or (6, 5, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two classes of two colour images of 6 x 5 each."""
    for name in ("dog/b.png", "dog/a.png", "cat/c.png", "cat/deep/d.png"):
        save(tmp_path / "pets" / name, pixels())
    return tmp_path / "pets"


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def quietly(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return data.read(*args, **options)


# --- folders


def test_a_folder_as_keras_reads_it(folder):
    found = data.read(folder)
    assert found.ids.tolist() == [
        "cat/c.png",
        "cat/deep/d.png",
        "dog/a.png",
        "dog/b.png",
    ]
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert found.labels.dtype == np.int32
    assert (found.kind, found.input_shape) == ("images", (6, 5, 3))
    theirs = keras.utils.image_dataset_from_directory(
        folder, shuffle=False, batch_size=None, image_size=(6, 5), verbose=False
    )
    images, labels = zip(*theirs.as_numpy_iterator(), strict=True)
    assert theirs.class_names == list(found.class_names)
    np.testing.assert_array_equal(found.inputs, np.stack(images))
    np.testing.assert_array_equal(found.labels, labels)


def test_kinds_of_images(tmp_path):
    grey = pixels(4, 4)
    save(tmp_path / "1" / "a.PNG", grey)
    save(tmp_path / "1" / "b.bmp", grey)
    save(tmp_path / "2" / "c.gif", grey)
    save(tmp_path / "2" / "d.jpg", np.full((4, 4), 77))
    wide = Image.fromarray((grey.astype(np.uint16) << 8) + 99)
    wide.save(tmp_path / "2" / "e.png")  # 16 bits
    found = data.read(tmp_path)
    assert found.input_shape == (4, 4, 1)
    for index in (0, 1, 2, 4):
        np.testing.assert_array_equal(found.inputs[index, ..., 0], grey)
    assert (found.inputs[3] == 77).all()


def test_grey_among_colour_is_noted(folder):
    grey = pixels(6, 5)
    save(folder / "cat" / "a.png", grey)
    transparent = pixels(6, 5, 4)
    save(folder / "cat" / "b.png", transparent)
    with pytest.warns(UserWarning, match=r"1 of 6 images are grey.*cat/a.png"):
        found = data.read(folder)
    np.testing.assert_array_equal(found.inputs[0], np.stack([grey] * 3, -1))
    np.testing.assert_array_equal(found.inputs[1], transparent[..., :3])
    assert len(found.notes) == 1


def test_sizes_differ(folder):
    save(folder / "cat" / "e.png", np.full((12, 10, 3), 200))
    with pytest.raises(
        ValueError, match=r"`image_size`.*4 of 6 x 5, 1 of 12 x 10.*\(6"
    ):
        data.read(folder)
    found = data.read(folder, image_size=(6, 5))
    assert found.input_shape == (6, 5, 3)
    assert (found.inputs[2] == 200).all()


def test_resizing_averages(tmp_path):
    # by hand: halving, a triangle over 4 pixels of weights 1, 3, 3, 1; at the border
    # it is cut, 3, 3, 1 of 7
    row = np.array([0, 80, 160, 240])
    save(tmp_path / "a" / "1.png", np.tile(row, (4, 1)))
    save(tmp_path / "b" / "1.png", np.tile(row, (4, 1)))
    found = quietly(tmp_path, image_size=(2, 2))
    by_hand = [(3 * 0 + 3 * 80 + 160) / 7, (80 + 3 * 160 + 3 * 240) / 7]
    np.testing.assert_allclose(found.inputs[0, 0, :, 0], by_hand, atol=0.51)


def test_train_and_test_folders(tmp_path):
    for name in ("train/a/1.png", "train/a/2.png", "train/b/1.png", "train/b/2.png"):
        save(tmp_path / name, pixels())
    save(tmp_path / "test" / "b" / "9.png", np.full((3, 3), 7))
    with pytest.warns(UserWarning, match=r"`train` was read, not 'test'"):
        found = data.read(tmp_path)
    assert found.test is None
    assert found.ids.tolist() == ["a/1.png", "a/2.png", "b/1.png", "b/2.png"]
    for name in ("test", tmp_path / "test"):
        found = quietly(tmp_path, test=name)
        assert found.test.labels.tolist() == [1]
        assert found.test.class_names == ("a", "b")
        assert found.test.input_shape == (6, 5, 3)  # resized, grey to colour
        assert (found.test.inputs == 7).all()
        assert not any("was read" in note for note in found.notes)
    save(tmp_path / "test" / "<b>" / "9.png", pixels())
    message = r"label of .*<b>/9\.png` must be a class of .*'a', 'b'.*'<b>'"
    with pytest.raises(ValueError, match=message):
        quietly(tmp_path, test="test")


def test_order_of_numbered_classes_and_what_is_left_out(tmp_path):
    for name in ("10", "9", "2"):
        save(tmp_path / name / "x.png", pixels())
        save(tmp_path / name / "y.png", pixels())
    write(tmp_path / "2" / "notes.txt", "hello")
    write(tmp_path / "2" / ".hidden.png", "no image")
    write(tmp_path / ".DS_Store", "no image")
    save(tmp_path / "stray.png", pixels())
    (tmp_path / "3").mkdir()
    before = sorted(path for path in tmp_path.rglob("*"))
    found = quietly(tmp_path)
    assert found.class_names == ("2", "9", "10")
    assert "'3' has no images" in found.notes[0]
    assert "2 files" in found.notes[1]
    assert "'stray.png', '2/notes.txt'" in found.notes[1]
    assert sorted(path for path in tmp_path.rglob("*")) == before


def huge_png(path, width, height):
    """A PNG file with hardly any pixels behind its header."""
    content = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    for name, part in ((b"IHDR", header), (b"IDAT", zlib.compress(b"0"))):
        content += struct.pack(">I", len(part)) + name + part
        content += struct.pack(">I", zlib.crc32(name + part))
    path.write_bytes(content)


@pytest.mark.parametrize(("width", "height"), [(40_000, 40_000), (10_000, 9_000)])
def test_a_picture_of_a_billion_pixels(folder, width, height):
    huge_png(folder / "cat" / "huge.png", width, height)
    with pytest.raises(ValueError, match=r"huge\.png` must be .*at most 89 million"):
        data.read(folder, image_size=(6, 5))


def test_damaged_images_are_named(folder):
    whole = (folder / "dog" / "a.png").read_bytes()
    for content in (whole[:60], b"", b"GIF89a"):
        (folder / "dog" / "a.png").write_bytes(content)
        with pytest.raises(ValueError, match=r"dog/a\.png` must be a PNG, JPEG"):
            data.read(folder)


def test_memory_is_checked_before_decoding(folder):
    whole = (folder / "dog" / "a.png").read_bytes()
    (folder / "dog" / "a.png").write_bytes(whole[:60])  # decoding would fail
    with pytest.raises(ValueError, match=r"4 images` must be at most .*`max_bytes`"):
        data.read(folder, max_bytes=359)  # of 4 * 6 * 5 * 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "a folder of images.*One folder a class"),
        (lambda root: save(root / "a.png", pixels()), "One folder a class"),
        (lambda root: (root / "a").mkdir(), "One folder a class"),
        (lambda root: save(root / "a" / "1.png", pixels()), r"two classes.*\['a'\]"),
    ],
)
def test_refused_folders(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(ValueError, match=message):
        data.read(tmp_path)


def test_a_class_of_one_example_is_noted(folder):
    save(folder / "owl" / "1.png", pixels())
    with pytest.warns(UserWarning, match=r"1 classes have a single.*'owl'"):
        data.read(folder)


# --- tables


ROWS = [
    "age,colour,label",
    "1,red,no",
    "3,blue,yes",
    ",red,yes",
    "8,,no",
]


def test_a_table_by_hand(tmp_path):
    path = write(tmp_path / "a.csv", *ROWS)
    found = quietly(path)
    mean, deviation = 4, np.std([1, 3, 8])  # the median is 3
    ages = (np.array([1, 3, 3, 8]) - mean) / deviation
    assert found.feature_names == (
        "age",
        "colour=blue",
        "colour=red",
        "colour=(missing)",
    )
    np.testing.assert_allclose(found.inputs[:, 0], ages, rtol=1e-6)
    expected = [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert found.inputs[:, 1:].tolist() == expected
    assert found.inputs.dtype == np.float32
    assert found.class_names == ("no", "yes")
    assert found.labels.tolist() == [0, 1, 1, 0]
    assert found.ids.tolist() == ["1", "2", "3", "4"]
    assert found.row(1) == {"age": "3", "colour": "blue"}
    assert "'age': 1 missing cells count as its median, 3" in found.notes[0]
    assert "'colour': 1 missing cells are a word" in found.notes[1]


def test_test_table_is_scaled_by_the_first(tmp_path):
    path = write(tmp_path / "a.csv", *ROWS)
    other = write(
        tmp_path / "b.csv", "label,colour,more,age", "yes,green,7,4", "yes,,7,"
    )
    found = quietly(path, test=other)
    test = found.test
    assert test.labels.tolist() == [1, 1]
    np.testing.assert_allclose(test.inputs[0], 0, atol=1e-6)  # 4 is the mean, no green
    np.testing.assert_allclose(test.inputs[1, 0], -1 / np.std([1, 3, 8]), rtol=1e-6)
    assert test.inputs[1, 1:].tolist() == [0, 0, 1]
    assert "'green'" in found.notes[-1]
    other = write(tmp_path / "b.csv", "label,age", "yes,4")
    with pytest.raises(ValueError, match="`column` must be .*'colour'"):
        quietly(path, test=other)
    other = write(tmp_path / "b.csv", "label,colour,age", "yes,red,old")
    with pytest.raises(ValueError, match="line 2, column 'age'` must be .*'old'"):
        quietly(path, test=other)


def test_parquet_and_csv_agree(tmp_path):
    columns = {
        "x": [1.5, None, -2.0, 1e6],
        "n": pa.array([3, 1, 2, 2], pa.int8()),
        "flag": [True, False, True, True],
        "word": pa.array(["a", "b", "a", None]).dictionary_encode(),
        "target": [2.0, 10.0, 10.0, 2.0],
    }
    table = pa.table(columns)
    parquet.write_table(table, tmp_path / "a.parquet")
    lines = ["x;n;flag;word;target"]
    lines += ["1.5;3;1;a;2", ";1;0;b;10", "-2;2;1;a;10.0", "1e6;2;1;;2"]
    first = quietly(tmp_path / "a.parquet")
    second = quietly(write(tmp_path / "b.csv", *lines))
    np.testing.assert_allclose(first.inputs, second.inputs, rtol=1e-6)
    assert first.class_names == second.class_names == ("2", "10")
    assert first.feature_names == second.feature_names
    np.testing.assert_array_equal(first.labels, second.labels)


def test_ids_columns_and_words(tmp_path):
    lines = ["id,doors,name,Class"]
    lines += [f"n{i},{i % 3},person {i},{'ab'[i % 2]}" for i in range(60)]
    path = write(tmp_path / "a.csv", *lines)
    found = data.read(path, ignore=["name"], words="doors")
    assert found.feature_names == ("doors=0", "doors=1", "doors=2")
    assert found.ids[:2].tolist() == ["n0", "n1"]
    with pytest.warns(UserWarning, match=r"'name' has 60 different words.*`ignore`"):
        found = data.read(path)
    assert len(found.feature_names) == 51
    assert found.inputs[:, 1:].sum(axis=1).tolist() == [1] * 60
    found = data.read(path, id="name", ignore=["id"])
    assert found.ids[0] == "person 0"


def test_lines_of_cells_with_newlines_and_semicolons(tmp_path):
    path = tmp_path / "a.csv"
    text = 'x;note;label\n1;"two\nlines; here";a\n\n2;b;a\noops;b;b\n3;b;b\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    with pytest.raises(ValueError, match="line 6, column 'x'` must be .*'oops'"):
        data.read(path)
    found = data.read(path, words=["x"])
    assert found.row(0)["note"] == "two\nlines; here"


def bad(tmp_path, *lines):
    return write(tmp_path / "bad.csv", *lines)


BAD_TABLES = [
    (["x,what", "1,a"], {}, r"`label` must be .*'x', 'what'.*None is called label"),
    (["y,class,x", "1,a,2"], {}, r"Several could be it: 'y', 'class'"),
    (["x,label", "1,a"], {"label": "z"}, r"`label` must be a column .*label='z'"),
    (["x,label", "1,a"], {"ignore": ["z"]}, r"`ignore` must be a column .*='z'"),
    (["x,label", "1,a"], {"id": "z"}, r"`id` must be a column .*id='z'"),
    (["x,label", "1,a", "2"], {}, r"line 3` must be 2 cells.*'1 cells'"),
    (["x,x,label", "1,1,a"], {}, r"name of column 2` must be different"),
    (["x,label"], {}, r"rows of .*` must be 1 or more"),
    ([""], {}, r"a CSV table.*empty"),
    (["x,label", "1,a", "2,", "3,b"], {}, r"line 3, column 'label'` must be a label"),
    (["x,label", "1,a", "2,a"], {}, r"two classes or more.*\['a'\]"),
    (["x,label", "1,1", "2,2", "2,b"], {}, r"line 4, column 'label'` must be a number"),
    (["x,label", "1,a", "2,2", "2,b"], {}, r"line 3, column 'label'` must be a word"),
    (
        ["x,y", "1,1.5", "2,2", "2,1"],
        {},
        r"line 2, column 'y'` must be a whole",
    ),
    (
        ["x,label", "1,a", "2,b", "n/k,b"],
        {},
        r"line 4, column 'x'` must be a number",
    ),
    (["x,label", "1,a", "inf,b"], {}, r"line 3, column 'x'` must be finite.*=inf"),
    (["x;label", "1,5;a", "2,5;b"], {}, r"line 2, column 'x'`.*decimal points"),
    (["id,x,label", "a,1,a", "a,2,b"], {}, r"line 3, column 'id'` must be .* line 2"),
    (["id,x,label", "a,1,a", ",2,b"], {}, r"line 3, column 'id'` must be an id"),
    (["label", "a", "b"], {}, r"features next to the labels.*`image`"),
    (
        ["f,label", "no.png,a", "x.png,b"],
        {"image": "f"},
        r"line 2, column 'f'`.*2 of 2",
    ),
    (
        ["f,label", ",a", "x.png,b"],
        {"image": "f"},
        r"line 2, column 'f'` must be the p",
    ),
]


@pytest.mark.parametrize(("lines", "options", "message"), BAD_TABLES)
def test_refused_tables(tmp_path, lines, options, message):
    with pytest.raises(ValueError, match=message):
        data.read(bad(tmp_path, *lines), **options)


def test_rows_without_label_can_be_dropped(tmp_path):
    lines = ["x,label", "100,", "1,a", "3,b", "oops,", "3,b", "1,a"]
    path = write(tmp_path / "a.csv", *lines)
    with pytest.warns(UserWarning, match="2 of 6 rows have no label"):
        found = data.read(path, drop_unlabelled=True)
    assert found.ids.tolist() == ["2", "3", "5", "6"]
    assert found.inputs[:, 0].tolist() == [-1, 1, 1, -1]
    assert found.row(1) == {"x": "3"}


def test_refused_bytes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("x,label\n1,a\n2,Zürich\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"line 3` must be UTF-8.*Save"):
        data.read(path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(ValueError, match="a Parquet table"):
        data.read(tmp_path / "a.parquet")
    table = pa.table({"x": [[1], [2]], "label": ["a", "b"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(
        ValueError, match=r"column 'x'` must be numbers or text.*ignore="
    ):
        data.read(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"size of .*`max_bytes`"):
        data.read(path, max_bytes=3)


def test_a_table_of_image_paths(folder):
    lines = ["file,kind", "dog/a.png,2", "../pets/cat/c.png,10", "dog/b.png,2"]
    path = write(folder / "a.csv", *lines)
    found = quietly(path, label="kind", image="file")
    assert found.ids.tolist() == ["dog/a.png", "../pets/cat/c.png", "dog/b.png"]
    assert found.class_names == ("2", "10")
    assert found.labels.tolist() == [0, 1, 0]
    with Image.open(folder / "cat" / "c.png") as image:
        np.testing.assert_array_equal(found.inputs[1], np.asarray(image))


# --- .npz files, datasets and paths


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    images = pixels(4, 3, 3)
    np.savez(path, images=images, labels=["b", "a", "b", "a"], ids=[7, 8, 9, 10])
    found = data.read(path)
    assert found.class_names == ("a", "b")
    assert found.labels.tolist() == [1, 0, 1, 0]
    assert found.ids.tolist() == ["7", "8", "9", "10"]
    np.testing.assert_array_equal(found.inputs, images[..., None])
    labels = np.array([0.0, 2, 2, 0])
    np.savez(path, features=np.arange(8).reshape(4, 2), labels=labels)
    found = data.read(path, test=(np.ones((1, 2)), [1]))
    assert found.class_names == ("0", "2")
    assert found.inputs.dtype == np.float32
    assert found.inputs[3].tolist() == [6, 7]
    assert found.test.labels.tolist() == [1]
    np.savez(path, images=images, labels=[1, 0, 1, 0], class_names=["z", "a", "none"])
    found = data.read(path)
    assert found.class_names == ("z", "a", "none")
    assert found.labels.tolist() == [1, 0, 1, 0]


F, L = np.zeros((2, 3)), np.array([0, 1])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": L}, r"`labels` and either .*\['labels'\].*np\.savez"),
        ({"features": F, "images": F, "labels": L}, "`labels` and either"),
        (
            {"features": F, "labels": np.array([0, None])},
            "labels` .*objects.*not",
        ),
        (
            {"features": np.array([[{}], [0]]), "labels": L},
            "features` .*objects",
        ),
        ({"features": F, "labels": [0]}, r"labels\)` must be 2, the number of inputs"),
        ({"features": F, "labels": np.eye(2)}, r"labels\.shape` .*argmax"),
        ({"features": F, "labels": [0, 0.5]}, r"labels\[1\]` must be a whole number"),
        ({"features": F, "labels": ["a", ""]}, r"labels\[1\]` must be a label"),
        ({"features": F, "labels": [0, 2], "class_names": ["a", "b"]}, r"labels\[1\]`"),
        ({"features": F, "labels": L, "ids": [3, 3]}, r"index 1` must be an id of"),
        ({"features": F + [0, np.nan, 0], "labels": L}, r"features\[0, 1\]` .*finite"),
        ({"features": F[:, 0], "labels": L}, r"features\.shape`"),
        ({"images": F, "labels": L}, r"images\.dtype` must be uint8.*round"),
        ({"images": F.astype("uint8"), "labels": L}, r"images\.shape`"),
        ({"features": F, "labels": L, "class_names": ["a", "a"]}, r"different names"),
    ],
)
def test_refused_npz(tmp_path, arrays, message):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message):
        quietly(path)


def test_npz_is_checked_before_it_is_loaded(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, features=np.zeros((1000, 100)), labels=[0] * 1000)
    with pytest.raises(ValueError, match=r"features` must be at most .*`max_bytes`"):
        data.read(path, max_bytes=700_000)
    path.write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"a \.npz file"):
        data.read(path)


def test_named_datasets():
    found = data.read("digits", test="test[:50]")
    assert (found.kind, found.input_shape, len(found)) == ("images", (8, 8, 1), 1352)
    assert len(found.test) == 50
    assert found.class_names == tuple("0123456789")
    assert found.source == "digits"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no/such.csv", "does not exist"),
        ("./none", "does not exist"),
        (os.devnull, "a folder of images, a table"),
        ("no_such_set", "no such path, and as a name: load: "),
    ],
)
def test_refused_paths(path, message):
    with pytest.raises(ValueError, match=message):
        data.read(path)


def test_refused_arguments(tmp_path):
    path = write(tmp_path / "a.csv", "x,label", "1,a", "2,b", "3,a", "4,b")
    for options, error, message in (
        ({"image_size": 28}, TypeError, r"`image_size` must be \(height, width\)"),
        ({"image_size": (28, 0)}, ValueError, r"`image_size\[1\]` .*=0"),
        ({"max_bytes": 0}, ValueError, "`max_bytes`"),
        ({"label": 1}, TypeError, "`label` must be the name"),
        ({"ignore": 3}, TypeError, "`ignore` must be"),
        ({"drop_unlabelled": "no"}, TypeError, "`drop_unlabelled`"),
        ({"test": path}, ValueError, "`test` must be other data"),
        ({"test": 3}, TypeError, "`test` must be a path"),
        ({"test": (np.ones((2, 2)), [0, 1])}, ValueError, r"shape \(1,\), as in"),
        ({"test": (np.ones((2, 1)), [0, 2])}, ValueError, r"test\[1\]"),
        ({"trusted": [4]}, ValueError, r"trusted\[0\]` must be .*\[0, 3\].*=4"),
        ({"trusted": ["9"]}, ValueError, r"trusted\[0\]` must be an id.*'1', '2', '3'"),
        ({"trusted": [True]}, ValueError, r"4 bools"),
        ({"trusted": []}, TypeError, r"`trusted` must be a path, or one"),
        ({"trusted": "none.txt"}, ValueError, "a file that exists"),
        ({"corrections": "none.csv"}, ValueError, "a file that exists"),
    ):
        with pytest.raises(error, match=message):
            data.read(path, **options)


# --- trusted examples


def test_trusted(tmp_path):
    path = write(
        tmp_path / "a.csv", "id,x,label", "7,1,a", "=8,2,b", "9 ,3,a", "10,4,b"
    )
    for trusted in (
        [3, 1],
        ["10", "=8"],
        [False, True, False, True],
        write(tmp_path / "ids.txt", "10", "", "=8"),
        write(tmp_path / "ids.csv", "note,id", "x,10", "y,'=8"),
    ):
        assert data.read(path, trusted=trusted).trusted.tolist() == [1, 3]
    bad = write(tmp_path / "ids.txt", "10", "11")
    with pytest.raises(ValueError, match=r"ids\.txt, line 2` must be an id of .*'11'"):
        data.read(path, trusted=bad)
    bad = write(tmp_path / "ids.csv", "note", "10")
    with pytest.raises(ValueError, match=r"with a column `id`.*'note'"):
        data.read(path, trusted=bad)
    (tmp_path / "ids.txt").write_text("\n")
    with pytest.raises(ValueError, match="one id or more"):
        data.read(path, trusted=tmp_path / "ids.txt")


# --- corrections


STRANGE = [
    "=1+1",
    "+a",
    "-a",
    "@a",
    "'a",
    "'=a",
    "''",
    "a,b",
    'a"b',
    "a\nb",
    "\ta",
    "é",
]
STRANGE += ["<script>", "a;b", " a ", "\rb", "\udcff"]


def test_corrections_round_trip(tmp_path):
    path = tmp_path / "wrong.csv"
    given = STRANGE[::-1]
    data.write_corrections(path, STRANGE, given, STRANGE, [0.5] * len(STRANGE), given)
    found = data.read_corrections(path)
    assert [one.id for one in found] == STRANGE
    assert [one.given for one in found] == given
    assert [one.label for one in found] == given
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        for row in csv.reader(file):
            assert all(cell[:1] not in tuple("=+-@\t\r") for cell in row)
    assert os.listdir(tmp_path) == ["wrong.csv"]


def test_corrections_are_applied(tmp_path):
    path = write(
        tmp_path / "a.csv", "x,label", "1,a", "2,-b", "3,a", "4,-b", "5,a", "6,-b"
    )
    wrong = write(
        tmp_path / "wrong.csv",
        "id;given;label",  # as a spreadsheet may save it
        "2;'-b;a",
        "3;a; ",
        "4;'-b;'-b",
        "5;;-b",
        "6;'-b;(drop)",
    )
    found = data.read(path, corrections=wrong, trusted=[0, 5])
    assert found.class_names == ("-b", "a")
    assert found.names_of(found.labels).tolist() == ["a", "a", "a", "-b", "-b"]
    assert found.ids.tolist() == ["1", "2", "3", "4", "5"]
    assert found.trusted.tolist() == [0]
    assert (found.num_corrected, found.num_dropped) == (2, 1)
    assert found.row(4) == {"x": "5"}
    assert data.read(path).digest != found.digest
    assert path.read_text().count("-b") == 3  # the user's file is as it was


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["id,label", "1,b", "99,b"], r"line 3, id` must be .*'99'"),
        (["id,label", "1,b", "2,c"], r"line 3, label` must be .*'a', 'b'.*'c'"),
        (["id,label", "1,b", "1,a"], r"line 3, id` must be another .*line 2"),
        (["id,label", ",b"], r"line 2, id` must be an id"),
        (["id,given,label", "1,b,b"], r"line 2, given` must be 'a', the .*other data"),
        (["id,corrected", "1,b"], r"columns `id` and `label`.*'corrected'"),
        ([], "It is empty"),
    ],
)
def test_refused_corrections(tmp_path, lines, message):
    path = write(tmp_path / "a.csv", "x,label", "1,a", "2,b", "3,a", "4,b")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=message):
        data.read(path, corrections=wrong)


def test_write_corrections_refuses(tmp_path):
    with pytest.raises(ValueError, match=r"len\(given\)` must be 1"):
        data.write_corrections(tmp_path / "a.csv", ["a"], [], ["b"], [1])
    with pytest.raises(ValueError, match="`path` must be in a folder"):
        data.write_corrections(tmp_path / "no" / "a.csv", ["a"], ["b"], ["b"], [1])
    with pytest.raises(TypeError, match="`path`"):
        data.write_corrections(None, ["a"], ["b"], ["b"], [1])


# --- `LabelledData`


def test_description_identifies_the_data(folder):
    found = data.read(folder, trusted=[1])
    description = found.description()
    assert json.loads(json.dumps(description)) == description
    assert description["class_counts"] == [2, 2]
    assert description["trusted"] == 1
    digests = {
        description["digest"],
        data.read(folder).digest,
        data.read(folder, image_size=(3, 3)).digest,
        data.read(folder, test=(found.inputs[:1], [0])).digest,
    }
    assert len(digests) == 4
    assert data.read(str(folder), trusted=["cat/deep/d.png"]).digest == found.digest


def test_select(folder):
    found = data.read(folder, trusted=[0, 3])
    part = found.select([3, 1])
    assert part.ids.tolist() == ["dog/b.png", "cat/deep/d.png"]
    assert part.trusted.tolist() == [0]
    assert len(found.select(found.labels == 1)) == 2
    assert pathlib.Path(part.source) == folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": ["a", "a"]}, r"ids\[1\]` must be an id of its own"),
        ({"ids": ["a"]}, r"len\(ids\)` must be 2"),
        ({"labels": [0, 2]}, r"labels\[1\]` must be .*\[0, 1\]"),
        ({"kind": "sound"}, "`kind` must be one of"),
        ({"kind": "images"}, "of rank 4"),
    ],
)
def test_refused_fields(change, message):
    fields = {
        "inputs": np.zeros((2, 3), "float32"),
        "labels": [0, 1],
        "class_names": ("a", "b"),
        "ids": ["x", "y"],
    }
    with pytest.raises(ValueError, match=message):
        data.LabelledData(**{**fields, **change})
