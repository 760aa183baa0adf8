"""Rounding never pays a user: fees are rounded once per order, and against who pays them."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from exchange.core.commands import (
    ConfigureAccount,
    ConfigureAsset,
    ConfigureFeeTier,
    Credit,
    PlaceOrder,
)
from exchange.core.enums import OrderType, Side, SystemAccount, TimeInForce, WalletKind
from exchange.core.events import OrderChanged, TradeExecuted
from exchange.core.units import ATOMS
from tests.support.engine import ALICE, BOB, BTC, MARKET, USDT, Bench, market
from tests.support.searching import search

rates = st.integers(min_value=0, max_value=5_000_000)
rebates = st.integers(min_value=-5_000, max_value=5_000_000)


def dusty_bench(maker_rate: int, taker_rate: int) -> Bench:
    """Return a market whose trades may be worth a single atom."""
    bench = Bench()
    bench.ok(ConfigureAsset(BTC, "BTC", "Bitcoin", 8))
    bench.ok(ConfigureAsset(USDT, "USDT", "Tether", 8))
    bench.ok(ConfigureFeeTier(0, maker_rate, max(taker_rate, -maker_rate)))
    bench.ok(
        market(
            tick_atoms=1,
            lot_atoms=ATOMS,
            quantity_min_atoms=0,
            price_min_atoms=0,
            notional_min_atoms=0,
        )
    )
    for account in (ALICE, BOB):
        bench.ok(ConfigureAccount(account))
        for asset in (BTC, USDT):
            bench.ok(Credit(account, WalletKind.SPOT, asset, 10_000 * ATOMS, "test", "test"))
    return bench


def limit(account: int, side: Side, price: int, lots: int) -> PlaceOrder:
    """Return a limit order of whole lots."""
    return PlaceOrder(
        account_id=account,
        market_id=MARKET,
        side=side,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price_atoms=price,
        quantity_atoms=lots * ATOMS,
    )


def total(bench: Bench, account: int, asset: int) -> int:
    """Return what an account owns of an asset."""
    return sum(
        wallet.total_atoms
        for wallet in bench.exchange.image().wallets
        if wallet.account_id == account and wallet.asset_id == asset
    )


@search(150)
@given(
    maker_rate=rebates,
    taker_rate=rates,
    price=st.integers(min_value=1, max_value=1_000),
    parts=st.lists(st.integers(min_value=1, max_value=50), min_size=1, max_size=12),
)
def test_fees_of_an_order_are_rounded_up_once(
    maker_rate: int, taker_rate: int, price: int, parts: list[int]
) -> None:
    bench = dusty_bench(maker_rate, taker_rate)
    maker_id = bench.ok(limit(ALICE, Side.SELL, price, sum(parts))).reference_id

    fees = 0
    for lots in parts:
        outcome = bench.ok(limit(BOB, Side.BUY, price, lots))
        trade = next(event for event in outcome.events if isinstance(event, TradeExecuted))
        fees += trade.maker_fee_atoms

    last = [
        event
        for event in outcome.events
        if isinstance(event, OrderChanged) and event.order_id == maker_id
    ][-1]
    exact = Fraction(price * sum(parts) * maker_rate, ATOMS)
    assert last.fee_atoms == fees
    assert exact <= fees < exact + 1


@search(60)
@given(
    maker_rate=rebates,
    taker_rate=rates,
    price=st.integers(min_value=1, max_value=50),
    lots=st.lists(st.integers(min_value=1, max_value=9), min_size=2, max_size=15),
)
def test_trading_to_and_fro_at_one_price_never_makes_two_friends_richer(
    maker_rate: int, taker_rate: int, price: int, lots: list[int]
) -> None:
    bench = dusty_bench(maker_rate, taker_rate)
    before = total(bench, ALICE, USDT) + total(bench, BOB, USDT)

    for number, size in enumerate(lots):
        sides = (Side.SELL, Side.BUY) if number % 2 else (Side.BUY, Side.SELL)
        bench.ok(limit(ALICE, sides[0], price, size))
        bench.ok(limit(BOB, sides[1], price, size))

    after = total(bench, ALICE, USDT) + total(bench, BOB, USDT)
    assert after <= before
    assert total(bench, int(SystemAccount.FEES), USDT) == before - after
