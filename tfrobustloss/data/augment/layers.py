"""Keras' own image layers as steps of a recipe, and those that mix labels too."""

import inspect

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.labels import label_rows
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
    check_flag,
)
from tfrobustloss.data.augment._value_range import (
    BYTES,
    SIGNED,
    UNIT,
    check_range,
    pixel_range,
)
from tfrobustloss.data.augment.targets import fill_of

_LIMITS = {
    "num_classes": Range(low=2, integer=True),
    "alpha": Range(low=0, open_low=True),
}
_CUT_LIMITS = {
    **_LIMITS,
    "alpha": Range(low=0, high=1, open_low=True),
}
_MASK_LIMITS = {"mask_fill_value": Range(integer=True)}
# Keras' layers that change values and move no pixels: masks stay as they are.
_PHOTOMETRIC = {
    "AutoContrast",
    "ContrastLimitedAdaptiveHistogramEqualization",
    "Equalization",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomContrast",
    "RandomErasing",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPosterization",
    "RandomSaturation",
    "RandomSharpness",
    "Solarization",
}
# Layers that are right in [0, 1] alone: RandomSaturation clips the saturation, which is
# in [0, 1], to `value_range`, and gives values of -800 in [0, 255].
_UNIT_ALONE = {"RandomSaturation"}
# Layers that cannot be a step, and what to use in their place.
_REFUSED = {
    "MixUp": "It mixes labels too: use `augment.MixUp(num_classes)`.",
    "CutMix": "It mixes labels too: use `augment.CutMix(num_classes)`.",
    "RandAugment": "It ignores the recipe's seed: use `augment.rand_augment()`.",
    "AugMix": "It ignores the recipe's seed: use `augment.rand_augment()`.",
    "RandomColorJitter": (
        "It ignores the recipe's seed: use RandomBrightness, RandomContrast, "
        "RandomSaturation and RandomHue, one `ImageLayer` each."
    ),
}


def _kinds(layer):
    """Names of the classes of a layer, its own first."""
    return [one.__name__ for one in type(layer).__mro__]


@keras.saving.register_keras_serializable(package="tfrobustloss")
class ImageLayer:
    """A step of a recipe that runs one of Keras' image layers on the whole batch.

    The layer draws from the recipe's seed, not from its own generator. Segmentation
    masks move as Keras' layer moves them, by nearest neighbours; layers that move no
    pixels, such as RandomErasing and RandomBrightness, leave them as they are.

    Layers such as RandomBrightness have an argument `value_range` with the default
    (0, 255). A layer with another range keeps it. With the default, the range is that
    of uint8 images, or is read off the values where they can be seen; in a compiled
    program that takes floats it has to be given, here or in the layer.

    Args:
        layer: A layer with Keras' `get_random_transformation` and `transform_images`:
            `keras.layers.RandomErasing`, `RandomBrightness`, ... Make it with
            `dtype="float32"`, or a mixed policy rounds the images.
        supports_jit: Whether to compile it by XLA on TensorFlow; None for the layer's
            own word.
        value_range: Pair, smallest and largest value of a pixel; None for the layer's
            own, or that of the images.
        mask_fill_value: Int, class in segmentation masks of the pixels that a layer
            with `fill_mode="constant"` fills; as for `Affine`.

    Raises:
        TypeError: `layer` is not such a layer, `supports_jit` no bool or `value_range`
            no pair.
        ValueError: `layer` mixes labels or ignores seeds, or `value_range` is not that
            of the layer. When called: the range of the images is not known.

    Example:
        >>> step = ImageLayer(keras.layers.RandomBrightness(0.2, dtype="float32"))
        >>> step.supports_jit, step.moves_pixels
        (True, False)
    """

    mixes_labels = False

    def __init__(self, layer, supports_jit=None, value_range=None, mask_fill_value=0):
        if not hasattr(layer, "get_random_transformation"):
            constraint = "one of Keras' random image layers"
            raise ParameterTypeError("ImageLayer", "layer", layer, constraint)
        if not isinstance(layer, SeededRandAugment):
            for kind in _REFUSED.keys() & set(_kinds(layer)):
                constraint = (
                    "a layer that changes images alone, by the seed it is given"
                )
                name, hint = type(layer).__name__, _REFUSED[kind]
                raise ParameterError("ImageLayer", "layer", name, constraint, hint)
        if supports_jit is not None:
            check_flag("ImageLayer", "supports_jit", supports_jit)
        check("ImageLayer", _MASK_LIMITS, mask_fill_value=mask_fill_value)
        self.layer = layer
        own = layer.supports_jit
        self.supports_jit = own if supports_jit is None else bool(supports_jit)
        self.mask_fill_value = int(mask_fill_value)
        self.value_range = check_range("ImageLayer", value_range)
        self._layers = self._by_range()

    @property
    def moves_pixels(self):
        """True if the layer moves pixels, so that masks and boxes must follow."""
        return not _PHOTOMETRIC.intersection(_kinds(self.layer))

    def __call__(self, batch, seeds):
        """Runs the layer on the images of a batch, and on its masks and weights.

        Args:
            batch: `Batch`.
            seeds: `SeedStream`.

        Returns:
            `Batch` with float32 images.
        """
        images = ops.cast(batch.images, "float32")
        layer, low, width = self._in_range(batch.source)
        seen = images if width is None else (images - low) / width
        drawn = layer.get_random_transformation(seen, True, seed=seeds)
        result = layer.transform_images(ops.copy(seen), _copied(drawn), training=True)
        if width is not None:
            same = result == seen if result.shape == seen.shape else False
            result = ops.where(same, images, result * width + low)
        if not self.moves_pixels:
            return batch.replace(images=result)

        def moved(values):
            values = ops.cast(values, "float32")
            return layer.transform_segmentation_masks(
                values, _copied(drawn), training=True
            )

        fill = self.mask_fill_value
        return batch.replace(
            images=result,
            masks=tuple(self._move(moved, mask, fill) for mask in batch.masks),
            weights=tuple(self._move(moved, each, None) for each in batch.weights),
        )

    def _move(self, moved, mask, fill):
        """A mask, moved; weights where `fill` is None: new pixels weigh 0."""
        layer, name = self.layer, type(self.layer).__name__
        if "RandomElasticTransform" in _kinds(layer):
            constraint = "a layer that moves masks as it moves images"
            hint = "Keras draws its map again for masks: use `Affine(shear=0.2)`."
            raise ParameterError("ImageLayer", "layer", name, constraint, hint)
        is_crop = "RandomCrop" in _kinds(layer)
        if is_crop and (layer.height > mask.shape[1] or layer.width > mask.shape[2]):
            constraint = "no larger than the masks, which it would interpolate"
            size = layer.height, layer.width
            raise ParameterError(name, "(height, width)", size, constraint)
        result = moved(mask)
        # RandomPerspective has no other mode
        mode = getattr(layer, "fill_mode", "constant")
        if fill is None or (mode == "constant" and hasattr(layer, "fill_value")):
            ones = ops.ones_like(mask[..., :1])
            inside = moved(ones) != moved(0 * ones)  # both hold the fill elsewhere
            values = np.zeros(1) if fill is None else fill_of(name, mask, fill)
            result = ops.where(inside, result, ops.cast(values, "float32"))
        return ops.cast(result, mask.dtype)

    def _by_range(self):
        """Dict of ranges to the layer that works in them; None without a range.

        Most of Keras' layers are right in [0, 1] and [0, 255] alone. For another range
        the layer gets images that are scaled to [0, 1].
        """
        config, given = self.layer.get_config(), self.value_range
        if "value_range" not in config:
            if given is not None:
                constraint = "None for a layer without a range"
                raise ParameterError("ImageLayer", "value_range", given, constraint)
            return None
        own = tuple(config["value_range"])
        if own != _default_range(type(self.layer)):
            if given not in (None, own):
                constraint = f"that of the layer, {own}, or None"
                raise ParameterError("ImageLayer", "value_range", given, constraint)
            self.value_range = given = own
        ranges = (BYTES, UNIT, SIGNED) if given is None else (given,)
        return {each: self._layer_for(each, own, config) for each in ranges}

    def _works_in(self, value_range):
        """True if the Keras layer handles this value range by itself."""
        is_narrow = _UNIT_ALONE.intersection(_kinds(self.layer))
        return value_range == UNIT or (value_range == BYTES and not is_narrow)

    def _layer_for(self, value_range, own, config):
        """The layer for a range, or its copy for images that are scaled to [0, 1]."""
        works_there = self._works_in(value_range)
        if value_range == own and works_there:
            return self.layer
        if works_there:
            return _with_range(self.layer, value_range)
        low, high = value_range
        fill = config.get("fill_value")
        if isinstance(fill, list | tuple):
            fill = [(each - low) / (high - low) for each in fill]
        elif fill is not None:
            fill = (fill - low) / (high - low)
        changes = {"fill_value": fill} if "fill_value" in config else {}
        return _with_range(self.layer, UNIT, **changes)

    def _in_range(self, images):
        """The layer for these images, and the range to scale from, or None twice."""
        if self._layers is None:
            return self.layer, None, None
        name = type(self.layer).__name__
        found = low, high = pixel_range(name, self.value_range, images)
        fills = np.ravel(self.layer.get_config().get("fill_value") or 0)
        if fills.any() and not ((fills >= low) & (fills <= high)).all():
            constraint = f"in {list(found)}, the range of the images"
            raise ParameterError(name, "fill_value", fills.tolist(), constraint)
        if self._works_in(found):
            return self._layers[found], None, None
        return self._layers[found], low, high - low

    def get_config(self):
        """The layer as plain JSON values."""
        layer = keras.saving.serialize_keras_object(self.layer)
        given = self.value_range and list(self.value_range)
        return {
            "layer": layer,
            "supports_jit": self.supports_jit,
            "value_range": given,
            "mask_fill_value": self.mask_fill_value,
        }

    @classmethod
    def from_config(cls, config):
        """The step of a `get_config`."""
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**{**config, "layer": layer})


def _copied(drawn):
    """Random numbers of a layer, as copies: on PyTorch some layers write into them."""
    return keras.tree.map_structure(
        lambda each: ops.copy(each) if ops.is_tensor(each) else each, drawn
    )


def _with_range(layer, value_range, **changes):
    """A copy of a layer for another range of pixel values."""
    config = {**layer.get_config(), "value_range": value_range, **changes}
    return type(layer).from_config(config)


def _default_range(layer_class):
    """The default of a layer's `value_range`: what it has if nobody gave one."""
    for one in layer_class.__mro__:
        known = inspect.signature(one.__init__).parameters
        if "value_range" in known:
            return tuple(known["value_range"].default)
    return BYTES


class _Brightness(keras.layers.RandomBrightness):
    """Keras' layer, without adding in place to its input, as it does on PyTorch."""

    def transform_images(self, images, transformation, training=True):
        return super().transform_images(ops.copy(images), transformation, training)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class SeededRandAugment(keras.layers.RandAugment):
    """`keras.layers.RandAugment`, drawing from the seed that it is given.

    Keras' layer ignores the argument `seed` of `get_random_transformation`.
    """

    _given = None

    def __init__(self, **options):
        super().__init__(**options)
        # RandAugment runs all its layers and keeps the results of some
        config = self.random_brightness.get_config()
        self.random_brightness = _Brightness.from_config(config)
        self.supports_jit = False  # its rotation, shear and shift do not compile

    def get_random_transformation(self, data, training=True, seed=None):
        """As for every layer of Keras'."""
        # not as an attribute: Keras would look for the variable of a tracked generator
        vars(self)["_given"] = seed
        try:
            return super().get_random_transformation(data, training, seed)
        finally:
            vars(self)["_given"] = None

    def _get_seed_generator(self, backend=None):
        return self._given or super()._get_seed_generator(backend)


class _MixUpLayer(keras.layers.MixUp):
    """Keras' layer with its order of images in 32 bits: JAX warns about 64."""

    def get_random_transformation(self, data, training=True, seed=None):
        batch = ops.shape(data)[0]
        return {
            "permutation_order": keras.random.shuffle(
                ops.arange(batch, dtype="int32"), seed=seed
            ),
            "mix_weight": keras.random.beta(
                (batch,), self.alpha, self.alpha, seed=seed, dtype="float32"
            ),
        }


class _Mixing:
    """A step that mixes each image and its label with another's of the batch."""

    mixes_labels = True
    moves_pixels = True
    supports_jit = False
    limits = _LIMITS

    def __init__(self, num_classes, alpha):
        name = type(self).__name__
        check(name, self.limits, num_classes=num_classes, alpha=alpha)
        self.num_classes = int(num_classes)
        self.alpha = float(alpha)
        self.layer = self._layer()

    def __call__(self, batch, seeds):
        """Mixes the images and labels of a batch.

        Args:
            batch: `Batch` with labels.
            seeds: `SeedStream`.

        Returns:
            `Batch` with float32 images and label rows, float32, shape
            `(batch, num_classes)`.
        """
        name = type(self).__name__
        labels = label_rows(name, batch.labels, self.num_classes, batch.images.shape[0])
        images = ops.cast(batch.images, "float32")
        drawn = self.layer.get_random_transformation(images, True, seed=seeds)
        return batch.replace(
            images=self.layer.transform_images(images, drawn, training=True),
            labels=self.layer.transform_labels(labels, drawn, training=True),
        )

    def get_config(self):
        """The arguments as plain JSON values."""
        return {"num_classes": self.num_classes, "alpha": self.alpha}

    @classmethod
    def from_config(cls, config):
        """The step of a `get_config`."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class MixUp(_Mixing):
    """`keras.layers.MixUp`: weighted means of two images and of their labels.

    Args:
        num_classes: Int >= 2: class ids become rows of that length.
        alpha: Float > 0: the weight is drawn from Beta(alpha, alpha).

    Raises:
        ValueError: `num_classes` is below 2 or `alpha` is not positive.

    Example:
        >>> from tfrobustloss.data import augment
        >>> recipe = augment.Recipe([MixUp(3), augment.Affine(flip="horizontal")])
        >>> _, rows = recipe(ops.ones((2, 8, 8, 1)), ops.array([0, 2]), seed=0)
        >>> tuple(rows.shape)
        (2, 3)
    """

    def __init__(self, num_classes, alpha=0.2):
        super().__init__(num_classes, alpha)

    def _layer(self):
        return _MixUpLayer(alpha=self.alpha, dtype="float32", seed=0)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class CutMix(_Mixing):
    """`keras.layers.CutMix`: a patch of another image, and its share of the label.

    Args:
        num_classes: Int >= 2: class ids become rows of that length.
        alpha: Float in (0, 1]: the patch's share of the image is drawn from
            Beta(alpha, alpha).

    Raises:
        ValueError: `num_classes` is below 2 or `alpha` is outside (0, 1].

    Example:
        >>> from tfrobustloss.data import augment
        >>> recipe = augment.Recipe([augment.Affine(pixels=4), CutMix(3)])
        >>> _, rows = recipe(ops.ones((2, 8, 8, 1)), ops.array([0, 2]), seed=0)
        >>> tuple(rows.shape)
        (2, 3)
    """

    limits = _CUT_LIMITS

    def __init__(self, num_classes, alpha=1.0):
        super().__init__(num_classes, alpha)

    def _layer(self):
        # a pair, since from a single number Keras' layer draws a new alpha per batch
        factor = (self.alpha, self.alpha)
        return keras.layers.CutMix(factor=factor, dtype="float32", seed=0)
