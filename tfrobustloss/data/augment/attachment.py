"""Augmentation inside the compiled training step of a model."""

import contextvars
import inspect

import keras
from keras import ops

from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)
from tfrobustloss.data.augment import targets as kinds
from tfrobustloss.data.augment.recipe import Recipe

# The model whose training step has augmented its batch already. One per thread, since
# TensorFlow's mirrored strategies run a step in several.
_AUGMENTED = contextvars.ContextVar("augmented", default=None)
_LIMITS = {"seed": Range(0, 2**31 - 1, integer=True, optional=True)}


@keras.saving.register_keras_serializable(package="tfrobustloss")
class Augmentation(keras.layers.Layer):
    """A recipe as a layer: active in training alone.

    Like Keras' layers it takes images, or a dict of `"images"`, `"labels"`,
    `"segmentation_masks"` and `"sample_weight"`, whose masks move with the images.
    Inside a model it sees images alone and no target moves: there, use `attach`.

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
        """Augmented images in training, else `images`, as floats; or a dict."""
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
        targets: As for `attach`.
        **model_options: As for every `keras.Model`: `name`, `trainable`.

    Attributes:
        model: The model inside, whose weights are the trained ones.
        augmentation: The layer in front of it.
        targets: As given.

    Example:
        >>> from tfrobustloss.data import augment
        >>> net = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
        >>> model = attach(net, augment.pad_crop_flip())
        >>> tuple(model(ops.ones((3, 8, 8, 1)), training=True).shape)
        (3, 2)
    """

    def __init__(self, model, augmentation, targets=None, **model_options):
        super().__init__(**model_options)
        self.augmentation = augmentation
        self.model = model
        # not as an attribute: Keras would wrap lists and dicts
        vars(self)["targets"] = targets
        # some models' `call` does not ask
        asks = "training" in inspect.signature(model.call).parameters
        self._asked = ("training",) if asks else ()

    def call(self, images, training=False):
        """The output of `model`."""
        if keras.tree.is_nested(images):
            _refuse_inputs(type(images).__name__)
        # passed explicitly: in JAX's stateless calls Keras does not pass it to layers
        if _AUGMENTED.get() is not self:
            images = self.augmentation(images, training=training)
        return self.model(images, **dict.fromkeys(self._asked, training))

    def fit(self, x=None, y=None, *arguments, **options):
        """Trains the model, as every `keras.Model`, once arrays are checked.

        Raises:
            ValueError: A target has places in the image and is not moved, or a mask
                holds distances, which no map of pixels can move.
        """
        if isinstance(x, list | tuple | dict):
            _refuse_inputs(type(x).__name__)
        data = getattr(x, "element_spec", None)  # of a `tf.data.Dataset`
        images, targets, weights = x, y, options.get("sample_weight")
        if isinstance(data, tuple):
            images, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
            if isinstance(images, list | tuple | dict):
                _refuse_inputs(type(images).__name__)
        if hasattr(images, "shape") and targets is not None:
            self._moves_targets(images, targets, weights)
        return super().fit(x, y, *arguments, **options)

    def train_step(self, *arguments):
        """Keras' training step, with targets that move along with the images.

        Args:
            *arguments: A batch; on JAX the state of the training and a batch.

        Returns:
            What Keras' training step returns.

        Raises:
            ValueError: A target has places in the image and is not moved.
        """
        *state, data = arguments
        images, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        if keras.tree.is_nested(images):
            _refuse_inputs(type(images).__name__)
        if not self._moves_targets(images, y, weights):
            return super().train_step(*arguments)
        if state:  # JAX: the seed is part of a state that is passed along
            trainable, fixed, *others = state[0]
            variables = self.non_trainable_variables
            mapping = list(zip(variables, fixed, strict=True))
            with keras.StatelessScope(mapping) as scope:
                data = self._augmented(images, y, weights)
            fixed = [scope.get_current_value(each) for each in variables]
            state = [(trainable, fixed, *others)]
        else:
            data = self._augmented(images, y, weights)
        token = _AUGMENTED.set(self)
        try:
            return super().train_step(*state, data)
        finally:
            _AUGMENTED.reset(token)

    def _moves_targets(self, images, y, weights):
        """True if masks or weights must move; raises for targets that cannot."""
        if not self.augmentation.recipe.moves_pixels:
            return False
        shape = tuple(images.shape)
        found = kinds.with_kinds("attach", self.targets, y)
        outputs = getattr(self.model, "outputs", None) or []
        classes = outputs[0].shape[-1] if len(outputs) == 1 else None
        for (name, kind), value in zip(found, keras.tree.flatten(y), strict=True):
            if not hasattr(value, "shape"):  # None, or a number of nested lists
                continue
            if kind is None:
                kinds.check_stays("attach", name, tuple(value.shape), shape)
            elif kind == kinds.MASKS:
                kinds.check_mask("attach", name, value, shape, classes)
        moving = any(kind == kinds.MASKS for _, kind in found)
        if not moving and any(kind == kinds.LABELS for _, kind in found):
            return False
        weights = keras.tree.flatten(weights)
        weighed = kinds.pixel_weights("attach", weights, shape)
        return moving or bool(weighed)

    def _augmented(self, images, y, weights):
        """A batch whose masks and weights per pixel have moved with the images."""
        found = kinds.with_kinds("attach", self.targets, y)
        leaves = keras.tree.flatten(y)
        masks = [i for i, (_, kind) in enumerate(found) if kind == kinds.MASKS]
        batch = {"images": images, kinds.MASKS: [leaves[i] for i in masks]}
        if weights is not None:
            batch["sample_weight"] = weights
        batch = self.augmentation(batch, training=True)
        for i, moved in zip(masks, batch[kinds.MASKS], strict=True):
            leaves[i] = moved
        y = keras.tree.pack_sequence_as(y, leaves)
        return batch["images"], y, batch.get("sample_weight")

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
        options = {"name": self.name, "trainable": self.trainable}
        return {**options, "targets": self.targets, **own}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model of a `get_config`."""
        own = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("model", "augmentation")
        }
        return cls(**{**config, **own})


def attach(model, recipe, seed=None, targets=None):
    """`model` with a recipe in its training step, compiled with it.

    Compile and fit the result; it trains the weights of `model` itself. In `evaluate`,
    `predict` and `export` the recipe does nothing and leaves no operation behind, and
    `detach` gives `model` back.

    Targets that say something about places in the image have to move with it. With
    `targets="segmentation_masks"` class ids or one-hot masks move by the map that moves
    the images, each pixel that of the nearest point, and so do sample weights per
    pixel. Pixels from beyond the border get `mask_fill_value` of `Affine` or
    `pad_crop_flip`, 0 by default, and the weight 0. Other targets with places (boxes,
    keypoints, outputs per anchor, distance maps, images) are refused, unless no step
    moves pixels, as in `random_erasing()`: then every target stays as it is. A few are
    not recognisable: a single box as a row of four numbers looks like four classes,
    unless its name says what it is.

    Args:
        model: `keras.Model` of one input, images of shape `(batch, height, width,
            channels)`.
        recipe: `Recipe` without mixup or cutmix: those change labels, which a model
            does not see.
        seed: Int in [0, 2 ** 31), or None for a random one. The same seed gives the
            same images in the same training steps.
        targets: `"segmentation_masks"` for targets of shape `(batch, height, width)`,
            `(batch, height, width, 1)` or `(batch, height, width, classes)`, as large
            as the images; `"labels"` for targets that stay as they are; None for labels
            of a whole image, which is checked. For several targets, a list or dict of
            these, nested like the targets.

    Returns:
        `AugmentedModel`, not compiled.

    Raises:
        TypeError: `model` is not a `keras.Model` or `recipe` not a `Recipe`.
        ValueError: `recipe` mixes labels; `model` has a recipe already, a training step
            of its own, several inputs, or outputs per pixel or anchor for which
            `targets` is None; `targets` or `seed` is out of range. In `fit`: a target
            has places and is not moved.

    Example:
        >>> from tfrobustloss.data import augment
        >>> net = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
        >>> model = attach(net, augment.adma("mnist"), seed=0)
        >>> model.compile("sgd", "mse")
        >>> detach(model) is net
        True

        A network that segments, and a loss that leaves out the padding:

        >>> from tfrobustloss import losses
        >>> layers = [keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 1)]
        >>> net = keras.Sequential(layers)
        >>> recipe = augment.pad_crop_flip(2, mask_fill_value=255)
        >>> model = attach(net, recipe, seed=0, targets="segmentation_masks")
        >>> loss = losses.GeneralizedCrossEntropy(from_logits=True, ignore_class=255)
        >>> model.compile("sgd", loss)
        >>> images, masks = ops.ones((4, 8, 8, 1)), ops.ones((4, 8, 8), "int32")
        >>> history = model.fit(images, masks, verbose=0)
    """
    if not isinstance(model, keras.Model):
        raise ParameterTypeError("attach", "model", model, "a `keras.Model`")
    if isinstance(model, AugmentedModel):
        constraint = "a model without a recipe"
        hint = "Recipes add up: `attach(detach(model), one + two)`."
        raise ParameterError("attach", "model", model.name, constraint, hint)
    kinds.check_kinds("attach", targets)
    augmentation = Augmentation(recipe, seed, name="augmentation")
    _check_training(model)
    _check_inputs(model)
    if recipe.moves_pixels and targets is None:
        _check_outputs(model)
    name = f"augmented_{model.name}"
    return AugmentedModel(model, augmentation, targets, name=name)


def _check_training(model):
    """Raises for a training step of its own, which the attached model would not run."""
    for name in ("train_step", "compute_loss"):
        if getattr(type(model), name) is not getattr(keras.Model, name):
            constraint = f"a model with Keras' own `{name}`"
            hint = (
                f"Call `augment.Augmentation(recipe)` in its `{name}`, or augment in "
                "`data.pipeline(..., augment=recipe)`."
            )
            received = type(model).__name__
            raise ParameterError("attach", "model", received, constraint, hint)


def _check_inputs(model):
    """Raises unless a model takes one batch of images, as far as it is known."""
    arguments = [
        each.name
        for each in inspect.signature(model.call).parameters.values()
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        and each.default is each.empty
    ]
    if len(arguments) > 1:
        _refuse_inputs(arguments)
    if getattr(model, "inputs", None):  # a functional model, or one like it
        shape = model.input_shape
    else:
        built = (model.get_build_config() or {}) if model.built else {}
        shape = built.get("shapes_dict", built.get("input_shape"))
    if shape is None:
        return
    if isinstance(shape, dict) or any(isinstance(x, list | tuple) for x in shape):
        _refuse_inputs(shape)
    if len(shape) != 4:
        constraint = "a model of images, (batch, height, width, channels)"
        raise ParameterError("attach", "model.input.shape", tuple(shape), constraint)


def _refuse_inputs(received):
    constraint = "one batch of images"
    hint = (
        "A recipe would not know which of several inputs to augment: put "
        "`augment.Augmentation(recipe)` behind the input of images inside the model, "
        "or augment in `tf.data`."
    )
    raise ParameterError("attach", "model.inputs", received, constraint, hint)


def _check_outputs(model):
    """Raises if an output is per pixel or anchor: its targets have places."""
    outputs = getattr(model, "outputs", None) or []
    names = getattr(model, "output_names", None) or [""] * len(outputs)
    for name, output in zip(names, outputs, strict=True):
        name = f"output {name}" if len(outputs) > 1 else "output"
        image_shape = tuple(model.inputs[0].shape)
        kinds.check_stays("attach", f"model.{name}", tuple(output.shape), image_shape)


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
