"""The one way to carry an operation out, whoever asks: REST, a form or a command line."""

from __future__ import annotations

from accounts.access import refused
from accounts.operation_requests import request_open
from accounts.operations import DONE, Call, Preview, Result, audited, call_perform
from accounts.permissions import role_permits


def operation_preview(call: Call) -> Preview | None:
    """
    Return who and what a call would affect; None where the operation has no preview.

    Raises:
        ApiError: if it is not permitted, or surely refused.
    """
    _check_permitted(call)
    return call.operation.preview(call) if call.operation.preview is not None else None


def operation_run(call: Call) -> Result:
    """
    Carry out a call, or keep it for a second person; must not run in a transaction.

    It leaves exactly one event in the audit log, refused or not; what is not permitted at all
    leaves none.

    Raises:
        ApiError: if it is not permitted or refused.
        ExchangeError: if the exchange cannot take it or has not answered.
    """
    _check_permitted(call)
    operation = call.operation
    if operation.weigh is None:
        return Result(status=DONE, answer=call_perform(call).answer)
    with audited(call):
        if operation.check is not None:
            operation.check(call)
        value_atoms = operation.weigh(call)
    return request_open(call, value_atoms=value_atoms)


def _check_permitted(call: Call) -> None:
    if not role_permits(call.actor.role, call.operation.permission):
        raise refused("PERMISSION_DENIED")
