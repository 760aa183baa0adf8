"""The whole state out of memory and back, and its hash."""

from __future__ import annotations

import hashlib

import msgspec

from exchange.core.collateral import contract_of
from exchange.core.contract import Contract, Insurance
from exchange.core.enums import (
    OrderStatus,
    Side,
    is_system_account,
)
from exchange.core.guards import set_guards
from exchange.core.ledger import Account, hold_of
from exchange.core.margin_ledger import clearing_atoms
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.observing import mark_active, restore_announcing, restore_fired
from exchange.core.state import DERIVED, Image, Order, Position, Terms
from exchange.core.switches import set_times
from exchange.core.tasks import ActivateTask, DeleverageTask, FireTask, FundingTask, LiquidateTask
from exchange.core.triggers import is_rising
from exchange.core.units import check

_HASHED_ORDER_FIELDS = tuple(
    name for name in Order.__struct_fields__ if name not in DERIVED["Order"]
)
_HASHED_POSITION_FIELDS = tuple(
    name for name in Position.__struct_fields__ if name not in DERIVED["Position"]
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
            ledger.accounts[key].config
            for key in sorted(ledger.accounts)
            if not is_system_account(key)
        ],
        wallets=sorted(wallets, key=lambda wallet: wallet.wallet_id),
        orders=[memory.orders[key] for key in sorted(memory.orders)],
        tasks=[*memory.tasks, *memory.waiting],
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
        positions=[memory.positions[key] for key in sorted(memory.positions)],
        contracts=[
            market.contract.config
            for _, market in sorted(memory.markets.items())
            if market.contract is not None
        ],
        insurances=[memory.insurances[key].config for key in sorted(memory.insurances)],
        prices=[
            market.contract.prices(key, market.index_atoms)
            for key, market in sorted(memory.markets.items())
            if market.contract is not None
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
    memory.tasks = [task for task in image.tasks if not isinstance(task, DeleverageTask)]
    memory.waiting = [task for task in image.tasks if isinstance(task, DeleverageTask)]
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
    _restore_positions(memory, image)
    _restore_orders(memory, image)
    _restore_risk(memory)
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
        if is_system_account(wallet.account_id):
            account = memory.ledger.system_account(wallet.account_id)
        else:
            account = accounts[wallet.account_id]
        account.wallets(wallet.kind)[wallet.asset_id] = wallet
        account.last_order_id = max(account.last_order_id, wallet.last_order_id)
        account.last_entry_id = max(account.last_entry_id, wallet.last_entry_id)


def _restore_positions(memory: Memory, image: Image) -> None:
    """Restore contracts, prices and slots with their sums; orders are counted in later."""
    memory.insurances = {config.group_id: Insurance(config) for config in image.insurances}
    for terms in image.contracts:
        memory.markets[terms.market_id].contract = Contract(terms)
        memory.insurances[terms.insurance_group].market_ids.append(terms.market_id)
    for prices in image.prices:
        market = memory.markets[prices.market_id]
        contract_of(market).take_prices(prices)
        market.set_mark(prices.mark_atoms, prices.time_ms)
    for position in sorted(image.positions, key=lambda position: position.slot_id):
        contract = contract_of(memory.markets[position.market_id])
        if is_system_account(position.account_id):
            account = memory.ledger.system_account(position.account_id)
        else:
            account = memory.ledger.accounts[position.account_id]
        _clear_derived(position)
        memory.positions[position.slot_id] = account.positions[position.market_id] = position
        contract.positions.append(position)
        contract.add_quantity(0, position.quantity_atoms, position.cost_atoms)
    for task in memory.tasks:
        if isinstance(task, FundingTask):
            memory.funding[task.market_id] = task
        elif isinstance(task, LiquidateTask):
            memory.liquidating.update(task.scopes)
    for waiting in memory.waiting:
        market_id = waiting.market_id if waiting.isolated else 0
        memory.liquidating.add((waiting.account_id, market_id))


def _clear_derived(position: Position) -> None:
    fresh = Position()
    for name in DERIVED["Position"]:
        setattr(position, name, getattr(fresh, name))


def _restore_risk(memory: Memory) -> None:
    """Set all guards, and check that positions and clearing balance out."""
    for account in memory.ledger.accounts.values():
        if account.positions:
            set_guards(memory, account)
    for market in memory.markets.values():
        if market.contract is not None:
            market.contract.check_sums(clearing_atoms(memory, market))


def _restore_orders(memory: Memory, image: Image) -> None:
    held: dict[int, int] = {}
    for order in image.orders:
        market = memory.markets[order.market_id]
        order.margined = market.contract is not None
        order.held_atoms = hold_of(order)
        if order.margined:
            _count_order(memory, order)
        elif order.held_atoms:
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


def _count_order(memory: Memory, order: Order) -> None:
    position = memory.ledger.accounts[order.account_id].positions[order.market_id]
    if order.side is Side.BUY:
        position.bid_atoms += order.held_atoms
    else:
        position.ask_atoms += order.held_atoms


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
    positions = [
        tuple(getattr(position, name) for name in _HASHED_POSITION_FIELDS)
        for position in image.positions
    ]
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
        positions,
        image.contracts,
        image.insurances,
        image.prices,
        list(image.last_prices.items()),
        [image.time_ms, image.epoch, image.cancel_only_until_ms, image.post_only_until_ms],
    ]
    return hashlib.sha256(msgspec.msgpack.encode(parts)).hexdigest()
