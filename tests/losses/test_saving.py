"""Losses given as functions: registered with Keras, in a model's file, as metrics."""

import inspect

import keras
import numpy as np
import pytest

from tests.losses.values import numpy
from tfrobustloss import losses

NO_LOSSES = {"decode", "describe", "recommended", "suggest"}
FUNCTIONS = {
    name: value
    for name, value in vars(losses).items()
    if inspect.isfunction(value)
    and name not in ("decode", "describe", "recommended", "suggest")
}
CRITICS = [name for name in FUNCTIONS if name.endswith("_gan")]


def of_labels(function):
    """Whether a function is a loss of labels and predictions, and of nothing else."""
    required = [
        name
        for name, each in inspect.signature(function).parameters.items()
        if each.default is inspect.Parameter.empty
    ]
    classes = [each for each in vars(losses).values() if inspect.isclass(each)]
    task = any(
        getattr(each, "function", None) is function
        and issubclass(each, losses.TaskLoss)
        for each in classes
    )
    return required == ["y_true", "y_pred"] and not task


def test_functions_are_found_by_a_name_of_their_own():
    for name, function in FUNCTIONS.items():
        for module in (keras.losses, keras.metrics, keras.activations):
            config = module.serialize(function)
            assert module.deserialize(config) is function, name
        config = keras.saving.serialize_keras_object(function)
        assert config["config"] == f"tfrobustloss>losses.{name}"
        assert keras.saving.deserialize_keras_object(config) is function


def test_a_users_own_function_is_not_taken_for_ours():
    def focal(y_true, y_pred):
        return y_pred

    config = keras.saving.serialize_keras_object(focal)
    with pytest.raises(TypeError, match="Could not locate function 'focal'"):
        keras.saving.deserialize_keras_object(config)


def test_a_file_with_every_function_as_loss_and_as_metric(tmp_path):
    # one head each; half of the losses see class ids, half one-hot rows
    generator = np.random.default_rng(0)
    x = generator.normal(size=(8, 4)).astype("float32")
    ids = generator.integers(0, 3, 8)
    names = [name for name, each in FUNCTIONS.items() if of_labels(each)]
    assert len(names) > 35
    assert len(CRITICS) == 5
    inputs = keras.Input((4,))
    p = keras.layers.Dense(3, activation="softmax")(inputs)
    logit = keras.layers.Dense(1)(inputs)
    outputs, targets = {}, {}
    for i, name in enumerate([*names, *CRITICS]):
        hidden = logit if name in CRITICS else p
        outputs[name] = keras.layers.Identity(name=name)(hidden)
        rows = np.eye(3, dtype="float32")[ids]
        targets[name] = (ids if i % 2 else rows) if hidden is p else (ids > 0) * 1.0
    model = keras.Model(inputs, outputs)
    functions = {name: FUNCTIONS[name] for name in outputs}
    model.compile(
        "sgd",
        loss=functions,
        metrics={name: [each] for name, each in functions.items()},
        weighted_metrics={"adma": [losses.MeanSquaredError(from_logits=False)]},
        run_eagerly=True,  # a graph of so many heads takes longer to build
    )
    before = model.evaluate(x, targets, verbose=0, return_dict=True)
    for name in ("mean_squared_error", "squared_hinge"):  # Keras has others so called
        expected = numpy(FUNCTIONS[name](targets[name], model(x)[name])).mean()
        assert before[f"{name}_loss"] == pytest.approx(expected, rel=1e-5)
        assert before[f"{name}_{name}"] == pytest.approx(expected, rel=1e-5)

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    after = again.evaluate(x, targets, verbose=0, return_dict=True)
    assert after == pytest.approx(before, rel=1e-5)
    assert again.loss == functions


def test_a_checkpoint_of_a_layer_with_a_tempered_function(tmp_path):
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(3),
        keras.layers.Lambda(losses.tempered_softmax, arguments={"temperature": 1.2}),
    ]
    model = keras.Sequential(layers)
    model.compile("sgd", losses.mean_absolute_error, run_eagerly=True)
    x, ids = np.eye(4, dtype="float32"), np.array([0, 1, 2, 0])
    path = str(tmp_path / "best.keras")
    kept = keras.callbacks.ModelCheckpoint(path)
    model.fit(x, ids, verbose=0, callbacks=[kept])
    again = keras.saving.load_model(path)
    assert again.loss is losses.mean_absolute_error
    np.testing.assert_array_equal(numpy(again(x)), numpy(model(x)))
