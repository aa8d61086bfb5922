"""A user's own data: folders, tables and archives, corrections, probabilities."""

from tfrobustloss.data.datasets.own.corrections import (
    Correction,
    read_corrections,
    write_corrections,
)
from tfrobustloss.data.datasets.own.probabilities import read_probabilities
from tfrobustloss.data.datasets.own.read import read

__all__ = [
    "Correction",
    "read",
    "read_corrections",
    "read_probabilities",
    "write_corrections",
]
