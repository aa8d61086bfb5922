"""Search for loss functions. Submodules are imported lazily."""

from tfrobustloss._core.lazy import lazy_names

# Keras Tuner alone takes seconds to load
__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "CMAES": "tuner.tuner",
        "CMAESOracle": "tuner.oracle",
        "CmaSearch": "cmaes.search",
        "TaylorLossSearch": "taylor.search",
        "journal": "journal",
        # of `tfrobustloss.experiments`, on which a search stands
        "Halving": "_experiments",
        "LossFamily": "_experiments",
        "Score": "_experiments",
        "Task": "_experiments",
        "Trainer": "_experiments",
        "make_tasks": "_experiments",
    },
)
