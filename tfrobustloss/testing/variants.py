"""Every way to call a loss, in one program."""

from keras import ops

from tfrobustloss._core import backend
from tfrobustloss.testing.harness import (
    both_kinds,
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
