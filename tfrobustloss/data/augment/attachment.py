"""Augmentation inside the compiled training step of a model."""

import inspect

import keras
from keras import ops

from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)
from tfrobustloss.data.augment.recipe import Recipe

_LIMITS = {"seed": Range(0, 2**31 - 1, integer=True, optional=True)}


@keras.saving.register_keras_serializable(package="tfrobustloss")
class Augmentation(keras.layers.Layer):
    """A recipe as a layer: active in training alone.

    Args:
        recipe: `Recipe` that does not mix labels.
        seed: Int in [0, 2 ** 31), or None for a random one. The same seed gives the
            same images in the same training steps.
        **layer_options: As for every `keras.layers.Layer`.

    Raises:
        TypeError: `recipe` is not a `Recipe`.
        ValueError: `recipe` mixes labels, or `seed` is out of range.

    Example:
        >>> from tfrobustloss.data import augment
        >>> layer = Augmentation(augment.adma("mnist"), seed=0)
        >>> images = ops.ones((2, 28, 28, 1))
        >>> bool(ops.all(layer(images) == images))
        True
        >>> tuple(layer(images, training=True).shape)
        (2, 28, 28, 1)
    """

    def __init__(self, recipe, seed=None, **layer_options):
        # images keep their dtype under any policy: the model's first layer casts them
        super().__init__(**{"autocast": False, **layer_options})
        if not isinstance(recipe, Recipe):
            raise ParameterTypeError("attach", "recipe", recipe, "a `Recipe`")
        if recipe.mixes_labels:
            names = [type(each).__name__ for each in recipe.steps if each.mixes_labels]
            constraint = "a recipe that leaves labels alone"
            hint = (
                "A layer sees images only: give this recipe to "
                "`data.pipeline(..., augment=recipe)`."
            )
            raise ParameterError("attach", "recipe", names, constraint, hint)
        check("attach", _LIMITS, seed=seed)
        self.recipe = recipe
        self.seed = None if seed is None else int(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.supports_jit = recipe.supports_jit

    def call(self, images, training=False):
        """Augmented images in training, else `images`, as floats."""
        seed = self.seed_generator if training else None
        return self.recipe(images, seed=seed, training=bool(training))

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def save_own_variables(self, store):
        """Stores how far the seed has come, so that a resumed training goes on."""
        store["seed"] = ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store):
        """The seed of a saved model."""
        self.seed_generator.state.assign(store["seed"])

    def get_config(self):
        """The layer's arguments as plain JSON values."""
        recipe = keras.saving.serialize_keras_object(self.recipe)
        return {**super().get_config(), "recipe": recipe, "seed": self.seed}

    @classmethod
    def from_config(cls, config):
        """The layer of a `get_config`."""
        recipe = keras.saving.deserialize_keras_object(config["recipe"])
        return cls(**{**config, "recipe": recipe})


@keras.saving.register_keras_serializable(package="tfrobustloss")
class AugmentedModel(keras.Model):
    """A model behind an `Augmentation`; made by `attach`.

    Args:
        model: `keras.Model` of one input, a batch of images.
        augmentation: `Augmentation`.
        **model_options: As for every `keras.Model`: `name`, `trainable`.

    Attributes:
        model: The model inside, whose weights are the trained ones.
        augmentation: The layer in front of it.

    Example:
        >>> from tfrobustloss.data import augment
        >>> net = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
        >>> model = attach(net, augment.pad_crop_flip())
        >>> tuple(model(ops.ones((3, 8, 8, 1)), training=True).shape)
        (3, 2)
    """

    def __init__(self, model, augmentation, **model_options):
        super().__init__(**model_options)
        self.augmentation = augmentation
        self.model = model
        # some models' `call` does not ask
        asks = "training" in inspect.signature(model.call).parameters
        self._asked = ("training",) if asks else ()

    def call(self, images, training=False):
        """The output of `model`."""
        # passed explicitly: in JAX's stateless calls Keras does not pass it to layers
        images = self.augmentation(images, training=training)
        return self.model(images, **dict.fromkeys(self._asked, training))

    def exported_model(self):
        """The model inside, which `serving.export` writes in place of this one.

        Every model of this package that only adds to the training of another one has
        this method.
        """
        return self.model

    def export(self, *args, **options):
        """Exports the model inside, which knows of no augmentation."""
        return self.model.export(*args, **options)

    def get_config(self):
        """Model and augmentation as plain JSON values."""
        own = {"model": self.model, "augmentation": self.augmentation}
        own = {
            name: keras.saving.serialize_keras_object(each)
            for name, each in own.items()
        }
        return {"name": self.name, "trainable": self.trainable, **own}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model of a `get_config`."""
        own = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("model", "augmentation")
        }
        return cls(**{**config, **own})


def attach(model, recipe, seed=None):
    """`model` with a recipe in its training step, compiled with it.

    Compile and fit the result; it trains the weights of `model` itself. In `evaluate`,
    `predict` and `export` the recipe does nothing and leaves no operation behind, and
    `detach` gives `model` back.

    Args:
        model: `keras.Model` of one input, images of shape `(batch, height, width,
            channels)`.
        recipe: `Recipe` without mixup or cutmix: those change labels, which a model
            does not see.
        seed: Int in [0, 2 ** 31), or None for a random one. The same seed gives the
            same images in the same training steps.

    Returns:
        `AugmentedModel`, not compiled.

    Raises:
        TypeError: `model` is not a `keras.Model` or `recipe` not a `Recipe`.
        ValueError: `recipe` mixes labels, `model` has a recipe already or `seed` is
            out of range.

    Example:
        >>> from tfrobustloss.data import augment
        >>> net = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
        >>> model = attach(net, augment.adma("mnist"), seed=0)
        >>> model.compile("sgd", "mse")
        >>> detach(model) is net
        True
    """
    if not isinstance(model, keras.Model):
        raise ParameterTypeError("attach", "model", model, "a `keras.Model`")
    if isinstance(model, AugmentedModel):
        constraint = "a model without a recipe"
        hint = "Recipes add up: `attach(detach(model), one + two)`."
        raise ParameterError("attach", "model", model.name, constraint, hint)
    augmentation = Augmentation(recipe, seed, name="augmentation")
    return AugmentedModel(model, augmentation, name=f"augmented_{model.name}")


def detach(model):
    """The model inside an `AugmentedModel`, as trained.

    Args:
        model: What `attach` returned.

    Returns:
        The `keras.Model` that was given to `attach`.

    Raises:
        TypeError: `model` is no `AugmentedModel`.

    Example:
        >>> from tfrobustloss.data import augment
        >>> net = keras.Sequential([keras.layers.Dense(2)])
        >>> detach(attach(net, augment.pad_crop_flip())) is net
        True
    """
    if not isinstance(model, AugmentedModel):
        constraint = "a model from `attach`"
        raise ParameterTypeError("detach", "model", model, constraint)
    return model.model
