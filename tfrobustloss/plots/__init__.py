"""Figures of comparisons, searches and noise; Matplotlib is imported lazily."""

from tfrobustloss.plots.figures import (
    accuracy_curves,
    check_format,
    search_progress,
    transition_matrix,
)

__all__ = ["accuracy_curves", "check_format", "search_progress", "transition_matrix"]
