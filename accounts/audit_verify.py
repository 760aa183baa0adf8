"""Is the audit log what was written? Finds the first event that is not."""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from accounts.audit import GENESIS, HEAD_ID, keys, seal_of
from accounts.models import AuditEvent, AuditHead
from common import redis as redis_clients
from common.db import read_snapshot

# Events fetched at once.
CHUNK_ROWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """
    What was found: how far the chain holds, and what breaks it ("" if nothing does).

    ``number`` and ``seal`` are those of the last good event.
    """

    number: int
    seal: str
    fault: str = ""


class AuditCheck(msgspec.Struct, frozen=True):
    """What a check found and when: the last good event, and what breaks the chain after it."""

    time_ms: int
    duration_ms: int
    number: int
    fault: str


def audit_verify(*, anchor: tuple[int, str] | None = None) -> AuditReport:
    """
    Walk the chain from its beginning; call it inside ``read_snapshot``.

    ``anchor`` is the number and seal of an event noted earlier outside of the database (the
    log files have each): it must still be part of the chain. Without one, rows that were cut
    off at the end are noticed only if the head row was left alone.
    """
    number, seal = 0, GENESIS
    secrets = keys()
    for event in _events():
        fault = _fault_of(event, number=number, seal=seal, secrets=secrets)
        if fault:
            return AuditReport(number=number, seal=seal, fault=fault)
        number, seal = event.id, event.seal
        if anchor is not None and number == anchor[0] and seal != anchor[1]:
            return AuditReport(
                number=number,
                seal=seal,
                fault=f"event {number} was replaced: its seal is not the one noted",
            )
    return AuditReport(number=number, seal=seal, fault=_fault_of_end(number, seal, anchor))


def audit_check_keep() -> AuditCheck:
    """Verify the chain in a snapshot of its own and keep the result for operators."""
    started = time.monotonic()
    time_ms = time.time_ns() // 1_000_000
    with read_snapshot():
        report = audit_verify()
    check = AuditCheck(
        time_ms=time_ms,
        duration_ms=round((time.monotonic() - started) * 1_000),
        number=report.number,
        fault=report.fault,
    )
    redis_clients.client().set(_check_key(), msgspec.json.encode(check))
    return check


def audit_check_kept() -> AuditCheck | None:
    """
    Return what the last check found, None before the first.

    Raises:
        redis.RedisError: if Redis cannot be asked.
    """
    raw: Any = redis_clients.client().get(_check_key())
    return None if raw is None else msgspec.json.decode(raw, type=AuditCheck)


def _check_key() -> str:
    return redis_clients.key("audit-check")


def _events() -> Iterator[AuditEvent]:
    last: int | None = None
    while True:
        rows = AuditEvent.objects.order_by("id")
        chunk = list((rows if last is None else rows.filter(id__gt=last))[:CHUNK_ROWS])
        yield from chunk
        if len(chunk) < CHUNK_ROWS:
            return
        last = chunk[-1].id


def _fault_of(event: AuditEvent, *, number: int, seal: str, secrets: list[bytes]) -> str:
    """Return what is wrong with the event after the good event ``number``, "" if nothing is."""
    if event.id < number + 1:
        return f"event {event.id} was inserted: numbers begin at 1"
    if event.id > number + 1:
        return f"event {number + 1} was deleted: event {event.id} follows event {number}"
    if not any(hmac.compare_digest(event.seal, seal_of(event, key)) for key in secrets):
        return f"event {event.id} was altered or inserted: its seal does not fit its content"
    if event.previous_seal != seal:
        return f"event {event.id} was moved: it is not sealed onto event {number}"
    return ""


def _fault_of_end(number: int, seal: str, anchor: tuple[int, str] | None) -> str:
    """Return what is wrong at the end of the chain, "" if nothing is."""
    head = AuditHead.objects.filter(id=HEAD_ID).first()
    written = head.number if head is not None else 0
    if written > number:
        return f"event {number + 1} was deleted: {written} events were written"
    if written < number:
        return f"event {written + 1} was inserted: {written} events were written"
    if head is not None and head.seal != seal:
        return f"event {number} was replaced: the head has another seal"
    if anchor is not None and anchor[0] > number:
        return f"event {number + 1} was deleted: event {anchor[0]} was noted"
    return ""
