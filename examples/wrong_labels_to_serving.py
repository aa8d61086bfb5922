"""PNG files, some in the folder of a wrong class: audit, correct, train, serve."""

import pathlib
import tempfile

import keras
from PIL import Image

from tfrobustloss import data, experiments, serving, training

names = "zero one two three four five six seven eight nine".split()
root = pathlib.Path(tempfile.mkdtemp())
parts = {part: data.load("digits", part) for part in ("train", "test")}
labels = {part: digits.labels for part, digits in parts.items()}
noise = data.noise.symmetric(10, 0.3)
labels["train"] = data.noise.corrupt(labels["train"], noise, seed=0)
for part, digits in parts.items():
    for i, label in enumerate(labels[part]):
        path = root / "digits" / part / names[label] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.images[i, ..., 0]).save(path)


def trained(own, loss):
    """A network stopped by labels as wrong as the others, and its clean accuracy."""
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    layers += [keras.layers.Dense(256, "relu"), keras.layers.Dense(own.num_classes)]
    model = keras.Sequential([keras.Input(own.input_shape), *layers])
    model.compile("adam", loss, metrics=["accuracy"])
    rows, held_out = data.split_validation(own.labels)
    options = {"callbacks": [training.StopOnNoisyValidation(patience=15)], "verbose": 0}
    options["validation_data"] = own.inputs[held_out], own.labels[held_out]
    model.fit(own.inputs[rows], own.labels[rows], epochs=40, **options)
    return model, model.evaluate(own.test.inputs, own.test.labels, verbose=0)[1]


own = data.read(root / "digits", test="test")
report = experiments.estimate_noise(own.inputs, own.labels, own.num_classes)
print(
    f"{len(own)} labels, about {report.noise_rate.rate:.0%} wrong. Test accuracy in %:"
)
options = {"losses": "generalized_cross_entropy", "learning_rates": [0.003]}
options |= {"matrix": report.transition_matrix, "epochs": 40, "seeds": 1}
compared = experiments.Comparison(experiments.Settings(own, noise="none", **options))
for one in compared.run()["results"]:
    last, stopped = 100 * one["last"]["mean"], 100 * one["stopped"]["mean"]
    print(f"{one['name']:26} last epoch {last:.1f}, stopped {stopped:.1f}")
loss = compared.losses[1].loss
found, path = report.wrong_labels, root / "wrong.csv"
likelier = own.names_of(found.suggested)  # a person would look at them first
columns = own.ids[found.indices], own.names_of(found.labels), likelier
data.write_corrections(path, *columns, found.probability, labels=likelier)
corrected = data.read(root / "digits", test="test", corrections=path)
model, accuracy = trained(corrected, loss)
print(f"{corrected.num_corrected} labels corrected{'':7} stopped {100 * accuracy:.1f}")
serving.export(model, root / "model", class_names=own.class_names, image_bytes=True)
files = sorted((root / "digits" / "test").glob("*/*.png"))[::90]
pictures = [file.read_bytes() for file in files]
answer = serving.predict_outside(root / "model/1", pictures, "serving_image_bytes")
for file, classes in zip(files, answer["classes"], strict=True):
    print(f"{file.parent.name:26} served as {classes[0].decode()}")
