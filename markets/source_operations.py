"""What operators do to price sources."""

from __future__ import annotations

from functools import partial

from django.conf import settings

from accounts.operations import Call, Done, Operation, Target, TargetKind, call_tell
from accounts.permissions import Permission
from accounts.switches import switch_set
from accounts.user_operations import nothing_to_change
from common.db import atomic
from common.errors import not_found
from common.openapi import BOOLEAN, TEXT
from markets.feeds.switching import sources_switched_off, switch_name


def _find(key: str) -> Target:
    if key not in settings.PRICE_SOURCES:
        raise not_found()
    return Target(key=key, label=f"price source {key}", audit_name=f"price_source:{key}")


PRICE_SOURCE = TargetKind(
    name="price-source",
    collection="price-sources",
    parameter="source",
    find=_find,
    description="Name of the venue.",
)


def _switch(is_off: bool, call: Call) -> Done:
    with atomic():
        if not switch_set(switch_name(call.target.key), is_on=is_off):
            raise nothing_to_change()
        call_tell(call, "OK", before={"switched_off": not is_off}, after={"switched_off": is_off})
    return Done(answer={"source": call.target.key, "switched_off": is_off})


def _applies(is_off: bool, target: Target) -> bool:
    return (target.key in sources_switched_off()) is not is_off


OPERATIONS = tuple(
    Operation(
        name=f"price-source-{action}",
        title=title,
        description=description,
        target=PRICE_SOURCE,
        permission=Permission.MARKETS_MANAGE,
        perform=partial(_switch, is_off),
        answer={"source": {**TEXT, "example": "kraken"}, "switched_off": BOOLEAN},
        refusals={404: ("NOT_FOUND",), 409: ("NOTHING_TO_CHANGE",)},
        audits_itself=True,
        danger=is_off,
        applies=partial(_applies, is_off),
    )
    for action, title, description, is_off in (
        (
            "off",
            "Switch off",
            "The feed ignores the source, with what it said before, until it is switched on:"
            " with one source left prices are in doubt, with none markets are halted.",
            True,
        ),
        ("on", "Switch on", "The feed listens to the source again.", False),
    )
)
