"""
Amounts that operators move: written down first, and above a limit agreed to by a second person.

Each is one row. What an operator moves within 24 hours counts together, so that splitting an
amount does not help. The exchange carries a row out once, for ever, because its number is the
client id of the command: whoever is left without an answer may ask again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.access import refused
from accounts.enums import RequestStatus
from accounts.models import OperationRequest
from accounts.operations import (
    DONE,
    PENDING,
    PENDING_RESULT,
    Call,
    Operator,
    Result,
    all_operations,
    audited,
    call_of,
    call_perform,
    call_tell,
)
from accounts.permissions import role_permits
from common.db import atomic
from common.errors import ApiError, not_found

# A request that nobody decided is over after a day.
LIFETIME_MS = 24 * 3_600_000
WINDOW_MS = 24 * 3_600_000
# Rows of one operator's day that are added up; whoever has more needs a second person.
WINDOW_ROWS_MAX = 1_000
# An answer that is still missing after this never comes: a command is void after 5 s.
RETRY_AFTER_MS = 10_000
EXPIRED_AT_ONCE = 100
# Weighing takes milliseconds; after this whoever did it is gone.
WEIGHED_WITHIN_MS = 60_000

PLATFORM = "platform"
_STRAIGHT = (RequestStatus.WEIGHING, RequestStatus.EXECUTING, RequestStatus.EXECUTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestInfo:
    """A request as pages and the API show it; times in UTC milliseconds."""

    request_id: int
    operation: str
    target: str
    label: str
    given: Mapping[str, Any]
    reason: str
    value_atoms: int | None
    status: RequestStatus
    requested_by_id: int
    requested_by: str
    created_ms: int
    expires_ms: int
    decided_ms: int
    decided_by: str
    decision_reason: str
    result: Mapping[str, Any] | None


def request_open(call: Call, *, value_atoms: int | None) -> Result:
    """
    Write an amount down and carry it out, or let it wait for a second person.

    Raises:
        ApiError: what the exchange refuses it with; 409 ``REQUEST_ID_CONFLICT`` if the client's
            id was used for something else.
        ExchangeError: if the exchange cannot take it or has not answered.
    """
    now = _now_ms()
    row = OperationRequest(
        operation=call.operation.name,
        target=call.target.key,
        label=call.target.label[:200],
        given=json.dumps(call.given, sort_keys=True),
        reason=call.reason,
        value_atoms=value_atoms,
        status=RequestStatus.WEIGHING,
        requested_by_id=call.actor.id,
        requested_by=call.actor.username,
        created_ms=now,
        expires_ms=now + LIFETIME_MS,
    )
    row.client_request_id = call.client_request_id or str(row.pk)
    try:
        with atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return _repeated(call, row)
    return _weigh(row, _numbered(call, row))


def _weigh(row: OperationRequest, call: Call) -> Result:
    """
    Carry out what this operator may move alone, and let anything else wait.

    The row is visible to the other requests of this operator before they are added up: of two
    at once that only together pass the limit, at least one waits. Of two who weigh one row,
    because it was sent again, one goes on and the other finds what became of it.

    Raises:
        ApiError: 409 ``REQUEST_EXPIRED`` if it was ended meanwhile; what the exchange refuses
            it with.
    """
    if _within_limit(row):
        if _move(row, RequestStatus.WEIGHING, status=RequestStatus.EXECUTING):
            return _execute(row, call)
    else:
        with atomic():
            if _move(row, RequestStatus.WEIGHING, status=RequestStatus.PENDING):
                call_tell(call, PENDING_RESULT)
                return Result(status=PENDING, approval_id=row.pk)
    row.refresh_from_db()
    return _answer(row, call)


def request_approve(*, request_id: int, actor: Operator, reason: str) -> Result:
    """
    Agree to a request of somebody else, which carries out exactly what was asked.

    Of two who agree at once one does it. A request whose outcome stayed unknown can be agreed
    to again after ten seconds; it still happens once.

    Raises:
        ApiError: 404; 403; 422 ``SECOND_PERSON_NEEDED`` for who asked; 409 ``REQUEST_DECIDED``
            or ``REQUEST_EXPIRED``; what the exchange refuses it with.
        ExchangeError: if the exchange cannot take it or has not answered.
    """
    row = _row(request_id)
    call = _approval_call(row, actor, reason)
    with audited(call):
        if row.requested_by_id == actor.id:
            raise ApiError("SECOND_PERSON_NEEDED", "Somebody else than who asked must agree.", 422)
        if call.operation.check is not None:
            call.operation.check(call)
        _take(row, actor, reason)
    return _execute(row, call)


def request_reject(*, request_id: int, actor: Operator, reason: str) -> None:
    """
    Let nothing come of a request; who asked may do that too.

    Raises:
        ApiError: 404; 403; 409 ``REQUEST_DECIDED`` or ``REQUEST_EXPIRED``.
    """
    row = _row(request_id)
    _check_permitted(row, actor)
    with atomic():
        moved = _move(
            row,
            RequestStatus.PENDING,
            status=RequestStatus.REJECTED,
            decided_ms=_now_ms(),
            decided_by_id=actor.id,
            decided_by=actor.username,
            decision_reason=reason,
        )
        if not moved:
            raise _decided(row)
        _tell_end(row, "reject", actor=actor, reason=reason)


def requests_expire() -> int:
    """
    End requests that nobody decided in time; returns how many. Safe to run twice.

    So do those whose process ended before it had weighed them: nothing was moved, and whoever
    asked has no answer.
    """
    now = _now_ms()
    waiting = OperationRequest.objects.filter(status=RequestStatus.PENDING, expires_ms__lte=now)
    left = OperationRequest.objects.filter(
        status=RequestStatus.WEIGHING, created_ms__lt=now - WEIGHED_WITHIN_MS
    )
    return _expire(waiting, "nobody decided in time") + _expire(left, "its process ended")


def _expire(rows: QuerySet[OperationRequest], reason: str) -> int:
    ended = 0
    for row in rows.order_by("id")[:EXPIRED_AT_ONCE]:
        with atomic():
            if _move(row, RequestStatus(row.status), status=RequestStatus.EXPIRED):
                _tell_end(row, "expire", actor=PLATFORM, reason=reason)
                ended += 1
    return ended


def request_by_id(request_id: int) -> RequestInfo:
    """
    Return one request.

    Raises:
        ApiError: 404 if there is none.
    """
    return _info(_row(request_id))


def requests_page(
    *, limit: int, status: str | None = None, below_id: int | None = None
) -> list[RequestInfo]:
    """Return one more than ``limit`` requests if there are, the newest first."""
    rows = OperationRequest.objects.order_by("-id")
    if status is not None:
        rows = rows.filter(status=status)
    if below_id is not None:
        rows = rows.filter(id__lt=below_id)
    return [_info(row) for row in rows[: limit + 1]]


def _within_limit(row: OperationRequest) -> bool:
    """Return whether what this operator moved alone within a day, this included, is within it."""
    day = OperationRequest.objects.filter(
        requested_by_id=row.requested_by_id,
        created_ms__gt=row.created_ms - WINDOW_MS,
        decided_by_id=0,
        status__in=_STRAIGHT,
    )
    values = list(day.order_by("-id").values_list("value_atoms", flat=True)[:WINDOW_ROWS_MAX])
    known = [value for value in values if value is not None]
    if len(known) < len(values) or len(values) == WINDOW_ROWS_MAX:
        return False
    return sum(known) <= settings.APPROVAL_LIMIT_ATOMS


def _take(row: OperationRequest, actor: Operator, reason: str) -> None:
    """Be the one who carries a request out."""
    now = _now_ms()
    decided = {
        "status": RequestStatus.EXECUTING,
        "decided_ms": now,
        "decided_by_id": actor.id,
        "decided_by": actor.username,
        "decision_reason": reason,
    }
    waiting = OperationRequest.objects.filter(
        id=row.pk, status=RequestStatus.PENDING, expires_ms__gt=now
    )
    unknown = OperationRequest.objects.filter(
        id=row.pk,
        status=RequestStatus.EXECUTING,
        created_ms__lt=now - RETRY_AFTER_MS,
        decided_ms__lt=now - RETRY_AFTER_MS,
    )
    if not waiting.update(**decided) and not unknown.update(**decided):
        row.refresh_from_db()
        raise _decided(row)


def _execute(row: OperationRequest, call: Call) -> Result:
    try:
        done = call_perform(call)
    except ApiError as error:
        # What may have been done after all stays open, to be asked for again.
        if error.status_code < 500:
            refusal = {"code": error.code, "message": error.message, "status": error.status_code}
            _finish(row, RequestStatus.REFUSED, {"error": refusal})
        raise
    _finish(row, RequestStatus.EXECUTED, done.answer)
    return Result(status=DONE, answer=done.answer, approval_id=row.pk)


def _finish(row: OperationRequest, status: RequestStatus, result: Mapping[str, Any]) -> None:
    _move(row, RequestStatus.EXECUTING, status=status, result=json.dumps(result))


def _move(row: OperationRequest, current: RequestStatus, **values: Any) -> bool:
    """Change a row that is still in a status; return whether it was."""
    return OperationRequest.objects.filter(id=row.pk, status=current).update(**values) == 1


def _repeated(call: Call, row: OperationRequest) -> Result:
    """Answer a request that was sent before as the first one; another under its id conflicts."""
    first = OperationRequest.objects.get(
        requested_by_id=row.requested_by_id, client_request_id=row.client_request_id
    )
    same = ("operation", "target", "given", "reason")
    if any(getattr(first, name) != getattr(row, name) for name in same):
        raise ApiError("REQUEST_ID_CONFLICT", "This id was used for another request.", 409)
    return _answer(first, _numbered(call, first))


def _answer(first: OperationRequest, call: Call) -> Result:
    """Return what became of a request, going on where nobody has."""
    result = json.loads(first.result) if first.result else {}
    if first.status == RequestStatus.EXECUTED:
        return Result(status=DONE, answer=result, approval_id=first.pk)
    if first.status == RequestStatus.REFUSED:
        error = result["error"]
        raise ApiError(error["code"], error["message"], error["status"])
    if first.status == RequestStatus.EXECUTING:
        return _execute(first, call)
    if first.status == RequestStatus.WEIGHING:
        # Its process is gone, or about to go on: one of both does.
        return _weigh(first, call)
    if first.status == RequestStatus.PENDING:
        return Result(status=PENDING, approval_id=first.pk)
    raise _decided(first)


def _numbered(call: Call, row: OperationRequest) -> Call:
    return replace(call, request_id=row.pk, notes={**call.notes, "request_id": str(row.pk)})


def _approval_call(row: OperationRequest, actor: Operator, reason: str) -> Call:
    _check_permitted(row, actor)
    operation = all_operations()[row.operation]
    body = {**json.loads(row.given), "reason": row.reason}
    call = call_of(operation, row.target, body, actor)
    notes = {"requested_by": row.requested_by, "approval": reason}
    return _numbered(replace(call, requested_by=row.requested_by, notes=notes), row)


def _check_permitted(row: OperationRequest, actor: Operator) -> None:
    operation = all_operations().get(row.operation)
    if operation is None or not role_permits(actor.role, operation.permission):
        raise refused("PERMISSION_DENIED")


def _tell_end(row: OperationRequest, how: str, *, actor: Operator | str, reason: str) -> None:
    operation = all_operations()[row.operation]
    target = operation.target.find(row.target)
    audit.record(
        actor=actor,
        action=f"{operation.audit_action}_{how}",
        target=target.audit_name,
        after={
            **json.loads(row.given),
            "request_id": str(row.pk),
            "requested_by": row.requested_by,
            "result": "OK",
        },
        reason=reason,
    )


def _decided(row: OperationRequest) -> ApiError:
    if row.status == RequestStatus.EXPIRED or (
        row.status == RequestStatus.PENDING and row.expires_ms <= _now_ms()
    ):
        return ApiError("REQUEST_EXPIRED", "Nobody decided this request in time.", 409)
    return ApiError("REQUEST_DECIDED", "Somebody has decided this request already.", 409)


def _row(request_id: int) -> OperationRequest:
    row = OperationRequest.objects.filter(id=request_id).first()
    if row is None:
        raise not_found()
    return row


def _now_ms() -> int:
    return int(timezone.now().timestamp() * 1000)


def _info(row: OperationRequest) -> RequestInfo:
    return RequestInfo(
        request_id=row.pk,
        operation=row.operation,
        target=row.target,
        label=row.label,
        given=json.loads(row.given),
        reason=row.reason,
        value_atoms=row.value_atoms,
        status=RequestStatus(row.status),
        requested_by_id=row.requested_by_id,
        requested_by=row.requested_by,
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        decided_ms=row.decided_ms,
        decided_by=row.decided_by,
        decision_reason=row.decision_reason,
        result=json.loads(row.result) if row.result else None,
    )
