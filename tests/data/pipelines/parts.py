"""A source whose images say their own index, and a pipeline over it."""

import numpy as np

from tfrobustloss import data
from tfrobustloss.data import noise

COUNT, SEED = 300, 11
CLEAN = (np.arange(COUNT) * 7 + np.arange(COUNT) // 10) % 10
IMAGES = np.broadcast_to(np.arange(COUNT).reshape(-1, 1, 1, 1), (COUNT, 4, 4, 1)).copy()
MATRIX = noise.symmetric(10, 0.6)
NOISY = noise.corrupt(CLEAN, MATRIX, SEED)


def stream():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((IMAGES, CLEAN))


def source(kind):
    return (IMAGES, CLEAN) if kind == "arrays" else stream()


def index_of(images):
    return images.reshape(len(images), -1)[:, 0]


def make(dataset, **options):
    defaults = dict(
        num_classes=10, transition_matrix=MATRIX, batch_size=64, seed=SEED
    )  # fmt: skip
    return data.pipeline(dataset, **{**defaults, **options})
