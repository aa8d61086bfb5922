"""Probabilities of one's own model: matched by id, by file name, or by position."""

import numpy as np
import pytest

from tfrobustloss import data

IDS = ["cat/1.png", "cat/2.png", "dog/3.png"]
P = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])


def own(ids=IDS, **fields):
    inputs = np.zeros((3, 1), "float32")
    return data.LabelledData(inputs, [0, 0, 1], ("cat", "dog"), ids, **fields)


def read(path, **fields):
    return data.read_probabilities(path, own(**fields))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_by_position(folder):
    np.save("p.npy", P)
    np.testing.assert_array_equal(read("p.npy"), P)
    np.save("p.npy", P[:2])
    with pytest.raises(
        ValueError,
        match=r"shape of p.npy` must be \(3, 2\).*\(2, 2\).*matched by id.*np.savez",
    ):
        read("p.npy")
    with pytest.raises(ValueError, match="The corrections left 4 examples out"):
        read("p.npy", num_dropped=4)


@pytest.mark.parametrize("prefix", ["", "/data/pets/", "C:\\pets\\"])
def test_by_id_or_file_name(folder, prefix):
    # another order, a further example, columns the other way round
    order = [2, 0, 1]
    ids = [prefix + IDS[i].replace("/", "\\" if "\\" in prefix else "/") for i in order]
    values = np.concatenate([P[order, ::-1], [[0.5, 0.5]]])
    arrays = {"ids": [*ids, "other.png"], "class_names": ["dog", "cat"]}
    np.savez("p.npz", probabilities=values, **arrays)
    np.testing.assert_array_equal(read("p.npz"), P)
    rows = [f"{id},{d},x,{c}" for id, (d, c) in zip(arrays["ids"], values, strict=True)]
    (folder / "p.csv").write_text("\n".join(["id,dog,note,cat", *rows]) + "\n")
    np.testing.assert_array_equal(read("p.csv"), P)


def test_names_of_files_that_are_there_twice_are_no_ids(folder):
    ids = ["cat/1.png", "cat/2.png", "dog/1.png"]
    np.savez("p.npz", probabilities=P, ids=[f"/data/{id}" for id in ids])
    with pytest.raises(ValueError, match=r"ids of p.npz` must be there for each of"):
        read("p.npz", ids=ids)
    np.savez("p.npz", probabilities=P[::-1], ids=ids[::-1])
    np.testing.assert_array_equal(read("p.npz", ids=ids), P)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"probabilities": P}, "`names in p.npz` must be a file of .*and `ids`"),
        ({"probabilities": P, "ids": IDS[:2]}, r"\(2, classes\), a row an id"),
        ({"probabilities": P[:2], "ids": IDS[:2]}, r"3 examples.*1 are missing: 'dog"),
        ({"probabilities": P, "ids": [IDS[0]] * 3}, "different from each other"),
        ({"probabilities": P[:, :1], "ids": IDS}, "2, the classes of arrays"),
        (
            {"probabilities": P, "ids": IDS, "class_names": ["cat", "cow"]},
            "class_names of p.npz` must be the classes of arrays: 'cat', 'dog'",
        ),
        ({"probabilities": P.astype(str), "ids": IDS}, "must be numeric"),
        ({"probabilities": P.astype(object), "ids": IDS}, "not loaded"),
    ],
)
def test_refused_archives(folder, arrays, message):
    np.savez("p.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read("p.npz")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["id,cat", "1,2"], "`column` must be a column of p.csv.*column='dog'"),
        (["cat,dog", "1,2"], "`column` must be a column of p.csv.*column='id'"),
        (["id,cat,dog", ",1,0"], "line 2, column 'id'` must be an id"),
        (
            ["id,cat,dog", f"{IDS[0]},1,0", f"{IDS[1]},1,no", f"{IDS[2]},1,0"],
            "line 3, column 'dog'` must be a number.*'no'",
        ),
    ],
)
def test_refused_tables(folder, lines, message):
    (folder / "p.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=message):
        read("p.csv")


def test_refused_files(folder):
    np.save("p.npy", P.astype(object))
    (folder / "text.npy").write_text("no")
    (folder / "p.npz").write_text("no")
    np.savez("archive.npz", P)
    (folder / "archive.npz").rename("archive.npy")
    for name, message in (
        ("p.npy", "an .npy file"),
        ("text.npy", "an .npy file"),
        ("archive.npy", "an .npy file.*several arrays"),
        ("p.npz", "`path` must be a .npz file"),
        ("p.txt", "a file that exists, of .npy, .npz, .csv"),
        ("no.npy", "a file that exists"),
    ):
        with pytest.raises(ValueError, match=message):
            read(name)
    with pytest.raises(TypeError, match="`path`"):
        data.read_probabilities(3, own())
    with pytest.raises(TypeError, match="`data` must be `LabelledData`"):
        data.read_probabilities("p.npy", P)
