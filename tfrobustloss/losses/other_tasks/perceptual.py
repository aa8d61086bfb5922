"""Perceptual loss: distance of a network's features (Johnson et al., ECCV 2016)."""

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import ParameterError, Range, check
from tfrobustloss.losses.base import TaskLoss
from tfrobustloss.losses.other_tasks.feature_network import FeatureNetwork
from tfrobustloss.losses.other_tasks.targets import (
    as_floats,
    check_shapes,
    mean_per_example,
    numbers,
)

_WEIGHT = Range(low=0)
_LIMITS = {
    "content_weight": _WEIGHT,
    "style_weight": _WEIGHT,
    "total_variation_weight": _WEIGHT,
}
# the layers of VGG16 that the paper and its code call relu1_2, ..., relu4_3
_VGG16_CONTENT = ("block3_conv3",)
_VGG16_STYLE = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3")


@keras_function
def perceptual(
    y_true,
    y_pred,
    features,
    content_weight=1.0,
    style_weight=5.0,
    total_variation_weight=1e-6,
    mean_gram=True,
    style_features=None,
):
    """Distance of images in the features of a network, not pixel by pixel.

        loss = content_weight * sum over content layers of |φ(ŷ) - φ(y)|² / (C H W)
             + style_weight * sum over style layers of |G(ŷ) - G(y)|² [ / C² ]
             + total_variation_weight * sum of squared differences of neighbours / 2
        G = φᵀφ / (C H W), the Gram matrix of the C channels of a layer of H × W

    Constants and defaults are those of the authors' code: it divides the Gram term by
    C² (`mean_gram`), which the paper does not, and its total variation counts pixels
    that have a neighbour on the right and below. (Read in jcjohnson/fast-neural-style,
    which has the gradient of the last term only; the value here is its integral.)

    Args:
        y_true: Target images, shape `(batch, height, width, channels)`.
        y_pred: Generated images, same shape.
        features: Function of images that gives `(content, style)`: two lists of
            feature maps, shapes `(batch, H, W, C)`.
        content_weight: Float >= 0.
        style_weight: Float >= 0.
        total_variation_weight: Float >= 0.
        mean_gram: Whether a style term is divided by C².
        style_features: Feature maps of the image whose style is wanted, one per style
            layer, batch 1 or that of `y_true`; None for those of `y_true`.

    Returns:
        Loss per image, shape `(batch,)`, at least 0.

    Raises:
        ValueError: A weight is negative, or the shapes differ.

    Example:
        >>> black, white = np.zeros((1, 2, 2, 3)), np.ones((1, 2, 2, 3))
        >>> loss = perceptual(black, white, lambda images: ([images], []))
        >>> float(loss[0])
        1.0

    Reference:
        Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and
        Super-Resolution", ECCV 2016.
    """
    check(
        "perceptual",
        _LIMITS,
        content_weight=content_weight,
        style_weight=style_weight,
        total_variation_weight=total_variation_weight,
    )
    y_true, y_pred = as_floats(y_true, y_pred)
    check_shapes("perceptual", y_true, y_pred)
    wanted_content, wanted_style = features(numbers("perceptual", y_true))
    content, style = features(y_pred)
    if style_features is not None:
        wanted_style = style_features
    loss = total_variation_weight * _total_variation(y_pred)
    for wanted, given in zip(wanted_content, content, strict=True):
        apart = ops.cast(_mean_square(given - wanted), loss.dtype)
        loss = loss + content_weight * apart
    for wanted, given in zip(wanted_style, style, strict=True):
        apart = ops.cast(_mean_square(_gram(given) - _gram(wanted)), loss.dtype)
        factor = 1 if mean_gram else given.shape[-1] ** 2
        loss = loss + style_weight * factor * apart
    return loss


@keras.saving.register_keras_serializable(package="tfrobustloss")
class Perceptual(TaskLoss):
    """`perceptual` as a `keras.losses.Loss`, with a network of its own.

    It takes a copy of the network, as far as the layers named, which it freezes and
    runs in float32 whatever the policy, nested models included, not in training mode.
    For extreme images it is as finite as the network.

    The config holds all that builds the loss again: a name, a path, or, for a model
    given as an object, its architecture with its weights (a third more than their
    bytes; own layers must be registered with Keras).

    Args:
        feature_extractor: A built `keras.Model` of one image, functional or a
            Sequential, the path of a `.keras` file, or `"vgg16"`: ImageNet's VGG16
            from the weights in Keras' folder. Nothing is downloaded. A model gets
            images as they come; `"vgg16"` takes RGB in [0, 255] and does its own
            preprocessing.
        content_layers: Names of layers; None for the paper's choice of VGG16
            (`block3_conv3`; for super-resolution it takes `block2_conv2`), or none.
        style_layers: Names of layers; None for the paper's four of VGG16, or none.
        content_weight: See `perceptual`.
        style_weight: See `perceptual`.
        total_variation_weight: See `perceptual`.
        mean_gram: See `perceptual`.
        style_image: The image whose style is wanted, shape `(height, width,
            channels)`, of any size; None for the style of each target image.
        **options: `reduction`, `name`, `dtype`: see `TaskLoss`.

    Raises:
        TypeError: `feature_extractor` is of another kind.
        ValueError: A layer does not exist, no layer is named, a style layer gives no
            maps, VGG16's weights or the file are not there, the model is not built,
            `style_image` does not fit it or is not finite, or a weight is negative.
    """

    function = staticmethod(perceptual)
    limits = _LIMITS
    purpose = "images, by what a network sees in them: content, style, smoothness"
    paper = "Johnson et al. 2016"
    paper_url = "https://arxiv.org/abs/1603.08155"

    def __init__(
        self,
        feature_extractor="vgg16",
        content_layers=None,
        style_layers=None,
        content_weight=1.0,
        style_weight=5.0,
        total_variation_weight=1e-6,
        mean_gram=True,
        style_image=None,
        **options,
    ):
        super().__init__(
            content_weight=content_weight,
            style_weight=style_weight,
            total_variation_weight=total_variation_weight,
            mean_gram=mean_gram,
            **options,
        )
        named = feature_extractor if isinstance(feature_extractor, str) else None
        vgg16 = named == "vgg16"
        self.content_layers = _names(
            "content_layers", content_layers, _VGG16_CONTENT if vgg16 else ()
        )
        self.style_layers = _names(
            "style_layers", style_layers, _VGG16_STYLE if vgg16 else ()
        )
        self.network = FeatureNetwork(
            feature_extractor, self.content_layers, self.style_layers
        )
        self.style_image = style_image
        self._style_features = None
        if style_image is not None:
            self.style_image = image = _image(style_image, self.network.image_shape)
            maps = self.network(ops.convert_to_tensor(image[np.newaxis]))[1]
            self._style_features = [ops.convert_to_numpy(each) for each in maps]

    def get_config(self):
        """The constructor arguments as plain values, the network included."""
        image = self.style_image
        return {
            **super().get_config(),
            "feature_extractor": self.network.config(),
            "content_layers": list(self.content_layers),
            "style_layers": list(self.style_layers),
            "style_image": None if image is None else image.tolist(),
        }

    def _parameters(self):
        style = self._style_features
        if style is not None:
            style = [ops.convert_to_tensor(each) for each in style]
        own = {"features": self.network, "style_features": style}
        return {**super()._parameters(), **own}


def _names(argument, layers, default):
    """Names of layers as a tuple; one text would be read letter by letter."""
    if isinstance(layers, str):
        hint = f"Give {argument}=[{layers!r}]."
        raise ParameterError("Perceptual", argument, layers, "a list of names", hint)
    return tuple(default if layers is None else layers)


def _image(image, shape):
    """A finite image that fits the input of a network."""
    image = np.asarray(image, "float32")
    fits = image.ndim == len(shape) == 3 and all(
        wanted in (None, given)
        for wanted, given in zip(shape, image.shape, strict=True)
    )
    if not fits:
        constraint = f"None or of shape (height, width, channels), here {shape}"
        raise ParameterError("Perceptual", "style_image", image.shape, constraint)
    if not np.isfinite(image).all():
        value = float(image[~np.isfinite(image)][0])
        raise ParameterError("Perceptual", "style_image", value, "finite")
    return image


def _mean_square(apart):
    return mean_per_example(apart * apart)


def _gram(maps):
    """Products of channels, shape `(batch, C, C)`, divided by C H W."""
    shape = ops.shape(maps)
    flat = ops.reshape(maps, (shape[0], -1, shape[3]))
    size = ops.cast(shape[1] * shape[2] * shape[3], maps.dtype)
    return ops.matmul(ops.transpose(flat, (0, 2, 1)), flat) / size


def _total_variation(images):
    corner = images[:, :-1, :-1]
    below, right = images[:, 1:, :-1] - corner, images[:, :-1, 1:] - corner
    return ops.sum(below * below + right * right, axis=(1, 2, 3)) / 2
