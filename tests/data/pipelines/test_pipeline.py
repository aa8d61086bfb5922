"""Pipelines: labels equal those of `noise.corrupt` under every setting."""

import zlib

import numpy as np
import pytest

from tests.data.pipelines.parts import (
    CLEAN,
    IMAGES,
    MATRIX,
    NOISY,
    SEED,
    index_of,
    make,
    source,
    stream,
)
from tfrobustloss import data
from tfrobustloss.data import noise

tf = pytest.importorskip("tensorflow")


def everything(batches):
    """Dict of each example's index to its labels; no example may come twice."""
    found = {}
    for images, *labels in batches.as_numpy_iterator():
        for position, index in enumerate(index_of(images)):
            assert index not in found
            found[index] = tuple(int(each[position]) for each in labels)
    return found


EXPECTED = {i: (int(NOISY[i]),) for i in range(len(CLEAN))}


@pytest.mark.parametrize("kind", ["arrays", "stream"])
@pytest.mark.parametrize(
    ("shuffle", "batch_size"), [(False, 64), (True, 64), (7, 1), (True, 1000)]
)
def test_labels_are_those_of_corrupt(kind, shuffle, batch_size):
    batches = make(source(kind), shuffle=shuffle, batch_size=batch_size)
    for _ in range(2):  # epochs
        assert everything(batches) == EXPECTED


@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_order_is_new_each_epoch_and_follows_the_seed(kind):
    def orders(seed):
        batches = make(source(kind), seed=seed)
        return [
            np.concatenate([index_of(x) for x, _ in batches.as_numpy_iterator()])
            for _ in range(2)
        ]

    first, second = orders(1)
    again, _ = orders(1)
    other, _ = orders(2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)
    plain = make(source(kind), shuffle=False)
    ordered = np.concatenate([index_of(x) for x, _ in plain.as_numpy_iterator()])
    np.testing.assert_array_equal(ordered, np.arange(len(CLEAN)))


def test_shards_of_an_enumerated_stream_keep_their_labels():
    parts = [make(stream().enumerate().shard(3, i)) for i in range(3)]
    found = [everything(each) for each in parts]
    assert sum(len(each) for each in found) == len(CLEAN)
    assert {k: v for each in found for k, v in each.items()} == EXPECTED


def test_shards_of_the_batches_keep_their_labels():
    batches = make(source("arrays"))  # both shards shuffle alike
    found = [everything(make(source("arrays")).shard(2, i)) for i in range(2)]
    assert {**found[0], **found[1]} == everything(batches) == EXPECTED


def test_interleaved_enumerated_sources_keep_their_labels():
    shards = tf.data.Dataset.range(4)
    mixed = shards.interleave(
        lambda i: stream().enumerate().shard(4, i),
        cycle_length=3,
        block_length=2,
        num_parallel_calls=3,
        deterministic=False,
    )
    assert everything(make(mixed)) == EXPECTED


def test_labels_are_those_of_another_process():
    # drawn by `noise.corrupt` in a process of its own, November 2026
    theirs = [3, 4, 2, 7, 7, 0, 0, 5, 6, 3, 9, 5, 7, 6, 9, 0, 3, 7, 3, 7]
    assert NOISY[:20].tolist() == theirs
    assert zlib.crc32(NOISY.astype("uint8").tobytes()) == 4087966363
    for global_seed in (0, 1):  # what a process sets elsewhere has no say
        tf.random.set_seed(global_seed)
        for kind in ("arrays", "stream"):
            assert everything(make(source(kind))) == EXPECTED


@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_keep_clean_and_one_hot(kind):
    batches = make(source(kind), keep_clean=True)
    assert everything(batches) == {
        i: (int(NOISY[i]), int(CLEAN[i])) for i in range(len(CLEAN))
    }
    images, noisy, clean = next(
        make(source(kind), keep_clean=True, labels="one_hot", shuffle=False)
        .take(1)
        .as_numpy_iterator()
    )
    assert noisy.shape == clean.shape == (64, 10)
    assert noisy.dtype == np.float32
    np.testing.assert_array_equal(noisy.argmax(1), NOISY[:64])
    np.testing.assert_array_equal(clean.argmax(1), CLEAN[:64])
    assert images.dtype == IMAGES.dtype


@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_without_noise(kind):
    batches = make(source(kind), transition_matrix=None)
    assert everything(batches) == {i: (int(c),) for i, c in enumerate(CLEAN)}


@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_ready_noisy_labels(kind):
    ready = noise.instance_dependent(IMAGES, CLEAN, 0.4, seed=5, num_classes=10)
    batches = make(source(kind), transition_matrix=None, noisy_labels=ready)
    assert everything(batches) == {i: (int(n),) for i, n in enumerate(ready)}


def test_dicts_and_image_datasets():
    dicts = tf.data.Dataset.from_tensor_slices({"image": IMAGES, "label": CLEAN})
    assert everything(make(dicts)) == EXPECTED
    names = tuple("0123456789")
    loaded = data.ImageDataset(IMAGES, CLEAN, 10, "made", names)
    assert everything(make(loaded)) == EXPECTED


def test_a_name_is_loaded():
    pytest.importorskip("sklearn")
    digits = data.load("digits", "test")
    batches = make("digits", split="test", shuffle=False, batch_size=500)
    images, labels = next(batches.as_numpy_iterator())
    np.testing.assert_array_equal(images, digits.images)
    np.testing.assert_array_equal(labels, noise.corrupt(digits.labels, MATRIX, SEED))


def test_save_and_load(tmp_path):
    batches = make(source("stream"), keep_clean=True)
    batches.save(str(tmp_path / "saved"))
    assert everything(tf.data.Dataset.load(str(tmp_path / "saved"))) == everything(
        batches
    )


def test_runs_in_a_tf_function():
    batches = make(source("stream"))

    @tf.function
    def wrong():
        total = tf.constant(0, tf.int64)
        for images, labels in batches:
            clean = tf.gather(CLEAN, images[:, 0, 0, 0])
            total += tf.reduce_sum(tf.cast(labels != clean, tf.int64))
        return total

    assert int(wrong()) == int((NOISY != CLEAN).sum())


def test_nothing_calls_back_into_python():
    for kind in ("arrays", "stream"):
        graph = tf.compat.v1.GraphDef.FromString(
            make(source(kind))._as_serialized_graph().numpy()
        )
        functions = [node for each in graph.library.function for node in each.node_def]
        kinds = {node.op for node in [*graph.node, *functions]}
        assert not {kind for kind in kinds if "Py" in kind or "Generator" in kind}


def test_fits_a_model():
    import keras

    model = keras.Sequential(
        [
            keras.layers.Rescaling(1 / 300),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, optimizer="sgd")
    history = model.fit(make(source("stream")), epochs=2, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


# --- what goes wrong


@pytest.mark.parametrize(
    ("change", "kind", "match"),
    [
        (dict(batch_size=0), ValueError, "`batch_size`.*batch_size=0"),
        (dict(seed=-1), ValueError, "`seed`.*seed=-1"),
        (dict(seed=None), TypeError, "`seed`.*seed=None"),
        (dict(num_classes=3), ValueError, r"transition_matrix.shape.*\(10, 10\)"),
        (dict(labels="rows"), ValueError, "`labels`.*labels='rows'"),
        (dict(shuffle=0), ValueError, "`shuffle`.*shuffle=0"),
        (dict(device="npu"), ValueError, "`device`.*device='npu'"),
        (dict(augment=3), TypeError, "`augment`.*augment=3"),
        (dict(noisy_labels=CLEAN), ValueError, "`noisy_labels`.*None where"),
        (dict(keep_clean="no"), TypeError, "`keep_clean`.*keep_clean='no'"),
        (dict(shuffle="no"), TypeError, "`shuffle`.*shuffle='no'"),
    ],
)
def test_parameters_are_checked(change, kind, match):
    with pytest.raises(kind, match=match):
        make(source("arrays"), **change)


@pytest.mark.parametrize(
    ("dataset", "match"),
    [
        (3, "`dataset`.*dataset='int'"),
        (lambda: stream().batch(4), "Unbatch"),
        (lambda: stream().map(lambda x, y: x), "single examples"),
        (lambda: stream().map(lambda x, y: (x, tf.one_hot(y, 10))), "argmax"),
    ],
)
def test_sources_are_checked(dataset, match):
    with pytest.raises(TypeError, match=match):
        make(dataset() if callable(dataset) else dataset)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match=r"one length.*\(300, .*\(299,\)"):
        make((IMAGES, CLEAN[1:]))
    with pytest.raises(ValueError, match=r"noisy_labels.shape.*\(4,\)"):
        make(source("arrays"), transition_matrix=None, noisy_labels=[0, 1, 2, 3])


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (np.eye(10, dtype=int)[CLEAN], r"`labels\[0\]`.*one-hot row.*argmax"),
        (np.full((len(CLEAN), 10), 0.1), r"`labels.dtype`.*soft labels.*argmax"),
        (CLEAN.astype("float32"), r'`labels.dtype`.*astype\("int64"'),
        ([[0, 1], [1]], r"`len\(labels\[i\]\)`.*=\[2, 1\]"),
    ],
)
def test_labels_of_another_form_get_a_way_out(labels, match):
    with pytest.raises(ValueError, match=f"^pipeline: {match}"):
        make((IMAGES, labels))


def test_labels_must_be_classes():
    with pytest.raises(ValueError, match=r"`labels\[0\]`.*=10"):
        make((IMAGES, CLEAN * 0 + 10))


@pytest.mark.parametrize(
    ("matrix", "labels", "wrong", "dtype"),
    [
        (None, "sparse", 10, "int64"),
        (None, "one_hot", -1, "int8"),
        (MATRIX, "sparse", -1, "int8"),
        (MATRIX, "one_hot", 10, "int64"),
        (MATRIX, "sparse", 255, "u1"),
    ],
)
def test_labels_of_a_stream_must_be_classes(matrix, labels, wrong, dtype):
    ids = CLEAN.astype(dtype)
    ids[[70, 71]] = wrong
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, ids))
    batches = make(dataset, transition_matrix=matrix, labels=labels, shuffle=False)
    text = rf"`labels` must be an integer in \[0, 9\]. Received: labels=\[{wrong}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        list(batches)
    next(iter(batches))  # the batch before them is sound


@pytest.mark.parametrize(
    ("dtype", "labels"),
    [("uint8", "sparse"), ("int16", "one_hot"), ("uint64", "sparse")],
)
def test_labels_of_a_stream_may_be_of_any_integer_type(dtype, labels):
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, CLEAN.astype(dtype)))
    batches = make(dataset, shuffle=False, batch_size=300, labels=labels)
    _, received = next(batches.as_numpy_iterator())
    if labels == "one_hot":
        received = received.argmax(axis=1).astype(dtype)
    assert received.dtype == dtype
    np.testing.assert_array_equal(received, NOISY)


@pytest.mark.parametrize("stream", [True, False])
def test_noisy_labels_must_fit_into_the_type(stream):
    source = IMAGES, CLEAN.astype("uint8")
    if stream:
        source = tf.data.Dataset.from_tensor_slices(source)
    options = dict(num_classes=300, transition_matrix=None)
    with pytest.raises(ValueError, match=r"`labels.dtype`.*class 299.*'uint8'"):
        make(source, noisy_labels=CLEAN + 280, **options)
    assert everything(make(source, **options))  # no noise


@pytest.mark.parametrize("length", [len(CLEAN) - 1, len(CLEAN) + 1])
def test_noisy_labels_of_a_stream_are_one_an_example(length):
    ready = np.resize(NOISY, length)
    with pytest.raises(ValueError, match=r"noisy_labels.shape.*\(300,\), one an ex"):
        make(stream(), transition_matrix=None, noisy_labels=ready)


def test_noisy_labels_of_a_stream_of_unknown_length():
    dataset = stream().filter(lambda image, label: True)
    options = dict(transition_matrix=None, shuffle=False)
    assert everything(make(dataset, noisy_labels=NOISY, **options)) == EXPECTED
    batches = make(dataset, noisy_labels=NOISY[:298], **options)
    text = r"`len\(noisy_labels\)` must be above.*=298.* without one: \[298 299\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        list(batches)
    # those that bring their index along may be a part
    part = stream().enumerate().shard(3, 1)
    found = everything(make(part, noisy_labels=NOISY, **options))
    assert found == {i: EXPECTED[i] for i in range(1, 300, 3)}


@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_whole_floats_are_whole_numbers(kind):
    options = dict(num_classes=10.0, batch_size=64.0, seed=float(SEED), shuffle=7.0)
    assert everything(make(source(kind), labels="sparse", **options)) == EXPECTED
    rows = make(source(kind), labels="one_hot", **options)
    assert rows.element_spec[1].shape[1:] == (10,)


# --- several inputs


@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_inputs_in_a_dict_or_tuple(kind):
    extra = np.arange(len(CLEAN)) * 2.0
    nests = {"image": IMAGES, "extra": extra}, (IMAGES, {"extra": (extra,)})
    for inputs in nests:
        dataset = (inputs, CLEAN)
        if kind == "stream":
            dataset = tf.data.Dataset.from_tensor_slices(dataset)
        batches = make(dataset, keep_clean=True)
        for found, noisy, clean in batches.as_numpy_iterator():
            tf.nest.assert_same_structure(found, inputs)
            image, other = sorted(tf.nest.flatten(found), key=np.ndim, reverse=True)
            index = index_of(image)
            np.testing.assert_array_equal(other, 2.0 * index)
            np.testing.assert_array_equal(noisy, NOISY[index])
            np.testing.assert_array_equal(clean, CLEAN[index])


def test_arrays_in_a_dict_with_image_and_label():
    assert everything(make({"image": IMAGES, "label": CLEAN})) == EXPECTED


@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_augmentation_of_inputs_in_a_dict(kind):
    dataset = ({"image": IMAGES, "extra": CLEAN}, CLEAN)
    if kind == "stream":
        dataset = tf.data.Dataset.from_tensor_slices(dataset)
    recipe = data.augment.Recipe([data.augment.Affine(shift=0.1)])
    with pytest.raises(
        TypeError, match="`augment`.*in a dict.*augment='Recipe'.*lambda"
    ):
        make(dataset, augment=recipe)

    def brighter(inputs, labels, seed):
        return {**inputs, "image": inputs["image"] + 1}, labels

    batches = make(dataset, augment=brighter, shuffle=False)
    found, labels = next(batches.as_numpy_iterator())
    np.testing.assert_array_equal(found["image"], IMAGES[:64] + 1)
    np.testing.assert_array_equal(labels, NOISY[:64])


@pytest.mark.parametrize(
    ("inputs", "match"),
    [
        (
            {"a": IMAGES, "b": CLEAN[1:]},
            r"`dataset`.*one length.*\(\(299,\), \(300,\)\)",
        ),
        ({"a": [[1, 2], [3]]}, r"`len\(images\['a'\]\[i\]\)`.*=\[2, 1\]"),
        ({}, "`images` must be at least one array.*images={}"),
    ],
)
def test_arrays_of_a_dict_must_fit(inputs, match):
    with pytest.raises(ValueError, match=match):
        make((inputs, CLEAN))
