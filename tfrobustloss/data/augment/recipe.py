"""A recipe: the steps that augment a batch, all drawn from one seed."""

from collections.abc import Iterable

import keras
from keras import ops

from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.data.augment import targets
from tfrobustloss.data.augment._batch import Batch
from tfrobustloss.data.augment._seeds import SeedStream

_KEYS = ("images", "labels", targets.MASKS, "sample_weight")


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
                Or a dict, as for Keras' layers, of `"images"` and any of: `"labels"`;
                `"segmentation_masks"`, class ids of shape `(batch, height, width)` or
                `(batch, height, width, 1)`, or one-hot with all classes in the last
                axis, or a list or dict of such masks; `"sample_weight"`, weights per
                example, or per pixel in the shape of the masks.
            labels: Class ids or rows, or None. Only mixup and cutmix need and change
                them.
            seed: Int in [0, 2 ** 64), an integer tensor (a scalar or a pair, such as
                seed and number of the batch), a `keras.random.SeedGenerator`, or None
                for Keras' global generator.
            training: Whether to augment at all.

        Returns:
            Images of the same shape, `(images, labels)` if labels were given, or a dict
            of the same keys. Float images keep their dtype, others become float32, as
            in Keras' layers, also if `training` is false. Labels that are mixed are
            float32 rows. Masks and weights move by the map that moves the images, each
            pixel that of the nearest point, and keep their dtype; what pixels from
            beyond the border are is `mask_fill_value` of `Affine`; they weigh 0.

        Raises:
            ValueError: `images` is no batch of images; a mixing step has no labels or
                sees some that are no classes, or is given masks; labels have places,
                which a recipe that moves pixels would not move; masks differ in size
                from the images or hold distances; `seed` is out of range.
        """
        if isinstance(images, dict):
            return self._augment_dict(images, labels, seed, training)
        given = {"images": images}
        if labels is not None:
            given["labels"] = labels
        found = self._augment(given, seed, training)
        return found["images"] if labels is None else (found["images"], found["labels"])

    def _augment_dict(self, given, labels, seed, training):
        if labels is not None:
            constraint = "None where a dict is given"
            hint = 'Put them into it: `{"images": images, "labels": labels}`.'
            raise ParameterError("Recipe", "labels", type(labels), constraint, hint)
        unknown = [key for key in given if key not in _KEYS]
        if unknown or "images" not in given:
            constraint = '"images" and any of ' + ", ".join(map(repr, _KEYS[1:]))
            hint = "Keras' own layers move `bounding_boxes`." if unknown else ""
            raise ParameterError("Recipe", "keys", list(given), constraint, hint)
        return self._augment(given, seed, training)

    def _augment(self, given, seed, training):
        """A dict of the same keys as `given`, augmented."""
        images = ops.convert_to_tensor(given["images"])
        dtype = keras.backend.standardize_dtype(images.dtype)
        dtype = dtype if keras.backend.is_float_dtype(dtype) else "float32"
        found = {**given, "images": images}
        if training:
            found = self._run(found, seed)
        if keras.backend.standardize_dtype(found["images"].dtype) != dtype:
            found["images"] = ops.cast(found["images"], dtype)
        return found

    def _run(self, given, seed):
        """`given` after all steps; every tensor in the shape that it came in."""
        images, labels = given["images"], given.get("labels")
        shape = tuple(images.shape)
        if len(shape) != 4 or None in shape[1:]:
            constraint = "(batch, height, width, channels), all but batch known"
            hint = "For a single image, add an axis: `images[None]`."
            raise ParameterError("Recipe", "images.shape", shape, constraint, hint)
        masks = _tensors(given.get(targets.MASKS, ()))
        weights = _tensors(given.get("sample_weight", ()))
        self._check_masks(masks, shape)
        if self.moves_pixels and not self.mixes_labels:
            targets.check_labels("Recipe", "labels", labels, shape)
        moving = []
        if self.moves_pixels:
            moving = targets.pixel_weights("Recipe", weights, shape)
        batch = Batch(
            images=images,
            source=images,
            labels=labels,
            masks=tuple(map(_with_channels, masks)),
            weights=tuple(_with_channels(weights[i]) for i in moving),
        )
        seeds = SeedStream(seed)
        for step in self.steps:
            batch = step(batch, seeds)
        found = {**given, "images": batch.images}
        if "labels" in given:
            found["labels"] = batch.labels
        if masks:
            masks = map(_with_axes_of, masks, batch.masks)
            found[targets.MASKS] = _packed(given[targets.MASKS], masks)
        if moving:
            for i, moved in zip(moving, batch.weights, strict=True):
                weights[i] = _with_axes_of(weights[i], moved)
            found["sample_weight"] = _packed(given["sample_weight"], weights)
        return found

    def _check_masks(self, masks, image_shape):
        if masks and self.mixes_labels:
            names = [type(each).__name__ for each in self.steps if each.mixes_labels]
            constraint = "left out where a step mixes labels"
            hint = f"Leave out {', '.join(names)}, which mixes labels of whole images."
            shapes = [tuple(each.shape) for each in masks]
            raise ParameterError("Recipe", targets.MASKS, shapes, constraint, hint)
        for mask in masks:
            targets.check_mask("Recipe", targets.MASKS, mask, image_shape)

    @property
    def mixes_labels(self):
        """True if a step mixes labels, as mixup and cutmix do."""
        return any(step.mixes_labels for step in self.steps)

    @property
    def moves_pixels(self):
        """True if a step moves pixels, so that masks and boxes must follow."""
        return any(getattr(step, "moves_pixels", True) for step in self.steps)

    @property
    def supports_jit(self):
        """True if every step compiles with XLA on TensorFlow."""
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


def _tensors(values):
    """The tensors of a nest, None where it holds None."""
    return [
        None if each is None else ops.convert_to_tensor(each)
        for each in keras.tree.flatten(values)
    ]


def _packed(structure, values):
    return keras.tree.pack_sequence_as(structure, list(values))


def _with_channels(mask):
    return ops.expand_dims(mask, -1) if len(mask.shape) == 3 else mask


def _with_axes_of(given, moved):
    """A moved mask, without the last axis where the given one had none."""
    return ops.squeeze(moved, -1) if len(given.shape) == 3 else moved


def _way_out(step):
    """Hint for an object that is not a step; None for a step."""
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
