"""Pipelines through the `tf.data` service, in this process on the loopback device."""

import numpy as np
import pytest

from tests.data.pipelines.parts import CLEAN, NOISY, index_of, make, source

tf = pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def service():
    module = tf.data.experimental.service
    dispatcher = module.DispatchServer()
    address = dispatcher.target.split("://")[1]
    config = module.WorkerConfig(dispatcher_address=address)
    workers = [module.WorkerServer(config) for _ in range(2)]
    yield dispatcher.target
    for worker in workers:
        worker._stop()
    dispatcher._stop()


def received(batches):
    """All indices and labels of an epoch, in the order of the indices."""
    pairs = [(index_of(x), y) for x, y in batches.as_numpy_iterator()]
    indices = np.concatenate([each for each, _ in pairs])
    labels = np.concatenate([each for _, each in pairs])
    order = np.argsort(indices, kind="stable")
    return indices[order], labels[order]


def shared(batches, address, policy):
    sharing = tf.data.experimental.service.distribute(policy, address)
    return batches.apply(sharing)


@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_every_worker_gives_everything(service, kind):
    off = tf.data.experimental.service.ShardingPolicy.OFF
    indices, labels = received(shared(make(source(kind)), service, off))
    np.testing.assert_array_equal(indices, np.repeat(np.arange(len(CLEAN)), 2))
    np.testing.assert_array_equal(labels, np.repeat(NOISY, 2))


def test_arrays_are_shared_out_once(service):
    dynamic = tf.data.experimental.service.ShardingPolicy.DYNAMIC
    indices, labels = received(shared(make(source("arrays")), service, dynamic))
    np.testing.assert_array_equal(indices, np.arange(len(CLEAN)))
    np.testing.assert_array_equal(labels, NOISY)
