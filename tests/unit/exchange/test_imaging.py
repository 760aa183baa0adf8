"""State out of memory and back, replay, and the events of a batch."""

import copy
import random

import msgspec
import pytest

from exchange.core.commands import CancelOrder, ConfigureAccount, Envelope
from exchange.core.engine import Exchange
from exchange.core.enums import Side
from exchange.core.events import BalanceChanged, LevelChanged
from exchange.core.units import InvariantError
from tests.support.engine import ALICE, BOB, MARKET, USDT, Bench, units


@pytest.fixture(scope="module")
def traded() -> Bench:
    """A bench after some hundred random orders, with partial fills resting."""
    bench = Bench.funded()
    chance = random.Random(7)
    for account in (ALICE, BOB):
        bench.ok(ConfigureAccount(account, open_orders_max=1000))
    for number in range(300):
        price = str(chance.randrange(95, 106))
        side = chance.choice((Side.BUY, Side.SELL))
        order = bench.limit(chance.choice((ALICE, BOB)), side, "0.1", price)
        outcome = bench.do(order)
        if number % 5 == 0 and outcome.reference_id:
            bench.do(CancelOrder(order.account_id, outcome.reference_id))
    return bench


class TestImage:
    def test_loading_it_gives_the_same_state(self, traded: Bench) -> None:
        loaded = Exchange.load(copy.deepcopy(traded.exchange.image()))

        assert loaded.state_hash() == traded.exchange.state_hash()
        loaded.check_all()

    def test_loaded_exchange_goes_on_alike(self, traded: Bench) -> None:
        loaded = Exchange.load(copy.deepcopy(traded.exchange.image()))
        live = copy.deepcopy(traded)
        command = live.limit(ALICE, Side.BUY, "5", "106")

        outcome = live.do(command)

        assert loaded.apply(live.log[-1]) == outcome
        assert loaded.state_hash() == live.exchange.state_hash()

    def test_replay_of_the_encoded_log_gives_the_same_state(self, traded: Bench) -> None:
        replayed = Exchange()
        for envelope in traded.log:
            raw = msgspec.msgpack.encode(envelope)
            replayed.apply(msgspec.msgpack.decode(raw, type=Envelope))

        assert replayed.state_hash() == traded.exchange.state_hash()

    def test_hash_sees_every_kind_of_change(self) -> None:
        bench = Bench.funded()
        hashes = {bench.exchange.state_hash()}
        bench.buy(ALICE, "1", "100")
        hashes.add(bench.exchange.state_hash())
        bench.sell(BOB, "0.5", "100")
        hashes.add(bench.exchange.state_hash())

        assert len(hashes) == 3

    def test_holds_that_no_order_needs_are_refused(self, traded: Bench) -> None:
        image = copy.deepcopy(traded.exchange.image())
        next(w for w in image.wallets if w.account_id == ALICE).held_atoms += 1

        with pytest.raises(InvariantError, match="its orders need"):
            Exchange.load(image)


class TestDrain:
    def test_gives_each_balance_and_level_once_and_absolute(self) -> None:
        bench = Bench.funded()
        bench.exchange.drain()
        bench.buy(ALICE, "1", "100")
        bench.buy(ALICE, "2", "100")
        first = bench.buy(ALICE, "1", "99").reference_id
        bench.cancel(ALICE, first)

        changes, events = bench.exchange.drain()

        balances = [event for event in events if isinstance(event, BalanceChanged)]
        assert [(balance.asset_id, balance.held_atoms) for balance in balances] == [
            (USDT, units("300.12"))
        ]
        assert [event for event in events if isinstance(event, LevelChanged)] == [
            LevelChanged(MARKET, Side.BUY, units(100), units(3)),
            LevelChanged(MARKET, Side.BUY, units(99), 0),
        ]
        assert len(changes.orders) == 3
        assert bench.exchange.drain()[1] == []

    def test_entries_of_an_account_form_a_chain(self) -> None:
        bench = Bench.funded()
        bench.exchange.drain()
        bench.buy(ALICE, "1", "100")
        bench.sell(BOB, "0.5", "100")
        bench.sell(BOB, "0.5", "100")

        changes, _ = bench.exchange.drain()

        own = [entry for entry in changes.entries if entry.account_id == ALICE]
        assert own[1].previous_id == own[0].entry_id
        wallets = [wallet for wallet in changes.wallets.values() if wallet.account_id == ALICE]
        assert {wallet.last_entry_id for wallet in wallets} == {own[1].entry_id}


class TestApply:
    def test_numbers_are_consecutive_and_time_never_falls(self) -> None:
        bench = Bench.funded()
        last = bench.log[-1]
        exchange = bench.exchange

        with pytest.raises(InvariantError):
            exchange.apply(last)
        with pytest.raises(InvariantError):
            exchange.apply(
                msgspec.structs.replace(last, number=last.number + 1, time_ms=last.time_ms - 1)
            )
