"""Experiments with wrong labels: a dataset, a network, a setting, and accuracies."""

from tfrobustloss._core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Comparison": ".comparison",
        "Settings": ".comparison",
        "Stopped": ".stopped",
        "Task": ".task",
        "comparison": ".comparison",
        "cross_validation": ".cross_validation",
        "learning_rates": ".learning_rates",
        "estimate_noise": ".noise_estimate",
        "loss_classes": ".specs",
        "make_tasks": ".task",
        "noise_matrix": ".specs",
        "prepare": ".task",
        "selection": ".selection",
        "stopped_losses": ".stopped",
        "task": ".task",
    },
)
