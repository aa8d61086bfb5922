"""Records of generations where trainings diverged."""

import math
import types

import numpy as np

from tfrobustloss.search.taylor import history


def _told(generation, *values):
    return [
        types.SimpleNamespace(id=i, generation=generation, x=np.zeros(1), value=value)
        for i, value in enumerate(values)
    ]


def test_history_of_diverged_candidates():
    told = [*_told(0, math.nan, 0.5, math.nan, 0.3), *_told(1, *[math.nan] * 4)]
    first, second = history.summaries(told, 2)
    assert first["diverged"] == 2
    assert (first["best"], first["mean"], first["median"]) == (0.5, 0.4, None)
    assert first["values"] == [None, 0.5, None, 0.3]
    assert (second["best"], second["mean"], second["best_so_far"]) == (None, None, 0.5)
    assert history.median([math.nan, 0.2, 0.4]) == 0.2
