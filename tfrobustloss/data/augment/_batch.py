"""A batch of images with its labels, masks and weights, as steps pass it on."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Batch:
    """A batch on its way through the steps of a recipe.

    Attributes:
        images: Tensor, shape `(batch, height, width, channels)`.
        source: The images as the recipe received them: their dtype and values show
            the range of pixel values, also after a step has cast them.
        labels: Labels that mixing steps change, or None.
        masks: Tuple of tensors that move with the images, shape
            `(batch, height, width, channels)`: segmentation masks.
        weights: Tuple of tensors like `masks`: sample weights per pixel. New pixels
            weigh 0.
    """

    images: Any
    source: Any
    labels: Any = None
    masks: tuple = ()
    weights: tuple = ()

    def replace(self, **changes):
        """The same batch with other images, labels, masks or weights."""
        return dataclasses.replace(self, **changes)
