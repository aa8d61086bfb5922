"""Search for Taylor losses by CMA-ES."""

from tfrobustloss.search.taylor import record
from tfrobustloss.search.taylor.search import TaylorLossSearch

__all__ = ["TaylorLossSearch", "record"]
