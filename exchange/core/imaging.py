"""The whole state out of memory and back, its hash, and the full invariants."""

from __future__ import annotations

import hashlib

import msgspec

from exchange.core.enums import OrderStatus, SystemAccount
from exchange.core.ledger import Account, hold_of
from exchange.core.memory import Market, Memory
from exchange.core.observing import mark_active, restore_announcing, restore_fired
from exchange.core.state import DERIVED, ActivateTask, FireTask, Image, Order, Terms
from exchange.core.switches import set_times
from exchange.core.triggers import is_rising
from exchange.core.units import check

_HASHED_ORDER_FIELDS = tuple(
    name for name in Order.__struct_fields__ if name not in DERIVED["Order"]
)


def take_image(memory: Memory) -> Image:
    """Return the whole state, each list in the order of its keys."""
    ledger = memory.ledger
    wallets = [
        wallet
        for account in ledger.accounts.values()
        for wallets in (account.spot, account.margin)
        for wallet in wallets.values()
    ]
    return Image(
        sequences=memory.sequences,
        assets=[memory.assets[key] for key in sorted(memory.assets)],
        markets=[memory.markets[key].config for key in sorted(memory.markets)],
        fee_tiers=[memory.fee_tiers[key] for key in sorted(memory.fee_tiers)],
        accounts=[
            ledger.accounts[key].config for key in sorted(ledger.accounts) if not _is_system(key)
        ],
        wallets=sorted(wallets, key=lambda wallet: wallet.wallet_id),
        orders=[memory.orders[key] for key in sorted(memory.orders)],
        tasks=list(memory.tasks),
        index_prices=[
            market.index for _, market in sorted(memory.markets.items()) if market.index is not None
        ],
        switches=[memory.switches[key] for key in sorted(memory.switches)],
        protections=[
            ledger.accounts[account_id].protections[market_id]
            for account_id in sorted(ledger.accounts)
            for market_id in sorted(ledger.accounts[account_id].protections)
        ],
        price_windows=[
            market.window
            for _, market in sorted(memory.markets.items())
            if market.window.slots or market.window.unanchored
        ],
        last_prices={
            key: market.last_atoms
            for key, market in sorted(memory.markets.items())
            if market.last_atoms
        },
        time_ms=memory.time_ms,
        epoch=memory.epoch,
        cancel_only_until_ms=memory.cancel_only_until_ms,
        post_only_until_ms=memory.post_only_until_ms,
    )


def restore(image: Image) -> Memory:
    """
    Return the memory an image describes; takes the image's objects over.

    Raises:
        InvariantError: if holds, balances or books of the image do not agree.
    """
    memory = Memory()
    for name in image.sequences.__slots__:
        setattr(memory.sequences, name, getattr(image.sequences, name))
    memory.time_ms = image.time_ms
    memory.epoch = image.epoch
    memory.cancel_only_until_ms = image.cancel_only_until_ms
    memory.post_only_until_ms = image.post_only_until_ms
    memory.tasks = list(image.tasks)
    memory.assets = {asset.asset_id: asset for asset in image.assets}
    memory.fee_tiers = {tier.tier: tier for tier in image.fee_tiers}
    for config in image.markets:
        memory.markets[config.market_id] = Market(config)
        memory.symbols[config.symbol] = config.market_id
        if config.status_until_ms:
            memory.breakers[config.market_id] = None
    for index in image.index_prices:
        memory.markets[index.market_id].set_index(index)
    for market_id, price in image.last_prices.items():
        memory.markets[market_id].last_atoms = price
    for account_config in image.accounts:
        memory.ledger.accounts[account_config.account_id] = Account(account_config)
    _restore_safeguards(memory, image)
    _restore_wallets(memory, image)
    _restore_orders(memory, image)
    return memory


def _restore_safeguards(memory: Memory, image: Image) -> None:
    for switch in image.switches:
        memory.switches[switch.account_id, switch.market_id] = switch
    set_times(memory)
    for window in image.price_windows:
        memory.markets[window.market_id].window = window
    for protection in image.protections:
        account = memory.ledger.accounts[protection.account_id]
        account.protections[protection.market_id] = protection


def _restore_wallets(memory: Memory, image: Image) -> None:
    accounts = memory.ledger.accounts
    for wallet in image.wallets:
        account = accounts[wallet.account_id]
        account.wallets(wallet.kind)[wallet.asset_id] = wallet
        account.last_order_id = max(account.last_order_id, wallet.last_order_id)
        account.last_entry_id = max(account.last_entry_id, wallet.last_entry_id)


def _restore_orders(memory: Memory, image: Image) -> None:
    held: dict[int, int] = {}
    for order in image.orders:
        market = memory.markets[order.market_id]
        order.held_atoms = hold_of(order)
        if order.held_atoms:
            wallet = memory.ledger.accounts[order.account_id].spot[
                market.paying_asset_id(order.side)
            ]
            held[wallet.wallet_id] = held.get(wallet.wallet_id, 0) + order.held_atoms
    _restore_places(memory, image)
    for order in sorted(image.orders, key=lambda order: order.order_id):
        memory.list_order(memory.ledger.accounts[order.account_id], order)
    for task in memory.tasks:
        if isinstance(task, FireTask):
            restore_fired(memory, memory.markets[task.market_id], task)
        elif isinstance(task, ActivateTask):
            restore_announcing(memory, task)
    for market in memory.markets.values():
        market.book.bids.changed = {}
        market.book.asks.changed = {}
    for wallet in image.wallets:
        needed = held.get(wallet.wallet_id, 0)
        check(
            wallet.held_atoms == needed,
            f"wallet {wallet.wallet_id} holds {wallet.held_atoms}, its orders need {needed}",
        )


def _restore_places(memory: Memory, image: Image) -> None:
    """Put every order where it rests or waits, in order of priority or activation."""
    mark_active(memory, image.orders)
    trailing: list[tuple[int, int, Order, Terms]] = []
    for order in sorted(image.orders, key=lambda order: order.priority):
        market = memory.markets[order.market_id]
        terms = order.terms
        if order.status is OrderStatus.UNTRIGGERED and terms is not None:
            if terms.activation_number:
                # Of those that one price activated, the most distant activation came first.
                rising = is_rising(order.order_type, order.side)
                price = terms.activation_price_atoms
                distance = price if rising else -price
                trailing.append((terms.activation_number, distance, order, terms))
            else:
                market.triggers(terms.trigger_type).add(order, terms)
        elif order.status is not OrderStatus.WAITING:
            market.book.side(order.side).insert(order)
    for _, _, order, terms in sorted(trailing, key=lambda entry: entry[:2]):
        memory.markets[order.market_id].triggers(terms.trigger_type).add(order, terms)


def state_hash(memory: Memory) -> str:
    """Return SHA-256 over every persisted field, in an order that no hash seed changes."""
    image = take_image(memory)
    orders = [
        tuple(getattr(order, name) for name in _HASHED_ORDER_FIELDS) for order in image.orders
    ]
    terms = [(order.order_id, order.terms) for order in image.orders if order.terms is not None]
    parts = [
        [getattr(image.sequences, name) for name in image.sequences.__slots__],
        image.assets,
        image.markets,
        image.fee_tiers,
        image.accounts,
        image.wallets,
        orders,
        terms,
        image.tasks,
        image.index_prices,
        image.switches,
        image.protections,
        image.price_windows,
        list(image.last_prices.items()),
        [image.time_ms, image.epoch, image.cancel_only_until_ms, image.post_only_until_ms],
    ]
    return hashlib.sha256(msgspec.msgpack.encode(parts)).hexdigest()


def check_all(memory: Memory) -> None:
    """
    Stop unless everything that must always hold does (O(state), for tests and start).

    Each asset sums to zero over all wallets; only ``external`` is negative; wallets hold
    exactly what their open orders need; books are sorted, uncrossed and complete.

    Raises:
        InvariantError: naming the first thing that does not hold.
    """
    sums: dict[int, int] = dict.fromkeys(memory.assets, 0)
    held: dict[int, int] = {}
    waiting = 0
    for order in memory.orders.values():
        market = memory.markets[order.market_id]
        check(order.held_atoms == hold_of(order), f"order {order.order_id} holds wrong")
        account = memory.ledger.accounts[order.account_id]
        waiting += order.status in (OrderStatus.UNTRIGGERED, OrderStatus.WAITING)
        if order.held_atoms:
            wallet = account.spot[market.paying_asset_id(order.side)]
            held[wallet.wallet_id] = held.get(wallet.wallet_id, 0) + order.held_atoms
        check(account.open_orders.get(order.order_id) is order, "open order is not listed")
    for account in memory.ledger.accounts.values():
        for wallets in (account.spot, account.margin):
            for wallet in wallets.values():
                sums[wallet.asset_id] += wallet.total_atoms
                check(
                    wallet.held_atoms == held.get(wallet.wallet_id, 0),
                    f"wallet {wallet.wallet_id} holds what no order needs",
                )
                check(
                    account is memory.ledger.external
                    or 0 <= wallet.held_atoms <= wallet.total_atoms,
                    f"wallet {wallet.wallet_id} is overdrawn",
                )
    for asset_id, total in sums.items():
        check(total == 0, f"asset {asset_id} sums to {total}, not to zero")
    resting = 0
    for market in memory.markets.values():
        market.book.check_invariants()
        for side in (market.book.bids, market.book.asks):
            resting += sum(level.live for level in side.levels.values())
    check(resting + waiting == len(memory.orders), "orders and books differ in number")


def _is_system(account_id: int) -> bool:
    return account_id in tuple(SystemAccount)
