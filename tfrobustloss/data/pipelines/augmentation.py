"""Augmentation of a pipeline's batches, by a recipe or a function."""

import inspect

import keras

from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.data import augment as recipes

_OWNER = "pipeline"
_KIND = (
    "a recipe of `data.augment`, or a function (images, labels, seed) that returns "
    "(images, labels)"
)
_STEPS = (recipes.Affine, recipes.ImageLayer, recipes.MixUp, recipes.CutMix)


def prepare(augment, labels):
    """What a batch goes through, checked; a step alone becomes a recipe.

    Args:
        augment: A recipe, one of its steps, a function of a batch, or None.
        labels: `"sparse"` or `"one_hot"`.

    Returns:
        A recipe, a function, or None.

    Raises:
        TypeError: `augment` is of no such kind.
        ValueError: It mixes labels that are no rows, or Keras runs on another backend.
    """
    if augment is None:
        return None
    if isinstance(augment, _STEPS):
        augment = recipes.Recipe(augment)
    hint = _way_out(augment)
    if hint is not None:
        raise ParameterTypeError(_OWNER, "augment", augment, _KIND, hint)
    if not _is_recipe(augment):
        return augment
    if augment.mixes_labels and labels != "one_hot":
        constraint = "'one_hot' for a recipe that mixes labels"
        raise ParameterError(_OWNER, "labels", labels, constraint)
    if keras.backend.backend() != "tensorflow":
        backend = keras.backend.backend()
        constraint = "None on a Keras backend other than TensorFlow"
        hint = f"Keras runs on {backend}: use `augment.attach(model, recipe)`."
        raise ParameterError(
            _OWNER, "augment", type(augment).__name__, constraint, hint
        )
    return augment


def step(augment):
    """The function that augments a batch by its random number.

    A recipe moves masks with the images, all of a batch by one map. A function gets the
    noisy labels, and each mask in turn with the same images and seed.
    """
    import tensorflow as tf

    mixes = getattr(augment, "mixes_labels", False)
    takes_jit = getattr(augment, "supports_jit", False)

    def both(images, labels, seed):
        result = augment(images, labels, seed)
        if not isinstance(result, tuple | list) or len(result) != 2:
            name, kind = "augment(images, labels, seed)", type(result).__name__
            raise ParameterTypeError(_OWNER, name, kind, "(images, labels)")
        return result

    @tf.function(jit_compile=takes_jit or None, autograph=False)
    def augmented(images, labels, seed):
        masks = labels[0].shape.rank > 2
        if masks and _is_recipe(augment):
            batch = {"images": images, "segmentation_masks": list(labels)}
            batch = augment(batch, seed=seed)
            return (batch["images"], *batch["segmentation_masks"])
        if _is_recipe(augment) and not mixes:
            return (augment(images, seed=seed), *labels)
        mixed, noisy = both(images, labels[0], seed)
        if not mixes and not masks:
            return (mixed, noisy, *labels[1:])
        # the same seed does the same to the clean labels
        return (mixed, noisy, *(both(images, each, seed)[1] for each in labels[1:]))

    @tf.autograph.experimental.do_not_convert
    def augment_batch(batch, number):
        images, *labels = batch
        return augmented(images, tuple(labels), tf.bitcast(number, tf.int32))

    return augment_batch


def _is_recipe(augment):
    """Whether it says of itself what a recipe says; plain functions do not."""
    return hasattr(augment, "mixes_labels")


def _way_out(augment):
    """What to do about something that cannot augment, None for what can."""
    name = getattr(augment, "__name__", "")
    if isinstance(augment, type) or getattr(recipes, name, None) is augment:
        return f"Call it first: `{name}(...)`."
    if isinstance(augment, recipes.Augmentation):
        return "Give the recipe that is in this layer."
    if isinstance(augment, keras.layers.Layer):
        return "A layer of Keras: `augment.Recipe([augment.ImageLayer(layer)])`."
    if not callable(augment):
        return ""
    if not _is_recipe(augment) and not _takes_three(augment):
        return "It must take three arguments."
    return None


def _takes_three(function):
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of some built-in ones nothing is known
        return True
    try:
        signature.bind(None, None, None)
    except TypeError:
        return False
    return True
