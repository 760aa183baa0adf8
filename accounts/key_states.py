"""
API keys as a request needs them, remembered by the process for a second.

Within that second a deleted key, a disabled owner or a changed role is noticed everywhere.
"""

import base64
import ipaddress
import time
from dataclasses import dataclass

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from accounts.enums import KeyKind
from accounts.models import ApiKey
from accounts.types import Identity
from accounts.vault import VaultError, unseal
from common.tiers import Tier

log = structlog.get_logger(__name__)

PURPOSE = "api-key"
CACHE_S = 1.0
CACHED_MAX = 20_000
_KEY_LENGTH_MAX = 40

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """A key, its owner's identity under it, and whether both still count."""

    key_id: int
    kind: KeyKind
    secret: bytes
    public_key: Ed25519PublicKey | None
    networks: tuple[Network, ...]
    expires_at_ms: int
    alive: bool
    identity: Identity

    def allows(self, address: str) -> bool:
        """Return whether the key works from an address."""
        if not self.networks:
            return True
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self.networks)


class _Cache:
    """The process's memory; a plain dict, since each step on it is atomic."""

    def __init__(self) -> None:
        self.states: dict[str, tuple[float, KeyState | None]] = {}


_cache = _Cache()


def key_state(key: str) -> KeyState | None:
    """Return the state of a key, ended ones included, None if there never was such a key."""
    if not key or len(key) > _KEY_LENGTH_MAX or not key.isascii():
        return None
    now = time.monotonic()
    found = _cache.states.get(key)
    if found is not None and found[0] > now:
        return found[1]
    row = ApiKey.objects.filter(key=key).select_related("user__two_factor").first()
    state = _state_of(row) if row is not None else None
    if len(_cache.states) >= CACHED_MAX:
        _cache.states.clear()
    # Timed from before the look: the answer is never older than the second we promise.
    _cache.states[key] = (now + CACHE_S, state)
    return state


def key_is_alive(key_id: int) -> bool:
    """Return whether a key still counts; open sockets ask this every few seconds."""
    return ApiKey.objects.filter(id=key_id, revoked_at__isnull=True, user__is_active=True).exists()


def forget_key(key: str) -> None:
    """Let a key be read afresh."""
    _cache.states.pop(key, None)


def reset() -> None:
    """Forget everything; for tests."""
    _cache.states.clear()


def _state_of(row: ApiKey) -> KeyState | None:
    user = row.user
    try:
        secret = unseal(row.secret, purpose=PURPOSE, owner_id=row.pk) if row.secret else ""
    except VaultError:
        log.exception("api_key_unreadable", key_id=row.pk)
        return None
    expires_at_ms = int(row.expires_at.timestamp() * 1000) if row.expires_at else 0
    raw = base64.b64decode(row.public_key) if row.public_key else b""
    return KeyState(
        key_id=row.pk,
        kind=KeyKind(row.kind),
        secret=secret.encode(),
        public_key=Ed25519PublicKey.from_public_bytes(raw) if raw else None,
        networks=tuple(ipaddress.ip_network(text) for text in row.networks.split(",") if text),
        expires_at_ms=expires_at_ms,
        alive=row.revoked_at is None and user.is_active,
        identity=Identity(
            user_id=user.pk,
            account_id=user.account_id,
            session_id=0,
            username=user.username,
            role=user.role,
            tier=Tier(user.limit_tier),
            expires_at_ms=expires_at_ms,
            second_factor=user.has_second_factor,
            key_id=row.pk,
            scopes=frozenset(row.scopes.split(",")),
        ),
    )
