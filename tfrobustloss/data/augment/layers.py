"""Keras' own image layers as steps of a recipe, and those that mix labels too."""

import keras
from keras import ops

from tfrobustloss._core.labels import label_rows
from tfrobustloss._core.validation import ParameterTypeError, Range, check, check_flag

_LIMITS = {
    "num_classes": Range(low=2, integer=True),
    "alpha": Range(low=0, open_low=True),
}
_CUT_LIMITS = {
    **_LIMITS,
    "alpha": Range(low=0, high=1, open_low=True),
}


@keras.saving.register_keras_serializable(package="tfrobustloss")
class ImageLayer:
    """A step of a recipe that runs one of Keras' image layers on the whole batch.

    The layer draws from the recipe's seed, not from its own generator.

    Args:
        layer: A layer with Keras' `get_random_transformation` and `transform_images`:
            `keras.layers.RandomErasing`, `RandomBrightness`, ... Make it with
            `dtype="float32"`, or a mixed policy rounds the images.
        supports_jit: Whether to compile it by XLA on TensorFlow; None for the layer's
            own word.

    Raises:
        TypeError: `layer` is not such a layer or `supports_jit` no bool.

    Example:
        >>> step = ImageLayer(keras.layers.RandomBrightness(0.2, dtype="float32"))
        >>> step.supports_jit
        True
    """

    mixes_labels = False

    def __init__(self, layer, supports_jit=None):
        if not hasattr(layer, "get_random_transformation"):
            constraint = "one of Keras' random image layers"
            raise ParameterTypeError("ImageLayer", "layer", layer, constraint)
        if supports_jit is not None:
            check_flag("ImageLayer", "supports_jit", supports_jit)
        self.layer = layer
        own = layer.supports_jit
        self.supports_jit = own if supports_jit is None else bool(supports_jit)

    def __call__(self, images, labels, seeds):
        """Images, float32, and `labels`."""
        images = ops.cast(images, "float32")
        drawn = self.layer.get_random_transformation(images, True, seed=seeds)
        return self.layer.transform_images(images, drawn, training=True), labels

    def get_config(self):
        """The layer as plain JSON values."""
        layer = keras.saving.serialize_keras_object(self.layer)
        return {"layer": layer, "supports_jit": self.supports_jit}

    @classmethod
    def from_config(cls, config):
        """The step of a `get_config`."""
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(layer, config["supports_jit"])


@keras.saving.register_keras_serializable(package="tfrobustloss")
class SeededRandAugment(keras.layers.RandAugment):
    """`keras.layers.RandAugment`, drawing from the seed that it is given.

    Keras' layer ignores the argument `seed` of `get_random_transformation`.
    """

    _given = None

    def __init__(self, **options):
        super().__init__(**options)
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
    supports_jit = False
    limits = _LIMITS

    def __init__(self, num_classes, alpha):
        name = type(self).__name__
        check(name, self.limits, num_classes=num_classes, alpha=alpha)
        self.num_classes = int(num_classes)
        self.alpha = float(alpha)
        self.layer = self._layer()

    def __call__(self, images, labels, seeds):
        """Images, float32, and label rows, float32, shape `(batch, num_classes)`."""
        name = type(self).__name__
        labels = label_rows(name, labels, self.num_classes, images.shape[0])
        images = ops.cast(images, "float32")
        drawn = self.layer.get_random_transformation(images, True, seed=seeds)
        images = self.layer.transform_images(images, drawn, training=True)
        return images, self.layer.transform_labels(labels, drawn, training=True)

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
        # a pair: of a single number Keras' layer draws alpha anew for each batch
        factor = (self.alpha, self.alpha)
        return keras.layers.CutMix(factor=factor, dtype="float32", seed=0)
