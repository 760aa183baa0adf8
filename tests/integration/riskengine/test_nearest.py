"""Who is nearest to liquidation: chosen by the sweep, told exactly from the rows."""

from __future__ import annotations

import pytest
import redis as redis_module
from django.db import connection
from django.test.utils import CaptureQueriesContext

from adminpanel.stats.exposure import funds_data, near_data, read_terms
from exchange.core.enums import MarginMode
from positions.danger import dangers_of
from positions.standing import standing_of
from riskengine.nearest import nearest_from, nearest_key
from riskengine.sweep import Sweep
from tests.support.margin import PERP, MarginHarness
from tests.support.redis_server import redis_client, redis_url

__all__ = ["redis_client", "redis_url"]
pytestmark = pytest.mark.integration

ALICE, BOB, CAROL = 1_000_001, 1_000_002, 1_000_003


@pytest.fixture
def margin(exchange: MarginHarness) -> MarginHarness:
    """Alice isolated at 50, Carol cross at 20, Bob rich on the other side of both."""
    for account, amount in ((ALICE, 10_000), (BOB, 100_000), (CAROL, 4_000)):
        exchange.add_account(account)
        exchange.margin(account, amount)
    exchange.set_up(ALICE, 50, MarginMode.ISOLATED)
    exchange.set_up(CAROL, 20)
    exchange.trade(ALICE, BOB, "0.5")
    exchange.trade(CAROL, BOB, "1")
    return exchange


def _swept(client: redis_module.Redis) -> Sweep:
    sweep = Sweep()
    sweep.load()
    sweep.publish_nearest(client, time_ms=10_000)
    return sweep


def test_the_highest_ratios_come_first(
    margin: MarginHarness, redis_client: redis_module.Redis
) -> None:
    _swept(redis_client)

    nearest = nearest_from(redis_client.get(nearest_key()))

    assert nearest is not None
    assert [(scope.account_id, scope.market_id) for scope in nearest.scopes] == [
        (ALICE, PERP),
        (CAROL, 0),
        (BOB, 0),
    ]
    ratios = [scope.ratio for scope in nearest.scopes]
    assert ratios == sorted(ratios, reverse=True)


def test_nobody_knows_without_a_sweep() -> None:
    assert nearest_from(None) is None
    assert near_data(None) == []


def test_many_accounts_stand_as_each_alone_does(margin: MarginHarness) -> None:
    dangers = {danger.account_id: danger for danger in dangers_of([ALICE, BOB, CAROL])}

    for account_id, danger in dangers.items():
        standing = standing_of(account_id)
        slot = standing.position(PERP)
        assert slot is not None
        view = standing.view(slot)
        assert danger.liquidation_atoms == view.liquidation_atoms
        assert (danger.needed_atoms, danger.balance_atoms) == (
            view.backed_atoms,
            view.balance_atoms,
        )
        assert (danger.notional_atoms, danger.profit_atoms) == (
            view.notional_atoms,
            view.profit_atoms,
        )
    assert set(dangers) == {ALICE, BOB, CAROL}


def test_queries_do_not_grow_with_accounts(margin: MarginHarness) -> None:
    dangers_of([ALICE])  # Reads the markets, which the process then knows.
    counts = []
    for accounts in ([ALICE], [ALICE, BOB, CAROL]):
        with CaptureQueriesContext(connection) as queries:
            dangers_of(accounts)
        counts.append(len(queries))

    assert counts[0] == counts[1] <= 5


def test_operators_see_ratio_and_distance(
    margin: MarginHarness, redis_client: redis_module.Redis
) -> None:
    _swept(redis_client)

    rows = near_data(nearest_from(redis_client.get(nearest_key())))

    assert [row["account_id"] for row in rows] == [str(ALICE), str(CAROL), str(BOB)]
    first = rows[0]
    assert (first["symbol"], first["margin_mode"], first["side"]) == (
        "BTC-USDT-PERP",
        "isolated",
        "long",
    )
    # Bought at 60,000 with a fiftieth of it: about 1.6 % above liquidation.
    assert 0.01 < float(first["distance"]) < 0.02
    assert float(first["margin_ratio"]) > float(rows[1]["margin_ratio"])


def test_a_fund_without_inheritance_keeps_its_balance_in_the_worst_case(
    margin: MarginHarness,
) -> None:
    (fund,) = funds_data(read_terms())

    assert fund["worst_case_loss"] == "0.00000000"
    assert fund["headroom"] == fund["balance"]
    assert float(fund["open_interest_value"]) == pytest.approx(1.5 * 60_000, rel=0.01)
