"""Models with every way to end, exported once for the whole folder."""

import functools

import keras
import pytest

from tests.serving import models
from tfrobustloss import serving

if keras.backend.backend() != "tensorflow":
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def images():
    """Five images of 8 x 8 pixels and one channel, uint8."""
    return models.images()


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Function from a name of `models.ENDINGS` to its model and exported version."""
    folder = tmp_path_factory.mktemp("exported")

    @functools.cache
    def export(name):
        model = models.image_model(name)
        version = serving.export(
            model,
            folder / name,
            class_names=models.class_names(name),
            image_bytes=True,
            top_k=2,
        )
        return model, version

    return export
