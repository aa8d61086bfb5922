"""Segmentation losses on training masks that are partly eroded or shifted.

    python benchmarks/wrong_masks.py --json benchmarks/results/wrong_masks.json

Ellipses on a noisy ground, of 32 x 32 pixels, and a network of four convolutions that
returns two classes a pixel. Of the training masks, a share is eroded by three pixels,
or shifted by up to five in a direction of its own; test masks are right. Every loss has
the same networks, images, wrong masks and optimizer. The figure is the mean over test
images of the foreground's intersection over union after the last epoch, in %, as mean
and standard deviation over seeds. A few minutes on two cores; what is measured is
written after each loss.
"""

import argparse
import time

import keras
import numpy as np
import record
from scipy import ndimage

from tfrobustloss import losses, training

SIZE = 32
# name -> share of wrong masks, and what is done to them
NOISES = {
    "none": (0.0, None),
    "eroded .4": (0.4, lambda mask, random: ndimage.binary_erosion(mask, iterations=3)),
    "shifted .6": (0.6, lambda mask, random: shifted(mask, random)),
}
FOREGROUND = {"classes": [1], "from_logits": True}
LOSSES = {
    "CrossEntropy": losses.CrossEntropy(from_logits=True),
    "GeneralizedCrossEntropy": losses.GeneralizedCrossEntropy(from_logits=True),
    "SymmetricCrossEntropy": losses.SymmetricCrossEntropy(from_logits=True),
    "GeneralizedDice": losses.GeneralizedDice(from_logits=True),
    "NoiseRobustDice": losses.NoiseRobustDice(from_logits=True),
    "TLoss, nu 1": losses.TLoss(**FOREGROUND),
    "LearnedTLoss": None,
}


def shifted(mask, random):
    """A mask moved by up to five pixels along either axis, and not by none."""
    while not np.any(by := random.integers(-5, 6, 2)):
        pass
    return ndimage.shift(mask, by, order=0)


def ellipse(random):
    """A mask of one ellipse, bool, shape `(SIZE, SIZE)`."""
    center, radii = random.uniform(10, SIZE - 10, 2), random.uniform(6, 10, 2)
    angle = random.uniform(0, np.pi)
    y, x = np.mgrid[:SIZE, :SIZE] - center[:, None, None]
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    return (along / radii[0]) ** 2 + (across / radii[1]) ** 2 < 1


def images(count, seed):
    """Images, shape `(count, SIZE, SIZE, 1)`, and their right masks, bool."""
    random = np.random.default_rng(seed)
    masks = np.stack([ellipse(random) for _ in range(count)])
    ground = random.normal(0, 1, masks.shape)
    ground = ndimage.gaussian_filter(ground, (0, 2, 2)) * 3  # patches, not pixels
    x = 1.0 * masks + ground + random.normal(0, 0.5, masks.shape)
    return x[..., None].astype("float32"), masks


def spoilt(masks, noise, seed):
    """Masks of which a share is wrong."""
    share, change = NOISES[noise]
    random = np.random.default_rng(seed)
    wrong = random.permutation(len(masks)) < round(share * len(masks))
    return np.stack(
        [change(m, random) if w else m for m, w in zip(masks, wrong, strict=True)]
    )


def network():
    """A network of logits of background and foreground."""
    options = {"padding": "same", "activation": "relu"}
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            keras.layers.Conv2D(16, 5, **options),
            keras.layers.Conv2D(16, 3, dilation_rate=2, **options),
            keras.layers.Conv2D(16, 3, dilation_rate=4, **options),
            keras.layers.Conv2D(2, 1),
        ]
    )


def compiled(name):
    """A compiled model for a loss, and its state as it was first."""
    keras.utils.set_random_seed(0)
    optimizer = keras.optimizers.Adam(3e-3)
    if LOSSES[name] is None:
        model = training.LearnedTLoss(network(), **FOREGROUND)
        model.compile(optimizer)
    else:
        model = network()
        model.compile(optimizer, LOSSES[name])
    optimizer.build(model.trainable_variables)
    return model, [keras.ops.convert_to_numpy(v) for v in optimizer.variables]


def reset(model, state, seed):
    """The model with other first weights, and with its first optimizer.

    One compiled program then serves all seeds and noises.
    """
    inner = getattr(model, "model", model)
    keras.utils.set_random_seed(seed)
    inner.set_weights(network().get_weights())
    if inner is not model:
        fresh = training.LearnedTLoss(inner, **FOREGROUND)
        model.nu_weight.assign(fresh.nu_weight)
    for variable, value in zip(model.optimizer.variables, state, strict=True):
        variable.assign(value)


def overlap(model, x, masks):
    """Mean intersection over union of the foreground, over images."""
    found = model.predict(x, batch_size=64, verbose=0).argmax(-1) == 1
    common = (found & masks).sum((1, 2))
    return float(np.mean(common / (found | masks).sum((1, 2))))


def measure(name, noises, seeds, size, epochs):
    """Overlaps of a loss by noise, a list over seeds, and learned nu."""
    model, state = compiled(name)
    test = images(100, 10_000)
    result = {}
    for noise in noises:
        begin, overlaps, nus = time.perf_counter(), [], []
        for seed in range(seeds):
            x, masks = images(size, seed)
            y = np.eye(2, dtype="float32")[spoilt(masks, noise, seed).astype(int)]
            reset(model, state, seed)
            model.fit(x, y, batch_size=16, epochs=epochs, verbose=0)
            overlaps.append(round(overlap(model, *test), 5))
            if LOSSES[name] is None:
                nus.append(round(model.nu, 4))
        seconds = round(time.perf_counter() - begin, 1)
        result[noise] = {"overlap": overlaps, "seconds": seconds}
        if nus:
            result[noise]["nu"] = nus
    return result


def table(results):
    """Text: a line a loss, a column a noise."""
    noises = list(next(iter(results.values())))
    lines = [f"| loss | {' | '.join(noises)} |", "|---" * (1 + len(noises)) + "|"]
    for name, by_noise in results.items():
        cells = [100 * np.array(by_noise[noise]["overlap"]) for noise in noises]
        texts = [f"{cell.mean():.1f} ± {cell.std():.1f}" for cell in cells]
        lines.append(f"| {name} | {' | '.join(texts)} |")
    return "\n".join(lines)


def main(argv=None):
    """Trains all losses and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=160, help="training images")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    options = parser.parse_args(argv)
    noises, names = list(NOISES), list(LOSSES)
    if options.smoke:
        options.seeds, options.size, options.epochs = 1, 16, 1
        noises, names = noises[-1:], names[-3:]
    settings = {"seeds": options.seeds, "size": options.size, "epochs": options.epochs}
    results = {}
    for name in names:
        results[name] = measure(name, noises, **settings)
        record.write(options.json, "wrong_masks", settings, results)
    print(table(results))


if __name__ == "__main__":
    main()
