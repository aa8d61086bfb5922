"""Image sets: the embedded digits always, TFDS on tiny sets and on real ones."""

import dataclasses
import importlib
import pathlib
import sys
import types

import numpy as np
import pytest

from tfrobustloss import data

SHARED = pathlib.Path(__file__).parents[5] / "shared" / "data" / "tfds"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder of prepared TFDS sets, made here: five to seven images each."""
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = tmp_path_factory.mktemp("tfds")
    label = tfds.features.ClassLabel(names=["cat", "dog", "fox"])

    def store(name, features, examples):
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            data_dir=folder,
            features=tfds.features.FeaturesDict(features),
            split_datasets={
                "train": list(enumerate(examples)),
                "test": list(enumerate(examples[:2])),
            },
            disable_shuffling=True,
        )

    pets = [
        {"image": np.full((4, 5, 1), 40 * i, np.uint8), "label": i % 3, "note": "x"}
        for i in range(7)
    ]
    image = tfds.features.Image(shape=(4, 5, 1))
    store("pets", {"image": image, "label": label, "note": tfds.features.Text()}, pets)
    image = tfds.features.Image(shape=(None, None, 1))
    views = [{"image": example["image"], "label": example["label"]} for example in pets]
    store("views", {"image": image, "label": label}, views)
    store("words", {"note": tfds.features.Text()}, [{"note": "x"}] * 5)
    return folder


def test_digits_is_one_set_split_in_two():
    train, test = data.load("digits"), data.load("digits", "test")
    assert train.images.shape == (1352, 8, 8, 1)  # by counting: 1797 - 445
    assert test.images.shape == (445, 8, 8, 1)  # sum over classes of count // 4
    assert (train.num_classes, train.name) == (10, "digits")
    assert train.class_names == tuple("0123456789")
    for part in (train, test):
        assert part.images.dtype == np.uint8
        assert part.labels.dtype == np.int64
        assert part.labels.shape == part.images.shape[:1]


def test_digits_is_stratified():
    train, test = data.load("digits"), data.load("digits", "test")
    share = np.bincount(test.labels) / np.bincount(train.labels)
    np.testing.assert_allclose(share, 1 / 3, atol=0.01)


def test_digits_pixels_are_the_source_spread_over_a_byte():
    images = data.load("digits").images
    # round(level * 255 / 16) for level 0..16, by hand
    levels = [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239]
    assert np.unique(images).tolist() == [*levels, 255]
    # first row of the first image of the source file: 0 0 5 13 9 1 0 0
    assert images[0, 0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]


def test_digits_splits_share_no_image():
    train, test = data.load("digits"), data.load("digits", "test")
    seen = {image.tobytes() for image in train.images}
    assert not any(image.tobytes() in seen for image in test.images)


def test_digits_is_the_same_each_time():
    one, two = data.load("digits", "test"), data.load("digits", "test")
    np.testing.assert_array_equal(one.images, two.images)
    # counted once in plain Python over `load_digits().target`: pins the split
    assert one.labels[:12].tolist() == [0, 9, 5, 6, 8, 4, 1, 7, 3, 2, 0, 3]


def test_dataset_is_frozen():
    digits = data.load("digits")
    with pytest.raises(dataclasses.FrozenInstanceError):
        digits.labels = digits.labels[:10]


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"'digits'.*tfrobustloss\[cli\]"):
        data.load("digits")


def test_digits_has_two_splits():
    with pytest.raises(ValueError, match="`split`.*'train', 'test'.*split='val'"):
        data.load("digits", "val")


@pytest.mark.parametrize("name", [None, "", 3])
def test_name_must_be_text(name):
    with pytest.raises(ValueError, match=f"`name`.*name={name!r}"):
        data.load(name)


def test_prepared_set_keeps_order_and_pixels(tiny):
    pets = data.load("pets", data_dir=tiny)
    assert pets.images.shape == (7, 4, 5, 1)
    assert pets.images.dtype == np.uint8
    assert pets.images[:, 0, 0, 0].tolist() == [0, 40, 80, 120, 160, 200, 240]
    assert pets.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert pets.labels.dtype == np.int64
    assert (pets.num_classes, pets.class_names) == (3, ("cat", "dog", "fox"))
    assert data.load("pets", "test", str(tiny)).labels.tolist() == [0, 1]


def test_split_must_exist(tiny):
    with pytest.raises(ValueError, match="`split`.*'train', 'test'.*split='trian'"):
        data.load("pets", "trian", tiny)


@pytest.mark.parametrize(
    ("split", "labels"),
    [
        ("train[:3]", [0, 1, 2]),
        ("train[5:]", [2, 0]),
        ("train[-2:]", [2, 0]),
        ("train[50%:]", [1, 2, 0]),  # round(3.5) is 4, to even
        ("train[2:2]", []),
        ("test[1:]", [1]),
    ],
)
def test_slices(tiny, split, labels):
    pets = data.load("pets", split, tiny)
    assert pets.labels.tolist() == labels
    assert pets.images.shape == (len(labels), 4, 5, 1)
    if split == "train[5:]":
        assert pets.images[:, 0, 0, 0].tolist() == [200, 240]


@pytest.mark.parametrize("split", ["train[1:2", "train[a:]", "tset[1:]", "train[1]", 3])
def test_slices_must_be_slices(tiny, split):
    with pytest.raises(ValueError, match=r"`split`.*train\[:50000\]"):
        data.load("pets", split, tiny)


def test_slices_of_digits():
    whole = data.load("digits", "test")
    part = data.load("digits", "test[10:20]")
    np.testing.assert_array_equal(part.images, whole.images[10:20])
    np.testing.assert_array_equal(part.labels, whole.labels[10:20])


def test_metadata(tiny):
    pets = data.load("pets", data_dir=tiny)
    assert pets.image_size == (4, 5)
    assert pets.ids is None
    assert pets.asymmetric_map is None


def test_images_must_have_one_size(tiny):
    with pytest.raises(ValueError, match=r"one size.*name='views'.*None, None, 1"):
        data.load("views", data_dir=tiny)


def test_set_must_be_for_image_classification(tiny):
    with pytest.raises(ValueError, match="class `label`.*name='words'"):
        data.load("words", data_dir=tiny)


def test_absent_data_says_where_and_how(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    with pytest.raises(ValueError, match="name='mnist'") as caught:
        data.load("mnist", data_dir=tmp_path)
    text = str(caught.value)
    assert f"prepared in {tmp_path}" in text
    assert "--data-dir" in text
    command = f"tfds.builder('mnist', data_dir={str(tmp_path)!r})"
    assert f"{command}.download_and_prepare()" in text


def test_absent_data_looks_in_the_working_directory(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow_datasets")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="name='mnist'") as caught:
        data.load("mnist", data_dir="data")
    assert f"prepared in {tmp_path / 'data'}" in str(caught.value)


def test_unknown_name_offers_no_download(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    with pytest.raises(ValueError, match="name='minst'.*no download") as caught:
        data.load("minst", data_dir=tmp_path)
    assert "download_and_prepare" not in str(caught.value)


def test_unreadable_name(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    with pytest.raises(ValueError, match="`name`.*name='../mnist'"):
        data.load("../mnist", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "split", "shape", "labels"),
    [
        # labels: the first ones that `tfds.load(name, split="test")` gives
        ("mnist", "test[:500]", (500, 28, 28, 1), [2, 0, 4, 8, 7]),
        ("cifar10", "test[:500]", (500, 32, 32, 3), [7, 0, 6, 9, 5]),
        ("kmnist_10k", "test", (2000, 28, 28, 1), [8, 0, 2, 0, 1]),
    ],
)
def test_shared_sets(name, split, shape, labels):
    if not (SHARED / name).is_dir():
        pytest.skip(f"no prepared {name} in {SHARED}")
    loaded = data.load(name, split, SHARED)
    assert loaded.images.shape == shape
    assert loaded.images.dtype == np.uint8
    assert loaded.images.max() == 255
    assert loaded.labels[:5].tolist() == labels
    assert loaded.num_classes == len(loaded.class_names) == 10
    assert np.unique(loaded.labels).tolist() == list(range(10))
    maps = {"mnist": {7: 1, 2: 7, 5: 6, 6: 5, 3: 8}, "kmnist_10k": None}
    assert loaded.asymmetric_map == maps.get(name, {9: 1, 2: 0, 3: 5, 5: 3, 4: 7})
    assert (loaded.ids is not None) == (name == "cifar10")


class _Watched:
    """A TFDS builder that tells what was asked for, and how many examples were read."""

    def __init__(self, builder, files=1):
        self._builder, self._files = builder, files
        self.asked, self.read = [], 0

    def __getattr__(self, name):
        return getattr(self._builder, name)

    @property
    def info(self):
        splits = {
            name: types.SimpleNamespace(
                num_examples=split.num_examples, shard_lengths=[1] * self._files
            )
            for name, split in self._builder.info.splits.items()
        }
        return types.SimpleNamespace(
            splits=splits, features=self._builder.info.features
        )

    def as_dataset(self, split, **options):
        import tensorflow as tf

        self.asked.append(split)
        whole = self._builder.as_dataset(split=split, **options)

        def examples():
            for example in whole:
                self.read += 1
                yield example

        return tf.data.Dataset.from_generator(
            examples, output_signature=whole.element_spec
        )


@pytest.mark.parametrize("files", [1, 2])
def test_a_slice_alone_is_read(tiny, monkeypatch, files):
    module = importlib.import_module(data.load.__module__)  # `load` is a function

    watched = _Watched(module._find_builder("pets", tiny), files)
    monkeypatch.setattr(module, "_find_builder", lambda *arguments: watched)
    pets = data.load("pets", "train[1:3]", tiny)
    assert pets.labels.tolist() == [1, 2]
    assert pets.images[:, 0, 0, 0].tolist() == [40, 80]
    # labels, then images; of several files the examples in front are read too
    assert watched.read == 2 * (2 if files == 1 else 3)
    assert set(watched.asked) == {"train[1:3]" if files == 1 else "train"}
    watched.read = 0
    assert len(data.load("pets", "train[3:3]", tiny).labels) == 0
    assert watched.read == 0
