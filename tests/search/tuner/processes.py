"""One fork server a test process for the tests of this folder, whoever starts it."""

import multiprocessing

PROCESSES = multiprocessing.get_context("forkserver")
# without these, a child of the test that comes second imports everything itself
PROCESSES.set_forkserver_preload(
    ["tests.search.tuner.test_service", "tests.search.tuner.test_taylor_oracle"]
)
