"""
Client of the exchange: REST and WebSocket, sync and async.

    from tradingclient import Password, TradingClient

    with TradingClient(credentials=Password("alice", "demo-pass-2024")) as client:
        client.on("price:BTC/USDT", lambda price: print(price.price))
        client.subscribe_prices(["BTC/USDT"])
"""

from tradingclient.account_state import AccountState
from tradingclient.book import OrderBook
from tradingclient.client import TradingClient
from tradingclient.client_async import AsyncTradingClient, StreamStatus
from tradingclient.credentials import Password, Token
from tradingclient.errors import (
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RefusedError,
    StatusUnknownError,
    StreamError,
    TradingError,
    UnavailableError,
)
from tradingclient.rest import RestClient
from tradingclient.rest_async import AsyncRestClient
from tradingclient.signing import ApiKey, ed25519_key, hmac_key
from tradingclient.subscriptions import State

__all__ = [
    "AccountState",
    "ApiKey",
    "AsyncRestClient",
    "AsyncTradingClient",
    "AuthenticationError",
    "ConflictError",
    "InvalidRequestError",
    "NotFoundError",
    "OrderBook",
    "Password",
    "PermissionDeniedError",
    "RateLimitedError",
    "RefusedError",
    "RestClient",
    "State",
    "StatusUnknownError",
    "StreamError",
    "StreamStatus",
    "Token",
    "TradingClient",
    "TradingError",
    "UnavailableError",
    "ed25519_key",
    "hmac_key",
]
