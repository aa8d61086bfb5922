"""The named image sets, on tiny ones made in the layouts of the real ones."""

import numpy as np
import pytest

from tfrobustloss import data

tfds = pytest.importorskip("tensorflow_datasets")

COUNT = 24


def picture(height, width, channels, level):
    """A plain image whose left half is darker: its level survives any resizing."""
    image = np.full((height, width, channels), level, np.uint8)
    image[:, : width // 2] //= 2
    return image


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    """Sets with the names, features and versions of the published ones."""
    folder = tmp_path_factory.mktemp("tfds")
    text = tfds.features.Text()

    def store(name, image, names, splits, **others):
        features = {"image": tfds.features.Image(shape=image)}
        features["label"] = tfds.features.ClassLabel(names=names)
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            data_dir=folder,
            features=tfds.features.FeaturesDict({**features, **others}),
            split_datasets=splits,
            disable_shuffling=True,
        )

    def examples(size, classes, **others):
        for i in range(COUNT):
            height, width, channels = size(i) if callable(size) else size
            label = i % classes
            image = picture(height, width, channels, 100 + i)
            yield (
                i,
                {
                    "image": image,
                    "label": label,
                    **{k: f(i) for k, f in others.items()},
                },
            )

    grey, color, any_size = (28, 28, 1), (32, 32, 3), (None, None, 3)
    ten = [str(i) for i in range(10)]
    for name in ("fashion_mnist", "kmnist"):
        parts = {split: examples(grey, 10) for split in ("train", "test")}
        store(name, grey, ten, parts)
    number = dict(id=lambda i: f"train_{i:06d}")
    parts = {s: examples(color, 10, **number) for s in ("train", "test", "extra")}
    store("svhn_cropped", color, ten, parts, id=text)
    hundred = [f"class{i:02d}" for i in range(100)]
    parts = {split: examples(color, 100, **number) for split in ("train", "test")}
    coarse = tfds.features.ClassLabel(num_classes=20)
    for split, each in parts.items():
        parts[split] = [(i, {**one, "coarse_label": 3}) for i, one in each]
    store("cifar100", color, hundred, parts, id=text, coarse_label=coarse)
    five = ["dandelion", "daisy", "tulips", "sunflowers", "roses"]
    store("tf_flowers", any_size, five, dict(train=examples(wide, 5)))
    parts = dict(train=examples(wide, 2, **{"image/filename": lambda i: f"{i}.jpg"}))
    store("cats_vs_dogs", any_size, ["cat", "dog"], parts, **{"image/filename": text})
    return folder


def wide(i):
    return (60 + i, 200, 3) if i % 2 else (300, 120 + i, 3)


@pytest.mark.parametrize(
    ("name", "size", "classes"),
    [
        ("fashion_mnist", (28, 28, 1), 10),
        ("kmnist", (28, 28, 1), 10),
        ("svhn", (32, 32, 3), 10),  # stored as `svhn_cropped`
        ("cifar100", (32, 32, 3), 100),
    ],
)
def test_sets_of_one_size(tfds_folder, name, size, classes):
    for split in ("train", "test") if name == "kmnist" else ("test",):
        loaded = data.load(name, split, tfds_folder)
        assert loaded.images.shape == (COUNT, *size)
        assert loaded.images.dtype == np.uint8
        assert loaded.images[:, 0, -1, 0].tolist() == list(range(100, 100 + COUNT))
        assert loaded.labels.tolist() == [i % classes for i in range(COUNT)]
        assert loaded.num_classes == len(loaded.class_names) == classes
        assert (loaded.name, loaded.image_size) == (name, size[:2])


def test_ids_and_maps(tfds_folder):
    svhn = data.load("svhn", "train[3:5]", tfds_folder)
    assert svhn.ids.tolist() == ["train_000003", "train_000004"]
    assert svhn.asymmetric_map is None
    cifar = data.load("cifar100", data_dir=tfds_folder)
    matrix = data.noise.asymmetric("cifar100", 0.4)
    for clean, wrong in cifar.asymmetric_map.items():
        assert matrix[clean, wrong] == 0.4


@pytest.mark.parametrize(
    ("name", "classes", "every"),
    [("flowers", 5, 4), ("cats_vs_dogs", 2, 5)],
)
def test_sets_in_one_piece_are_split_and_resized(tfds_folder, name, classes, every):
    train, test = (data.load(name, each, tfds_folder) for each in ("train", "test"))
    for part in (train, test):
        assert part.images.shape == (len(part.labels), 150, 150, 3)
        assert part.images.dtype == np.uint8
        assert part.num_classes == classes
    # of class c, the examples c, c + classes, ...: every fourth or fifth of them
    order = [range(c, COUNT, classes) for c in range(classes)]
    held_out = sorted(i for each in order for i in each[every - 1 :: every])
    kept = sorted(set(range(COUNT)) - set(held_out))
    for part, numbers in ((train, kept), (test, held_out)):
        assert part.images[:, 75, -1, 0].tolist() == [100 + i for i in numbers]
        assert part.labels.tolist() == [i % classes for i in numbers]
    part = data.load(name, "train[1:3]", tfds_folder)
    np.testing.assert_array_equal(part.images, train.images[1:3])


def test_stretched_and_cropped(tfds_folder):
    # example 1 is 61 x 200, its left half dark. Stretched or its middle cut out, the
    # border is in the middle; in a crop nothing is squeezed, so it is a sharp edge of
    # 200 * 150 / 61 pixels' width at most
    flowers = data.load("tf_flowers", "train", tfds_folder).images[1]
    pets = data.load("cats_vs_dogs", "train", tfds_folder).images[1]
    for image in (flowers, pets):
        assert image[10, :70, 0].max() == 50
        assert image[10, 80:, 0].min() == 101
    # example 0 is 300 x 120: the crop keeps half of its height, the left is dark
    tall = data.load("cats_vs_dogs", "train", tfds_folder).images[0]
    assert tall[0, 20, 0] == tall[-1, 20, 0] == 50


def test_absent_sets_are_named_as_tfds_names_them(tmp_path):
    with pytest.raises(ValueError, match=r"name='svhn'.*builder\('svhn_cropped'"):
        data.load("svhn", data_dir=tmp_path)


# --- by hand: Clothing1M


@pytest.fixture(
    params=["", "annotations"], ids=["lists next to images", "lists in a folder"]
)
def clothing(tmp_path, request):
    """Four images and the lists, in both layouts that are about."""
    import tensorflow as tf

    folder = tmp_path / "clothing1m"
    lists = folder / request.param
    lists.mkdir(parents=True)
    keys = []
    for i in range(4):
        key = f"images/{i}/00/picture,{i}.jpg"
        (folder / key).parent.mkdir(parents=True)
        encoded = tf.io.encode_jpeg(picture(80 + i, 60, 3, 100 + 10 * i), quality=100)
        (folder / key).write_bytes(encoded.numpy())
        keys.append(key)
    for file, labels in (("noisy", [3, 13, 0, 5]), ("clean", [3, 2, 1, 5])):
        lines = [f"{key} {label}" for key, label in zip(keys, labels, strict=True)]
        (lists / f"{file}_label_kv.txt").write_text("\n".join(lines) + "\n")
    chosen = dict(noisy_train=[2, 0, 1], clean_train=[1], clean_val=[3], clean_test=[2])
    for file, numbers in chosen.items():
        content = "\n".join(keys[i] for i in numbers)
        (lists / f"{file}_key_list.txt").write_text(content + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("split", "numbers", "labels"),
    [
        ("train", [2, 0, 1], [0, 3, 13]),
        ("train[1:]", [0, 1], [3, 13]),
        ("clean_train", [1], [2]),
        ("validation", [3], [5]),
        ("test", [2], [1]),
    ],
)
def test_clothing1m(clothing, split, numbers, labels):
    loaded = data.load("clothing1m", split, clothing)
    assert loaded.labels.tolist() == labels
    assert loaded.num_classes == len(loaded.class_names) == 14
    assert loaded.class_names[0] == "T-shirt"
    assert loaded.image_size == (224, 224)
    assert [one[-5] for one in loaded.ids] == [str(i) for i in numbers]
    images = loaded.images[:]
    assert images.shape == loaded.images.shape == (len(numbers), 224, 224, 3)
    levels = images[:, 100, -20, 0].astype(int)
    np.testing.assert_allclose(levels, [100 + 10 * i for i in numbers], atol=2)
    np.testing.assert_array_equal(loaded.images[-1], images[-1])
    np.testing.assert_array_equal(loaded.images[[0, -1]], images[[0, -1]])
    np.testing.assert_array_equal(np.asarray(loaded.images), images)


def test_clothing1m_through_a_pipeline(clothing):
    loaded = data.load("clothing1m", "train", clothing)
    batches = data.pipeline(
        "clothing1m", data_dir=clothing, num_classes=14, batch_size=2, seed=0
    )
    found = {}
    for images, labels in batches.as_numpy_iterator():
        assert images.shape[1:] == (224, 224, 3)
        for image, label in zip(images, labels, strict=True):
            found[int(label)] = image
    assert sorted(found) == [0, 3, 13]
    np.testing.assert_array_equal(found[0], loaded.images[0])


def test_clothing1m_says_what_is_missing(clothing, tmp_path):
    folder = clothing / "clothing1m"
    with pytest.raises(ValueError, match="`split`.*'clean_train'.*split='val'"):
        data.load("clothing1m", "val", clothing)
    (folder / "images" / "2" / "00" / "picture,2.jpg").unlink()
    with pytest.raises(ValueError, match=r"there is no .*picture,2\.jpg"):
        data.load("clothing1m", "test", clothing)
    (next(folder.rglob("clean_label_kv.txt"))).write_text("")
    with pytest.raises(ValueError, match=r"with a label of images/3.*Cysu"):
        data.load("clothing1m", "validation", clothing)
    with pytest.raises(ValueError, match="there is no") as caught:
        data.load("clothing1m", data_dir=tmp_path / "elsewhere")
    text = str(caught.value)
    assert "https://github.com/Cysu/noisy_label" in text
    assert str(tmp_path / "elsewhere" / "clothing1m" / "images" / "0") in text
    assert "noisy_train_key_list.txt, noisy_label_kv.txt" in text


# --- by hand: HAM10000

DIAGNOSES = ["nv", "nv", "mel", "nv", "nv", "akiec", "mel", "mel", "mel", "nv"]


@pytest.fixture
def lesions(tmp_path):
    """Ten images in two folders, and the table in an order of its own."""
    import tensorflow as tf

    folder = tmp_path / "ham10000"
    rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    for i, diagnosis in enumerate(DIAGNOSES):
        part = folder / f"HAM10000_images_part_{1 + i // 6}"
        part.mkdir(parents=True, exist_ok=True)
        encoded = tf.io.encode_jpeg(picture(45, 60, 3, 100 + 10 * i), quality=100)
        (part / f"ISIC_{i:07d}.jpg").write_bytes(encoded.numpy())
        rows.insert(1, f"HAM_{i},ISIC_{i:07d},{diagnosis},histo,80.0,male,scalp")
    (folder / "HAM10000_metadata.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_ham10000(lesions):
    train, test = (data.load("ham10000", each, lesions) for each in ("train", "test"))
    # nv: 0 1 3 4 9, mel: 2 6 7 8: the fourth of each is held out; akiec has only one
    held_out = [4, 8]
    kept = [i for i in range(10) if i not in held_out]
    for part, numbers in ((train, kept), (test, held_out)):
        assert part.images.shape == (len(numbers), 75, 100, 3)
        levels = part.images[:, 30, 90, 0].astype(int)
        np.testing.assert_allclose(levels, [100 + 10 * i for i in numbers], atol=2)
        names = [part.class_names[label] for label in part.labels]
        assert names == [DIAGNOSES[i] for i in numbers]
        assert part.ids.tolist() == [f"ISIC_{i:07d}" for i in numbers]
        assert part.num_classes == 7
    assert data.load("ham10000", "test[1:]", lesions).ids.tolist() == ["ISIC_0000008"]


def test_ham10000_says_what_is_missing(lesions, tmp_path):
    with pytest.raises(ValueError, match=r"there is no .*\.csv.*DBW86T") as caught:
        data.load("ham10000", data_dir=tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / "ham10000"
    assert f"{folder}/HAM10000_images_part_1/*.jpg" in str(caught.value)
    next((lesions / "ham10000").rglob("ISIC_0000003.jpg")).unlink()
    with pytest.raises(ValueError, match=r"there is no .*ISIC_0000003\.jpg"):
        data.load("ham10000", data_dir=lesions)


def test_manual_sets_are_looked_for_where_tfds_is(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(ValueError, match=f"there is no {tmp_path}/ham10000"):
        data.load("ham10000")
