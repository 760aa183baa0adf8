"""Who is asking: a user with a password, a token from elsewhere, or an API key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tradingclient.models import Tokens


@dataclass(frozen=True, slots=True)
class Password:
    """
    A user name and a password; the client logs in and stays logged in.

    ``two_factor`` returns a code of the second factor for users who have one; it is called for
    each login.
    """

    username: str
    password: str = field(repr=False)
    two_factor: Callable[[], str] | None = None

    def body(self) -> dict[str, str]:
        """Return what a login sends."""
        body = {"username": self.username, "password": self.password}
        return body if self.two_factor is None else body | {"code": self.two_factor()}


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and the refresh token with which it can be renewed."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)


class Session:
    """
    The tokens in use; knows when they have to be renewed.

    ``clock`` is a monotonic one, in seconds. An access token is renewed a little before its end,
    so that no request is sent with one that ends on the way.
    """

    RENEW_BEFORE_S = 10.0

    def __init__(self, credentials: Password | Token | None, clock: Callable[[], float]) -> None:
        self.credentials = credentials
        self._clock = clock
        self.access_token = ""
        self.refresh_token = ""
        self._ends_at: float | None = None
        if isinstance(credentials, Token):
            self.access_token = credentials.access_token
            self.refresh_token = credentials.refresh_token

    @property
    def password(self) -> Password | None:
        """Return what to log in with, None when there is nothing."""
        return self.credentials if isinstance(self.credentials, Password) else None

    @property
    def must_log_in(self) -> bool:
        """Return whether there is a login to be made before the next request."""
        return not self.access_token and self.password is not None

    @property
    def must_refresh(self) -> bool:
        """Return whether the access token is at its end and can be renewed."""
        if not self.refresh_token or self._ends_at is None:
            return False
        return self._clock() >= self._ends_at - self.RENEW_BEFORE_S

    def keep(self, tokens: Tokens) -> None:
        """Use new tokens."""
        self.access_token = tokens.access_token
        self.refresh_token = tokens.refresh_token
        lifetime_s = max(float(tokens.expires_in), 0.0)
        # Of very short lives at least the first half is used.
        self._ends_at = self._clock() + max(lifetime_s, self.RENEW_BEFORE_S + lifetime_s / 2)

    def forget(self) -> None:
        """Use no tokens any more."""
        self.access_token = self.refresh_token = ""
        self._ends_at = None
