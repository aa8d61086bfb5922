"""A battery of checks for every loss on class probabilities or logits.

`check_loss(MyLoss())` runs all of `LOSS_CHECKS`. Each is also a function of its own,
`check_edges(loss, traits)`, made to be handed to `pytest.mark.parametrize`; pytest
itself is not needed.
"""

from tfrobustloss.testing.config_checks import (
    check_config,
    check_limits,
    check_pickle,
    check_save_load,
)
from tfrobustloss.testing.harness import LossCheckError, LossTraits, sharing
from tfrobustloss.testing.oracle_checks import (
    ORACLE_CHECKS,
    OracleCheckError,
    check_oracle,
)
from tfrobustloss.testing.program_checks import (
    check_edges,
    check_graph,
    check_no_retrace,
    check_numerical_gradient,
    check_trains,
    check_xla,
)
from tfrobustloss.testing.trait_checks import check_traits
from tfrobustloss.testing.value_checks import (
    check_batch_order,
    check_dtypes,
    check_ignore_class,
    check_logits,
    check_masks,
    check_one_unit,
    check_per_sample,
    check_permutation,
    check_pure,
    check_reductions,
    check_sample_weight,
    check_sparse,
)

LOSS_CHECKS = (
    check_per_sample,
    check_reductions,
    check_sample_weight,
    check_masks,
    check_ignore_class,
    check_config,
    check_save_load,
    check_pickle,
    check_graph,
    check_xla,
    check_no_retrace,
    check_edges,
    check_numerical_gradient,
    check_dtypes,
    check_logits,
    check_sparse,
    check_one_unit,
    check_permutation,
    check_batch_order,
    check_limits,
    check_traits,
    check_pure,
    check_trains,
)

__all__ = [
    "LOSS_CHECKS",
    "LossCheckError",
    "LossTraits",
    "ORACLE_CHECKS",
    "OracleCheckError",
    "check_loss",
    "check_oracle",
    *(check.__name__ for check in LOSS_CHECKS),
]


def check_loss(loss, traits=None, checks=None):
    """Runs the battery over a loss and stops at the first broken promise.

    The checks share compiled programs here, so one call with all of them is faster
    than a call of each.

    Args:
        loss: A `keras.losses.Loss` on class probabilities or logits, of this package
            or your own. A checked option (`from_logits`, `ignore_class`, `dtype`) is
            one that its constructor takes.
        traits: `LossTraits`: what the loss claims beyond the contract.
        checks: Those of `LOSS_CHECKS` to run; None for all.

    Returns:
        Dict of the names of the checks that do not apply, with the reason.

    Raises:
        LossCheckError: Names the loss, the check, what was promised and what came.

    Example:
        >>> from tfrobustloss import losses
        >>> traits = LossTraits(bounds=(0, 2), symmetric=True, zero_at_label=True)
        >>> check_loss(losses.MeanAbsoluteError(), traits, [check_traits, check_logits])
        {}
    """
    traits = LossTraits() if traits is None else traits
    reasons = {}
    with sharing():
        for check in LOSS_CHECKS if checks is None else checks:
            reason = check(loss, traits)
            if reason is not None:
                reasons[check.__name__] = reason
    return reasons
