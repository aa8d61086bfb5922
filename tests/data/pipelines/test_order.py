"""Sources whose order changes between epochs: refused, unless they bring an index."""

import re

import numpy as np
import pytest

from tests.data.pipelines.parts import index_of
from tfrobustloss import data
from tfrobustloss.data import noise

tf = pytest.importorskip("tensorflow")

COUNT, SEED = 60, 3
IMAGES, CLEAN = np.arange(COUNT).reshape(-1, 1), np.arange(COUNT) % 4
MATRIX = noise.symmetric(4, 0.5)
NOISY = noise.corrupt(CLEAN, MATRIX, SEED)
ORDER = np.random.default_rng(0)  # of the generators below: moves on in every epoch
SPEC = (tf.TensorSpec((1,), tf.int64), tf.TensorSpec((), tf.int64))
UNORDERED = tf.data.Options()
UNORDERED.deterministic = False
CALLS = dict(num_parallel_calls=2)
random = tf.data.Dataset.random


def base():
    return tf.data.Dataset.from_tensor_slices((IMAGES, CLEAN))


def halves():
    return [base().take(30), base().skip(30)]


def same(image, label):
    return image, label


def jitter(image, label):
    return tf.cast(image, tf.float32) + tf.random.uniform((), 0, 0.4), label


def python_jitter(image, label):
    def add(image):
        return image + ORDER.random()

    image = tf.numpy_function(add, [tf.cast(image, tf.float64)], tf.float64)
    return tf.ensure_shape(image, (1,)), label


def part(i, **options):
    """A quarter of the source, made in a function of a dataset."""
    ids = tf.range(15 * i, 15 * i + 15)
    dataset = tf.data.Dataset.from_tensor_slices((ids[:, tf.newaxis], ids % 4))
    return dataset.shuffle(15, **options) if options else dataset


def interleave(function=part, **options):
    return tf.data.Dataset.range(4).interleave(function, cycle_length=2, **options)


def captured(dataset):
    return tf.data.Dataset.range(2).flat_map(lambda i: dataset)


def draw(high):
    return lambda *example: tf.random.uniform((), 0, high, tf.int64)


def python_coin(image, label):
    return tf.py_function(lambda: ORDER.random() < 0.5, [], tf.bool)


def generator(ids_of):
    def examples():
        for i in ids_of():
            yield IMAGES[i], CLEAN[i]

    return tf.data.Dataset.from_generator(examples, output_signature=SPEC)


def shuffled_in_their_class():
    return np.concatenate([ORDER.permutation(np.arange(c, COUNT, 4)) for c in range(4)])


@tf.function
def from_a_function():
    return base().shuffle(COUNT)


def fixed_shuffle():
    return base().shuffle(COUNT, seed=1, reshuffle_each_iteration=False)


def files(folder, **options):
    for k in range(4):
        lines = (f"{i} {CLEAN[i]}\n" for i in range(15 * k, 15 * k + 15))
        (folder / f"{k}.txt").write_text("".join(lines))
    return tf.data.Dataset.list_files(f"{folder}/*.txt", **options)


def parse(line):
    numbers = tf.strings.to_number(tf.strings.split(line), tf.int64)
    numbers = tf.ensure_shape(numbers, (2,))
    return numbers[:1], numbers[1]


def make(source, **options):
    options = {"transition_matrix": MATRIX, **options}
    return data.pipeline(source, num_classes=4, batch_size=COUNT, seed=SEED, **options)


REFUSED = {
    "shuffle()": [
        lambda: base().shuffle(COUNT),
        lambda: base().shuffle(COUNT, seed=1),
        lambda: base().shuffle(COUNT, reshuffle_each_iteration=False),  # in a process
        lambda: base().shuffle(COUNT).map(same).prefetch(2),
        lambda: base().batch(5).shuffle(9).unbatch(),
        lambda: base().shuffle(COUNT).cache(),  # fixed after one whole epoch only
        lambda: base().concatenate(base().shuffle(COUNT)),
        lambda: tf.data.Dataset.zip(base(), base().shuffle(9)).map(lambda a, b: a),
        lambda: interleave(lambda i: part(i, seed=None)),
        lambda: captured(base().shuffle(9, seed=1)),
        lambda: tf.data.Dataset.range(4).map(lambda i: part(i, seed=None)).flat_map(
            lambda each: each
        ),
        lambda: from_a_function(),
        lambda: base().shuffle(COUNT).enumerate(),
        lambda: base().shuffle(COUNT).enumerate().shuffle(9).map(same),
    ],
    "repeat()": [
        lambda: base().repeat(),
        lambda: base().repeat(2),
        lambda: base().repeat().take(90),
        lambda: base().repeat(2).enumerate(),
    ],
    "Dataset.random()": [
        lambda: random().take(9).map(lambda i: (i, i % 4)),
        lambda: random(1, True).take(9).map(lambda i: (i, i % 4)),
        lambda: tf.data.Dataset.zip(base(), random()).filter(
            lambda example, number: number % 2 == 0
        ).map(lambda example, number: example),
    ],
    "a random choice": [
        lambda: tf.data.Dataset.sample_from_datasets(halves()),
        lambda: tf.data.Dataset.sample_from_datasets(
            halves(), seed=1, rerandomize_each_iteration=True
        ),
        lambda: tf.data.Dataset.choose_from_datasets(
            halves(), tf.data.Dataset.range(9).map(draw(2))
        ),
    ],
    "a random filter()": [
        lambda: base().filter(lambda *example: tf.random.uniform(()) < 0.5),
    ],
    "deterministic=False": [
        lambda: interleave(deterministic=False, **CALLS),
        lambda: interleave(**CALLS).with_options(UNORDERED),
        lambda: base().map(same, deterministic=False, **CALLS),
        lambda: base().map(same, **CALLS).with_options(UNORDERED),
        lambda: tf.data.Dataset.range(2).flat_map(
            lambda i: interleave(deterministic=False, **CALLS)
        ),
    ],
    "first examples that differ": [
        lambda: generator(lambda: ORDER.permutation(COUNT)),
        lambda: generator(lambda: ORDER.permutation(COUNT)).batch(4).unbatch(),
        lambda: generator(shuffled_in_their_class).map(same),
        lambda: generator(lambda: ORDER.permutation(COUNT)).enumerate(),
        lambda: base().map(draw(COUNT)).map(lambda i: (i, i % 4)),
        lambda: base().filter(python_coin),
    ],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:AutoGraph")
@pytest.mark.parametrize(
    ("text", "source"), [(text, each) for text in REFUSED for each in REFUSED[text]]
)
def test_changing_orders_are_refused(text, source):
    tf.random.set_seed(None)  # a global seed fixes what has no seed of its own
    with pytest.raises(ValueError, match=refusal(text)):
        make(source())


def refusal(text):
    return f"^pipeline: `dataset` must .*dataset='a dataset with {re.escape(text)}"


@pytest.mark.filterwarnings("ignore:AutoGraph")
@pytest.mark.parametrize("text", REFUSED)
def test_noise_decides_whether_the_order_matters(text):
    tf.random.set_seed(None)
    first, last = REFUSED[text][0](), REFUSED[text][-1]()  # the last has an index
    for source in (first, last):
        assert make(source, transition_matrix=None)  # without noise the order is free
    with pytest.raises(ValueError, match=refusal(text)):
        make(first, transition_matrix=None, noisy_labels=NOISY)


ACCEPTED = [
    lambda: base().map(same, **CALLS).cache().prefetch(2),
    lambda: base().batch(7).unbatch(),
    lambda: base().take(20).concatenate(base().skip(20)),
    lambda: base().filter(lambda image, label: label < 9),
    lambda: base().with_options(UNORDERED),  # nothing in it runs in parallel
    lambda: base().shuffle(1).repeat(1),
    lambda: base().map(jitter),
    lambda: base().map(python_jitter),
    lambda: tf.data.Dataset.zip(base(), random()).map(lambda example, seed: example),
    lambda: tf.data.Dataset.zip(base(), tf.data.Dataset.counter()).map(
        lambda example, count: example
    ),
    lambda: base().window(4, drop_remainder=True).flat_map(
        lambda images, labels: tf.data.Dataset.zip(images, labels)
    ),
    lambda: base().flat_map(lambda *pair: tf.data.Dataset.from_tensors(pair).repeat(1)),
    lambda: generator(lambda: range(COUNT)),
    lambda: generator(lambda: range(COUNT)).map(jitter),
    lambda: base().enumerate().shuffle(COUNT),
    lambda: base().enumerate().map(lambda i, pair: (i, pair)).shuffle(9).repeat(1),
    lambda: tf.data.Dataset.zip(
        tf.data.Dataset.counter(), base().enumerate().shuffle(9)
    ).map(lambda count, pair: pair),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:AutoGraph")
@pytest.mark.parametrize("source", ACCEPTED)
def test_labels_are_those_of_the_index(source):
    tf.random.set_seed(None)
    batches = make(source())
    for _ in range(2):  # epochs
        images, labels = next(batches.as_numpy_iterator())
        np.testing.assert_array_equal(labels, NOISY[index_of(images).astype(int)])
        assert len(labels) == COUNT


@pytest.mark.parametrize(
    "source", [base, lambda: base().enumerate().shuffle(COUNT)], ids=["plain", "index"]
)
def test_ready_labels_are_those_of_the_index(source):
    batches = make(source(), transition_matrix=None, noisy_labels=NOISY)
    for _ in range(2):
        images, labels = next(batches.as_numpy_iterator())
        np.testing.assert_array_equal(labels, NOISY[index_of(images)])
        assert len(labels) == COUNT


KEPT = [
    fixed_shuffle,
    lambda: interleave(**CALLS),
    lambda: interleave(lambda i: part(i, seed=1), **CALLS),
    lambda: tf.data.Dataset.sample_from_datasets(halves(), seed=1),
    lambda: tf.data.Dataset.choose_from_datasets(
        halves(), tf.data.Dataset.range(2).repeat()
    ),
    lambda: base().enumerate().repeat(2).shuffle(COUNT).batch(COUNT).take(1).unbatch(),
    lambda: random(seed=1).take(9).map(lambda i: (i[tf.newaxis], i % 4)),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:AutoGraph")
@pytest.mark.parametrize("source", KEPT)
def test_fixed_orders_keep_their_labels(source):
    tf.random.set_seed(None)
    batches, kept = make(source()), {}
    for _ in range(2):
        for images, labels in batches.as_numpy_iterator():
            for index, label in zip(index_of(images), labels, strict=True):
                assert kept.setdefault(index, label) == label


def test_a_generator_that_cannot_restart_is_refused():
    ids = iter(range(COUNT))
    with pytest.raises(ValueError, match="dataset='a dataset with first examples"):
        make(generator(lambda: ids))


def test_files(tmp_path):
    lines = tf.data.TextLineDataset
    for source in (lines(files(tmp_path)), files(tmp_path).flat_map(lines)):
        with pytest.raises(ValueError, match=r"dataset='a dataset with shuffle\(\)'"):
            make(source.map(parse))
    batches = make(lines(files(tmp_path, shuffle=False)).map(parse))
    images, labels = next(batches.as_numpy_iterator())
    np.testing.assert_array_equal(labels, NOISY[images[:, 0]])
    base().save(str(tmp_path / "saved"))
    make(tf.data.Dataset.load(str(tmp_path / "saved")))


def test_images_in_folders(tmp_path):
    import keras

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(3):
            keras.utils.save_img(tmp_path / name / f"{i}.png", np.full((4, 4, 3), i))
    options = dict(image_size=(4, 4), verbose=0)
    read = keras.utils.image_dataset_from_directory
    with pytest.raises(ValueError, match=r"shuffle\(\)'.*directory.*shuffle=False"):
        make(read(tmp_path, **options).unbatch())
    images, labels = next(
        iter(make(read(tmp_path, shuffle=False, **options).unbatch()))
    )
    np.testing.assert_array_equal(
        labels, noise.corrupt([0, 0, 0, 1, 1, 1], MATRIX, SEED)
    )


def test_the_probe_leaves_a_cache_in_a_file_whole(tmp_path):
    source = base().cache(str(tmp_path / "cache")).map(jitter)
    _, labels = next(make(source, shuffle=False).as_numpy_iterator())
    np.testing.assert_array_equal(labels, NOISY)
