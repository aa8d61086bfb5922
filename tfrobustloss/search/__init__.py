"""Looking for losses; each name loads what it needs when it is first used."""

import importlib

# where the public names are: Keras Tuner alone takes seconds to load
_HOMES = {
    "CMAES": "tuner",
    "CMAESOracle": "oracle",
    "CmaSearch": "cma",
    "Halving": "trainer",
    "LossFamily": "families",
    "Score": "trainer",
    "Task": "taylor_search",
    "TaylorLossSearch": "taylor_search",
    "Trainer": "trainer",
    "make_tasks": "taylor_search",
}
__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    return __all__
