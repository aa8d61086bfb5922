"""Figures of what the package measures; matplotlib is imported when one is drawn."""

from tfrobustloss.plots.figures import (
    accuracy_curves,
    check_format,
    search_progress,
    transition_matrix,
)

__all__ = ["accuracy_curves", "check_format", "search_progress", "transition_matrix"]
