"""A recipe in the training step: active there, and nowhere else."""

import keras
import numpy as np
import pytest
from keras import ops

from tfrobustloss.data import augment

RECIPE = augment.adma("cifar100")
IMAGES = np.random.default_rng(0).random((8, 8, 8, 3), "float32")
TARGETS = np.arange(16, dtype="float32").reshape(8, 2)
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def network():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Flatten(), keras.layers.Dense(2)]
    return keras.Sequential([keras.Input((8, 8, 3)), *layers])


def fitted(model, images, **options):
    options = options or {"run_eagerly": True}
    model.compile(keras.optimizers.SGD(0.01), "mse", **options)
    model.fit(images, TARGETS, batch_size=8, shuffle=False, verbose=0)
    return [numpy(weight) for weight in model.trainable_weights]


def test_a_step_is_that_of_the_model_on_augmented_images():
    inner = network()
    attached = fitted(augment.attach(inner, RECIPE, seed=5), IMAGES)
    images = numpy(RECIPE(IMAGES, seed=keras.random.SeedGenerator(5)))
    alone = fitted(network(), images)
    for ours, theirs in zip(attached, alone, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    # the weights are those of the model itself, and the images were not the plain ones
    np.testing.assert_array_equal(numpy(inner.trainable_weights[0]), attached[0])
    plain = fitted(network(), IMAGES)
    assert np.abs(plain[0] - attached[0]).max() > 1e-3


def test_it_compiles_with_the_step_and_repeats_itself():
    model = augment.attach(network(), RECIPE, seed=5)
    before = model.model.get_weights()
    jit = keras.backend.backend() != "torch"
    found = [fitted(model, IMAGES, jit_compile=jit)[0]]
    for seed in (5, 6):
        model.model.set_weights(before)
        model.augmentation.seed_generator.state.assign([seed, 0])
        model.fit(IMAGES, TARGETS, batch_size=8, shuffle=False, verbose=0)
        found.append(model.model.get_weights()[0])
    first, again, other = found
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_keras_is_told_what_does_not_compile():
    model = augment.attach(network(), augment.rand_augment(3))
    assert not model.augmentation.supports_jit
    assert augment.attach(network(), RECIPE).augmentation.supports_jit


def test_steps_differ():
    layer = augment.Augmentation(RECIPE, seed=0)
    first = numpy(layer(IMAGES, training=True))
    assert np.abs(numpy(layer(IMAGES, training=True)) - first).max() > 0.1
    np.testing.assert_array_equal(numpy(layer(IMAGES)), IMAGES)


def test_inactive_at_inference():
    inner = network()
    model = augment.attach(inner, RECIPE, seed=0)
    expected = numpy(inner(IMAGES))
    np.testing.assert_array_equal(numpy(model(IMAGES)), expected)
    model.compile(run_eagerly=True)
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), expected, atol=1e-6)
    training = numpy(model(IMAGES, training=True))
    assert np.abs(training - expected).max() > 0.01
    assert augment.detach(model) is inner


def operations(function):
    """Types of all operations of a graph and of what it calls, sorted."""
    graphs = [function.graph.as_graph_def()]
    nodes = [node for graph in graphs for node in graph.node]
    nodes += [
        node
        for graph in graphs
        for called in graph.library.function
        for node in called.node_def
    ]
    return sorted(node.op for node in nodes)


@pytest.mark.skipif(not ON_TENSORFLOW, reason="reads TensorFlow's graphs")
def test_no_operation_is_left_in_the_exported_model(tmp_path):
    import tensorflow as tf

    inner = network()
    model = augment.attach(inner, RECIPE, seed=0)
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(IMAGES, TARGETS, verbose=0)
    signature = [tf.TensorSpec((None, 8, 8, 3), "float32")]

    def graph(model, training):
        call = tf.function(lambda images: model(images, training=training))
        return operations(call.get_concrete_function(*signature))

    assert graph(model, False) == graph(inner, False)
    assert {"GatherV2", "StatelessRandomUniformV2"} <= set(graph(model, True))

    exported = {}
    for name, each in (("attached", model), ("detached", augment.detach(model))):
        each.export(tmp_path / name, verbose=False)
        loaded = tf.saved_model.load(tmp_path / name)
        exported[name] = operations(loaded.signatures["serving_default"])
        assert len(loaded.variables) == len(inner.weights)
        np.testing.assert_allclose(loaded.serve(IMAGES), inner(IMAGES), atol=1e-6)
    assert exported["attached"] == exported["detached"]
    assert "GatherV2" not in exported["attached"]


def test_saves_and_loads(tmp_path):
    model = augment.attach(
        network(), RECIPE + augment.random_erasing(value_range=(0, 1)), seed=3
    )
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(IMAGES, TARGETS, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, augment.AugmentedModel)
    np.testing.assert_array_equal(numpy(again(IMAGES)), numpy(model(IMAGES)))
    # its seed goes on from where it was
    np.testing.assert_allclose(
        numpy(again(IMAGES, training=True)),
        numpy(model(IMAGES, training=True)),
        atol=1e-5,
    )


def test_a_model_that_does_not_ask_about_training():
    class Plain(keras.Model):
        def call(self, images):
            return keras.ops.mean(images, axis=(1, 2))

    model = augment.attach(Plain(), RECIPE, seed=0)
    np.testing.assert_allclose(numpy(model(IMAGES)), IMAGES.mean((1, 2)), atol=1e-6)
    changed = numpy(model(IMAGES, training=True))
    assert np.abs(changed - IMAGES.mean((1, 2))).max() > 1e-3


def test_unbuilt_and_mixed_precision_models():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layers = [keras.layers.Flatten(), keras.layers.Dense(2)]
        model = augment.attach(keras.Sequential(layers), RECIPE, seed=0)
    finally:
        keras.config.set_dtype_policy(before)
    assert tuple(model(IMAGES, training=True).shape) == (8, 2)
    augmented = model.augmentation(IMAGES, training=True)
    assert keras.backend.standardize_dtype(augmented.dtype) == "float32"


def test_errors():
    with pytest.raises(ValueError, match=r"leaves labels alone.*'MixUp'.*pipeline"):
        augment.attach(network(), RECIPE + augment.mixup(3))
    with pytest.raises(TypeError, match="`model` must be a `keras.Model`"):
        augment.attach(3, RECIPE)
    with pytest.raises(TypeError, match="`recipe` must be a `Recipe`"):
        augment.attach(network(), 3)
    with pytest.raises(ValueError, match="without a recipe.*augmented_.*add up"):
        augment.attach(augment.attach(network(), RECIPE), RECIPE)
    for seed in (-1, 2**31, 0.5):
        with pytest.raises(ValueError, match=f"^attach: `seed`.*seed={seed}"):
            augment.attach(network(), RECIPE, seed=seed)
    assert augment.attach(network(), RECIPE, seed=3.0).augmentation.seed == 3
    largest = augment.attach(network(), RECIPE, seed=2**31 - 1)
    assert numpy(largest(IMAGES, training=True)).shape == (8, 2)
    with pytest.raises(TypeError, match="`model` must be a model from `attach`"):
        augment.detach(network())
