"""What operators do to users and to the platform's switches."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from accounts import audit
from accounts.api_keys import api_keys_end
from accounts.enums import Role
from accounts.models import AuditEvent, User
from accounts.operation_fields import choice
from accounts.operation_targets import EXCHANGE, USER
from accounts.operations import Call, Done, Operation, Target, call_tell
from accounts.permissions import Permission
from accounts.services import sessions_revoke_all, target_of, user_set_access
from accounts.switches import WITHDRAWALS_FROZEN, switch_set, switches_on
from accounts.two_factor import factor_reset
from common.db import atomic
from common.errors import ApiError
from common.openapi import BOOLEAN, IDENTIFIER, TEXT
from common.tiers import Tier

# Consequences that one event names.
CONSEQUENCES_MAX = 40
# What the rows of ended sessions and keys say.
OPERATOR = "operator"
_TIERS = tuple(tier for tier in Tier if tier is not Tier.ANONYMOUS)
_ANSWER = {
    "user_id": IDENTIFIER,
    "username": TEXT,
    "role": TEXT,
    "tier": TEXT,
    "active": BOOLEAN,
    "two_factor": BOOLEAN,
    "withdrawals_frozen": BOOLEAN,
}


def nothing_to_change() -> ApiError:
    """Return the refusal of what is so already."""
    return ApiError("NOTHING_TO_CHANGE", "It is so already.", 409)


def _user_of(call: Call) -> User:
    user: User = call.target.subject
    return user


def _changed(call: Call, change: Callable[[], object], *, always: bool = False) -> Done:
    """Make a change of rows and tell of it, with all that follows, in one event with it."""
    with atomic():
        with audit.gathered() as told:
            change()
        if not told and not always:
            raise nothing_to_change()
        first = told[0] if told else None
        call_tell(
            call,
            "OK",
            before=json.loads(first.before) if first is not None and first.before else None,
            after={
                **(json.loads(first.after) if first is not None and first.after else {}),
                "consequences": [_consequence(event) for event in told[1:CONSEQUENCES_MAX]],
            },
        )
    user = User.objects.select_related("two_factor").get(id=_user_of(call).pk)
    return Done(answer=_render(user))


def _consequence(event: AuditEvent) -> dict[str, Any]:
    before = json.loads(event.before) if event.before else {}
    return {"action": event.action, "target": event.target, **before}


def _render(user: User) -> dict[str, Any]:
    return {
        "user_id": str(user.pk),
        "username": user.username,
        "role": str(user.role),
        "tier": user.limit_tier,
        "active": user.is_active,
        "two_factor": user.has_second_factor,
        "withdrawals_frozen": user.withdrawals_frozen,
    }


def _check_not_self(call: Call) -> None:
    if _user_of(call).pk == call.actor.id:
        raise ApiError("OWN_ACCOUNT", "Nobody does that to themselves.", 422)


def _set_active(is_active: bool, call: Call) -> Done:
    user = _user_of(call)
    return _changed(
        call,
        lambda: user_set_access(
            user=user, is_active=is_active, actor=call.actor, reason=call.reason
        ),
    )


def _set_role(call: Call) -> Done:
    user, role = _user_of(call), call.values["role"]
    return _changed(
        call,
        lambda: user_set_access(user=user, role=role, actor=call.actor, reason=call.reason),
    )


def _set_tier(call: Call) -> Done:
    user, tier = _user_of(call), call.values["tier"]
    return _changed(
        call,
        lambda: user_set_access(user=user, tier=tier, actor=call.actor, reason=call.reason),
    )


def _log_out(call: Call) -> Done:
    user = _user_of(call)
    # A browser session may end although no token does.
    return _changed(
        call,
        lambda: sessions_revoke_all(user_id=user.pk, reason=OPERATOR, actor=call.actor),
        always=True,
    )


def _end_api_keys(call: Call) -> Done:
    user = _user_of(call)
    return _changed(call, lambda: api_keys_end(user_id=user.pk, reason=OPERATOR, actor=call.actor))


def _reset_2fa(call: Call) -> Done:
    user = _user_of(call)
    return _changed(call, lambda: factor_reset(user=user, actor=call.actor, reason=call.reason))


def _freeze(is_frozen: bool, call: Call) -> Done:
    user = _user_of(call)

    def change() -> None:
        moved = User.objects.filter(id=user.pk, withdrawals_frozen=not is_frozen)
        if moved.update(withdrawals_frozen=is_frozen):
            audit.record(
                actor=call.actor,
                action=call.operation.audit_action,
                target=target_of(user.pk),
                before={"withdrawals_frozen": not is_frozen},
                after={"withdrawals_frozen": is_frozen},
            )

    return _changed(call, change)


def _freeze_all(is_frozen: bool, call: Call) -> Done:
    with atomic():
        if not switch_set(WITHDRAWALS_FROZEN, is_on=is_frozen):
            raise nothing_to_change()
        call_tell(
            call,
            "OK",
            before={"withdrawals_frozen": not is_frozen},
            after={"withdrawals_frozen": is_frozen},
        )
    return Done(answer={"withdrawals_frozen": is_frozen})


def _operation(
    action: str,
    title: str,
    description: str,
    perform: Callable[[Call], Done],
    *,
    permission: Permission = Permission.USERS_MANAGE,
    **more: Any,
) -> Operation:
    return Operation(
        name=f"user-{action}",
        title=title,
        description=description,
        target=USER,
        permission=permission,
        perform=perform,
        answer=_ANSWER,
        refusals={404: ("NOT_FOUND",), 409: ("NOTHING_TO_CHANGE",), 422: ("OWN_ACCOUNT",)},
        audits_itself=True,
        staff_by_admins=True,
        check=_check_not_self,
        **more,
    )


def _is_frozen(target: Target) -> bool:
    frozen: bool = target.subject.withdrawals_frozen
    return frozen


OPERATIONS = (
    _operation(
        "disable",
        "Disable",
        "The user cannot log in; sessions and API keys end at once. Orders stay.",
        partial(_set_active, False),
        danger=True,
        applies=lambda target: target.subject.is_active,
    ),
    _operation(
        "enable",
        "Enable",
        "The user can log in again.",
        partial(_set_active, True),
        applies=lambda target: not target.subject.is_active,
    ),
    _operation(
        "role",
        "Change role",
        "What the user may do. Sessions and API keys end at once.",
        _set_role,
        permission=Permission.ROLES_MANAGE,
        fields=(choice("role", "The new role.", Role),),
        initial=lambda target: {"role": str(target.subject.role)},
        step_up=True,
        danger=True,
    ),
    _operation(
        "tier",
        "Change limits",
        "The limit tier: rates, connections, open orders.",
        _set_tier,
        fields=(choice("tier", "The new limit tier.", _TIERS),),
        initial=lambda target: {"tier": target.subject.limit_tier},
    ),
    _operation(
        "log-out",
        "Log out everywhere",
        "Every session of the user ends, browsers included. API keys go on.",
        _log_out,
        permission=Permission.USERS_SUPPORT,
    ),
    _operation(
        "end-api-keys",
        "End all API keys",
        "Every API key of the user stops working at once.",
        _end_api_keys,
    ),
    _operation(
        "reset-2fa",
        "Reset second factor",
        "Remove a lost second factor; every session ends. Be sure who asks.",
        _reset_2fa,
        step_up=True,
        danger=True,
        applies=lambda target: target.subject.has_second_factor,
    ),
    _operation(
        "freeze-withdrawals",
        "Freeze withdrawals",
        "No money leaves the user's account: no transfer to others, no debit.",
        partial(_freeze, True),
        permission=Permission.USERS_SUPPORT,
        applies=lambda target: not _is_frozen(target),
    ),
    _operation(
        "release-withdrawals",
        "Release withdrawals",
        "Money may leave the user's account again.",
        partial(_freeze, False),
        applies=_is_frozen,
    ),
    *(
        Operation(
            name=f"exchange-{action}",
            title=title,
            description=description,
            target=EXCHANGE,
            permission=Permission.MONEY_MANAGE,
            perform=partial(_freeze_all, is_frozen),
            answer={"withdrawals_frozen": BOOLEAN},
            refusals={409: ("NOTHING_TO_CHANGE",)},
            audits_itself=True,
            danger=is_frozen,
            applies=partial(
                lambda frozen, _target: frozen == (WITHDRAWALS_FROZEN not in switches_on()),
                is_frozen,
            ),
        )
        for action, title, description, is_frozen in (
            (
                "freeze-withdrawals",
                "Freeze all withdrawals",
                "No money leaves any account: no transfer to others, no debit.",
                True,
            ),
            (
                "release-withdrawals",
                "Release withdrawals",
                "Money may leave accounts again, but those that are frozen one by one.",
                False,
            ),
        )
    ),
)
