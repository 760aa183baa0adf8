"""The sweep as Celery runs it: once a period, from Redis to the exchange and back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis as redis_module
import time_machine

from common.ws import topics
from exchange import gateway
from exchange.core.commands import AnyCommand
from exchange.core.enums import Lane, MarginMode
from exchange.core.events import Outcome
from exchange.gateway import ExchangeUnavailable
from positions.adl import lights_key
from riskengine import tasks
from riskengine.models import MarginCall
from tests.support.live import EventPublisher
from tests.support.margin import PERP, MarginHarness
from tests.support.perpetual import contract
from tests.support.redis_server import redis_client, redis_url
from tradingplatform.celery import app

__all__ = ["redis_client", "redis_url"]

pytestmark = pytest.mark.integration

ALICE, BOB, CAROL = 1_000_001, 1_000_002, 1_000_003
START_MS = 1_800_000_000_000


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Wall time that passes only when told."""
    with time_machine.travel(START_MS / 1_000, tick=False) as traveller:
        yield traveller


@pytest.fixture
def margin(
    exchange: MarginHarness, redis_client: redis_module.Redis, monkeypatch: pytest.MonkeyPatch
) -> MarginHarness:
    """Alice isolated at 50, Carol cross at 20; the worker has not looked yet."""
    monkeypatch.setattr(tasks, "_sweep", None)
    for account, amount in ((ALICE, 10_000), (BOB, 100_000), (CAROL, 4_000)):
        exchange.add_account(account)
        exchange.margin(account, amount)
    exchange.set_up(ALICE, 50, MarginMode.ISOLATED)
    exchange.set_up(CAROL, 20)
    exchange.trade(ALICE, BOB, "0.5")
    exchange.trade(CAROL, BOB, "1")
    return exchange


@pytest.fixture
def publisher(margin: MarginHarness, redis_client: redis_module.Redis) -> EventPublisher:
    """Publishes to the stream that the worker follows; what came before is there."""
    publisher = EventPublisher(margin, redis_client)
    publisher.publish()
    return publisher


def sweep() -> bool:
    """Run the task by its name, as beat sends it."""
    done: bool = app.tasks["riskengine.sweep"].delay(sent_by="a later version").get()
    return done


def holders(margin: MarginHarness) -> set[int]:
    """Return the accounts with open positions."""
    positions = margin.exchange.image().positions
    return {position.account_id for position in positions if position.quantity_atoms}


class TestSweepTask:
    def test_one_run_of_a_period_works(
        self, margin: MarginHarness, publisher: EventPublisher, clock: time_machine.Traveller
    ) -> None:
        first, second = sweep(), sweep()
        clock.shift(1)

        assert (first, second, sweep()) == (True, False, True)

    def test_who_is_near_is_warned_and_the_notice_goes_to_the_private_stream(
        self,
        margin: MarginHarness,
        publisher: EventPublisher,
        clock: time_machine.Traveller,
        redis_client: redis_module.Redis,
    ) -> None:
        sweep()
        margin.mark(59_094)
        publisher.publish()
        clock.shift(1)

        assert sweep()

        (call,) = MarginCall.objects.all()
        assert (call.account_id, call.market_id, call.level_e8) == (ALICE, PERP, 80_000_000)
        assert call.time_ms == START_MS + 1_000
        assert redis_client.llen(topics.notices_key()) == 1
        assert redis_client.exists(lights_key(PERP))

    def test_who_stays_below_maintenance_is_liquidated_by_the_exchange(
        self, margin: MarginHarness, publisher: EventPublisher, clock: time_machine.Traveller
    ) -> None:
        margin.configure(contract(market_id=PERP, liquidations_paused=True))
        margin.mark(58_900)
        margin.configure(contract(market_id=PERP))
        publisher.publish()

        sweep()
        held_once = holders(margin)
        publisher.publish()
        clock.shift(1)
        sweep()

        assert ALICE in held_once
        assert ALICE not in holders(margin)
        margin.assert_hashes_agree()

    def test_an_exchange_that_is_away_is_asked_again_in_the_next_period(
        self,
        margin: MarginHarness,
        publisher: EventPublisher,
        clock: time_machine.Traveller,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        real = gateway.submit

        def away(command: AnyCommand, *, lane: Lane) -> Outcome:
            raise ExchangeUnavailable

        monkeypatch.setattr(gateway, "submit", away)
        refused = sweep()
        monkeypatch.setattr(gateway, "submit", real)
        clock.shift(1)

        assert (refused, sweep()) == (False, True)


def test_beat_sends_it_each_second() -> None:
    (entry,) = (
        entry for entry in app.conf.beat_schedule.values() if entry["task"] == "riskengine.sweep"
    )

    # Three seconds of patience: the clock of a worker's host may be ahead.
    assert (entry["schedule"], entry["options"]["expires"]) == (1.0, 3.0)
