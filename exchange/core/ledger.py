"""
Accounts, wallets, holds and double-entry postings.

Every posting set sums to zero per asset: a trade moves base one way and quote the other,
fees go to the ``fees`` account, deposits come from ``external``. A change that would leave
a wallet with less than it holds stops the writer.
"""

from __future__ import annotations

from exchange.core.enums import (
    AccountStatus,
    LedgerKind,
    OrderStatus,
    SelfTradeMode,
    Side,
    SystemAccount,
    WalletKind,
)
from exchange.core.events import AccountConfigured, LedgerPosted, TradeExecuted
from exchange.core.state import (
    Changes,
    Order,
    Position,
    QuoteProtection,
    Sequences,
    Wallet,
)
from exchange.core.units import ATOMS, RATE_ONE, InvariantError, ceil_div

_BUY, _SELL = Side.BUY, Side.SELL
_SPOT = WalletKind.SPOT
_TRADE = LedgerKind.TRADE


class Account:
    """
    What the core knows of an account beside its wallets' rows.

    ``protections`` are its market-maker protections by market, ``positions`` has one slot per
    perpetual market it ever had settings or orders in. ``open_orders`` is in order of
    placement; ``last_order_id`` and ``last_entry_id`` are the heads of the chains that its
    history is read along.
    """

    __slots__ = (
        "account_id",
        "config",
        "last_entry_id",
        "last_order_id",
        "margin",
        "may_trade",
        "open_by_client_id",
        "open_counts",
        "open_orders",
        "positions",
        "protections",
        "spot",
    )

    def __init__(self, config: AccountConfigured) -> None:
        """Open an account without wallets."""
        self.account_id = config.account_id
        self.configure(config)
        self.spot: dict[int, Wallet] = {}
        self.margin: dict[int, Wallet] = {}
        self.positions: dict[int, Position] = {}
        self.open_orders: dict[int, Order] = {}
        self.open_counts: dict[int, int] = {}
        self.open_by_client_id: dict[str, Order] = {}
        self.protections: dict[int, QuoteProtection] = {}
        self.last_order_id = 0
        self.last_entry_id = 0

    def configure(self, config: AccountConfigured) -> None:
        """Take over new settings; accounts of the exchange itself have no open orders."""
        self.config = config
        self.may_trade = config.status is AccountStatus.ACTIVE and config.open_orders_max > 0

    def wallets(self, kind: WalletKind) -> dict[int, Wallet]:
        """Return the wallets of a kind by asset."""
        return self.spot if kind is _SPOT else self.margin

    def remember(self, order: Order) -> None:
        """List an order that now rests."""
        self.open_orders[order.order_id] = order
        self.open_counts[order.market_id] = self.open_counts.get(order.market_id, 0) + 1
        if order.client_order_id:
            self.open_by_client_id[order.client_order_id] = order

    def forget(self, order: Order) -> None:
        """Unlist an order that no longer rests."""
        del self.open_orders[order.order_id]
        self.open_counts[order.market_id] -= 1
        if order.client_order_id:
            del self.open_by_client_id[order.client_order_id]


class Ledger:
    """All wallets, and the only place that changes what they hold."""

    __slots__ = ("accounts", "changes", "external", "fees", "sequences")

    def __init__(self, sequences: Sequences, changes: Changes) -> None:
        """Start with the system accounts alone."""
        self.sequences = sequences
        self.changes = changes
        self.external = Account(_system_config(SystemAccount.EXTERNAL))
        self.fees = Account(_system_config(SystemAccount.FEES))
        self.accounts: dict[int, Account] = {
            account.account_id: account for account in (self.external, self.fees)
        }

    def wallet(self, account: Account, kind: WalletKind, asset_id: int) -> Wallet:
        """Return a wallet, opening it when it does not exist: from then on it has a row."""
        wallets = account.wallets(kind)
        wallet = wallets.get(asset_id)
        if wallet is None:
            self.sequences.wallet += 1
            wallet = wallets[asset_id] = Wallet(
                self.sequences.wallet, account.account_id, kind, asset_id
            )
            self.changes.wallets[wallet.wallet_id] = wallet
        return wallet

    def touch(self, account: Account, wallet: Wallet) -> None:
        """
        Mark a wallet as changed and check that it still covers its holds.

        Margin wallets hold nothing and may be negative while positions are open, which
        ``perpetual`` checks; clearing accounts are whatever their positions' costs are not.
        """
        wallet.last_order_id = account.last_order_id
        wallet.last_entry_id = account.last_entry_id
        self.changes.wallets[wallet.wallet_id] = wallet
        held = wallet.held_atoms
        if (
            not 0 <= held <= wallet.total_atoms
            and account is not self.external
            and wallet.kind is _SPOT
        ):
            raise InvariantError(
                f"wallet {wallet.wallet_id} holds {held} of {wallet.total_atoms} atoms"
            )

    def post_trade(
        self, buyer: Account, seller: Account, trade: TradeExecuted, base_id: int, quote_id: int
    ) -> None:
        """Exchange base for quote between two accounts and collect both fees."""
        if trade.taker_side is _BUY:
            buyer_fee, seller_fee = trade.taker_fee_atoms, trade.maker_fee_atoms
        else:
            buyer_fee, seller_fee = trade.maker_fee_atoms, trade.taker_fee_atoms
        quantity, quote = trade.quantity_atoms, trade.quote_atoms
        self._post_side(buyer, trade, base_id, quantity, quote_id, -quote - buyer_fee, buyer_fee)
        self._post_side(seller, trade, base_id, -quantity, quote_id, quote - seller_fee, seller_fee)
        fees = self.fees.spot.get(quote_id) or self.wallet(self.fees, _SPOT, quote_id)
        fees.total_atoms += buyer_fee + seller_fee
        self.changes.wallets[fees.wallet_id] = fees

    def _post_side(
        self,
        account: Account,
        trade: TradeExecuted,
        base_id: int,
        base_atoms: int,
        quote_id: int,
        quote_atoms: int,
        fee_atoms: int,
    ) -> None:
        spot = account.spot
        base = spot.get(base_id) or self.wallet(account, _SPOT, base_id)
        quote = spot.get(quote_id) or self.wallet(account, _SPOT, quote_id)
        base.total_atoms += base_atoms
        quote.total_atoms += quote_atoms
        sequences = self.sequences
        sequences.entry += 1
        self.changes.entries.append(
            LedgerPosted(
                sequences.entry,
                account.last_entry_id,
                account.account_id,
                _TRADE,
                trade.trade_id,
                _SPOT,
                base_id,
                base_atoms,
                base.total_atoms,
                quote_id,
                quote_atoms,
                quote.total_atoms,
                fee_atoms,
                trade.time_ms,
            )
        )
        account.last_entry_id = sequences.entry
        if not (
            0 <= base.held_atoms <= base.total_atoms and 0 <= quote.held_atoms <= quote.total_atoms
        ):
            raise InvariantError(f"account {account.account_id} holds more than it owns")
        wallets = self.changes.wallets
        wallets[base.wallet_id] = base
        wallets[quote.wallet_id] = quote
        base.last_entry_id = quote.last_entry_id = sequences.entry
        base.last_order_id = quote.last_order_id = account.last_order_id

    def system_account(self, account_id: int) -> Account:
        """Return an account; one of the exchange itself is opened at first use."""
        account = self.accounts.get(account_id)
        if account is None:
            account = self.accounts[account_id] = Account(_system_config(account_id))
        return account

    def post_amount(
        self,
        account: Account,
        wallet: Wallet,
        *,
        amount_atoms: int,
        kind: LedgerKind,
        reference_id: int,
        time_ms: int,
        note: str,
    ) -> None:
        """Book one signed amount into one wallet; the caller books its contra."""
        wallet.total_atoms += amount_atoms
        self.sequences.entry += 1
        entry_id = self.sequences.entry
        self.changes.entries.append(
            LedgerPosted(
                entry_id,
                account.last_entry_id,
                account.account_id,
                kind,
                reference_id,
                wallet.kind,
                wallet.asset_id,
                amount_atoms,
                wallet.total_atoms,
                0,
                0,
                0,
                0,
                time_ms,
                note,
            )
        )
        account.last_entry_id = entry_id
        self.touch(account, wallet)


def hold_needed(order: Order, quote_atoms: int) -> int:
    """
    Return what a resting order must hold, in atoms of the asset it pays with.

    A sell holds its remaining base. A buy holds ``quote_atoms``, the value of the remainder
    at its limit, plus the fee at the higher of its rates, rounded up over the whole order:
    however it fills, the hold covers it exactly.
    """
    if order.side is _SELL:
        return order.remaining_atoms
    rate = order.taker_rate_e8
    if rate < order.maker_rate_e8:
        rate = order.maker_rate_e8
    # ceil_div, spelled out: nearly every order comes by here.
    return quote_atoms - (order.fee_remainder - quote_atoms * rate) // RATE_ONE


def hold_of(order: Order) -> int:
    """
    Return what any open order must hold, special ones included.

    An iceberg holds for its reserve too, a conditional market buy at its price cap, and the
    other leg of an OCO nothing. An order of a perpetual market holds nothing in a wallet:
    for it this is the value that counts in the order margin of its position.
    """
    terms = order.terms
    if order.margined:
        return _margined_value(order)
    if terms is None:
        return hold_needed(order, order.price_atoms * order.remaining_atoms // ATOMS)
    if not terms.holds:
        return 0
    quantity = order.remaining_atoms + terms.hidden_atoms
    if order.side is Side.SELL:
        return quantity
    return hold_needed(order, ceil_div((order.price_atoms or terms.cap_atoms) * quantity, ATOMS))


def _margined_value(order: Order) -> int:
    """Return price x open quantity of a resting order that may open a position, else 0."""
    terms = order.terms
    if terms is None:
        return order.price_atoms * order.remaining_atoms // ATOMS
    if (
        not terms.holds
        or terms.reduce_only
        or terms.close_position
        or order.status in (OrderStatus.UNTRIGGERED, OrderStatus.WAITING)
    ):
        return 0
    return order.price_atoms * (order.remaining_atoms + terms.hidden_atoms) // ATOMS


def charge_fee(order: Order, *, quote_atoms: int, rate_e8: int) -> int:
    """
    Add the fee of one fill to an order and return it, in quote atoms (negative: a rebate).

    Fees are rounded up once over all fills of an order: this fill's fee is the rounded total
    so far minus what was charged before.
    """
    exact = quote_atoms * rate_e8 - order.fee_remainder
    # ceil_div, spelled out: two calls fewer for each fill.
    fee = -(-exact // RATE_ONE)
    order.fee_remainder = fee * RATE_ONE - exact
    order.fee_atoms += fee
    return fee


def _system_config(account_id: int) -> AccountConfigured:
    return AccountConfigured(
        int(account_id), AccountStatus.ACTIVE, 0, 0, SelfTradeMode.EXPIRE_TAKER
    )
