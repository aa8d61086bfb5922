"""A dataset with wrong labels, a network, a setting, and the accuracy they give."""

from tfrobustloss._core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Comparison": ".comparison",
        "Settings": ".comparison",
        "Task": ".task",
        "comparison": ".comparison",
        "cross_validation": ".cross_validation",
        "learning_rates": ".learning_rates",
        "make_tasks": ".task",
        "noise_matrix": ".specs",
        "task": ".task",
        "with_draws": ".task",
    },
)
