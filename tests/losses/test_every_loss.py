"""The contract: every row of `rows.py` through every check of the battery."""

import pytest

from tests.losses.rows import ROWS
from tfrobustloss.testing import LOSS_CHECKS


def _cases():
    for row in ROWS:
        for check in LOSS_CHECKS:
            name = check.__name__
            reason = row.gaps.get(name)
            mark = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
            yield pytest.param(row, check, id=f"{row.name}-{name}", marks=mark)


@pytest.mark.parametrize(("row", "check"), list(_cases()))
def test_contract(row, check):
    reason = check(row.build(), row.traits)
    if reason is not None:
        pytest.skip(reason)
