"""Wrong labels drawn several times, for a program that is compiled once."""

import dataclasses
import math

from keras import ops


def with_draws(family):
    """The family on labels of several columns; a vector ends in the column to use.

    So a program that is compiled once trains on any of several draws of the noise.
    """
    size = family.dimension

    def function(y_true, y_pred, vector):
        labels = ops.take(y_true, ops.cast(vector[size], "int32"), axis=1)
        return family.function(labels, y_pred, vector[:size])

    return dataclasses.replace(
        family,
        function=function,
        names=(*family.names, "draw"),
        initial=(*family.initial, 0.0),
        low=(*family.low, 0.0),
        high=(*family.high, math.inf),
        make=lambda vector: family.build(vector[:-1]),
    )
