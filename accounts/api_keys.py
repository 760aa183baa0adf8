"""API keys: making, listing and ending them."""

import base64
import ipaddress
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db.models import QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from accounts import audit, key_states, sessions
from accounts.enums import KeyKind, Scope
from accounts.models import ApiKey, User
from accounts.signatures import used_key
from accounts.vault import seal
from common import redis as common_redis
from common.db import atomic
from common.errors import ApiError, FieldError
from common.ids import make_id
from exchange import redis_rest

log = structlog.get_logger(__name__)

# Living keys of one user.
KEYS_MAX = 30
NETWORKS_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A new key; ``secret`` (HMAC only) is shown now and never again."""

    row: ApiKey
    secret: str


def keys_alive(user_id: int) -> QuerySet[ApiKey]:
    """Return the keys of a user that were not ended, newest first, expired ones included."""
    return ApiKey.objects.filter(user_id=user_id, revoked_at__isnull=True).order_by("-id")


def api_key_create(
    *,
    user: User,
    name: str,
    kind: KeyKind = KeyKind.HMAC,
    scopes: Iterable[str],
    public_key: str = "",
    networks: Sequence[str] = (),
    expires_at_ms: int | None = None,
) -> MadeKey:
    """
    Make an API key for a user.

    Raises:
        FieldError: for an empty name, no scope, an unusable public key, a network that is
            none, or an expiry that is over.
        ApiError: 422 ``TOO_MANY_API_KEYS``.
    """
    if not name.strip() or not name.isprintable():
        raise FieldError(field="name", code="INVALID")
    chosen = [scope.value for scope in Scope if scope.value in set(scopes)]
    if not chosen:
        raise FieldError(field="scopes", code="REQUIRED")
    key_id = make_id()
    secret = secrets.token_hex(32) if kind is KeyKind.HMAC else ""
    row = ApiKey(
        id=key_id,
        user=user,
        key=secrets.token_hex(16),
        name=name,
        kind=kind.value,
        secret=seal(secret, purpose=key_states.PURPOSE, owner_id=key_id) if secret else "",
        public_key=_public_key(kind, public_key),
        scopes=",".join(chosen),
        networks=",".join(_networks(networks)),
        expires_at=_expiry(expires_at_ms),
    )
    with atomic():
        if keys_alive(user.pk).count() >= KEYS_MAX:
            raise ApiError("TOO_MANY_API_KEYS", f"A user has at most {KEYS_MAX} API keys.", 422)
        row.save(force_insert=True)
        audit.record(
            actor=user,
            action="api_key.create",
            target=f"api_key:{row.pk}",
            after={
                "name": row.name,
                "kind": row.kind,
                "scopes": row.scopes,
                "networks": row.networks,
                "expires_at": expires_at_ms,
            },
        )
    return MadeKey(row=row, secret=secret)


def api_keys_end(
    *, actor: audit.Actor | str, user_id: int, key_id: int | None = None, reason: str = "deleted"
) -> int:
    """
    End one key of a user, or all; returns how many were ended.

    They stop working at once in this process, within a second in every other, and open
    sockets of theirs are closed.
    """
    found = keys_alive(user_id)
    if key_id is not None:
        found = found.filter(id=key_id)
    ending = dict(found.values_list("id", "key"))
    if not ending:
        return 0
    with atomic():
        ended = ApiKey.objects.filter(id__in=ending, revoked_at__isnull=True).update(
            revoked_at=timezone.now(), revoked_reason=reason
        )
        for ended_id in ending:
            audit.record(
                actor=actor,
                action="api_key.end",
                target=f"api_key:{ended_id}",
                before={"user_id": str(user_id)},
                reason=reason,
            )
    for key in ending.values():
        key_states.forget_key(key)
    sessions.announce_keys_ended(ending)
    return ended


def last_uses(rows: Sequence[ApiKey]) -> dict[int, int]:
    """Return when keys were last used, UTC milliseconds; those never used, or forgotten, lack."""
    if not rows or redis_rest.is_resting():
        return {}
    try:
        values: list[bytes | None] = common_redis.client().mget(  # type: ignore[assignment]
            [used_key(row.pk) for row in rows]
        )
    except RedisError as error:
        redis_rest.note_failure(error)
        log.warning("api_key_uses_unavailable", error=type(error).__name__)
        return {}
    pairs = zip(rows, values, strict=True)
    return {row.pk: int(value) for row, value in pairs if value is not None}


def _public_key(kind: KeyKind, text: str) -> str:
    """Return the 32 bytes of an Ed25519 public key in base64, from that or from PEM."""
    if kind is KeyKind.HMAC:
        if text:
            raise FieldError(field="public_key", code="CONFLICT")
        return ""
    if not text:
        raise FieldError(field="public_key", code="REQUIRED")
    try:
        if text.startswith("-----BEGIN"):
            loaded = serialization.load_pem_public_key(text.encode())
            if not isinstance(loaded, Ed25519PublicKey):
                raise ValueError("another kind of key")
        else:
            loaded = Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FieldError(field="public_key", code="INVALID") from error
    return base64.b64encode(loaded.public_bytes_raw()).decode("ascii")


def _networks(texts: Sequence[str]) -> list[str]:
    if len(texts) > NETWORKS_MAX:
        raise FieldError(field="ip_list", code="TOO_LONG")
    try:
        # An address of one host may be written without its prefix; 10.0.0.1/8 is a mistake.
        return [str(ipaddress.ip_network(text)) for text in texts]
    except ValueError as error:
        raise FieldError(field="ip_list", code="INVALID") from error


def _expiry(expires_at_ms: int | None) -> datetime | None:
    if expires_at_ms is None:
        return None
    try:
        moment = datetime.fromtimestamp(expires_at_ms / 1000, tz=UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise FieldError(field="expires_at", code="OUT_OF_RANGE") from error
    if moment <= timezone.now():
        raise FieldError(field="expires_at", code="OUT_OF_RANGE")
    return moment
