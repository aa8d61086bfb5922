"""Every way to call a loss, in one program, on ordinary and on extreme data."""

import functools

import numpy as np
from keras import ops

from tfrobustloss._core import backend
from tfrobustloss.testing.harness import (
    activate,
    both_kinds,
    examples,
    from_logits,
    num_classes,
    one_hot,
    reduced,
)


class Variants:
    """A loss on probabilities and logits, ids and rows: all in one program.

    One program instead of four saves most of the time that compilers take.
    """

    def __init__(self, loss, traits):
        formats = [f for f in ("ids", "rows") if f in traits.label_formats]
        formats = formats or ["column"]
        self._traits = traits
        self.members = [
            (reduced(kind, None), label_format)
            for kind in both_kinds(loss)
            for label_format in formats
        ]

    def names(self):
        """One text per variant."""
        return [
            f"{'logits' if from_logits(loss) else 'probabilities'}, labels as {form}"
            for loss, form in self.members
        ]

    def values(self, ids, rows, p, z):
        """One row of values per variant."""
        given = [z if from_logits(loss) else p for loss, _ in self.members]
        return self._values(ids, rows, given)

    def values_and_gradients(self, ids, rows, p, z):
        """`values`, and the gradients of each with respect to what it was given."""
        # an identity each, so that every variant has a gradient of its own
        given = [
            ops.multiply(z if from_logits(loss) else p, 1) for loss, _ in self.members
        ]
        function = backend.with_gradient(lambda *y: self._values(ids, rows, y))
        return function(*given)

    def _values(self, ids, rows, given):
        return ops.stack(
            [
                loss(self._labels(form, ids, rows), y_pred)
                for (loss, form), y_pred in zip(self.members, given, strict=True)
            ]
        )

    def _labels(self, form, ids, rows):
        if form == "rows":
            return rows
        return ids if form == "ids" else ops.expand_dims(ids, -1)

    def arguments(self, ids, p, z, dtype="float32"):
        """Arguments of the methods above, as tensors; every second row is soft."""
        rows = one_hot(ids, num_classes(self._traits))
        rows[1::2] = 0.8 * rows[1::2] + 0.2 / num_classes(self._traits)
        floats = [ops.cast(ops.convert_to_tensor(x), dtype) for x in (rows, p, z)]
        return [ops.convert_to_tensor(ids), *floats]


class Programs:
    """The variants of a loss, with one compiled program for all checks that need one.

    Attributes:
        variants: `Variants` of the loss.
        ordinary: Number of ordinary examples; they come first in `mixed`.
        mixed: Arguments of the program: ordinary examples, then extreme ones.
        extreme: Arguments of the same shapes, extreme examples only.
    """

    def __init__(self, loss, traits):
        self.variants = Variants(loss, traits)
        ids, logits = examples(traits)
        self.ordinary = len(ids)
        at = extremes(traits)
        p = ops.convert_to_numpy(activate(loss, ops.convert_to_tensor(logits)))
        pairs = zip((ids, p, logits), at, strict=True)
        self.mixed = self.variants.arguments(*map(np.concatenate, pairs))
        again = [np.concatenate([x, x[: self.ordinary]]) for x in at]
        self.extreme = self.variants.arguments(*again)

    @functools.cached_property
    def eager(self):
        """Values, and gradients, of eager calls on `mixed`."""
        # values apart from gradients: a loss may tell the two calls apart
        values = self.variants.values(*self.mixed)
        return values, self.variants.values_and_gradients(*self.mixed)[1]

    @functools.cached_property
    def graph(self):
        """`values_and_gradients`, compiled; its second call traces nothing."""
        return backend.compiled(self.variants.values_and_gradients)

    @functools.cached_property
    def xla(self):
        """The program of `graph` compiled by XLA, without tracing the loss again."""
        return backend.compiled(self.graph, xla=True)


def extremes(traits):
    """Class ids with extreme probabilities and extreme logits, as many of each."""
    classes = num_classes(traits)
    ids = np.arange(12) % classes
    own, other = np.eye(classes), np.roll(np.eye(classes), 1, axis=0)
    p, z = [], []
    for i, label in enumerate(ids):
        at = (own, other)[i // 3 % 2][label]
        value = (0.0, 1e-12, 1.0)[i % 3]
        # the first six share the rest among all other classes, the others give it to
        # the next one: a corner of the simplex, or nearly
        rest = (1 - at) / (classes - 1) if i < 6 else np.roll(at, 1)
        p.append(value * at + (1 - value) * rest)
        scale = (100.0, 1e4)[i % 2]
        z.append(scale * np.stack(_PATTERNS[i // 2] @ np.stack([own, other])[:, label]))
    return ids.astype("int32"), np.array(p), np.array(z)


# weights of the label and of another class in extreme logits
_PATTERNS = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [1, -1], [-1, 1]])
