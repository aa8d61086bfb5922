"""What a recipe is: steps that a batch goes through, all from one seed."""

from collections.abc import Iterable

import keras
from keras import ops

from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.data.augment._seeds import SeedStream


@keras.saving.register_keras_serializable(package="tfrobustloss")
class Recipe:
    """Steps that augment a batch, one after the other.

    It holds no state: the same seed gives the same images in every run. (On TensorFlow
    a program compiled by XLA draws other numbers than one that is not.) Two recipes
    add up: `adma("cifar10") + random_erasing()`.

    Args:
        steps: Sequence of steps, `Affine`, `ImageLayer`, `MixUp`, `CutMix`, or one of
            them. A recipe among them stands for its own steps.

    Raises:
        TypeError: There is something else among the steps.

    Example:
        >>> from tfrobustloss.data import augment
        >>> recipe = Recipe([augment.Affine(rotation=30, shift=0.2)])
        >>> images = ops.ones((2, 28, 28, 1), "uint8")
        >>> float(ops.max(recipe(images, seed=0)))
        1.0
    """

    def __init__(self, steps):
        found = []
        for step in steps if isinstance(steps, Iterable) else (steps,):
            if isinstance(step, Recipe):
                found += step.steps
                continue
            hint = _way_out(step)
            if hint is not None:
                constraint = "steps, such as `Affine(...)`"
                raise ParameterTypeError("Recipe", "steps", step, constraint, hint)
            found.append(step)
        self.steps = tuple(found)

    def __call__(self, images, labels=None, seed=None, training=True):
        """Augments a batch.

        Args:
            images: Shape `(batch, height, width, channels)`. Arithmetic is in float32.
            labels: Class ids or rows, or None. Only mixup and cutmix need and change
                them.
            seed: Int in [0, 2 ** 64), an integer tensor (a scalar or a pair, such as
                seed and number of the batch), a `keras.random.SeedGenerator`, or None
                for Keras' global generator.
            training: Whether to augment at all.

        Returns:
            Images of the same shape, or `(images, labels)` if labels were given. Float
            images keep their dtype, others become float32, as in Keras' layers, also
            if `training` is false. Labels that are mixed are float32 rows.

        Raises:
            ValueError: `images` is no batch of images, a mixing step has no labels or
                sees some that are no classes, or `seed` is out of range.
        """
        images = ops.convert_to_tensor(images)
        dtype = keras.backend.standardize_dtype(images.dtype)
        dtype = dtype if keras.backend.is_float_dtype(dtype) else "float32"
        if training:
            shape = tuple(images.shape)
            if len(shape) != 4 or None in shape[1:]:
                constraint = "(batch, height, width, channels), all but batch known"
                hint = "For a single image, add an axis: `images[None]`."
                raise ParameterError("Recipe", "images.shape", shape, constraint, hint)
            seeds = SeedStream(seed)
            for step in self.steps:
                images, labels = step(images, labels, seeds)
        if keras.backend.standardize_dtype(images.dtype) != dtype:
            images = ops.cast(images, dtype)
        return images if labels is None else (images, labels)

    @property
    def mixes_labels(self):
        """Whether labels are needed, and changed."""
        return any(step.mixes_labels for step in self.steps)

    @property
    def supports_jit(self):
        """Whether XLA should compile it on TensorFlow."""
        return all(step.supports_jit for step in self.steps)

    def __add__(self, other):
        """The steps of both, one recipe after the other; a step counts as a recipe."""
        if not isinstance(other, Recipe) and _way_out(other) is not None:
            return NotImplemented
        return Recipe([self, other])

    def get_config(self):
        """The steps as plain JSON values."""
        return {
            "steps": [keras.saving.serialize_keras_object(each) for each in self.steps]
        }

    @classmethod
    def from_config(cls, config):
        """The recipe of a `get_config`."""
        return cls(map(keras.saving.deserialize_keras_object, config["steps"]))


def _way_out(step):
    """What to do about something that is no step, None for a step."""
    if isinstance(step, type):
        return f"Make one of the class: `{step.__name__}(...)`."
    if isinstance(step, keras.layers.Layer):
        return "Wrap a layer of Keras: `ImageLayer(layer)`."
    says = hasattr(step, "mixes_labels") and hasattr(step, "supports_jit")
    if callable(step) and says:
        return None
    if callable(step):
        return (
            "Call what makes a recipe, `adma(...)`; a function of a batch goes into "
            "`data.pipeline(..., augment=function)`."
        )
    return ""
