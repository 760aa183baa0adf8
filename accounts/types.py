"""What other apps and the consumers may know of a logged-in user."""

from dataclasses import dataclass
from typing import Protocol

from accounts.permissions import (
    Permission,
    is_staff_role,
    needs_second_factor,
    role_permits,
    scopes_permit,
)
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

    Known by a session's token or, with ``key_id``, by an API key, whose ``scopes`` then bound
    what the role may do. ``expires_at_ms`` is when the access token or the key ends, UTC
    milliseconds, 0 for a key that never does.
    """

    user_id: int
    account_id: int
    session_id: int
    username: str
    role: str
    tier: Tier
    expires_at_ms: int
    second_factor: bool = False
    key_id: int = 0
    scopes: frozenset[str] = frozenset()

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

    @property
    def credential_id(self) -> int:
        """Return the id of the session or key; both come from one series."""
        return self.key_id or self.session_id

    @property
    def must_enroll(self) -> bool:
        """Return whether the role demands a second factor that the user has not set up."""
        return not self.second_factor and needs_second_factor(self.role)

    def refusal(self, permission: Permission) -> str | None:
        """Return the code that refuses one thing to this user, None if it is permitted."""
        if not role_permits(self.role, permission):
            return "PERMISSION_DENIED"
        if self.must_enroll:
            return "TWO_FACTOR_ENFORCED"
        if self.key_id and not scopes_permit(self.scopes, permission):
            return "KEY_SCOPE"
        return None


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
