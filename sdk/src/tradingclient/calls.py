"""Every request of the REST API as a value: how it is written and how its answer is read."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, Required, TypedDict, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from tradingclient import models
from tradingclient.errors import AuthenticationError
from tradingclient.models import symbol_path
from tradingclient.money import Amount, amount_text

Answer = TypeVar("Answer")
Json = dict[str, Any]

# What one batch request may carry.
BATCH_MAX = 40


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """
    One request: method, path with its raw query, body and the reader of the answer.

    ``two_factor_code`` goes with what asks for the second factor again.
    """

    method: str
    target: str
    body: bytes
    decode: Callable[[bytes], Answer]
    two_factor_code: str = ""

    @property
    def repeatable(self) -> bool:
        """Return whether sending it twice is the same as sending it once."""
        return self.method == "GET"


class OrderFields(TypedDict, total=False):
    """An order; docs/API.md says what each type needs. Amounts: Decimal, text or int."""

    symbol: Required[str]
    side: Required[str]
    type: Required[str]
    quantity: Amount
    quote_quantity: Amount
    price: Amount
    time_in_force: str
    post_only: bool
    client_order_id: str
    slippage: Amount
    self_trade_prevention: str
    trigger_price: Amount
    trigger_by: str
    activation_price: Amount
    callback_rate: Amount
    display_quantity: Amount
    expire_time: int
    reprice: bool
    reduce_only: bool
    close_position: bool


class AmendFields(TypedDict, total=False):
    """What to change of an order."""

    quantity: Amount
    price: Amount
    trigger_price: Amount


# Fields that are amounts, wherever they appear; everything else travels as it is.
_AMOUNTS = frozenset(
    {
        "activation_price",
        "amount",
        "callback_rate",
        "display_quantity",
        "price",
        "quantity",
        "quote_quantity",
        "slippage",
        "trigger_price",
    }
)


def new_client_order_id() -> str:
    """Return an id that no other order has."""
    return f"tc-{uuid.uuid4().hex}"


def plain(fields: Mapping[str, Any]) -> Json:
    """
    Return request fields as JSON values: amounts as text, None left out, legs inside too.

    Raises:
        TypeError: when an amount is a float.
    """
    body: Json = {}
    for name, value in fields.items():
        if value is None:
            continue
        if isinstance(value, Mapping):
            body[name] = plain(value)
        elif name in _AMOUNTS or isinstance(value, Decimal):
            body[name] = amount_text(value)
        else:
            body[name] = value
    return body


def order_ref(order_id: str | None, client_order_id: str | None) -> Json:
    """
    Return the field that names an order.

    Raises:
        ValueError: unless exactly one of the two is given.
    """
    if (order_id is None) == (client_order_id is None):
        raise ValueError("expected either order_id or client_order_id")
    if order_id is not None:
        return {"order_id": order_id}
    return {"client_order_id": client_order_id}


def target_of(path: str, query: Mapping[str, str | int | None] | None = None) -> str:
    """Return a path with its query; None leaves a parameter out."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _reader(kind: type[Answer]) -> Callable[[bytes], Answer]:
    return msgspec.json.Decoder(kind).decode


_ACCOUNT = _reader(models.Account)
_BALANCES = _reader(models.Balances)
_BATCH = _reader(models.BatchResults)
_BOOK = _reader(models.BookSnapshot)
_CANCELLED = _reader(models.CancelledAll)
_ENTRIES = _reader(models.Page[models.LedgerEntry])
_FILLS = _reader(models.Page[models.Fill])
_GROUP = _reader(models.OrderGroup)
_JSON = _reader(dict[str, Any])
_KLINES = _reader(models.Klines)
_MARKET = _reader(models.Market)
_MARKETS = _reader(models.Page[models.Market])
_ORDER = _reader(models.Order)
_ORDERS = _reader(models.Page[models.Order])
_PREVIEW = _reader(models.Preview)
_TICKER = _reader(models.Ticker)
_TICKET = _reader(models.Ticket)
_TIME = _reader(models.ServerTime)
_TOKENS = _reader(models.Tokens)
_TRADES = _reader(models.Trades)
_TRANSFER = _reader(models.Transfer)
_USER = _reader(models.User)
_WITHDRAWAL = _reader(models.Withdrawal)
_WITHDRAWALS = _reader(models.Page[models.Withdrawal])
_ADDRESS = _reader(models.WithdrawalAddress)
_ADDRESSES = _reader(models.Page[models.WithdrawalAddress])


def _nothing(_raw: bytes) -> None:
    return None


def _read_login(data: bytes) -> models.Tokens:
    """Read tokens; a challenge instead of them means that the second factor is missing."""
    if "challenge" in _JSON(data):
        raise AuthenticationError("TWO_FACTOR_REQUIRED", "This login needs a code: two_factor.")
    return _TOKENS(data)


def _call(
    method: str, target: str, decode: Callable[[bytes], Answer], body: Json | None = None
) -> Call[Answer]:
    return Call(method, target, b"" if body is None else msgspec.json.encode(body), decode)


# --- Anything, and sessions ---------------------------------------------------------------


def raw(method: str, target: str, body: Json | None = None) -> Call[Json]:
    """Any request; the answer as JSON values."""
    return _call(method, target, lambda data: _JSON(data) if data else {}, body)


def register(username: str, email: str, password: str) -> Call[models.Tokens]:
    """Make a user and log it in."""
    body = {"username": username, "email": email, "password": password}
    return _call("POST", "/api/auth/register", _TOKENS, body)


def login(body: Json) -> Call[models.Tokens]:
    """Open a session."""
    return _call("POST", "/api/auth/login", _read_login, body)


def refresh(refresh_token: str) -> Call[models.Tokens]:
    """Change a refresh token, which works once, for new tokens."""
    return _call("POST", "/api/auth/refresh", _TOKENS, {"refresh_token": refresh_token})


def logout() -> Call[None]:
    """End the session."""
    return _call("POST", "/api/auth/logout", _nothing, {})


def profile() -> Call[models.User]:
    """The user."""
    return _call("GET", "/api/auth/profile", _USER)


def ticket() -> Call[models.Ticket]:
    """A one-time ticket for a WebSocket."""
    return _call("POST", "/api/auth/ws-ticket", _TICKET, {})


def account() -> Call[models.Account]:
    """Settings, fees and limits of the account."""
    return _call("GET", "/api/account", _ACCOUNT)


# --- Markets ------------------------------------------------------------------------------


def server_time() -> Call[models.ServerTime]:
    """The platform's clock."""
    return _call("GET", "/api/time", _TIME)


def markets() -> Call[models.Page[models.Market]]:
    """All markets."""
    return _call("GET", "/api/markets", _MARKETS)


def market(symbol: str) -> Call[models.Market]:
    """One market."""
    return _call("GET", f"/api/markets/{symbol_path(symbol)}", _MARKET)


def ticker(symbol: str) -> Call[models.Ticker]:
    """The figures of 24 hours."""
    return _call("GET", f"/api/markets/{symbol_path(symbol)}/ticker", _TICKER)


def order_book(symbol: str, depth: int | None) -> Call[models.BookSnapshot]:
    """The order book."""
    path = f"/api/markets/{symbol_path(symbol)}/orderbook"
    return _call("GET", target_of(path, {"depth": depth}), _BOOK)


def trades(symbol: str, limit: int | None) -> Call[models.Trades]:
    """Recent trades."""
    path = f"/api/markets/{symbol_path(symbol)}/trades"
    return _call("GET", target_of(path, {"limit": limit}), _TRADES)


def klines(symbol: str, query: Mapping[str, str | int | None]) -> Call[models.Klines]:
    """Candles."""
    return _call("GET", target_of(f"/api/markets/{symbol_path(symbol)}/klines", query), _KLINES)


# --- Orders -------------------------------------------------------------------------------


def place_order(body: Json) -> Call[models.Order]:
    """Place an order."""
    return _call("POST", "/api/orders", _ORDER, body)


def preview_order(body: Json) -> Call[models.Preview]:
    """What an order would do."""
    return _call("POST", "/api/orders/preview", _PREVIEW, body)


def place_group(kind: str, body: Json) -> Call[models.OrderGroup]:
    """Place an ``oco`` or a ``bracket``."""
    return _call("POST", f"/api/orders/{kind}", _GROUP, body)


def batch(method: str, orders: Sequence[Json]) -> Call[models.BatchResults]:
    """Place (POST), amend (PUT) or cancel (DELETE) up to 40 orders."""
    return _call(method, "/api/orders/batch", _BATCH, {"orders": list(orders)})


def _order_path(ref: Json) -> str:
    if "order_id" in ref:
        return f"/api/orders/{quote(ref['order_id'], safe='')}"
    return f"/api/orders/by-client-id/{quote(ref['client_order_id'], safe='')}"


def order(ref: Json) -> Call[models.Order]:
    """One order."""
    return _call("GET", _order_path(ref), _ORDER)


def amend_order(ref: Json, body: Json) -> Call[models.Order]:
    """Amend an order."""
    return _call("PUT", _order_path(ref), _ORDER, body)


def cancel_order(ref: Json) -> Call[models.Order]:
    """Cancel an order."""
    return _call("DELETE", _order_path(ref), _ORDER)


def cancel_all(symbol: str | None) -> Call[models.CancelledAll]:
    """Cancel all open orders, or those of a market."""
    return _call("DELETE", target_of("/api/orders", {"symbol": symbol}), _CANCELLED)


def orders(path: str, query: Mapping[str, str | int | None]) -> Call[models.Page[models.Order]]:
    """A page of open (``/api/orders``) or ended orders (``/api/orders/history``)."""
    return _call("GET", target_of(path, query), _ORDERS)


def fills(query: Mapping[str, str | int | None]) -> Call[models.Page[models.Fill]]:
    """A page of own trades."""
    return _call("GET", target_of("/api/fills", query), _FILLS)


# --- Wallets ------------------------------------------------------------------------------


def balances() -> Call[models.Balances]:
    """All balances."""
    return _call("GET", "/api/wallet", _BALANCES)


def wallet_history(query: Mapping[str, str | int | None]) -> Call[models.Page[models.LedgerEntry]]:
    """A page of the ledger."""
    return _call("GET", target_of("/api/wallet/history", query), _ENTRIES)


def transfer(body: Json) -> Call[models.Transfer]:
    """Move money between own wallets or to another user."""
    return _call("POST", "/api/wallet/transfer", _TRANSFER, body)


# --- Withdrawals --------------------------------------------------------------------------


def withdraw(body: Json) -> Call[models.Withdrawal]:
    """Ask for a withdrawal."""
    return _call("POST", "/api/wallet/withdrawals", _WITHDRAWAL, body)


def withdrawals(query: Mapping[str, str | int | None]) -> Call[models.Page[models.Withdrawal]]:
    """A page of withdrawals."""
    return _call("GET", target_of("/api/wallet/withdrawals", query), _WITHDRAWALS)


def withdrawal(withdrawal_id: str) -> Call[models.Withdrawal]:
    """One withdrawal."""
    return _call("GET", f"/api/wallet/withdrawals/{withdrawal_id}", _WITHDRAWAL)


def cancel_withdrawal(withdrawal_id: str) -> Call[models.Withdrawal]:
    """Take a withdrawal back."""
    return _call("DELETE", f"/api/wallet/withdrawals/{withdrawal_id}", _WITHDRAWAL)


def withdrawal_addresses(
    query: Mapping[str, str | int | None],
) -> Call[models.Page[models.WithdrawalAddress]]:
    """A page of the address book."""
    return _call("GET", target_of("/api/wallet/addresses", query), _ADDRESSES)


def add_withdrawal_address(body: Json) -> Call[models.WithdrawalAddress]:
    """Add an address to the book."""
    return _call("POST", "/api/wallet/addresses", _ADDRESS, body)


def remove_withdrawal_address(address_id: str) -> Call[None]:
    """Remove an address from the book."""
    return _call("DELETE", f"/api/wallet/addresses/{address_id}", _nothing)
