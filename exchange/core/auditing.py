"""The full invariants of the whole state: for tests and the simulator; O(state)."""

from __future__ import annotations

from exchange.core.collateral import cross_positions
from exchange.core.enums import (
    OrderStatus,
    Side,
    WalletKind,
    clearing_account,
    insurance_account,
    is_system_account,
)
from exchange.core.ledger import Account, hold_of
from exchange.core.margin_ledger import clearing_atoms
from exchange.core.memory import Memory
from exchange.core.state import Position
from exchange.core.units import check


def check_all(memory: Memory) -> None:
    """
    Stop unless everything that must always hold does (O(state), for tests and start).

    Each asset sums to zero over all wallets, isolated ones included; spot wallets hold exactly
    what their open orders need, and only ``external`` is negative among them; books are
    sorted, uncrossed and complete; for perpetual markets see ``_check_positions``.

    Raises:
        InvariantError: naming the first thing that does not hold.
    """
    held, waiting = _check_orders(memory)
    _check_wallets(memory, held)
    resting = 0
    for market in memory.markets.values():
        market.book.check_invariants()
        for side in (market.book.bids, market.book.asks):
            resting += sum(level.live for level in side.levels.values())
    check(resting + waiting == len(memory.orders), "orders and books differ in number")
    _check_positions(memory)


def _check_orders(memory: Memory) -> tuple[dict[int, int], int]:
    """Check each open order; return what each wallet must hold, and how many orders wait."""
    held: dict[int, int] = {}
    waiting = 0
    for order in memory.orders.values():
        market = memory.markets[order.market_id]
        check(order.held_atoms == hold_of(order), f"order {order.order_id} holds wrong")
        account = memory.ledger.accounts[order.account_id]
        waiting += order.status in (OrderStatus.UNTRIGGERED, OrderStatus.WAITING)
        if order.held_atoms and not order.margined:
            wallet = account.spot[market.paying_asset_id(order.side)]
            held[wallet.wallet_id] = held.get(wallet.wallet_id, 0) + order.held_atoms
        check(account.open_orders.get(order.order_id) is order, "open order is not listed")
    return held, waiting


def _check_wallets(memory: Memory, held: dict[int, int]) -> None:
    """Check that wallets hold what they must, and that each asset sums to zero."""
    sums: dict[int, int] = dict.fromkeys(memory.assets, 0)
    for account in memory.ledger.accounts.values():
        for wallets in (account.spot, account.margin):
            for wallet in wallets.values():
                sums[wallet.asset_id] += wallet.total_atoms
                if wallet.kind is WalletKind.MARGIN:
                    check(not wallet.held_atoms, "margin wallets hold nothing")
                    continue
                check(
                    wallet.held_atoms == held.get(wallet.wallet_id, 0),
                    f"wallet {wallet.wallet_id} holds what no order needs",
                )
                check(
                    account is memory.ledger.external
                    or 0 <= wallet.held_atoms <= wallet.total_atoms,
                    f"wallet {wallet.wallet_id} is overdrawn",
                )
    for position in memory.positions.values():
        asset_id = memory.markets[position.market_id].config.quote_asset_id
        sums[asset_id] += position.isolated_atoms
    for asset_id, total in sums.items():
        check(total == 0, f"asset {asset_id} sums to {total}, not to zero")


def _check_positions(memory: Memory) -> None:
    """
    Stop unless positions are sound: O(positions).

    Quantities of a market sum to zero; its costs and the clearing account do; the running sums
    are those of the positions; values of orders are counted once; orders that only reduce
    fit; isolated wallets and the margin wallets of accounts without open cross positions are
    not negative.
    """
    for market_id, market in memory.markets.items():
        contract = market.contract
        if contract is None:
            continue
        quantities = [position.quantity_atoms for position in contract.positions]
        check(sum(quantities) == contract.quantity_atoms == 0, "quantities do not sum to zero")
        costs = sum(position.cost_atoms for position in contract.positions)
        check(costs == contract.cost_atoms, "costs are not what is summed up")
        contract.check_sums(clearing_atoms(memory, market))
        longs = sum(quantity for quantity in quantities if quantity > 0)
        check(longs == contract.long_atoms, "open interest is not that of the positions")
        check(contract.mark_atoms >= 0, f"mark of market {market_id} is negative")
    for position in memory.positions.values():
        _check_slot(memory, position)
    for account in memory.ledger.accounts.values():
        if is_system_account(account.account_id):
            _check_system(account)
            continue
        for asset_id, wallet in account.margin.items():
            backed = next(cross_positions(memory, account, asset_id), None) is not None
            check(wallet.total_atoms >= 0 or backed, f"margin {wallet.wallet_id} is overdrawn")


def _check_slot(memory: Memory, position: Position) -> None:
    account = memory.ledger.accounts[position.account_id]
    own = [order for order in account.open_orders.values() if order.market_id == position.market_id]
    bids = sum(order.held_atoms for order in own if order.side is Side.BUY)
    asks = sum(order.held_atoms for order in own if order.side is Side.SELL)
    check((bids, asks) == (position.bid_atoms, position.ask_atoms), "orders are counted wrong")
    reducing = {
        order.order_id: order
        for order in own
        if order.terms is not None and (order.terms.reduce_only or order.terms.close_position)
    }
    check(reducing == (position.reducing or {}), "reducing orders are not listed")
    resting = sum(
        order.remaining_atoms
        for order in reducing.values()
        if order.status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)
    )
    check(resting <= abs(position.quantity_atoms), "reducing orders exceed their position")
    check(position.isolated_atoms >= 0, f"isolated wallet of {position.slot_id} is negative")
    flat = not position.quantity_atoms
    check(
        flat is (position.position_id == 0)
        and not (flat and (position.cost_atoms or position.isolated_atoms)),
        f"slot {position.slot_id} is neither open nor flat",
    )


def _check_system(account: Account) -> None:
    """Only clearing accounts, and a liquidation account while a market settles, go below zero."""
    if clearing_account(0) <= account.account_id < insurance_account(0):
        return
    for wallet in account.margin.values():
        check(wallet.total_atoms >= 0, f"system wallet {wallet.wallet_id} is overdrawn")
