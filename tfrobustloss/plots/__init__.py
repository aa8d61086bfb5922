"""Figures and pages of comparisons, searches and noise.

Matplotlib and Pillow are imported lazily.
"""

from tfrobustloss.plots.figures import (
    accuracy_curves,
    check_format,
    search_progress,
    transition_matrix,
)
from tfrobustloss.plots.report import Finding, audit_page, priority, thumbnail

__all__ = [
    "Finding",
    "accuracy_curves",
    "audit_page",
    "check_format",
    "priority",
    "search_progress",
    "thumbnail",
    "transition_matrix",
]
