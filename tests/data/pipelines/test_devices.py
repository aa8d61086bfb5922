"""Where a pipeline runs: read from the graph, since this machine may have no GPU."""

import warnings

import numpy as np
import pytest

from tests.data.pipelines.parts import IMAGES, index_of, make, source
from tfrobustloss.data.pipelines import devices

tf = pytest.importorskip("tensorflow")


def brighter(images, labels, seed):
    return images + 1, labels


def placed(device, augment):
    """Pairs of kind and device of the operations of a pipeline's graph."""
    with tf.Graph().as_default() as graph:
        make(source("arrays"), device=device, augment=augment)
        return [(each.type, each.device) for each in graph.get_operations()]


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(devices, "count_devices", lambda kind: 2)


@pytest.mark.parametrize(
    ("device", "field"),
    [("gpu", "/device:GPU:0"), ("gpu:1", "/device:GPU:1"), ("/GPU:1", "/device:GPU:1")],
)
@pytest.mark.usefixtures("two_gpus")
def test_augmentation_is_on_the_gpu_and_the_rest_is_not(device, field):
    operations = placed(device, brighter)
    there = [kind for kind, place in operations if place == field]
    here = [kind for kind, place in operations if place == "/device:CPU:0"]
    assert operations[-1] == ("PrefetchDataset", field)  # what the pipeline returns
    # copied over by a generator that is there; then the map that runs there
    assert "GeneratorDataset" in there
    assert "ExperimentalMapDataset" in there
    assert "PrefetchDataset" in there
    assert there.index("GeneratorDataset") < there.index("ExperimentalMapDataset")
    assert {"RangeDataset", "BatchDatasetV2"} <= set(here)
    assert any("Shuffle" in kind for kind in here)
    assert any("MapDataset" in kind for kind in here)  # noise and gathering


@pytest.mark.usefixtures("two_gpus")
def test_without_augmentation_batches_are_sent_ahead():
    operations = placed("gpu", None)
    there = [kind for kind, place in operations if place == "/device:GPU:0"]
    assert operations[-1] == ("PrefetchDataset", "/device:GPU:0")
    assert "GeneratorDataset" in there
    assert not any("Map" in kind for kind in there)


@pytest.mark.parametrize("device", [None, "cpu"])
def test_nothing_is_copied_by_default(device):
    operations = placed(device, brighter)
    assert {place for _, place in operations} <= {"/device:CPU:0", ""}
    assert "GeneratorDataset" not in {kind for kind, _ in operations}


def test_one_warning_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(devices, "count_devices", lambda kind: 0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        batches = make(source("arrays"), device="gpu", augment=brighter, shuffle=False)
        images, _ = next(batches.as_numpy_iterator())
    assert len(caught) == 1
    assert "no device 'gpu'" in str(caught[0].message)
    assert caught[0].filename == make.__code__.co_filename
    np.testing.assert_array_equal(index_of(images), index_of(IMAGES[:64]) + 1)


def test_names_of_devices():
    assert devices.resolve(None) is None
    assert devices.resolve("/device:CPU:0") is None
    with pytest.raises(ValueError, match="device='tpu'"):
        devices.resolve("tpu")
