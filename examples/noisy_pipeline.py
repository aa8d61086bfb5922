"""Batches with fixed wrong labels, augmented; a contact sheet to look at.

`python examples/noisy_pipeline.py [sheet.png [data_dir]]`: MNIST from the folder of
prepared TFDS data, or scikit-learn's digits where none is given.
"""

import os
import sys
import tempfile

import matplotlib.pyplot as plt

from tfrobustloss import data
from tfrobustloss.data import augment

path, folder, *_ = [*sys.argv[1:], None, None]
path = path or os.path.join(tempfile.gettempdir(), "noisy_pipeline.png")
train = data.load("mnist" if folder else "digits", "train", folder)
batches = data.pipeline(
    train,
    num_classes=10,
    transition_matrix=data.noise.symmetric(10, 0.4),
    augment=augment.adma("mnist"),  # rotation up to 30 degrees, shift up to 20 %
    batch_size=40,
    shuffle=False,
    seed=0,
    keep_clean=True,
)

print(f"{train.name}, the first 40 images, 40 % symmetric noise\n")
print("epoch  wrong labels  first noisy labels")
sheet, rows = [], 4
for epoch in range(2):
    images, noisy, clean = next(batches.as_numpy_iterator())
    wrong = (noisy != clean).mean()
    print(f"{epoch:5d}  {wrong:12.0%}  {noisy[:10].tolist()}")
    sheet.append((images[: rows * 5], noisy, clean))

figure = plt.figure(figsize=(11.5, 1.5 * rows + 0.3), layout="constrained")
halves = figure.subfigures(1, 2, wspace=0.05)
for half, title, (images, noisy, clean) in zip(
    halves, ("One epoch", "The next epoch"), sheet, strict=True
):
    half.suptitle(f"{title}; red: clean → noisy label")
    cells = half.subplots(rows, 5).flat
    for cell, image, label, true in zip(cells, images, noisy, clean, strict=False):
        cell.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255)
        cell.set(xticks=[], yticks=[])
        text, color = (f"{true} → {label}", "crimson") if label != true else (true, "k")
        cell.set_xlabel(text, color=color)
figure.savefig(path, dpi=110)
print(f"\nThe images are new in each epoch, the labels are not. Look: {path}")
