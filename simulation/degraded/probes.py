"""What a client does, each a question whose answer tells a mode: REST and WebSocket."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from simulation.kill.history import ACCEPTED, REFUSED, UNKNOWN, Claim
from simulation.kill.setup import PASSWORD, USERNAME

# Longer than any answer may take, so that a late one is measured and not cut off.
PATIENCE_S = 12.0
# A snapshot comes at once or when the part that makes it is back.
SNAPSHOT_S = 1.0
# Deep under every other price: it rests until it is cancelled.
RESTING = {"symbol": "BTC-USDT", "side": "buy", "type": "limit", "price": "100", "quantity": "0.1"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What an action got, such as ``200`` or ``503 ENGINE_UNAVAILABLE``, and how soon."""

    outcome: str
    seconds: float


class Probes:
    """One user's actions against one web process."""

    def __init__(self, url: str, account_id: int, token: str) -> None:
        """Ask at ``url``; ``token`` is the access token of the account's user."""
        self._url = url
        self._client = httpx.Client(base_url=url, timeout=PATIENCE_S)
        self._account_id = account_id
        self.token = token
        # What was told of each order that was sent.
        self.claims: dict[tuple[int, str], Claim] = {}
        self._request_id = ""
        self._resting: list[str] = []
        self.actions: dict[str, Callable[[], str]] = {
            "ticker": lambda: self._ask("GET", "/api/markets/BTC-USDT/ticker")[0],
            "wallet": lambda: self._ask("GET", "/api/wallet", private=True)[0],
            "place": self._place,
            "cancel": self._cancel,
            "login": self._login,
            "websocket": self._websocket,
        }

    def rest_orders(self, count: int) -> None:
        """
        Place orders for later cancels to find.

        Raises:
            SystemExit: if one is not accepted.
        """
        while len(self._resting) < count:
            outcome = self._place()
            if outcome != "201":
                raise SystemExit(f"an order to be cancelled later was not accepted: {outcome}")

    def place_under(self, request_id: str) -> str:
        """Place an order under an id of the caller's; return the outcome."""
        self._request_id = request_id
        try:
            return self._place()
        finally:
            self._request_id = ""

    def all_at_once(self) -> dict[str, Seen]:
        """Do everything at the same time, as the users of a platform do."""
        with ThreadPoolExecutor(len(self.actions)) as pool:
            jobs = {name: pool.submit(_timed, action) for name, action in self.actions.items()}
            return {name: job.result() for name, job in jobs.items()}

    def _ask(
        self, method: str, path: str, body: object = None, *, private: bool = False
    ) -> tuple[str, Any]:
        """Return the outcome, and what the answer holds if it is a success."""
        headers = {"Authorization": f"Bearer {self.token}"} if private else {}
        if self._request_id:
            headers["X-Request-Id"] = self._request_id
        try:
            answer = self._client.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            return type(error).__name__, None
        try:
            content = answer.json()
            if answer.status_code == 503 and "Retry-After" not in answer.headers:
                return "503 without Retry-After", None
            if answer.is_success:
                stale = " stale" if content.get("stale") else ""
                return f"{answer.status_code}{stale}", content
            return f"{answer.status_code} {content['error']['code']}", None
        except (ValueError, KeyError, TypeError):
            return f"{answer.status_code} without an envelope", None

    def _place(self) -> str:
        client_id = f"degraded-{secrets.token_hex(8)}"
        claim = self.claims[self._account_id, client_id] = Claim(self._account_id, client_id)
        body = {**RESTING, "client_order_id": client_id}
        claim.open_requests += 1
        outcome, order = self._ask("POST", "/api/orders", body, private=True)
        claim.open_requests -= 1
        claim.results.append(proved_by(outcome))
        if order is not None:
            claim.order_ids.add(int(order["id"]))
            self._resting.append(order["id"])
        return outcome

    def _cancel(self) -> str:
        if not self._resting:
            # Cancels were answered, and orders in their place refused, for very long.
            return "nothing left to cancel"
        outcome, _ = self._ask("DELETE", f"/api/orders/{self._resting[0]}", private=True)
        # After 503 nothing was done; of anything else the order may be gone.
        if not outcome.startswith("503"):
            self._resting.pop(0)
        return outcome

    def _login(self) -> str:
        body = {"username": USERNAME, "password": PASSWORD}
        outcome, pair = self._ask("POST", "/api/auth/login", body)
        if pair is not None:
            # A user has so many sessions at most: each new one may end the oldest.
            self.token = pair["access_token"]
        return outcome

    def listener(self) -> Listener:
        """Return a client that subscribes to the ticker anew."""
        return Listener(self._url.replace("http://", "ws://") + "/ws/market")

    def _websocket(self) -> str:
        try:
            with self.listener() as listener:
                return listener.first
        except InvalidStatus as error:
            return str(error.response.status_code)
        except ConnectionClosed as error:
            return f"closed {error.rcvd.code if error.rcvd else 'abruptly'}"
        except (OSError, TimeoutError) as error:
            return type(error).__name__


def proved_by(outcome: str) -> str:
    """Return what the answer to an order proves of it."""
    if outcome.startswith("20"):
        return ACCEPTED
    return REFUSED if outcome.startswith(("4", "503")) else UNKNOWN


class Listener:
    """A socket that is subscribed to the ticker; ``first`` tells what followed at once."""

    def __init__(self, url: str) -> None:
        """Prepare; the connection is opened on entry."""
        self._url = url
        self.first = ""

    def __enter__(self) -> Listener:
        """
        Connect, subscribe and wait for the snapshot as long as an answer may take.

        Raises:
            OSError, TimeoutError, InvalidStatus, ConnectionClosed: if not even that is answered.
        """
        self._socket = connect(self._url, open_timeout=PATIENCE_S, proxy=None)
        try:
            self._socket.send(json.dumps({"op": "subscribe", "channels": ["ticker:BTC-USDT"]}))
            frame = json.loads(self._socket.recv(timeout=PATIENCE_S))
            self.first = str(frame["type"])
            if self.first == "subscribed" and self.gets_snapshot(SNAPSHOT_S):
                self.first = "snapshot"
        except BaseException:
            self._socket.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._socket.close()

    def receive(self, timeout_s: float) -> str | bytes:
        """
        Return the next message.

        Raises:
            TimeoutError, ConnectionClosed: if there is none.
        """
        return self._socket.recv(timeout=timeout_s)

    def gets_snapshot(self, timeout_s: float) -> bool:
        """Tell whether the channel's snapshot has come, or comes in time."""
        ends = time.monotonic() + timeout_s
        while self.first != "snapshot":
            try:
                frame = json.loads(self._socket.recv(timeout=max(0.0, ends - time.monotonic())))
            except TimeoutError:
                return False
            if frame["type"] == "snapshot":
                return True
        return True


def _timed(action: Callable[[], str]) -> Seen:
    began = time.monotonic()
    outcome = action()
    return Seen(outcome, time.monotonic() - began)
