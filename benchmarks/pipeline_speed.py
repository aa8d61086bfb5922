"""Images per second of `data.pipeline` and `data.augment`, and of plain `map`s.

    python benchmarks/pipeline_speed.py --json benchmarks/results/pipeline_speed.json

Three questions, on random images of MNIST's and CIFAR's shapes (8 bits a pixel):
what does fixed label noise cost, against none and against a map that flips the label
of one example at a time; what does a recipe take inside a compiled step and inside
`tf.data`, against Keras' own layers mapped over examples; and the same for the whole
pipeline. Every round times each program once, in a new order; ratios are medians of
the ratios within a round. Bars are on the second column of each table.

What there is to do, per 32 x 32 x 3 image of an affine recipe: 1,024 pixels, each with
4 multiply-adds for its point, some 12 operations for two corners and weights, and per
channel 4 reads and 3 interpolations of 3 operations: 50,000 operations, 49 kB read
and 12 kB written, with 3 kB in. The images of a batch stay in the cache, so that the
operations count: 2 cores that do 5e9 of them a second, not vectorised because of the
reads by index, give 200,000 images/s. Three layers of Keras' do the same three times,
plus about 25 kernel launches each, per example. Noise on labels in memory is one
comparison per class and label, drawn once: nothing per batch. TensorFlow alone.
"""

import argparse
import statistics
import sys
import time

import keras
import numpy as np
import record
import tensorflow as tf

from tfrobustloss import data
from tfrobustloss.data import augment, noise

SHAPES = {"mnist": (28, 28, 1), "cifar": (32, 32, 3)}
CLASSES, SEED = 10, 0
BASE = "Keras layers, per example"
BATCHED = "Keras layers, batched"
GRAPH = "recipe in tf.data, graph"
STEP = "recipe, compiled step"
PIPELINE = "pipeline, noise + recipe"
NOISE_BASE = "map per example"
CLEAN, NOISY = "pipeline, no noise", "pipeline, noise"
# program -> at least so many times the speed of the program it is compared with
BARS = {NOISY: (NOISE_BASE, 10), STEP: (BASE, 8), GRAPH: (BASE, 3)}
LEAST_SHARE = 0.95  # of the speed without noise


def keras_layers(name):
    """Keras' layers that do what a recipe does."""
    nearest = {"fill_mode": "nearest"}
    layers = keras.layers
    return {
        "adma mnist": lambda: [
            layers.RandomRotation(30 / 360, **nearest),
            layers.RandomTranslation(0.2, 0.2, **nearest),
        ],
        "adma cifar10": lambda: [
            layers.RandomFlip("horizontal"),
            layers.RandomShear(0.2, 0.0, **nearest),
            layers.RandomTranslation(0.2, 0.2, **nearest),
        ],
        "adma cifar100": lambda: [
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(15 / 360, **nearest),
            layers.RandomTranslation(0.1, 0.1, **nearest),
        ],
        "pad_crop_flip": lambda: [
            lambda images, training: tf.pad(
                images, [[0, 0]] * (len(images.shape) - 3) + [[4, 4], [4, 4], [0, 0]]
            ),
            layers.RandomCrop(32, 32),
            layers.RandomFlip("horizontal"),
        ],
        "random_erasing": lambda: [layers.RandomErasing((0.5, 0.5))],
        "rand_augment": lambda: [layers.RandAugment(factor=0.5)],
    }[name]()


# recipe -> data, maker, images timed (per example, else), whether the bars hold for it
RECIPES = {
    "adma mnist": ("mnist", lambda: augment.adma("mnist"), (1024, 4096), True),
    "adma cifar10": ("cifar", lambda: augment.adma("cifar10"), (1024, 4096), True),
    "adma cifar100": ("cifar", lambda: augment.adma("cifar100"), (1024, 4096), True),
    "pad_crop_flip": ("cifar", augment.pad_crop_flip, (1024, 4096), False),
    "random_erasing": ("cifar", augment.random_erasing, (1024, 4096), False),
    "rand_augment": ("cifar", augment.rand_augment, (64, 512), False),
}


def arrays(name, size):
    """Images and labels of the shape of a data set."""
    rng = np.random.default_rng(SEED)
    images = rng.integers(0, 256, (size, *SHAPES[name]), dtype="uint8")
    return images, rng.integers(CLASSES, size=size)


def drain(dataset):
    """A program that goes through a dataset once."""

    def run():
        for batch in dataset:
            last = batch
        return last

    return run


def noise_programs(name, size, batch):
    """Ways to feed images with wrong labels: program -> (run, images)."""
    images, labels = arrays(name, size)

    def flip(image, label):
        other = tf.random.uniform((), maxval=CLASSES - 1, dtype=tf.int64)
        other += tf.cast(other >= label, tf.int64)
        return image, tf.where(tf.random.uniform(()) < 0.4, other, label)

    per_example = (
        tf.data.Dataset.from_tensor_slices((images, labels))
        .shuffle(size)
        .map(flip, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch)
        .prefetch(tf.data.AUTOTUNE)
    )
    settings = {"num_classes": CLASSES, "batch_size": batch, "seed": SEED}
    matrix = noise.symmetric(CLASSES, 0.4)
    clean = data.pipeline((images, labels), **settings)
    noisy = data.pipeline((images, labels), transition_matrix=matrix, **settings)
    return {
        NOISE_BASE: (drain(per_example), size),
        CLEAN: (drain(clean), size),
        NOISY: (drain(noisy), size),
    }


def recipe_programs(name, batch, smoke):
    """Ways to run a recipe: program -> (run, images)."""
    kind, make, sizes, _ = RECIPES[name]
    few, many = (2 * batch, 2 * batch) if smoke else sizes
    images, labels = arrays(kind, many)
    recipe = make()

    def mapped(function, size, before, after):
        source = tf.data.Dataset.from_tensor_slices(images[:size])
        source = source.batch(before) if before else source
        source = source.map(function, num_parallel_calls=tf.data.AUTOTUNE)
        source = source.batch(after) if after else source
        return drain(source.prefetch(tf.data.AUTOTUNE)), size

    def theirs():
        layers = keras_layers(name)

        def run(images):
            images = tf.cast(images, tf.float32)
            for layer in layers:
                images = layer(images, training=True)
            return images

        return run

    def ours(images):
        return recipe(images, seed=tf.random.uniform((2,), 0, 2**31 - 1, tf.int32))

    settings = {"num_classes": CLASSES, "batch_size": batch, "seed": SEED}
    matrix = noise.symmetric(CLASSES, 0.4)
    whole = data.pipeline(
        (images, labels), transition_matrix=matrix, augment=recipe, **settings
    )
    programs = {
        BASE: mapped(theirs(), few, None, batch),
        BATCHED: mapped(theirs(), many, batch, None),
        GRAPH: mapped(ours, many, batch, None),
        PIPELINE: (drain(whole), many),
    }
    if recipe.supports_jit:
        programs[STEP] = compiled(recipe, images, batch), many
    return programs


def compiled(recipe, images, batch):
    """A program that gathers and augments batches of resident images under XLA."""
    resident = tf.constant(images)
    order = np.random.default_rng(SEED).permutation(len(images))
    order = tf.constant(order.reshape(-1, batch).astype("int32"))
    seeds = [tf.constant([SEED, i]) for i in range(len(order))]
    rows = [tf.constant(row) for row in order.numpy()]

    @tf.function(jit_compile=True)
    def step(resident, rows, seed):
        return recipe(tf.gather(resident, rows), seed=seed)

    def run():
        for row, seed in zip(rows, seeds, strict=True):
            last = step(resident, row, seed)
        return last.numpy()[0, 0, 0, 0]

    return run


def measure(programs, rounds):
    """Images per second of each program, one list entry a round."""
    rng = np.random.default_rng(SEED)
    speeds = {name: [] for name in programs}
    for run, _ in programs.values():
        run()
    names = list(programs)
    for _ in range(rounds):
        for index in rng.permutation(len(names)):
            run, size = programs[names[index]]
            start = time.perf_counter()
            run()
            speeds[names[index]].append(size / (time.perf_counter() - start))
    return speeds


def rows_of(name, shape, barred, speeds):
    """A row of figures per program: medians, and ratios within the rounds."""

    def ratio(program, base):
        pairs = zip(speeds[program], speeds[base], strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    base = NOISE_BASE if NOISE_BASE in speeds else BASE
    for program in speeds:
        row = {
            "what": name,
            "shape": shape,
            "program": program,
            "images_per_second": statistics.median(speeds[program]),
            "ratio": ratio(program, base),
        }
        if program == NOISY:
            row["ratio_to_clean"] = ratio(NOISY, CLEAN)
        if barred and program in BARS:
            row["bar"] = BARS[program][1]
        yield row


def missed(rows):
    """The bars that are not met, as sentences."""
    for row in rows:
        place = f"{row['what']}: {row['program']}"
        if row["ratio"] < row.get("bar", 0):
            yield f"{place}: {row['ratio']:.1f}x, bar {row['bar']}x"
        if row.get("ratio_to_clean", 1) < LEAST_SHARE:
            yield f"{place}: {row['ratio_to_clean']:.3f} of the speed without"


def print_table(rows):
    """A block a question, a line a program."""
    for what in dict.fromkeys(row["what"] for row in rows):
        print(f"{what:32s}{'images/s':>12s}{'ratio':>8s}{'bar':>6s}")
        for row in rows:
            if row["what"] != what:
                continue
            bar = f"{row['bar']}" if "bar" in row else ""
            line = f"  {row['program']:30s}{row['images_per_second']:12,.0f}"
            line += f"{row['ratio']:8.1f}{bar:>6s}"
            if "ratio_to_clean" in row:
                line += f"   {row['ratio_to_clean']:.3f} of no noise"
            print(line)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--check", action="store_true", help="exit 1 below a bar")
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    options = parser.parse_args(argv)
    batch, rounds = (16, 1) if options.smoke else (options.batch, options.rounds)
    settings = {"batch": batch, "rounds": rounds}
    rows = []

    def keep(name, shape, barred, programs):
        speeds = measure(programs, rounds)
        found = list(rows_of(name, shape, barred, speeds))
        print_table(found)
        sys.stdout.flush()
        rows.extend(found)
        record.write(options.json, "pipeline_speed", settings, rows)

    for name in ["mnist"] if options.smoke else SHAPES:
        programs = noise_programs(name, 128 if options.smoke else 16384, batch)
        keep(f"noise, {name}", SHAPES[name], True, programs)
    for name in ["adma mnist"] if options.smoke else options.recipes:
        kind, _, _, barred = RECIPES[name]
        programs = recipe_programs(name, batch, options.smoke)
        keep(name, SHAPES[kind], barred, programs)
    problems = list(missed(rows))
    for problem in problems:
        print("missed:", problem)
    return 1 if options.check and problems else 0


if __name__ == "__main__":
    sys.exit(main())
