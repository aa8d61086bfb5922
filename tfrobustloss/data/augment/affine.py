"""Random flip, zoom, shear, rotation and shift as one affine map."""

import math

import keras
from keras import ops

from tfrobustloss._core.validation import ParameterError, Range, check
from tfrobustloss.data.augment._sampling import FILL_MODES, sample
from tfrobustloss.data.augment._value_range import seen_range
from tfrobustloss.data.augment.targets import fill_of

_LIMITS = {
    "rotation": Range(low=0, high=180),
    "shift": Range(low=0, high=1),
    "pixels": Range(low=0, integer=True),
    "shear": Range(low=0, high=1),
    "zoom": Range(low=0, high=1, open_high=True),
    "fill_value": Range(),
    "mask_fill_value": Range(integer=True),
}
_INTERPOLATED = ("rotation", "shift", "shear", "zoom")
_FLIPS = (None, "horizontal", "vertical", "both")


@keras.saving.register_keras_serializable(package="tfrobustloss")
class Affine:
    """A step of a recipe: a random affine map of each image.

    The result is that of Keras' RandomFlip, RandomZoom, RandomShear, RandomRotation
    and RandomTranslation one after the other, about the image's centre, but each pixel
    is interpolated once and not five times, and XLA can compile it. Every image has
    its own draws, uniform between the limits. With `flip` and `pixels` alone nothing
    is interpolated: pixels move as they are.

    Segmentation masks move by the same map; each of their pixels is that of the nearest
    point. Where the image repeats or mirrors its border, so does the mask.

    Args:
        rotation: Largest angle in degrees, in [0, 180], either way.
        shift: Largest shift, both down and across, as a share of height and width, in
            [0, 1], either way.
        pixels: Largest shift in pixels, whole numbers only, either way: a pad by that
            much and a crop of the former size.
        shear: Largest shear, in [0, 1], either way: how far a row moves sideways per
            row of distance from the centre.
        zoom: Largest change of scale, in [0, 1): distances from the centre are
            multiplied by a number in [1 - zoom, 1 + zoom].
        flip: None, `"horizontal"`, `"vertical"` or `"both"`, each with probability .5.
        fill_mode: What lies beyond the border: `"nearest"` repeats its pixels,
            `"reflect"` mirrors the image at its edge, `"constant"` is `fill_value`.
        fill_value: Value of these pixels, in the range of the images.
        mask_fill_value: Int, class of these pixels in segmentation masks: 0, often the
            background, or the `ignore_class` of the loss. In a one-hot mask it is the
            row of that class, or zeros for an id that is no class.

    Raises:
        TypeError: A number is not a number.
        ValueError: A number is out of range, or `flip` or `fill_mode` is none of those.
            When called: `fill_value` is outside the range that the images show, or a
            mask cannot hold `mask_fill_value`.

    Example:
        >>> from tfrobustloss.data import augment
        >>> recipe = augment.Recipe([Affine(rotation=15, flip="horizontal")])
        >>> tuple(recipe(keras.ops.ones((2, 8, 8, 3)), seed=0).shape)
        (2, 8, 8, 3)
    """

    mixes_labels = False
    supports_jit = True

    def __init__(
        self,
        rotation=0.0,
        shift=0.0,
        pixels=0,
        shear=0.0,
        zoom=0.0,
        flip=None,
        fill_mode="nearest",
        fill_value=0.0,
        mask_fill_value=0,
    ):
        self._config = {
            "rotation": rotation,
            "shift": shift,
            "pixels": pixels,
            "shear": shear,
            "zoom": zoom,
            "flip": flip,
            "fill_mode": fill_mode,
            "fill_value": fill_value,
            "mask_fill_value": mask_fill_value,
        }
        check("Affine", _LIMITS, **self._config)
        _check_one_of("flip", flip, _FLIPS)
        _check_one_of("fill_mode", fill_mode, FILL_MODES)

    @property
    def moves_pixels(self):
        """True if the map can move pixels, so that masks and boxes must follow."""
        return any(self._config[name] for name in (*_INTERPOLATED, "pixels", "flip"))

    def __call__(self, batch, seeds):
        """Maps the images of a batch, and its masks and weights along with them.

        Args:
            batch: `Batch`.
            seeds: `SeedStream`.

        Returns:
            `Batch`. Images are float32, or as they came if nothing is interpolated.
        """
        images = batch.images
        _, height, width, _ = images.shape
        mode, fill = self._config["fill_mode"], self._config["fill_value"]
        if mode == "constant":
            self._check_fill(batch.source)
            if fill != int(fill):  # a whole-number dtype would cut it off
                images = ops.cast(images, "float32")
        coefficients = matrix(**self.draw(ops.shape(images)[0], height, width, seeds))
        whole = not any(self._config[name] for name in _INTERPOLATED)
        outside = self._config["mask_fill_value"]
        return batch.replace(
            images=sample(images, coefficients, mode, fill, whole),
            masks=tuple(
                sample(mask, coefficients, mode, fill_of("Affine", mask, outside), True)
                for mask in batch.masks
            ),
            weights=tuple(
                sample(weight, coefficients, "constant", 0.0, True)
                for weight in batch.weights
            ),
        )

    def _check_fill(self, images):
        """Raises if the fill is plainly not of the range of the images."""
        fill, seen = self._config["fill_value"], seen_range(images)
        if fill and seen and not seen[0] <= fill <= seen[1]:
            constraint = f"in {list(seen)}, the range of the images"
            raise ParameterError("Affine", "fill_value", fill, constraint)

    def draw(self, batch, height, width, seeds):
        """The random numbers of a batch, as the arguments of `matrix`.

        Args:
            batch: Number of images, an int or a scalar tensor.
            height: Height of an image in pixels.
            width: Its width.
            seeds: `SeedStream`.

        Returns:
            Dict of tensors of shape `(batch,)`; what never varies is missing.
        """
        limits = self._config
        makers = {}  # what to make of a draw in [0, 1)
        if limits["rotation"]:
            makers["angle"] = _symmetric(math.radians(limits["rotation"]))
        if limits["shear"]:
            makers["shear"] = _symmetric(limits["shear"])
        if limits["zoom"]:
            change = _symmetric(limits["zoom"])
            makers["zoom"] = lambda draw: 1 + change(draw)
        if limits["shift"]:
            makers["across"] = _symmetric(limits["shift"] * width)
            makers["down"] = _symmetric(limits["shift"] * height)
        if limits["pixels"]:
            makers["pixels_across"] = makers["pixels_down"] = _whole(limits["pixels"])
        if limits["flip"] in ("horizontal", "both"):
            makers["flip_across"] = _sign
        if limits["flip"] in ("vertical", "both"):
            makers["flip_down"] = _sign
        if not makers:
            return {"across": ops.zeros((batch,))}
        draws = keras.random.uniform((batch, len(makers)), seed=seeds, dtype="float32")
        made = {
            name: make(draws[:, i]) for i, (name, make) in enumerate(makers.items())
        }
        for name in ("across", "down"):
            pixels = made.pop(f"pixels_{name}", None)
            if pixels is not None:
                made[name] = made[name] + pixels if name in made else pixels
        return made

    def get_config(self):
        """The arguments as plain JSON values."""
        return dict(self._config)

    @classmethod
    def from_config(cls, config):
        """The step of a `get_config`."""
        return cls(**config)


def matrix(
    angle=0.0, shear=0.0, zoom=1.0, across=0.0, down=0.0, flip_across=1, flip_down=1
):
    """The map from the output's pixels to the input's, both from the centre.

    The image is flipped, scaled, sheared, rotated and shifted, in this order. The way
    back is `flip @ zoom @ shear @ rotation @ (point - shift)`.

    Args:
        angle: In radians, counter-clockwise.
        shear: Columns per row.
        zoom: Above 1 the image shrinks.
        across: Shift to the right in pixels.
        down: Shift downwards in pixels.
        flip_across: -1 for a mirror image, else 1.
        flip_down: -1 for upside down, else 1.

    Returns:
        Six tensors of the shape of the arguments, in the order of `sample`.
    """
    shape = sum(
        0 * each for each in (angle, shear, zoom, across, down, flip_across, flip_down)
    )
    angle = angle + shape
    cosine, sine = ops.cos(angle), ops.sin(angle)
    m0 = flip_across * zoom * (cosine + shear * sine)
    m1 = flip_across * zoom * (shear * cosine - sine)
    m3 = flip_down * zoom * sine
    m4 = flip_down * zoom * cosine
    return (
        m0,
        m1,
        -m0 * across - m1 * down,
        m3,
        m4,
        -m3 * across - m4 * down,
    )


def _symmetric(limit):
    return lambda draw: (2 * draw - 1) * limit


def _whole(limit):
    return lambda draw: ops.floor(draw * (2 * limit + 1)) - limit


def _sign(draw):
    return ops.where(draw < 0.5, -1.0, 1.0)


def _check_one_of(name, value, known):
    if value not in known:
        constraint = "one of " + ", ".join(map(repr, known))
        raise ParameterError("Affine", name, value, constraint)
