"""The public API as our bots use it: they log in like everybody else and wait when asked to."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import httpx

TIMEOUT_S = 8.0
# What one batch request may carry.
BATCH_MAX = 40
OPEN_ORDERS_PAGE = 500
RETRY_AFTER_MAX_S = 30.0

_Item = TypeVar("_Item")
Json = dict[str, Any]


class UnavailableError(Exception):
    """The platform does not answer or asks to come back; ``retry_after_s`` is how long to wait."""

    def __init__(self, reason: str, retry_after_s: float) -> None:
        """Remember why and for how long."""
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class RefusedError(Exception):
    """A request was refused; ``code`` is the platform's."""

    def __init__(self, status: int, code: str) -> None:
        """Remember the code."""
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


def chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """Return the items in parts that fit one batch request."""
    for start in range(0, len(items), BATCH_MAX):
        yield items[start : start + BATCH_MAX]


class ApiClient:
    """One user's access to the API; logs in when it has to."""

    def __init__(self, *, url: str, username: str, password: str) -> None:
        """Open no connection yet."""
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S)
        self._username = username
        self._password = password
        self._access = ""
        self._refresh = ""

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def markets(self) -> list[Json]:
        """Return all markets with their rules."""
        return list(self._public("/api/markets")["items"])

    def ticker(self, symbol: str) -> Json:
        """Return a market's ticker."""
        return self._public(f"/api/markets/{symbol}/ticker")

    def balances(self) -> list[Json]:
        """Return the balances of all wallets."""
        return list(self._private("GET", "/api/wallet")["balances"])

    def open_orders(self) -> list[Json]:
        """Return all open orders."""
        found: list[Json] = []
        cursor = ""
        while True:
            query = f"?limit={OPEN_ORDERS_PAGE}" + (f"&cursor={cursor}" if cursor else "")
            page = self._private("GET", f"/api/orders{query}")
            found += page["items"]
            cursor = page["next_cursor"] or ""
            if not cursor:
                return found

    def place(self, orders: Sequence[Json]) -> list[Json]:
        """Place orders in batches; return one result for each."""
        results: list[Json] = []
        for part in chunks(orders):
            answer = self._private("POST", "/api/orders/batch", {"orders": list(part)})
            results += answer["results"]
        return results

    def cancel(self, order_ids: Sequence[str]) -> list[Json]:
        """Cancel orders in batches; return one result for each."""
        results: list[Json] = []
        for part in chunks(order_ids):
            body = {"orders": [{"order_id": order_id} for order_id in part]}
            results += self._private("DELETE", "/api/orders/batch", body)["results"]
        return results

    def cancel_all(self) -> None:
        """Cancel every open order."""
        self._private("DELETE", "/api/orders")

    def _public(self, path: str) -> Json:
        # With the login: its tier's limits count, not those of anonymous addresses.
        return self._private("GET", path)

    def _private(self, method: str, path: str, body: Json | None = None) -> Json:
        if not self._access:
            self._log_in()
        try:
            return self._send(method, path, body)
        except RefusedError as error:
            if error.status != httpx.codes.UNAUTHORIZED:
                raise
        self._renew()
        return self._send(method, path, body)

    def _log_in(self) -> None:
        credentials = {"username": self._username, "password": self._password}
        self._keep(self._send("POST", "/api/auth/login", credentials))

    def _renew(self) -> None:
        """Refresh the tokens, or log in again when the session has ended."""
        refresh, self._access = self._refresh, ""
        try:
            self._keep(self._send("POST", "/api/auth/refresh", {"refresh_token": refresh}))
        except RefusedError:
            self._log_in()

    def _keep(self, tokens: Json) -> None:
        self._access = tokens["access_token"]
        self._refresh = tokens["refresh_token"]

    def _send(self, method: str, path: str, body: Json | None) -> Json:
        headers = {"Authorization": f"Bearer {self._access}"} if self._access else {}
        try:
            response = self._http.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise UnavailableError(type(error).__name__, 1.0) from error
        if response.is_success:
            return dict(response.json()) if response.content else {}
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
            raise UnavailableError(_code(response), _retry_after_s(response))
        raise RefusedError(response.status_code, _code(response))


def _code(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP_{response.status_code}"


def _retry_after_s(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), RETRY_AFTER_MAX_S) if text.isdigit() else 1.0
