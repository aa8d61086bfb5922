"""What every loader returns: images, labels and what is known of the set."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class ImageDataset:
    """One split of an image classification set.

    Attributes:
        images: Uint8 array in [0, 255], shape `(examples, height, width, channels)`;
            of a set too large for memory, an `ImageFiles`, which is indexed alike.
        labels: Int64 class ids, shape `(examples,)`.
        num_classes: Number of classes.
        name: Name under which it was loaded.
        class_names: Tuple of strings, one a class.
        ids: Array of strings, the examples' own names, or None where the set has none.
        asymmetric_map: Dict of class ids to the class each is taken for, as published
            for this set; None where there is none. `noise.asymmetric` has its matrix.

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
