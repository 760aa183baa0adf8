"""Operations that tell users something."""

from __future__ import annotations

from functools import partial

import structlog
from redis.exceptions import RedisError

from accounts.notices import EVERYBODY, notice_add, notice_send
from accounts.operation_fields import text
from accounts.operation_targets import EXCHANGE, USER
from accounts.operations import Call, Done, Operation, call_tell
from accounts.permissions import Permission
from common.db import atomic
from common.openapi import BOOLEAN, IDENTIFIER

log = structlog.get_logger(__name__)

_FIELDS = (text("text", "What they read.", example="Maintenance at 22:00 UTC."),)
_ANSWER = {"notice_id": IDENTIFIER, "sent": {**BOOLEAN, "description": "To open sockets."}}


def _tell(to_everybody: bool, call: Call) -> Done:
    account_id = EVERYBODY if to_everybody else call.target.account_id
    with atomic():
        notice = notice_add(
            account_id=account_id, text=call.values["text"], actor=call.actor.username
        )
        call_tell(call, "OK", after={"notice_id": str(notice.pk)})
    try:
        notice_send(notice)
    except RedisError as error:
        # It is written down: who looks finds it.
        log.warning("notice_not_sent", error=type(error).__name__)
        return Done(answer={"notice_id": str(notice.pk), "sent": False})
    return Done(answer={"notice_id": str(notice.pk), "sent": True})


OPERATIONS = (
    Operation(
        name="user-notify",
        title="Send a notice",
        description="Tell the user something: it stays listed and reaches open sockets.",
        target=USER,
        permission=Permission.USERS_SUPPORT,
        perform=partial(_tell, False),
        answer=_ANSWER,
        fields=_FIELDS,
        refusals={404: ("NOT_FOUND",)},
        audits_itself=True,
    ),
    Operation(
        name="exchange-announce",
        title="Announce to everybody",
        description="Tell all users something: it stays listed and reaches open sockets.",
        target=EXCHANGE,
        permission=Permission.USERS_SUPPORT,
        perform=partial(_tell, True),
        answer=_ANSWER,
        fields=_FIELDS,
        audits_itself=True,
    ),
)
