"""Accounts, wallets and configuration of the naive exchange; orders are in ``naive``."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.core import commands as c
from exchange.core.enums import (
    AccountStatus,
    MarketStatus,
    Side,
    StatusCause,
    SystemAccount,
    TriggerType,
    WalletKind,
)
from exchange.core.rejects import Code
from exchange.core.safety import MarketSafety
from simulation.naive_book import ATOMS, NaiveOrder

AMOUNT_MAX = 2**62
# Which orders see a price; on spot the mark price is the index price.
BY_LAST = (TriggerType.LAST,)
BY_INDEX = (TriggerType.INDEX, TriggerType.MARK)
PAUSE_LONG_MS = 10_000
CANCEL_ONLY_MS = 5_000
POST_ONLY_MS = 10_000

WalletKey = tuple[int, WalletKind, int]
# Price, quantity, taker order, maker order, taker fee, maker fee.
Fill = tuple[int, int, int, int, int, int]


class Refused(Exception):
    """A command ends with this code and changes nothing."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass
class Answer:
    """What the naive exchange says to one command."""

    code: Code
    reference_id: int = 0
    repeated: bool = False


class NaiveAccounts:
    """The whole state as dictionaries and one list of orders in order of arrival."""

    def __init__(self) -> None:
        self.assets: dict[int, c.ConfigureAsset] = {}
        self.markets: dict[int, c.ConfigureMarket] = {}
        self.status: dict[int, MarketStatus] = {}
        self.cause: dict[int, StatusCause] = {}
        self.until: dict[int, int] = {}
        self.broken: set[int] = set()
        self.tiers: dict[int, tuple[int, int]] = {}
        self.accounts: dict[int, c.ConfigureAccount] = {}
        self.totals: dict[WalletKey, int] = {}
        self.index: dict[int, int] = {}
        self.last: dict[int, int] = {}
        self.traded_ms: dict[int, int] = {}
        self.orders: list[NaiveOrder] = []
        self.ended: list[NaiveOrder] = []
        self.fills: list[Fill] = []
        self.last_order = 0
        self.last_transfer = 0
        self.cancel_only_until = 0
        self.post_only_until = 0
        self.now = 0
        self.epoch = 0

    # -- reading ----------------------------------------------------------------------

    def held(self, key: WalletKey) -> int:
        """Return the sum of what open orders hold in one wallet."""
        account_id, kind, asset_id = key
        if kind is not WalletKind.SPOT:
            return 0
        return sum(
            order.hold()
            for order in self.orders
            if order.account_id == account_id and self._hold_asset(order) == asset_id
        )

    def available(self, key: WalletKey) -> int:
        """Return what the owner may use."""
        return self.totals.get(key, 0) - self.held(key)

    def balances(self) -> dict[tuple[int, int, int], tuple[int, int]]:
        """Return total and held of every wallet that is not empty."""
        held: dict[tuple[int, int, int], int] = {}
        for order in self.orders:
            key = (order.account_id, int(WalletKind.SPOT), self._hold_asset(order))
            held[key] = held.get(key, 0) + order.hold()
        totals = {(key[0], int(key[1]), key[2]): total for key, total in self.totals.items()}
        return {key: (total, held.get(key, 0)) for key, total in totals.items() if total}

    def levels(self, market_id: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return bids and asks as (price, quantity), best first."""
        sides: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
        for order in self.orders:
            if order.market_id == market_id and order.is_in_book():
                level = sides[order.side]
                level[order.price] = level.get(order.price, 0) + order.remaining
        bids = sorted(sides[Side.BUY].items(), reverse=True)
        return bids, sorted(sides[Side.SELL].items())

    def _hold_asset(self, order: NaiveOrder) -> int:
        market = self.markets[order.market_id]
        return market.quote_asset_id if order.side is Side.BUY else market.base_asset_id

    def active_account(self, account_id: int) -> c.ConfigureAccount:
        """Return an account that may trade and move money."""
        account = self.accounts.get(account_id)
        if account is None:
            raise Refused(Code.ACCOUNT_NOT_FOUND)
        if account.status is AccountStatus.SUSPENDED:
            raise Refused(Code.ACCOUNT_SUSPENDED)
        if account.status is AccountStatus.CANCEL_ONLY:
            raise Refused(Code.ACCOUNT_CANCEL_ONLY)
        return account

    def add(self, account_id: int, asset_id: int, amount: int) -> None:
        """Change a spot wallet."""
        key = (int(account_id), WalletKind.SPOT, asset_id)
        self.totals[key] = self.totals.get(key, 0) + amount

    # -- money ------------------------------------------------------------------------

    def transfer(self, move: c.Transfer, finding: c.ClientIdFinding | None) -> Answer:
        """Move an available amount between two wallets."""
        if finding:
            return same_request(finding, move.request_hash, Code.TRANSFER_ID_CONFLICT)
        if move.target_account_id not in self.accounts:
            raise Refused(Code.ACCOUNT_NOT_FOUND)
        self.active_account(move.account_id)
        source = (move.account_id, move.wallet, move.asset_id)
        target = (move.target_account_id, move.target_wallet, move.asset_id)
        self.require_asset(move.asset_id)
        short = move.amount_atoms > self.available(source)
        return self._move(move, source, target, short=short, same=source == target)

    def credit(self, move: c.Credit, finding: c.ClientIdFinding | None) -> Answer:
        """Deposit from outside."""
        if finding:
            return same_request(finding, move.request_hash, Code.TRANSFER_ID_CONFLICT)
        if move.account_id not in self.accounts:
            raise Refused(Code.ACCOUNT_NOT_FOUND)
        self.require_asset(move.asset_id)
        source = (int(SystemAccount.EXTERNAL), WalletKind.SPOT, move.asset_id)
        target = (move.account_id, move.wallet, move.asset_id)
        return self._move(move, source, target, short=False, same=False)

    def debit(self, move: c.Debit, finding: c.ClientIdFinding | None) -> Answer:
        """Withdraw an available amount to outside."""
        if finding:
            return same_request(finding, move.request_hash, Code.TRANSFER_ID_CONFLICT)
        if move.account_id not in self.accounts:
            raise Refused(Code.ACCOUNT_NOT_FOUND)
        self.require_asset(move.asset_id)
        source = (move.account_id, move.wallet, move.asset_id)
        target = (int(SystemAccount.EXTERNAL), WalletKind.SPOT, move.asset_id)
        short = move.amount_atoms > self.available(source)
        return self._move(move, source, target, short=short, same=False)

    def require_free(self, source: WalletKey, amount: int) -> None:
        """Check that nothing depends on an amount that is there; on spot nothing does."""

    def mark_of(self, market_id: int) -> int:
        """Return the mark price, 0 when there is none; on spot it is the index."""
        return self.index.get(market_id, 0)

    def require_asset(self, asset_id: int) -> None:
        """Refuse an asset that does not exist."""
        if asset_id not in self.assets:
            raise Refused(Code.ASSET_NOT_FOUND)

    def _move(
        self,
        move: c.Transfer | c.Credit | c.Debit,
        source: WalletKey,
        target: WalletKey,
        *,
        short: bool,
        same: bool,
    ) -> Answer:
        amount = move.amount_atoms
        step = 10 ** (8 - self.assets[move.asset_id].decimals)
        if amount <= 0 or amount > AMOUNT_MAX or amount % step:
            raise Refused(Code.INVALID_AMOUNT)
        if short:
            raise Refused(Code.INSUFFICIENT_BALANCE)
        self.require_free(source, amount)
        if same:
            raise Refused(Code.SAME_WALLET)
        outside = source[0] == SystemAccount.EXTERNAL
        if outside and amount - self.totals.get(source, 0) > AMOUNT_MAX:
            raise Refused(Code.BALANCE_LIMIT)
        self.totals[source] = self.totals.get(source, 0) - amount
        self.totals[target] = self.totals.get(target, 0) + amount
        self.last_transfer += 1
        return Answer(Code.OK, self.last_transfer)

    # -- configuration ----------------------------------------------------------------

    def configure_asset(self, asset: c.ConfigureAsset, _: object) -> Answer:
        """Create or change an asset; decimals never fall."""
        if asset.asset_id <= 0 or not asset.code or not 0 <= asset.decimals <= 8:
            raise Refused(Code.INVALID_CONFIGURATION)
        known = self.assets.get(asset.asset_id)
        if known and (asset.code != known.code or asset.decimals < known.decimals):
            raise Refused(Code.CONFIGURATION_IN_USE)
        self.assets[asset.asset_id] = asset
        return Answer(Code.OK)

    def configure_market(self, market: c.ConfigureMarket, _: object) -> Answer:
        """Create or change a market."""
        for asset_id in (market.base_asset_id, market.quote_asset_id):
            self.require_asset(asset_id)
        bounds = (
            market.quantity_min_atoms,
            market.quantity_max_atoms,
            market.price_min_atoms,
            market.price_max_atoms,
            market.notional_min_atoms,
            market.price_band_e8,
            market.market_band_e8,
        )
        grid = market.tick_atoms > 0 and market.lot_atoms > 0
        if (
            market.market_id <= 0
            or not grid
            or market.tick_atoms * market.lot_atoms % ATOMS
            or min(bounds) < 0
            or max(bounds) > AMOUNT_MAX
            or max(market.price_band_e8, market.market_band_e8) >= ATOMS
            or market.base_asset_id == market.quote_asset_id
            or not _is_safe(market.safety)
        ):
            raise Refused(Code.INVALID_CONFIGURATION)
        known = self.markets.get(market.market_id)
        if known and (
            (known.base_asset_id, known.quote_asset_id, known.kind)
            != (market.base_asset_id, market.quote_asset_id, market.kind)
        ):
            raise Refused(Code.CONFIGURATION_IN_USE)
        resting = any(order.market_id == market.market_id for order in self.orders)
        if (
            known
            and resting
            and ((known.tick_atoms, known.lot_atoms) != (market.tick_atoms, market.lot_atoms))
        ):
            raise Refused(Code.CONFIGURATION_IN_USE)
        if known and known.safety != market.safety:
            self.forget_prices(market.market_id)
        self.markets[market.market_id] = market
        self.set_status(market.market_id, market.status, StatusCause.OPERATOR)
        return Answer(Code.OK)

    def set_market_status(self, change: c.SetMarketStatus, _: object) -> Answer:
        """Halt, resume or restrict a market."""
        if change.market_id not in self.markets:
            raise Refused(Code.MARKET_NOT_FOUND)
        self.set_status(change.market_id, change.status, change.cause)
        return Answer(Code.OK)

    def set_status(self, market_id: int, status: MarketStatus, cause: StatusCause) -> None:
        """Change a market's status for as long as nobody changes it again."""
        self.status[market_id] = status
        self.cause[market_id] = StatusCause.NONE if status is MarketStatus.TRADING else cause
        self.until.pop(market_id, None)

    def forget_prices(self, market_id: int) -> None:
        """Forget what a circuit breaker knows of earlier prices."""
        raise NotImplementedError

    def configure_fee_tier(self, tier: c.ConfigureFeeTier, _: object) -> Answer:
        """Set both rates; their sum is never negative."""
        maker, taker = tier.maker_rate_e8, tier.taker_rate_e8
        if tier.tier < 0 or not 0 <= taker < ATOMS or maker >= ATOMS:
            raise Refused(Code.INVALID_CONFIGURATION)
        # Any maker may meet any taker, so the sum must hold across all tiers.
        tiers = {**self.tiers, tier.tier: (maker, taker)}.values()
        lowest_taker = min(rates[1] for rates in tiers)
        if min(rates[0] for rates in tiers) + lowest_taker < 0:
            raise Refused(Code.INVALID_CONFIGURATION)
        if any(order.maker_rate + lowest_taker < 0 for order in self.orders):
            raise Refused(Code.CONFIGURATION_IN_USE)
        self.tiers[tier.tier] = (maker, taker)
        return Answer(Code.OK)

    def configure_account(self, account: c.ConfigureAccount, _: object) -> Answer:
        """Create or change an account."""
        if (
            account.account_id < 1_000
            or account.open_orders_max < 1
            or account.fee_tier not in self.tiers
        ):
            raise Refused(Code.INVALID_CONFIGURATION)
        self.accounts[account.account_id] = account
        return Answer(Code.OK)

    def update_index_prices(self, update: c.UpdateIndexPrices, _: object) -> Answer:
        """Set the reference price of markets that exist."""
        for market_id, price in update.prices:
            if market_id not in self.markets:
                raise Refused(Code.MARKET_NOT_FOUND)
            if not 0 < price <= AMOUNT_MAX:
                raise Refused(Code.INVALID_PRICE)
        for market_id, price in update.prices:
            self.index[market_id] = price
            self.observe(market_id, price, BY_INDEX)
        return Answer(Code.OK)

    def observe(self, market_id: int, price: int, kinds: tuple[TriggerType, ...]) -> None:
        """Let conditional orders see a price."""
        raise NotImplementedError

    def start_leadership(self, start: c.StartLeadership, _: object) -> Answer:
        """After a long pause only cancels are accepted, then only post-only orders."""
        if start.epoch <= self.epoch:
            raise Refused(Code.STALE_EPOCH)
        self.epoch = start.epoch
        if start.down_ms >= PAUSE_LONG_MS:
            self.cancel_only_until = self.now + CANCEL_ONLY_MS
            self.post_only_until = self.cancel_only_until + POST_ONLY_MS
        return Answer(Code.OK)


def _is_safe(safety: MarketSafety) -> bool:
    day = range(24 * 3_600_000 + 1)
    return (
        safety.breaker_band_e8 in range(ATOMS)
        and safety.trigger_protect_e8 in range(ATOMS)
        and safety.breaker_window_ms in day[1:]
        and safety.halt_ms in day
        and safety.cancel_only_ms in day
        and safety.post_only_ms in day
    )


def same_request(finding: c.ClientIdFinding, request_hash: int, conflict: Code) -> Answer:
    """
    Return the first answer's reference when the same request came before.

    Raises:
        Refused: if the client id was used for another request.
    """
    if finding.request_hash != request_hash:
        raise Refused(conflict)
    return Answer(Code.OK, finding.reference_id, repeated=True)
