"""
Bankruptcy prices, and handing a position over at its own: the end of the ladder but for ADL.

Closed at its bankruptcy price an isolated position leaves an empty isolated wallet, and the cross
positions of an account together leave an empty margin wallet: each takes with it the share of
the account's equity that its maintenance margin has in the whole. Source: Bybit and dYdX;
DOMAIN 2.7.
"""

from __future__ import annotations

from exchange.core.collateral import (
    contract_of,
    cross_health,
    cross_positions,
    isolated_health,
    maintenance_atoms,
    wallet_atoms,
)
from exchange.core.enums import LedgerKind, MarginMode, Side, TradeKind
from exchange.core.events import AnyEvent, LiquidationStepped, TradeExecuted
from exchange.core.insurance import can_carry, cover_shortfall, liquidator, settle_liquidator
from exchange.core.ledger import Account
from exchange.core.margin import value_atoms
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.perpetual import check_wallets, fit_orders, post_fill
from exchange.core.state import Position
from exchange.core.units import ATOMS, ceil_div

_BUY, _SELL = Side.BUY, Side.SELL


def closing_side(position: Position) -> Side:
    """Return the side of an order that closes the position."""
    return _SELL if position.quantity_atoms > 0 else _BUY


def health(memory: Memory, account: Account, position: Position) -> tuple[int, int]:
    """Return balance and maintenance of what backs a position: its own wallet, or all cross."""
    market = memory.markets[position.market_id]
    if position.mode is MarginMode.ISOLATED:
        return isolated_health(position, contract_of(market))
    return cross_health(memory, account, market.config.quote_asset_id)


def bankruptcy_quote(memory: Memory, account: Account, position: Position) -> int:
    """
    Return the quote amount that closing the whole position at its bankruptcy price moves.

    What a long receives, or a short pays; no price is below zero.
    """
    return max(0, exact_bankruptcy_quote(memory, account, position))


def exact_bankruptcy_quote(memory: Memory, account: Account, position: Position) -> int:
    """
    Return the quote amount that would leave the collateral of a position exactly empty.

    Below zero when an account owes more than the whole position is worth: a short that would
    have to be paid for.
    """
    market = memory.markets[position.market_id]
    contract = contract_of(market)
    sign = 1 if position.quantity_atoms > 0 else -1
    if position.mode is MarginMode.ISOLATED:
        return sign * (position.cost_atoms - position.isolated_atoms)
    quote_id = market.config.quote_asset_id
    others = [
        own
        for own, _ in cross_positions(memory, account, quote_id)
        if own.slot_id != position.slot_id
    ]
    if not others:
        total = wallet_atoms(account, quote_id)
        return sign * (position.cost_atoms - total)
    balance, maintenance = cross_health(memory, account, quote_id)
    share = balance * maintenance_atoms(position, contract) // maintenance
    value = value_atoms(position.quantity_atoms, contract.mark_atoms)
    return sign * (value - share)


def bankruptcy_price(quote_atoms: int, position: Position, tick_atoms: int) -> int:
    """Return the worst price inside bankruptcy for an order that closes, on the tick."""
    size = abs(position.quantity_atoms)
    if position.quantity_atoms > 0:
        return max(tick_atoms, ceil_div(quote_atoms * ATOMS, size * tick_atoms) * tick_atoms)
    return quote_atoms * ATOMS // (size * tick_atoms) * tick_atoms


def take_over(
    memory: Memory, market: Market, account: Account, position: Position, events: list[AnyEvent]
) -> bool:
    """
    Hand a whole position to the liquidation account at its bankruptcy price.

    Returns False, and changes nothing but the fund's high, if the fund cannot carry it.
    """
    quote = exact_bankruptcy_quote(memory, account, position)
    sign = 1 if position.quantity_atoms > 0 else -1
    if not can_carry(
        memory,
        market,
        quantity_atoms=position.quantity_atoms,
        cost_atoms=sign * quote,
        events=events,
    ):
        return False
    hand_over(
        memory,
        market,
        account,
        position,
        liquidator(memory, market),
        quantity_atoms=abs(position.quantity_atoms),
        quote_atoms=max(0, quote),
        kind=TradeKind.TAKEOVER,
        events=events,
    )
    return True


def hand_over(
    memory: Memory,
    market: Market,
    account: Account,
    position: Position,
    other: Account,
    *,
    quantity_atoms: int,
    quote_atoms: int,
    kind: TradeKind,
    events: list[AnyEvent],
) -> None:
    """Trade so much of a position with another account outside the book, and say so."""
    balance, maintenance = health(memory, account, position)
    side = closing_side(position)
    position_id = position.position_id
    contract = contract_of(market)
    memory.sequences.trade += 1
    trade = TradeExecuted(
        memory.sequences.trade,
        market.config.market_id,
        quote_atoms * ATOMS // quantity_atoms,
        quantity_atoms,
        quote_atoms,
        side,
        0,
        0,
        account.account_id,
        other.account_id,
        0,
        0,
        memory.time_ms,
        kind,
    )
    memory.changes.trades.append(trade)
    events.append(trade)
    buyer, seller = (account, other) if side is _BUY else (other, account)
    post_fill(memory, market, trade, buyer, seller, events)
    fit_orders(memory, market, (buyer, seller), 0, events)
    if kind is not TradeKind.SETTLEMENT:  # there the caller covers what a loser lacks first
        cover_shortfall(memory, market, account, LedgerKind.INSURANCE)
        check_wallets(memory, market, (buyer, seller))
    gained = settle_liquidator(memory, market)
    tell_step(
        memory,
        market,
        trade,
        position_id=position_id,
        balance_atoms=balance,
        maintenance=maintenance,
        fee_atoms=0,
        insurance_atoms=gained,
        events=events,
    )
    memory.price_changes[contract.config.market_id] = None


def tell_step(
    memory: Memory,
    market: Market,
    trade: TradeExecuted,
    *,
    position_id: int,
    balance_atoms: int,
    maintenance: int,
    fee_atoms: int,
    insurance_atoms: int,
    events: list[AnyEvent],
) -> None:
    """Record one step of the ladder."""
    memory.sequences.liquidation += 1
    step = LiquidationStepped(
        memory.sequences.liquidation,
        trade.taker_account_id,
        trade.market_id,
        position_id,
        trade.kind,
        trade.taker_side,
        trade.quantity_atoms,
        trade.price_atoms,
        trade.quote_atoms,
        contract_of(market).mark_atoms,
        balance_atoms,
        maintenance,
        fee_atoms,
        insurance_atoms,
        trade.maker_account_id,
        memory.time_ms,
    )
    memory.changes.liquidations.append(step)
    events.append(step)
