"""What operators do to the exchange's own rows: commands in quarantine."""

from __future__ import annotations

from accounts.operations import Call, Done, Operation, Preview, Target, TargetKind
from accounts.operators import operator_submit
from accounts.permissions import Permission
from adminpanel.command_fields import command_fields
from common.errors import ApiError, not_found
from common.ids import parse_id
from common.openapi import IDENTIFIER, TEXT
from exchange.core.rejects import Code
from exchange.errors import ExchangeBusy, ExchangeUnavailable
from exchange.quarantine import (
    DISCARDED,
    RELEASED,
    SetAside,
    decide,
    set_aside_by_id,
    undecide,
)

_ANSWER = {"quarantine_id": IDENTIFIER, "command": TEXT, "decision": TEXT}


def _find(key: str) -> Target:
    found = set_aside_by_id(parse_id(key) or 0)
    if found is None:
        raise not_found()
    return Target(
        key=key,
        label=f"{found.type} {found.command_id} in quarantine",
        audit_name=f"quarantine:{key}",
        subject=found,
    )


QUARANTINE = TargetKind(
    name="quarantine",
    collection="quarantine",
    parameter="quarantine_id",
    find=_find,
    description="Key of the row.",
)


def _decide(call: Call, decision: str) -> SetAside:
    found: SetAside = call.target.subject
    if not decide(found.row_id, decision):
        raise ApiError("REQUEST_DECIDED", "Somebody has decided about this command already.", 409)
    return found


def _release(call: Call) -> Done:
    found = _decide(call, RELEASED)
    try:
        operator_submit(found.command)
    except (ExchangeBusy, ExchangeUnavailable):
        # Nothing was done, so it can be released another time.
        undecide(found.row_id)
        raise
    except ApiError as error:
        # A refusal changes nothing either: a halted market may be opened, a balance filled.
        # What was set aside again waits as another row.
        if error.code != Code.QUARANTINED.name:
            undecide(found.row_id)
        raise
    return _done(found, RELEASED)


def _discard(call: Call) -> Done:
    return _done(_decide(call, DISCARDED), DISCARDED)


def _done(found: SetAside, decision: str) -> Done:
    return Done(
        answer={
            "quarantine_id": str(found.row_id),
            "command": found.type,
            "decision": decision,
        },
        after={"command": found.type, "command_id": found.command_id},
    )


def _preview(call: Call) -> Preview:
    found: SetAside = call.target.subject
    return Preview(
        summary=f"{found.type}: {found.error}",
        headers=("field", "value"),
        rows=tuple(command_fields(found.command)),
    )


def _waits(target: Target) -> bool:
    found: SetAside = target.subject
    return not found.decision


OPERATIONS = (
    Operation(
        name="quarantine-release",
        title="Release and submit again",
        description="Submit the command anew, as if it came now. Open its market first: orders are"
        " refused while it is halted, and a refused command goes on waiting here. If the exchange"
        " fails at it again, it is set aside and its market halted once more.",
        target=QUARANTINE,
        permission=Permission.TRADING_MANAGE,
        perform=_release,
        answer=_ANSWER,
        refusals={404: ("NOT_FOUND",), 409: ("REQUEST_DECIDED",), 503: ("QUARANTINED",)},
        danger=True,
        preview=_preview,
        applies=_waits,
    ),
    Operation(
        name="quarantine-discard",
        title="Discard",
        description="Decide that the command never happens.",
        target=QUARANTINE,
        permission=Permission.TRADING_MANAGE,
        perform=_discard,
        answer=_ANSWER,
        refusals={404: ("NOT_FOUND",), 409: ("REQUEST_DECIDED",)},
        preview=_preview,
        applies=_waits,
    ),
)
