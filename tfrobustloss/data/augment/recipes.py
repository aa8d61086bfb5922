"""Ready-made recipes under the names that papers use."""

import keras

from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)
from tfrobustloss.data.augment._value_range import check_range
from tfrobustloss.data.augment.affine import Affine
from tfrobustloss.data.augment.layers import (
    CutMix,
    ImageLayer,
    MixUp,
    SeededRandAugment,
)
from tfrobustloss.data.augment.recipe import Recipe

_LIMITS = {
    "magnitude": Range(low=0, high=10),
    "num_ops": Range(low=1, integer=True),
    "probability": Range(low=0, high=1),
}
# Section 4.2. "warping", for CIFAR-10, has neither a kind nor an amount there: the
# shear of .2 stands for it. Fill mode and the use of both directions are not stated.
_ADMA = {
    "mnist": {"rotation": 30, "shift": 0.2},
    "fashion_mnist": {"rotation": 30, "shift": 0.2},
    "cifar10": {"shift": 0.2, "shear": 0.2, "flip": "horizontal"},
    "cifar100": {"rotation": 15, "shift": 0.1, "flip": "horizontal"},
}


def adma(dataset):
    """The augmentation of the Adma paper for one of its data sets.

    - `"mnist"`, `"fashion_mnist"`: rotation up to 30 degrees, shift up to 20 %.
    - `"cifar10"`: horizontal flip, shift up to 20 %, "warping".
    - `"cifar100"`: rotation up to 15 degrees, shift up to 10 %, horizontal flip.

    Where the paper is silent this is ours: "warping" is a shear of up to 0.2 (the paper
    names neither a kind nor an amount), ranges go either way, shifts are not rounded to
    pixels, and beyond the border its pixels are repeated. The paper gives no
    augmentation for its four other data sets.

    Args:
        dataset: One of `"mnist"`, `"fashion_mnist"`, `"cifar10"`, `"cifar100"`.

    Returns:
        `Recipe` of one `Affine`.

    Raises:
        ValueError: The paper states no augmentation for `dataset`.

    Example:
        >>> adma("cifar100").steps[0].get_config()["rotation"]
        15

    Reference:
        Shrivastava, "Adma: A Flexible Loss Function for Neural Networks", 2020.
    """
    if not isinstance(dataset, str) or dataset not in _ADMA:
        constraint = "one of " + ", ".join(map(repr, _ADMA))
        hint = "For other data: `Recipe([Affine(...)])`."
        raise ParameterError("adma", "dataset", dataset, constraint, hint)
    return Recipe([Affine(**_ADMA[dataset])])


def pad_crop_flip(padding=4, mask_fill_value=0):
    """The standard of CIFAR: zero padding, a random crop of the former size, a flip.

    Pixels move as they are: nothing is interpolated.

    Args:
        padding: Int >= 0, pixels on each side.
        mask_fill_value: Int, class of the padding in segmentation masks: 0, often the
            background, or the `ignore_class` of the loss.

    Returns:
        `Recipe` of one `Affine`.

    Raises:
        ValueError: `padding` is negative or `mask_fill_value` not a whole number.

    Example:
        >>> pad_crop_flip().steps[0].get_config()["pixels"]
        4

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """
    check(
        "pad_crop_flip",
        {"padding": Range(low=0, integer=True)},
        padding=padding,
    )
    step = Affine(
        pixels=padding,
        flip="horizontal",
        fill_mode="constant",
        mask_fill_value=mask_fill_value,
    )
    return Recipe([step])


def rand_augment(magnitude=5, num_ops=2, value_range=None):
    """`keras.layers.RandAugment` of a magnitude, its `factor` times 10.

    Keras' layer is not the paper's in two respects: it picks the operations once for a
    batch, not once for an image, and its strengths differ (rotation up to `magnitude /
    10` of a full turn, where the paper has 30 degrees). Images need three channels. XLA
    on TensorFlow cannot compile it.

    Args:
        magnitude: Float in [0, 10]; each image draws its strength from 0 to that.
        num_ops: Int >= 1, operations one after the other.
        value_range: Smallest and largest value of a pixel, such as (0, 1). None for
            [0, 255] of uint8 images, or else the range that the values show; a compiled
            program hides the values of floats, and there it must be given.

    Returns:
        `Recipe`. Segmentation masks move with the images where an operation moves them.

    Raises:
        TypeError: A value is no number, or `value_range` no pair.
        ValueError: `magnitude` or `num_ops` is out of range. When called: the range of
            the images cannot be seen, or is plainly not `value_range`.

    Example:
        >>> rand_augment(magnitude=3).supports_jit
        False

    Reference:
        Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced
        Search Space", NeurIPS 2020.
    """
    check("rand_augment", _LIMITS, magnitude=magnitude, num_ops=num_ops)
    layer = SeededRandAugment(
        num_ops=int(num_ops),
        factor=magnitude / 10,
        dtype="float32",
        seed=0,
    )
    value_range = check_range("rand_augment", value_range)
    return Recipe([ImageLayer(layer, value_range=value_range)])


def random_erasing(probability=0.5, area=(0.02, 0.33), value_range=None):
    """`keras.layers.RandomErasing`: a rectangle of each image becomes noise.

    It asks not to be compiled by XLA, which draws that noise 15 times slower on a CPU.
    Pixels do not move: segmentation masks and boxes are left unchanged.

    Args:
        probability: Float in [0, 1] that an image is hit.
        area: Smallest and largest share of the image, each in [0, 1].
        value_range: Smallest and largest value of a pixel, such as (0, 1). None for
            [0, 255] of uint8 images, or else the range that the values show; a compiled
            program hides the values of floats, and there it must be given.

    Returns:
        `Recipe`.

    Raises:
        TypeError: `probability` is no number, or `area` or `value_range` no pair.
        ValueError: `probability` or `area` is outside [0, 1]. When called: the range of
            the images cannot be seen, or is plainly not `value_range`.

    Example:
        >>> random_erasing(0.25).mixes_labels
        False

    Reference:
        Zhong et al., "Random Erasing Data Augmentation", AAAI 2020.
    """
    check("random_erasing", _LIMITS, probability=probability)
    area = _pair("random_erasing", "area", area)
    for end in area:
        limits = {"area": Range(low=0, high=1)}
        check("random_erasing", limits, area=end)
    layer = keras.layers.RandomErasing(
        # a pair: of a single number Keras' layer draws the probability as well
        factor=(probability, probability),
        scale=area,
        dtype="float32",
        seed=0,
    )
    value_range = check_range("random_erasing", value_range)
    return Recipe([ImageLayer(layer, supports_jit=False, value_range=value_range)])


def mixup(num_classes, alpha=0.2):
    """Weighted means of two images and of their labels, as rows that every loss takes.

    Args:
        num_classes: Int >= 2.
        alpha: Float > 0: the weight is drawn from Beta(alpha, alpha).

    Returns:
        `Recipe` that needs labels: class ids, or rows of length `num_classes`.

    Raises:
        ValueError: `num_classes` is below 2 or `alpha` is not positive.

    Example:
        >>> images = keras.ops.zeros((4, 8, 8, 1))
        >>> _, labels = mixup(3)(images, keras.ops.array([0, 1, 2, 0]), seed=0)
        >>> tuple(labels.shape)
        (4, 3)

    Reference:
        Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
    """
    return Recipe([MixUp(num_classes, alpha)])


def cutmix(num_classes, alpha=1.0):
    """A patch of another image, and its share of the label, as rows for every loss.

    Args:
        num_classes: Int >= 2.
        alpha: Float in (0, 1]: the patch's share is drawn from Beta(alpha, alpha).

    Returns:
        `Recipe` that needs labels: class ids, or rows of length `num_classes`.

    Raises:
        ValueError: `num_classes` is below 2 or `alpha` is outside (0, 1].

    Example:
        >>> cutmix(10).mixes_labels
        True

    Reference:
        Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
        Localizable Features", ICCV 2019.
    """
    return Recipe([CutMix(num_classes, alpha)])


def _pair(owner, name, values):
    if not isinstance(values, tuple | list) or len(values) != 2:
        constraint = "a pair: the smallest and the largest"
        raise ParameterTypeError(owner, name, values, constraint)
    return tuple(values)
