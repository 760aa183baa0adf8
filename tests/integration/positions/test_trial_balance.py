"""The job that adds up all balances sees what came from nowhere."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from exchange.core.enums import MarginMode
from positions.tasks import trial_balance_count
from positions.trial_balance import trial_balance
from tests.support.engine import units
from tests.support.margin import MarginHarness
from tests.support.redis_server import redis_client, redis_url
from wallets.models import Balance

__all__ = ["redis_client", "redis_url"]

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("redis_client")]

ALICE, BOB = 1_000_001, 1_000_002


@pytest.fixture
def margin(exchange: MarginHarness) -> MarginHarness:
    for account in (ALICE, BOB):
        exchange.add_account(account)
        exchange.margin(account, 10_000)
    exchange.set_up(ALICE, 50, MarginMode.ISOLATED)
    exchange.trade(ALICE, BOB, "0.1")
    return exchange


def test_all_balances_of_an_asset_sum_to_zero(margin: MarginHarness) -> None:
    trial = trial_balance(time_ms=1)

    assert {asset.sum_atoms for asset in trial.assets} == {0}
    assert any(asset.isolated_atoms for asset in trial.assets)


def test_a_balance_that_came_from_nowhere_is_shown(margin: MarginHarness) -> None:
    balance = Balance.objects.filter(account_id=ALICE, total_atoms__gt=0).first()
    assert balance is not None
    Balance.objects.filter(id=balance.id).update(total_atoms=balance.total_atoms + units("1"))

    trial_balance_count()

    labels = {"asset_id": str(balance.asset_id)}
    assert REGISTRY.get_sample_value("ledger_drift_atoms", labels) == units("1")
