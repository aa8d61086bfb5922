"""Search for loss functions. Submodules are imported lazily."""

from tfrobustloss._core.lazy import lazy_names

# Keras Tuner alone takes seconds to load
__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "CMAES": ".tuner.tuner",
        "CMAESOracle": ".tuner.oracle",
        "CmaSearch": ".cmaes.search",
        "JournalInUse": ".journal",
        "TaylorLossSearch": ".taylor.search",
        # on which a search stands
        "Halving": "tfrobustloss.experiments.trainer",
        "LossFamily": "tfrobustloss.losses.families",
        "Score": "tfrobustloss.experiments.trainer",
        "Task": "tfrobustloss.experiments",
        "Trainer": "tfrobustloss.experiments.trainer",
        "make_tasks": "tfrobustloss.experiments",
    },
)
