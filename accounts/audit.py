"""
The audit log: who changed what, from what to what, why and from where.

Events are numbered without gaps and each carries a *seal*: HMAC-SHA256 over its own content
and the seal of the event before it. Whoever alters, deletes or inserts a row breaks the chain
at that row, and cannot mend it with access to the database alone, because the key is not in it.
``accounts.audit_verify`` finds the first broken row. Each number and seal also goes to the log
files, so that a log cut off at its end shows as well.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import structlog
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import AuditEvent, AuditHead
from common.db import atomic
from common.errors import ApiError
from common.masking import masked
from common.network import client_ip
from common.request_id import current_client_ip, current_request_id

log = structlog.get_logger(__name__)

HEAD_ID = 1
# What the first event is chained to.
GENESIS = "0" * 64
TARGET_LENGTH_MAX = 100
REASON_LENGTH_MAX = 500
# Characters of ``before`` or ``after`` as JSON.
STATE_LENGTH_MAX = 8_192
# Of concurrent writers one always gets on, so this many tries need as many writers at once.
TRIES_MAX = 200

# Where an operation tells everything in one event, what its parts would have recorded.
_gathering: ContextVar[list[AuditEvent] | None] = ContextVar("audit_gathering", default=None)

_ACTION = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


class Actor(Protocol):
    """Who acts: a user, or the identity behind a request."""

    @property
    def id(self) -> int:
        """Return the user's id."""
        ...

    @property
    def username(self) -> str:
        """Return the user's name."""
        ...


def record(
    *,
    actor: Actor | str,
    action: str,
    target: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
    request: HttpRequest | None = None,
    ip: str | None = None,
    request_id: str | None = None,
) -> AuditEvent:
    """
    Append one event to the chain, in the transaction that the caller has open.

    Call it inside ``common.db.atomic()`` together with the change, after it: then neither
    exists without the other. ``actor`` is a user, an identity, or the name of a part of the
    platform. ``action`` reads like "user.role_change", ``target`` like "user:123". ``before``
    and ``after`` hold what changed, amounts as decimal strings; values under names such as
    "password" are masked. Address and request id are those of ``request``, else as given,
    else those of the HTTP request that this thread serves.

    Concurrent writers are put in order by one conditional update of the head row: it counts
    only while the head is still the one that was read. Until the transaction ends the row is
    locked, so audited changes of a whole installation follow one another.

    Raises:
        ValueError: if action, target, reason or a state is malformed or too long.
        ApiError: 503 ``SERVICE_UNAVAILABLE`` if the chain stays contended.
    """
    _check(action=action, target=target, reason=reason)
    actor_id, actor_name = (0, actor) if isinstance(actor, str) else (actor.id, actor.username)
    event = AuditEvent(
        time_ms=int(timezone.now().timestamp() * 1000),
        actor_id=actor_id,
        actor=actor_name,
        action=action,
        target=target,
        before=_state_text(before),
        after=_state_text(after),
        reason=reason,
        ip=client_ip(request) if request is not None else (ip or current_client_ip()),
        request_id=current_request_id() if request_id is None else request_id,
    )
    told = _gathering.get()
    if told is not None:
        told.append(event)
        return event
    with atomic():
        _append(event)
    transaction.on_commit(lambda: _tell(event))
    return event


@contextmanager
def gathered() -> Iterator[list[AuditEvent]]:
    """
    Collect what is recorded inside instead of writing it.

    For an operation made of audited services: it records one event that tells all of it.
    """
    told: list[AuditEvent] = []
    token = _gathering.set(told)
    try:
        yield told
    finally:
        _gathering.reset(token)


def _check(*, action: str, target: str, reason: str) -> None:
    if _ACTION.fullmatch(action) is None:
        raise ValueError(f"expected an action like user.role_change, was {action!r}")
    if not 0 < len(target) <= TARGET_LENGTH_MAX or ":" not in target:
        raise ValueError(f"expected a target like user:123, was {target!r}")
    if len(reason) > REASON_LENGTH_MAX:
        raise ValueError(f"expected at most {REASON_LENGTH_MAX} characters of reason")


def _state_text(state: Mapping[str, Any] | None) -> str:
    """Return a state as canonical JSON, "" for none."""
    if state is None:
        return ""
    text = json.dumps(masked(state), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if len(text) > STATE_LENGTH_MAX:
        raise ValueError(f"expected at most {STATE_LENGTH_MAX} characters of state")
    return text


def _append(event: AuditEvent) -> None:
    for _ in range(TRIES_MAX):
        head = AuditHead.objects.filter(id=HEAD_ID).first()
        if head is None:
            # Of several first writers one makes the row; the others wait for it and read it.
            first = AuditHead(id=HEAD_ID, number=0, seal=GENESIS)
            AuditHead.objects.bulk_create([first], ignore_conflicts=True)
            continue
        event.id = head.number + 1
        event.previous_seal = head.seal
        event.seal = seal_of(event, keys()[0])
        moved = AuditHead.objects.filter(id=HEAD_ID, number=head.number, seal=head.seal)
        if moved.update(number=event.id, seal=event.seal) == 1:
            event.save(force_insert=True)
            return
    raise ApiError("SERVICE_UNAVAILABLE", "The audit log is busy; nothing was changed.", 503)


def _tell(event: AuditEvent) -> None:
    log.info(
        "audit_recorded",
        number=event.id,
        seal=event.seal,
        actor=event.actor,
        action=event.action,
        target=event.target,
    )


def keys() -> list[bytes]:
    """Return the keys of the seals: the first seals, all of them verify."""
    secrets = settings.AUDIT_KEYS or [settings.SECRET_KEY]
    return [hashlib.sha256(b"audit-log:" + secret.encode()).digest() for secret in secrets]


def seal_of(event: AuditEvent, key: bytes) -> str:
    """Return the seal that an event must have under a key, 64 hexadecimal digits."""
    content = [
        event.id,
        event.time_ms,
        event.actor_id,
        event.actor,
        event.action,
        event.target,
        event.before,
        event.after,
        event.reason,
        event.ip,
        event.request_id,
        event.previous_seal,
    ]
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
