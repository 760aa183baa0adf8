"""
What operators may do: one registry behind REST, the forms of the back-office and the audit.

An operation names its target, its fields, the permission it needs and what it does. Each app
declares its own (``settings.OPERATIONS``). ``accounts.operation_runs`` carries them out and
leaves exactly one event in the audit log, whatever comes of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from django.conf import settings
from django.urls import reverse
from django.utils.module_loading import import_string

from accounts import audit
from accounts.access import refused
from accounts.enums import Role
from accounts.operation_fields import REASON, OperationField, read_fields, schema_of
from accounts.permissions import Permission, role_permits
from common.exceptions import to_api_error
from common.openapi import Codes

DONE, PENDING = "done", "pending_approval"
# What the audit log says of a request that waits for a second person.
PENDING_RESULT = "PENDING_APPROVAL"
CLIENT_REQUEST_ID = r"[A-Za-z0-9_-]{1,64}"


class Operator(Protocol):
    """Who acts: a user, or the identity behind a request."""

    @property
    def id(self) -> int:
        """Return the user's id."""
        ...

    @property
    def username(self) -> str:
        """Return the user's name."""
        ...

    @property
    def role(self) -> str:
        """Return the user's role."""
        ...

    @property
    def account_id(self) -> int:
        """Return the user's own account."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    What an operation is done to.

    ``key`` finds it again, ``audit_name`` is what the audit log calls it. ``subject`` is what
    the app that found it needs, ``account_id`` whose account is concerned (0: nobody's), and
    ``staff`` whether that is somebody who works in the back-office.
    """

    key: str
    label: str
    audit_name: str
    subject: Any = None
    account_id: int = 0
    staff: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetKind:
    """
    A kind of target: its name, the part of REST addresses and the parameter that hold it.

    ``find`` returns the target with a key, or raises an ``ApiError`` with status 404.
    """

    name: str
    collection: str
    parameter: str
    find: Callable[[str], Target]
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Who and what would be affected: a sentence and, where there is one, a table."""

    summary: str
    headers: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an operation did: the answer, and what the audit log keeps beside what was asked."""

    answer: Mapping[str, Any]
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    One operation as it was asked for.

    ``given`` is what the caller sent, ``values`` what it means. ``request_id`` is the number of
    the row of a weighed operation, 0 for any other; ``requested_by`` is who asked where another
    person agreed. ``notes`` are what the audit log keeps beside what was asked.
    """

    operation: Operation
    target: Target
    given: Mapping[str, Any]
    values: Mapping[str, Any]
    reason: str
    actor: Operator
    request_id: int = 0
    requested_by: str = ""
    client_request_id: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def signed_by(self) -> str:
        """Return the names of all who stand for it, as the exchange keeps them."""
        names = (self.requested_by, self.actor.username)
        return " and ".join(name for name in names if name)

    @property
    def once_key(self) -> str:
        """Return the client id under which the exchange moves the amount once, for ever."""
        # The colon keeps it apart from every id that a client may choose.
        return f"operation:{self.request_id}"

    @property
    def once_hash(self) -> int:
        """Return 63 bits of the same: another request under its client id conflicts."""
        digest = hashlib.blake2b(self.once_key.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a call: done with its answer, or waiting as a request."""

    status: str
    answer: Mapping[str, Any] = field(default_factory=dict)
    approval_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """
    One thing that operators do.

    ``name`` begins with the kind of its target. ``perform`` carries it out and may raise
    ``ApiError`` or ``ExchangeError``; it must not run in a transaction. An operation with
    ``audits_itself`` records its success in the transaction of its change. ``weigh`` returns
    what is moved, in atoms of USDT (None: nobody knows what it is worth); above
    ``settings.APPROVAL_LIMIT_ATOMS`` a second person must agree. ``shape``
    refuses values that do not go together (400), ``check`` what can be refused before anything
    is asked of anybody. ``answer`` is the schema of what is answered.
    """

    name: str
    title: str
    description: str
    target: TargetKind
    permission: Permission
    perform: Callable[[Call], Done]
    answer: Mapping[str, Any]
    fields: tuple[OperationField, ...] = ()
    refusals: Codes = field(default_factory=dict)
    step_up: bool = False
    danger: bool = False
    audits_itself: bool = False
    staff_by_admins: bool = False
    shape: Callable[[Mapping[str, Any]], None] | None = None
    check: Callable[[Call], None] | None = None
    weigh: Callable[[Call], int | None] | None = None
    preview: Callable[[Call], Preview] | None = None
    initial: Callable[[Target], Mapping[str, Any]] | None = None
    applies: Callable[[Target], bool] | None = None
    # Where the product sheet names the address; else it follows from target and name.
    address: str = ""

    @property
    def action(self) -> str:
        """Return the name without the kind of target: the last part of its REST address."""
        return self.name.removeprefix(f"{self.target.name}-")

    @property
    def audit_action(self) -> str:
        """Return what the audit log calls it, such as market.halt."""
        return f"{self.target.name}.{self.action}".replace("-", "_")

    @property
    def operation_id(self) -> str:
        """Return its name in the API's description."""
        return "admin_" + self.name.replace("-", "_")

    @property
    def body_fields(self) -> tuple[OperationField, ...]:
        """Return its fields with the reason that every operation needs."""
        return (*self.fields, REASON)

    def schema(self) -> dict[str, Any]:
        """Return the OpenAPI schema of its body."""
        described = schema_of(self.body_fields)
        if self.weigh is not None:
            described["properties"]["client_request_id"] = {
                "type": "string",
                "pattern": f"^{CLIENT_REQUEST_ID}$",
                "description": "Unique per operator: the same request again is done once.",
            }
        return described


@cache
def all_operations() -> dict[str, Operation]:
    """
    Return every operation by name.

    Raises:
        ValueError: if two have one name, or one is not named after its target.
    """
    found: dict[str, Operation] = {}
    for path in settings.OPERATIONS:
        for operation in import_string(path):
            prefix = f"{operation.target.name}-"
            if operation.name in found or not operation.name.startswith(prefix):
                raise ValueError(f"expected a new name beginning {prefix}, was {operation.name}")
            found[operation.name] = operation
    return found


def operations_for(target_kind: str, role: str) -> list[Operation]:
    """Return what a role may do to targets of a kind."""
    return [
        operation
        for operation in all_operations().values()
        if operation.target.name == target_kind and role_permits(role, operation.permission)
    ]


def operation_url(name: str, target: object) -> str:
    """Return the address of an operation's form in the back-office."""
    return reverse("operation", args=[name, str(target)] if target != "" else [name])


def call_of(
    operation: Operation,
    target_key: str,
    body: Mapping[str, Any],
    actor: Operator,
    *,
    client_request_id: str = "",
) -> Call:
    """
    Return what a body asks for, its shape judged and its target found.

    Raises:
        ApiError: 400 for the shape, 404 for a target that is not there, 403 if the target is
            somebody whom only administrators touch.
    """
    values = read_fields(operation.body_fields, body)
    reason = values.pop("reason")
    if operation.shape is not None:
        operation.shape(values)
    target = operation.target.find(target_key)
    if operation.staff_by_admins and target.staff and actor.role != Role.ADMIN:
        raise refused("PERMISSION_DENIED")
    return Call(
        operation=operation,
        target=target,
        given={name: value for name, value in body.items() if name != "reason"},
        values=values,
        reason=reason,
        actor=actor,
        client_request_id=client_request_id,
    )


def call_perform(call: Call) -> Done:
    """
    Carry out a call and leave its one event in the audit log.

    Raises:
        Exception: whatever refused it or failed, after that was recorded.
    """
    operation = call.operation
    with audited(call):
        if operation.check is not None:
            operation.check(call)
        done = operation.perform(call)
    if not operation.audits_itself:
        call_tell(call, "OK", before=done.before, after=done.after)
    return done


@contextmanager
def audited(call: Call) -> Iterator[None]:
    """Record what a call is refused or fails with inside, and let it through."""
    try:
        yield
    except Exception as error:
        known = to_api_error(error)
        call_tell(call, known.code if known is not None else "INTERNAL_ERROR")
        raise


def call_tell(
    call: Call,
    result: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Record a call with its result in the audit log."""
    asked: dict[str, Any] = {**call.given, **(after or {}), **call.notes, "result": result}
    audit.record(
        actor=call.actor,
        action=call.operation.audit_action,
        target=call.target.audit_name,
        before=before,
        after=asked,
        reason=call.reason,
    )
