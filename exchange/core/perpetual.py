"""
Carrying a trade of a perpetual market out: positions, postings, and what follows from them.

No cash moves when a position opens: its cost is written into it. What a close realises comes
from, or goes to, the market's clearing account, so that clearing and the costs of all positions
always sum to zero, and so do all quantities.
"""

from __future__ import annotations

import msgspec

from exchange.core.collateral import contract_of, cross_positions
from exchange.core.contract import Contract
from exchange.core.enums import (
    CloseReason,
    EndReason,
    LedgerKind,
    OrderStatus,
    Side,
    TradeKind,
    WalletKind,
    is_system_account,
)
from exchange.core.events import AnyEvent, PositionClosed, TradeExecuted
from exchange.core.funding import settle_when_touched
from exchange.core.ledger import Account
from exchange.core.margin_ledger import clearing_wallet, post_entry, post_isolated
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.positions import fill, reduces, start_anew
from exchange.core.state import Order, Position, Wallet
from exchange.core.units import check

_BUY, _SELL = Side.BUY, Side.SELL
_MARGIN = WalletKind.MARGIN
# Module names of enum members, and no look-up by one on the way of a match: its hash is Python.
_MATCH, _TRADE, _BY_TRADE = TradeKind.MATCH, LedgerKind.TRADE, CloseReason.TRADE
_RESTING = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)
_CLOSE_REASONS = {
    TradeKind.TAKEOVER: CloseReason.TAKEOVER,
    TradeKind.DELEVERAGING: CloseReason.DELEVERAGING,
    TradeKind.SETTLEMENT: CloseReason.SETTLEMENT,
}
_LEDGER_KINDS = {
    TradeKind.TAKEOVER: LedgerKind.TAKEOVER,
    TradeKind.DELEVERAGING: LedgerKind.DELEVERAGING,
    TradeKind.SETTLEMENT: LedgerKind.SETTLEMENT,
}


def post_fill(
    memory: Memory,
    market: Market,
    trade: TradeExecuted,
    buyer: Account,
    seller: Account,
    events: list[AnyEvent],
    taker_reason: CloseReason = CloseReason.TRADE,
) -> None:
    """
    Move a trade's quantity from seller to buyer, with fees; cannot fail.

    ``taker_reason`` is what the taker's position is said to end by if a match ends it.
    """
    contract = contract_of(market)
    if trade.taker_side is _BUY:
        buyer_fee, seller_fee = trade.taker_fee_atoms, trade.maker_fee_atoms
    else:
        buyer_fee, seller_fee = trade.maker_fee_atoms, trade.taker_fee_atoms
    matched = trade.kind is _MATCH
    for account, side, fee in ((buyer, _BUY, buyer_fee), (seller, _SELL, seller_fee)):
        if not matched:
            reason = _CLOSE_REASONS[trade.kind]
        elif account.account_id == trade.taker_account_id:
            reason = taker_reason
        else:
            reason = _BY_TRADE
        _post_side(memory, market, trade, account, side, fee, reason, events)
    if buyer_fee or seller_fee:
        quote_id = market.config.quote_asset_id
        fees_account = memory.ledger.fees
        fees = fees_account.spot.get(quote_id) or memory.ledger.wallet(
            fees_account, WalletKind.SPOT, quote_id
        )
        fees.total_atoms += buyer_fee + seller_fee
        memory.changes.wallets[fees.wallet_id] = fees
    if trade.kind is TradeKind.MATCH:
        # Nobody agreed to the other prices, so they are no last trade.
        contract.last_trade_ms = memory.time_ms
    memory.price_changes[market.config.market_id] = None
    clearing = contract.clearing or clearing_wallet(memory, market)
    contract.check_sums(clearing.total_atoms)


def _post_side(
    memory: Memory,
    market: Market,
    trade: TradeExecuted,
    account: Account,
    side: Side,
    fee_atoms: int,
    reason: CloseReason,
    events: list[AnyEvent],
) -> None:
    position = account.positions.get(trade.market_id) or memory.position(account, market)
    contract = contract_of(market)
    if memory.funding:
        settle_when_touched(memory, market, position, events)
    isolated_before = position.isolated_atoms
    held, quantity, quote = position.quantity_atoms, trade.quantity_atoms, trade.quote_atoms
    if not held or (held > 0) is (side is _BUY) or quantity <= abs(held):
        gain = _apply(
            memory, contract, position, trade, side, quantity, quote, fee_atoms, reason, events
        )
    else:
        gain = _turn(memory, contract, position, trade, side, fee_atoms, reason, events)
    isolated_change = position.isolated_atoms - isolated_before
    quote_id = market.config.quote_asset_id
    wallet = account.margin.get(quote_id) or memory.ledger.wallet(account, _MARGIN, quote_id)
    wallet.total_atoms += gain - fee_atoms
    clearing = contract.clearing or clearing_wallet(memory, market)
    clearing.total_atoms -= gain + isolated_change
    memory.changes.wallets[clearing.wallet_id] = clearing
    _post_entries(memory, account, position, wallet, trade, gain, fee_atoms, isolated_change)
    memory.dirty[account.account_id] = None


def _turn(
    memory: Memory,
    contract: Contract,
    position: Position,
    trade: TradeExecuted,
    side: Side,
    fee_atoms: int,
    reason: CloseReason,
    events: list[AnyEvent],
) -> int:
    """
    Close a position with the first part of a fill and open the other side with the rest.

    Split as ``positions.fill`` splits it; what closes bears its share of the fee, rounded down,
    before it becomes history.
    """
    size, whole = abs(position.quantity_atoms), trade.quantity_atoms
    quote = trade.quote_atoms * size // whole
    fee = fee_atoms * size // whole
    gain = _apply(memory, contract, position, trade, side, size, quote, fee, reason, events)
    return gain + _apply(
        memory,
        contract,
        position,
        trade,
        side,
        whole - size,
        trade.quote_atoms - quote,
        fee_atoms - fee,
        reason,
        events,
    )


def _apply(
    memory: Memory,
    contract: Contract,
    position: Position,
    trade: TradeExecuted,
    side: Side,
    quantity: int,
    quote: int,
    fee: int,
    reason: CloseReason,
    events: list[AnyEvent],
) -> int:
    """Apply one part of a fill to a live position; return what the margin wallet gains."""
    before, cost_before = position.quantity_atoms, position.cost_atoms
    if not before:
        position.position_id = trade.trade_id * 2 + (side is _SELL)
        position.opened_ms = memory.time_ms
        position.funded_ms = memory.time_ms
    gain = fill(
        position,
        side=side,
        quantity_atoms=quantity,
        quote_atoms=quote,
        mark_atoms=contract.mark_atoms,
    )
    position.fee_atoms += fee
    position.updated_ms = memory.time_ms
    contract.add_quantity(before, position.quantity_atoms, position.cost_atoms - cost_before)
    memory.changes.positions[position.slot_id] = position
    if not position.quantity_atoms:
        close(memory, position, reason, events)
    return gain


def close(memory: Memory, position: Position, reason: CloseReason, events: list[AnyEvent]) -> None:
    """Write a position that reached zero into history and clear its slot."""
    closed = PositionClosed(
        position.position_id,
        position.slot_id,
        position.previous_id,
        position.account_id,
        position.market_id,
        position.mode,
        position.leverage,
        position.quantity_max_atoms,
        position.opened_atoms,
        position.opened_quote_atoms,
        position.closed_atoms,
        position.closed_quote_atoms,
        position.realised_atoms,
        position.fee_atoms,
        position.funding_atoms,
        reason,
        position.opened_ms,
        memory.time_ms,
    )
    memory.changes.closed_positions.append(closed)
    events.append(closed)
    position.previous_id = position.position_id
    start_anew(position)


def charge_closed(memory: Memory, position_id: int, fee_atoms: int, events: list[AnyEvent]) -> None:
    """Add a fee that came after the last fill to what history says of a position just closed."""
    for written in (memory.changes.closed_positions, events):
        for index, closed in enumerate(written):
            if isinstance(closed, PositionClosed) and closed.position_id == position_id:
                fees = closed.fee_atoms + fee_atoms
                written[index] = msgspec.structs.replace(closed, fee_atoms=fees)


def _post_entries(
    memory: Memory,
    account: Account,
    position: Position,
    wallet: Wallet,
    trade: TradeExecuted,
    gain_atoms: int,
    fee_atoms: int,
    isolated_change_atoms: int,
) -> None:
    kind = _TRADE if trade.kind is _MATCH else _LEDGER_KINDS[trade.kind]
    post_entry(
        memory, account, wallet, kind, trade.trade_id, gain_atoms - fee_atoms, fee_atoms=fee_atoms
    )
    if isolated_change_atoms:
        post_isolated(
            memory, account, position, wallet, kind, trade.trade_id, isolated_change_atoms
        )


def after_fill(
    memory: Memory,
    market: Market,
    accounts: tuple[Account, Account],
    taker_order_id: int,
    events: list[AnyEvent],
) -> None:
    """Let orders that only reduce fit the positions, and check that wallets stand by themselves."""
    fit_orders(memory, market, accounts, taker_order_id, events)
    check_wallets(memory, market, accounts)


def fit_orders(
    memory: Memory,
    market: Market,
    accounts: tuple[Account, Account],
    taker_order_id: int,
    events: list[AnyEvent],
) -> None:
    """
    Let orders that only reduce fit positions that shrank.

    The order that is being carried out is not in the book and is left alone.
    """
    market_id = market.config.market_id
    for account in accounts:
        position = account.positions[market_id]
        if position.reducing:
            fit_reducing(memory, market, position, taker_order_id, events)


def check_wallets(memory: Memory, market: Market, accounts: tuple[Account, Account]) -> None:
    """Check the margin wallets of users that took part in a trade."""
    quote_id = market.config.quote_asset_id
    for account in accounts:
        overdrawn = account.margin[quote_id].total_atoms < 0
        if overdrawn and not is_system_account(account.account_id):
            check_wallet(memory, account, quote_id)


def check_wallet(memory: Memory, account: Account, asset_id: int) -> None:
    """
    Stop the writer if a margin wallet is negative and no open cross position explains it.

    Raises:
        InvariantError: so that what was paid out is never paid by nobody.
    """
    wallet = account.margin[asset_id]
    if wallet.total_atoms < 0:
        backed = next(cross_positions(memory, account, asset_id), None) is not None
        check(backed, f"margin wallet {wallet.wallet_id} is overdrawn without a position")


def fit_reducing(
    memory: Memory,
    market: Market,
    position: Position,
    taker_order_id: int,
    events: list[AnyEvent],
) -> None:
    """
    End or trim the orders that only reduce: together they never exceed the position.

    At zero, or once the position turned, all of them end, conditional ones too. Else those
    that rest are trimmed, the worst-priced first and of one price the newest.
    """
    reducing = [
        order
        for order in (position.reducing or {}).values()
        if order.order_id != taker_order_id and order.status is not OrderStatus.WAITING
    ]
    for order in reducing:
        if not reduces(position, order.side) and order.order_id in memory.orders:
            memory.retire(order, OrderStatus.EXPIRED, EndReason.POSITION_CLOSED, events)
    resting = [order for order in reducing if order.status in _RESTING]
    excess = sum(order.remaining_atoms for order in resting) - abs(position.quantity_atoms)
    if excess <= 0:
        return
    for order in sorted(resting, key=_worst_first):
        cut = min(excess, order.remaining_atoms)
        if cut == order.remaining_atoms:
            memory.retire(order, OrderStatus.EXPIRED, EndReason.REDUCE_ONLY_TRIMMED, events)
        else:
            market.book.side(order.side).reduce(order, cut)
            order.quantity_atoms -= cut
            events.append(memory.changed(order))
        excess -= cut
        if not excess:
            return


def _worst_first(order: Order) -> tuple[int, int]:
    price = order.price_atoms if order.side is _BUY else -order.price_atoms
    return price, -order.priority
