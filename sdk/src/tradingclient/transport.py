"""
Sending requests with a session, for threads.

Written from its twin for asyncio, never by hand: see ``generate_sync.py``.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

import httpx

from tradingclient import answers, calls
from tradingclient.calls import Call, Json
from tradingclient.credentials import Password, Session, Token
from tradingclient.errors import (
    AuthenticationError,
    RateLimitedError,
    UnavailableError,
)
from tradingclient.signing import ApiKey, sign

Answer = TypeVar("Answer")

TIMEOUT_S = 10.0


class Transport:
    """
    One user's way to the REST API, or an anonymous one.

    Logs in when it has to, renews the session before it ends, and repeats what only asks
    ``retries`` times when the platform says to come back. Safe to share between threads.
    """

    def __init__(
        self,
        url: str = "http://localhost:3000",
        *,
        credentials: Password | Token | ApiKey | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = 2,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout_s, transport=transport)
        self._key = credentials if isinstance(credentials, ApiKey) else None
        self.session = Session(
            None if isinstance(credentials, ApiKey) else credentials, time.monotonic
        )
        self._renewing = threading.Lock()
        self._retries = retries

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the session stays alive until ``logout``."""
        self._http.close()

    def send(self, call: Call[Answer]) -> Answer:
        """
        Send a call and return its answer.

        Raises:
            TradingError: of the family of what went wrong.
        """
        attempt = 0
        while True:
            try:
                return self._authenticated(call)
            except (RateLimitedError, UnavailableError) as error:
                attempt += 1
                if not call.repeatable or attempt > self._retries:
                    raise
                time.sleep(error.retry_after or answers.RETRY_PAUSE_S)

    def request(
        self, method: str, target: str, body: Json | None = None, *, two_factor_code: str = ""
    ) -> Json:
        """Send any request, for what has no method of its own; the answer as JSON values."""
        return self.send(replace(calls.raw(method, target, body), two_factor_code=two_factor_code))

    def access_token(self) -> str:
        """
        Return a token that is good for a while, for a WebSocket's ``auth``.

        Raises:
            AuthenticationError: when there is nothing to log in with.
        """
        self._prepare()
        if not self.session.access_token:
            raise AuthenticationError("NOT_AUTHENTICATED", "There is nothing to log in with.")
        return self.session.access_token

    def renewed_token(self, refused: str) -> str:
        """Return another token than the one that was refused."""
        self._renew(refused)
        return self.access_token()

    def _authenticated(self, call: Call[Answer]) -> Answer:
        self._prepare()
        used = self.session.access_token
        try:
            return self._once(call, used)
        except AuthenticationError:
            if self._key is not None or not used:
                raise
            self._renew(used)
        return self._once(call, self.session.access_token)

    def _prepare(self) -> None:
        if self.session.must_log_in or self.session.must_refresh:
            self._renew(self.session.access_token)

    def _renew(self, used: str) -> None:
        """Refresh the session or log in again, unless another thread has just done so."""
        with self._renewing:
            session = self.session
            if session.access_token != used:
                return
            refresh_token = session.refresh_token
            if refresh_token:
                try:
                    session.keep(self._once(calls.refresh(refresh_token), ""))
                except AuthenticationError:
                    session.forget()
                    if session.password is None:
                        raise
                else:
                    return
            if session.password is None:
                raise AuthenticationError("TOKEN_EXPIRED", "The token can not be renewed.")
            session.keep(self._once(calls.login(session.password.body()), ""))

    def _once(self, call: Call[Answer], token: str) -> Answer:
        headers = {"Content-Type": "application/json"} if call.body else {}
        if call.two_factor_code:
            headers["X-2FA-Code"] = call.two_factor_code
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = self._http.build_request(
            call.method, call.target, content=call.body or None, headers=headers
        )
        if self._key is not None:
            request.headers.update(sign(self._key, request))
        try:
            response = self._http.send(request)
        except httpx.HTTPError as error:
            raise answers.failure(call, error) from error
        return answers.read(call, response)
