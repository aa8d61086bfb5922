"""Image datasets in memory, and images that are decoded from their files."""

import dataclasses

import numpy as np

_BATCH = 256


@dataclasses.dataclass(frozen=True, eq=False)
class ImageDataset:
    """One split of an image classification set.

    Attributes:
        images: Uint8 array in [0, 255], shape `(examples, height, width, channels)`;
            for a set too large for memory, `ImageFiles`.
        labels: Int64 class ids, shape `(examples,)`.
        num_classes: Number of classes.
        name: Name under which it was loaded.
        class_names: Tuple of strings, one a class.
        ids: Array of strings, the ids that the set gives its examples, or None.
        asymmetric_map: Dict of class ids to the class that each is confused with, as
            published for this set, or None. `noise.asymmetric` gives the matrix.

    Example:
        >>> images, labels = np.zeros((3, 8, 8, 1), "uint8"), np.array([0, 1, 0])
        >>> own = ImageDataset(images, labels, 2, "own", ("cat", "dog"))
        >>> own.image_size, own.class_names[own.labels[1]]
        ((8, 8), 'dog')
    """

    images: np.ndarray
    labels: np.ndarray
    num_classes: int
    name: str
    class_names: tuple[str, ...]
    ids: np.ndarray | None = None
    asymmetric_map: dict[int, int] | None = None

    @property
    def image_size(self):
        """`(height, width)` of every image."""
        return tuple(self.images.shape[1:3])


class ImageFiles:
    """Image files that are indexed like one uint8 array and decoded when read.

    Args:
        paths: Paths, one an image.
        size: `(height, width)` of every image.

    Attributes:
        paths: Array of paths, one an image.
        shape: `(images, height, width, 3)`.
        dtype: NumPy's uint8.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, paths, size):
        self.paths = np.asarray(paths, str)
        self.shape = (len(self.paths), *size, 3)

    def __len__(self):
        """Number of images."""
        return len(self.paths)

    def __getitem__(self, index):
        """Decodes the image of a number, or those of a slice or an array."""
        chosen = self.paths[index]
        if chosen.ndim == 0:
            return self.decode(str(chosen)).numpy()
        return read_all(self._files(chosen), len(chosen), self.shape[1:])

    def __array__(self, dtype=None, copy=None):
        """Decodes all images."""
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
    """Collects the uint8 images of a `tf.data.Dataset` in one array."""
    whole = np.empty((count, *shape), np.uint8)
    start = 0
    for batch in images.batch(_BATCH).as_numpy_iterator():
        whole[start : start + len(batch)] = batch
        start += len(batch)
    return whole


def fitted(image, size, crop=False):
    """Resizes a uint8 image: bilinear, antialiased, rounded.

    Args:
        image: Uint8 tensor, shape `(height, width, channels)`, of any size.
        size: `(height, width)` of the result.
        crop: Whether to keep the proportions: the shorter side is resized to fit and
            the middle cut out. Otherwise the image is stretched.

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
