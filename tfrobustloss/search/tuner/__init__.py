"""CMA-ES for Keras Tuner. Submodules are imported lazily."""

from tfrobustloss._core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "CMAES": ".tuner",
        "CMAESOracle": ".oracle",
        "roles": ".roles",
        "taylor_oracle": ".taylor_oracle",
    },
)
