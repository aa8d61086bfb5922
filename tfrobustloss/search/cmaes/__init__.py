"""CMA-ES by pycma behind ask and tell."""

from tfrobustloss.search.cmaes.search import CmaSearch

__all__ = ["CmaSearch"]
