"""Train a tiny WGAN-GP on digits and draw what it makes: TensorFlow, under a minute."""

import sys
import tempfile

import keras
import matplotlib.image
import numpy as np
import tensorflow as tf

from tfrobustloss import data, losses
from tfrobustloss.training import gradient_penalty

BATCH, NOISE, REAL, GENERATED = 64, 16, tf.ones(64), tf.zeros(64)
critic_loss = losses.WassersteinGAN("discriminator")
generator_loss = losses.WassersteinGAN("generator")
keras.utils.set_random_seed(0)
digits = data.load("digits", "train").images.reshape(-1, 64) / 127.5 - 1
batches = tf.data.Dataset.from_tensor_slices(digits.astype("float32"))
batches = batches.shuffle(2000, seed=0).repeat().batch(BATCH).batch(5)


def network(inputs, outputs, activation, last=None):
    # no batch normalisation, which the penalty forbids
    hidden = [keras.layers.Dense(128, activation) for _ in range(2)]
    ends = keras.Input((inputs,)), keras.layers.Dense(outputs, last)
    model = keras.Sequential([ends[0], *hidden, ends[1]])
    model.optimizer = keras.optimizers.Adam(5e-4, beta_1=0.5, beta_2=0.9)
    model.optimizer.build(model.trainable_variables)
    return model


generator, critic = network(NOISE, 64, "relu", "tanh"), network(64, 1, "leaky_relu")


@tf.function
def step(several):
    for real in tf.unstack(several):  # five steps of the critic
        fake = generator(keras.random.normal((BATCH, NOISE)))
        with tf.GradientTape() as tape:
            verdicts = critic(tf.concat([real, fake], 0))
            # the mean over both halves is half of the paper's two means
            value = 2 * critic_loss(tf.concat([REAL, GENERATED], 0), verdicts)
            total = value + gradient_penalty(critic, real, fake)
        critic.optimizer.apply(tape.gradient(total, critic.trainable_variables))
    with tf.GradientTape() as tape:  # one of the generator
        verdicts = critic(generator(keras.random.normal((BATCH, NOISE))))
        total = generator_loss(GENERATED, verdicts)
    generator.optimizer.apply(tape.gradient(total, generator.trainable_variables))
    return -value


print("step   distance of real and generated digits")
for number, several in enumerate(batches.take(1500), start=1):
    distance = step(several)
    if number in (1, 10, 100) or number % 500 == 0:
        print(f"{number:4d}{distance:11.2f}")

samples = generator(keras.random.normal((64, NOISE), seed=1)).numpy()
tiles = np.pad(samples.reshape(8, 8, 8, 8), [(0, 0), (0, 0), (1, 1), (1, 1)])
picture = tiles.transpose(0, 2, 1, 3).reshape(80, 80).repeat(6, 0).repeat(6, 1)
path = sys.argv[1] if len(sys.argv) > 1 else f"{tempfile.gettempdir()}/wgan_gp.png"
matplotlib.image.imsave(path, picture, cmap="gray", vmin=-1, vmax=1)
print(f"64 samples: {path}")
