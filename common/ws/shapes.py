"""Shapes of the server's answers on every namespace, for the AsyncAPI document."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class _Answer(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    id: str | int | None = None


class Subscribed(_Answer, forbid_unknown_fields=True, kw_only=True):
    """All channels of the message are subscribed; a snapshot of each follows."""

    type: Literal["subscribed"]
    channels: list[str]


class Unsubscribed(_Answer, forbid_unknown_fields=True, kw_only=True):
    """The channels of the message are subscribed no more."""

    type: Literal["unsubscribed"]
    channels: list[str]


class Pong(_Answer, forbid_unknown_fields=True, kw_only=True):
    """A sign of life with the server's time."""

    type: Literal["pong"]
    ts: int


class Authenticated(_Answer, forbid_unknown_fields=True, kw_only=True):
    """The credential is good until ``expires_at``; null: it does not end by itself."""

    type: Literal["authenticated"]
    account_id: str
    expires_at: int | None


class AuthExpired(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The token has ended: 3 s are left to send ``auth`` with a new one."""

    type: Literal["auth_expired"]


class Notice(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Something concerns every connection; at present that the server restarts."""

    type: Literal["notice"]
    code: str
    message: str


class Refusal(msgspec.Struct, kw_only=True):
    """Why a message was refused; a code of ``GET /api/errors``."""

    code: str
    message: str
    channel: str | None = None
    fields: dict[str, str] | None = None
    retry_after: int | None = None
    request_id: str | None = None


class Error(_Answer, forbid_unknown_fields=True, kw_only=True):
    """The message was refused; ``op`` and ``status`` (as HTTP's) on order entry."""

    type: Literal["error"]
    error: Refusal
    op: str | None = None
    status: int | None = None


class Heartbeat(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The channel was quiet for a second; ``seq`` is its last one."""

    channel: str
    epoch: int
    seq: int
    type: Literal["heartbeat"]
    ts: int


class Reset(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Frames may have been missed: forget the channel, a snapshot follows by itself."""

    channel: str
    epoch: int
    seq: int
    type: Literal["reset"]
    ts: int


# What every namespace may answer.
ANSWERS: tuple[type[Any], ...] = (Subscribed, Unsubscribed, Pong, Error, Notice)
AUTH_ANSWERS: tuple[type[Any], ...] = (Authenticated, AuthExpired)
SILENT_FRAMES: tuple[type[Any], ...] = (Heartbeat, Reset)
