"""
How an account stands: its positions at their marks, computed by the core's own rules.

The rows of one account become a small memory of the core, so that what is shown is what the
exchange would decide with, to the last rounding. Nothing here is submitted or kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from common.db import read_snapshot
from exchange.core import collateral, takeover
from exchange.core.adjusting import removable_atoms
from exchange.core.contract import Contract
from exchange.core.enums import (
    AccountStatus,
    MarginMode,
    MarketKind,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    WalletKind,
)
from exchange.core.events import AccountConfigured, BalanceChanged, MarketConfigured
from exchange.core.ledger import Account, hold_of
from exchange.core.margin import initial_margin, liquidation_price, notional_atoms
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.state import Image, Order, Position, Wallet
from markets.perpetuals import contracts_by_id, prices_by_id
from markets.selectors import markets_all
from orders.own_orders import own_orders
from positions import adl
from positions.models import Position as PositionRow
from positions.projection import POSITIONS, position_from_row
from positions.types import PositionExit, PositionView
from wallets.selectors import balances_of
from wallets.types import MarginSummary

_EXIT_TYPES = (OrderType.TAKE_PROFIT, OrderType.STOP_LOSS)


class Standing:
    """One account as of one committed moment."""

    def __init__(self, account_id: int, *, memory: Memory, account: Account) -> None:
        """Keep what was read."""
        self.account_id = account_id
        self.memory = memory
        self.account = account
        self._limits: dict[int, adl.Limits] | None = None

    def position(self, market_id: int) -> Position | None:
        """Return the account's slot in a market."""
        return self.account.positions.get(market_id)

    def views(self) -> list[PositionView]:
        """Return all open positions, the oldest first."""
        slots = [slot for slot in self.account.positions.values() if slot.quantity_atoms]
        return [self.view(slot) for slot in sorted(slots, key=lambda slot: slot.position_id)]

    def view(self, slot: Position) -> PositionView:
        """Return one open position at its mark."""
        market = self.memory.markets[slot.market_id]
        contract = collateral.contract_of(market)
        balance, backed = takeover.health(self.memory, self.account, slot)
        notional = notional_atoms(slot.quantity_atoms, contract.mark_atoms)
        profit = collateral.profit_atoms(slot, contract)
        maintenance = collateral.maintenance_atoms(slot, contract)
        isolated = slot.mode is MarginMode.ISOLATED
        quote = takeover.bankruptcy_quote(self.memory, self.account, slot) if backed else 0
        exits = self._exits(slot)
        return PositionView(
            slot=slot,
            mark_atoms=contract.mark_atoms,
            notional_atoms=notional,
            profit_atoms=profit,
            initial_atoms=initial_margin(notional, slot.leverage),
            maintenance_atoms=maintenance,
            balance_atoms=balance,
            backed_atoms=backed,
            liquidation_atoms=self.liquidation_atoms(slot),
            bankruptcy_atoms=takeover.bankruptcy_price(quote, slot, market.config.tick_atoms)
            if quote
            else 0,
            removable_atoms=removable_atoms(slot, market) if isolated else 0,
            light=self._light(slot, contract.mark_atoms, quote),
            take_profit=exits.get(OrderType.TAKE_PROFIT),
            stop_loss=exits.get(OrderType.STOP_LOSS),
        )

    def liquidation_atoms(self, slot: Position) -> int:
        """Return the mark at which a position is liquidated, others standing still; 0 is none."""
        market = self.memory.markets[slot.market_id]
        contract = collateral.contract_of(market)
        if slot.mode is MarginMode.ISOLATED:
            wallet, maintenance, profit = slot.isolated_atoms, 0, 0
        else:
            quote_id = market.config.quote_asset_id
            wallet = collateral.wallet_atoms(self.account, quote_id)
            balance, maintenance = collateral.cross_health(self.memory, self.account, quote_id)
            maintenance -= collateral.maintenance_atoms(slot, contract)
            profit = balance - wallet - collateral.profit_atoms(slot, contract)
        return liquidation_price(
            brackets=contract.brackets,
            quantity_atoms=slot.quantity_atoms,
            cost_atoms=slot.cost_atoms,
            wallet_atoms=wallet,
            others_maintenance_atoms=maintenance,
            others_profit_atoms=profit,
        )

    def summaries(self) -> list[MarginSummary]:
        """Return the margin wallets, in the order of their assets."""
        return [self.summary(asset_id) for asset_id in sorted(self.account.margin)]

    def summary(self, asset_id: int) -> MarginSummary:
        """Return one margin wallet with what it backs."""
        memory, account = self.memory, self.account
        wallet = collateral.wallet_atoms(account, asset_id)
        equity, maintenance = collateral.cross_health(memory, account, asset_id)
        initial = sum(
            collateral.order_and_position_margin(slot, collateral.contract_of(market))
            for slot in account.positions.values()
            if (market := memory.markets[slot.market_id]).config.quote_asset_id == asset_id
        )
        return MarginSummary(
            asset_id=asset_id,
            wallet_atoms=wallet,
            profit_atoms=equity - wallet,
            equity_atoms=equity,
            available_atoms=max(0, collateral.available_atoms(memory, account, asset_id)),
            transferable_atoms=collateral.transferable_atoms(memory, account, asset_id),
            initial_atoms=initial,
            maintenance_atoms=maintenance,
        )

    def _light(self, slot: Position, mark_atoms: int, bankruptcy_quote_atoms: int) -> int | None:
        if self._limits is None:
            self._limits = adl.limits_read(list(self.account.positions))
        limits = self._limits.get(slot.market_id)
        if limits is None:
            return None
        own_score = adl.score(
            quantity_atoms=slot.quantity_atoms,
            cost_atoms=slot.cost_atoms,
            mark_atoms=mark_atoms,
            bankruptcy_quote_atoms=bankruptcy_quote_atoms,
        )
        return adl.light_of(limits, quantity_atoms=slot.quantity_atoms, own_score=own_score)

    def _exits(self, slot: Position) -> dict[OrderType, PositionExit]:
        found: dict[OrderType, PositionExit] = {}
        for order in (slot.reducing or {}).values():
            terms = order.terms
            if (
                terms is not None
                and terms.close_position
                and order.status is OrderStatus.UNTRIGGERED
                and order.order_type in _EXIT_TYPES
            ):
                found[order.order_type] = PositionExit(
                    order.order_id, terms.trigger_price_atoms, terms.trigger_type
                )
        return found


def standing_of(account_id: int) -> Standing:
    """Return how an account stands, read in one snapshot."""
    with read_snapshot():
        memory = perpetual_memory()
        account = blank_account(account_id)
        memory.ledger.accounts[account_id] = account
        _take_wallets(account)
        slots = PositionRow.objects.filter(account_id=account_id)
        # One per market at most: sorted here, where the database would sort as well.
        for row in sorted(slots.values_list(*POSITIONS.columns)):
            slot = position_from_row(row)
            account.positions[slot.market_id] = slot
        _count_orders(account, own_orders(account_id, list(account.positions)))
    return Standing(account_id, memory=memory, account=account)


def standing_in(image: Image, account_id: int) -> Standing:
    """Return how an account stands in the state of an image, whose objects are taken over."""
    memory = Memory()
    prices = {found.market_id: found for found in image.prices}
    contracts = {found.market_id: found for found in image.contracts}
    for config in image.markets:
        market = Market(config)
        market.contract = Contract(contracts[config.market_id])
        if config.market_id in prices:
            market.contract.take_prices(prices[config.market_id])
        memory.markets[config.market_id] = market
    account = blank_account(account_id)
    memory.ledger.accounts[account_id] = account
    for wallet in image.wallets:
        if wallet.account_id == account_id and wallet.kind is WalletKind.MARGIN:
            account.margin[wallet.asset_id] = wallet
    for slot in image.positions:
        # The image's slots count their orders already.
        if slot.account_id == account_id:
            account.positions[slot.market_id] = slot
    return Standing(account_id, memory=memory, account=account)


def margin_summaries(account_id: int) -> list[MarginSummary]:
    """Return an account's margin wallets with what they back, in the order of their assets."""
    return standing_of(account_id).summaries()


def perpetual_memory() -> Memory:
    """Return a memory of the core with all perpetual markets at their marks, and nobody."""
    memory = Memory()
    perpetuals = [market for market in markets_all() if market.kind is MarketKind.PERPETUAL]
    contracts, prices = contracts_by_id(), prices_by_id()
    for info in perpetuals:
        terms = contracts.get(info.market_id)
        if terms is None:
            continue
        market = Market(
            MarketConfigured(*(getattr(info, name) for name in MarketConfigured.__struct_fields__))
        )
        market.contract = Contract(terms)
        if info.market_id in prices:
            market.contract.take_prices(prices[info.market_id])
        memory.markets[info.market_id] = market
    return memory


def blank_account(account_id: int) -> Account:
    """Return an account of the core that has nothing yet."""
    return Account(
        AccountConfigured(account_id, AccountStatus.ACTIVE, 0, 1, SelfTradeMode.EXPIRE_TAKER)
    )


def _take_wallets(account: Account) -> None:
    for balance in balances_of(account.account_id):
        if balance.wallet is WalletKind.MARGIN:
            take_wallet(account, balance)


def take_wallet(account: Account, balance: BalanceChanged) -> None:
    """Give an account the margin wallet that a balance says."""
    account.margin[balance.asset_id] = Wallet(
        account_id=account.account_id,
        kind=WalletKind.MARGIN,
        asset_id=balance.asset_id,
        total_atoms=balance.total_atoms,
    )


def _count_orders(account: Account, orders: Iterable[Order]) -> None:
    """Let open orders count in the margin of their slots, as loading does."""
    for order in orders:
        slot = account.positions[order.market_id]
        order.margined = True
        order.held_atoms = hold_of(order)
        if order.side is Side.BUY:
            slot.bid_atoms += order.held_atoms
        else:
            slot.ask_atoms += order.held_atoms
        terms = order.terms
        if terms is not None and (terms.reduce_only or terms.close_position):
            slot.reducing = slot.reducing or {}
            slot.reducing[order.order_id] = order
