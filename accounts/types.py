"""What other apps and the consumers may know of a logged-in user."""

from dataclasses import dataclass
from typing import Protocol

from accounts.permissions import is_staff_role
from common.tiers import Tier


class AccountOwner(Protocol):
    """A user or an identity: whoever has an account."""

    @property
    def account_id(self) -> int:
        """Return the account's id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """
    An authenticated user as a request or socket carries it; nothing here queries anything.

    ``expires_at_ms`` is when the access token ends, UTC milliseconds.
    """

    user_id: int
    account_id: int
    session_id: int
    username: str
    role: str
    tier: Tier
    expires_at_ms: int

    is_authenticated = True
    is_anonymous = False
    is_active = True

    @property
    def id(self) -> int:
        """Return the user's id."""
        return self.user_id

    @property
    def pk(self) -> int:
        """Return the user's id."""
        return self.user_id

    @property
    def is_staff(self) -> bool:
        """Return whether the user works in the back-office."""
        return is_staff_role(self.role)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """What a login or a refresh hands out."""

    access_token: str
    refresh_token: str
    expires_in_s: int
    session_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """From where a session is opened or used; kept with the session."""

    ip: str
    user_agent: str = ""


class TokenError(Exception):
    """A token, ticket or its session is not good; ``code`` says why."""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code
