"""Images in files: decoded and brought to one size when they are asked for."""

import numpy as np

_BATCH = 256


class ImageFiles:
    """Image files that are indexed like one uint8 array and decoded on the way.

    Attributes:
        paths: Array of paths, one an image.
        shape: `(images, height, width, 3)`.
        dtype: Uint8, as numpy's.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, paths, size):
        """`paths`: strings; `size`: `(height, width)` of every image."""
        self.paths = np.asarray(paths, str)
        self.shape = (len(self.paths), *size, 3)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        chosen = self.paths[index]
        if chosen.ndim == 0:
            return self.decode(str(chosen)).numpy()
        return read_all(self._files(chosen), len(chosen), self.shape[1:])

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)

    def decode(self, path):
        """The image of one path as a uint8 tensor, in graphs too."""
        import tensorflow as tf

        content = tf.io.read_file(path)
        image = tf.io.decode_image(content, channels=3, expand_animations=False)
        return fitted(image, self.shape[1:3])

    def _files(self, paths):
        import tensorflow as tf

        files = tf.data.Dataset.from_tensor_slices(paths)
        return files.map(self.decode, num_parallel_calls=tf.data.AUTOTUNE)


def read_all(images, count, shape):
    """The uint8 images of a `tf.data.Dataset` as one array, filled batch by batch."""
    whole = np.empty((count, *shape), np.uint8)
    start = 0
    for batch in images.batch(_BATCH).as_numpy_iterator():
        whole[start : start + len(batch)] = batch
        start += len(batch)
    return whole


def fitted(image, size, crop=False):
    """A uint8 image brought to `size`: bilinear, antialiased, rounded.

    Args:
        image: Uint8 tensor, shape `(height, width, channels)`, of any size.
        size: `(height, width)` wanted.
        crop: Whether to keep the proportions, so that the shorter side fits, and cut
            the middle out; else the image is stretched.

    Returns:
        Uint8 tensor, shape `(*size, channels)`.
    """
    import tensorflow as tf

    target = size
    if crop:
        given = tf.cast(tf.shape(image)[:2], tf.float32)
        scale = tf.reduce_max(tf.constant(size, tf.float32) / given)
        target = tf.cast(tf.math.ceil(given * scale - 1e-3), tf.int32)
    image = tf.image.resize(image, target, antialias=True)
    if crop:
        image = tf.image.resize_with_crop_or_pad(image, *size)
    return tf.cast(tf.round(tf.clip_by_value(image, 0, 255)), tf.uint8)
