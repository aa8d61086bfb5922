"""Train on digits, export, and classify PNG files as TF Serving would."""

import os
import tempfile

import keras
import tensorflow as tf

from tfrobustloss import data, losses, serving

train, test = data.load("digits", "train"), data.load("digits", "test")
noisy = data.noise.corrupt(train.labels, data.noise.symmetric(10, 0.4), seed=0)
names = "zero one two three four five six seven eight nine".split()

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input(train.images.shape[1:]),
        keras.layers.Rescaling(1 / 255),
        keras.layers.RandomTranslation(0.1, 0.1),  # in training only
        keras.layers.Flatten(),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(10),
    ]
)
loss = losses.BiTemperedLogistic(0.7, 1.4, from_logits=True)
model.compile(loss=loss, optimizer="adam", metrics=["accuracy"])
model.fit(train.images, noisy, batch_size=128, epochs=30, verbose=0)
accuracy = model.evaluate(test.images, test.labels, verbose=0)[1]
print(f"digits, trained with 40 % wrong labels: {accuracy:.1%} right on the test set")

some = slice(0, 8)
expected = loss.activation(model.predict(test.images[some], verbose=0))
files = [tf.io.encode_png(image).numpy() for image in test.images[some]]
with tempfile.TemporaryDirectory() as folder:
    version = serving.export(
        model, os.path.join(folder, "digits"), class_names=names, image_bytes=True
    )
    # in a process without this package, Keras and TensorFlow's Python
    outputs = serving.predict_outside(version, files, "serving_image_bytes")

print("\nlabel  served: the likeliest two       model.predict, tempered softmax")
for row, label in enumerate(test.labels[some]):
    served = ", ".join(
        f"{name.decode()} {score:.4f}"
        for name, score in zip(
            outputs["classes"][row, :2], outputs["scores"][row, :2], strict=True
        )
    )
    p = keras.ops.convert_to_numpy(expected[row])
    here = ", ".join(f"{names[i]} {p[i]:.4f}" for i in (-p).argsort()[:2])
    print(f"{names[label]:6s} {served:30s}  {here}")
