"""What a connection carries: channels, its state, and errors that the platform tells of."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tradingclient.errors import TradingError, error_of
from tradingclient.frames import ChannelRule, Message, Verdict


class State(enum.Enum):
    """Where a connection is in its life."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"
    FAILED = "failed"


class Login(Protocol):
    """Makes the message that says who one is."""

    async def auth_message(self, refused: bool) -> dict[str, Any]:
        """Return the fields of ``auth``; new ones when those of the last time were refused."""


@dataclass(slots=True)
class Channel:
    """A subscription: its text, who takes its frames, and where it stands."""

    text: str
    take: Callable[[Message, Verdict], None]
    rule: ChannelRule = field(default_factory=ChannelRule)


def told_error(message: Message) -> TradingError:
    """Return the error that a message of the platform tells of."""
    told = message.error or {}
    fields = told.get("fields")
    retry_after = told.get("retry_after")
    return error_of(
        str(told.get("code", "UNKNOWN")),
        str(told.get("message", "")),
        status=message.status,
        fields=fields if isinstance(fields, dict) else None,
        retry_after=float(retry_after) if isinstance(retry_after, int | float) else None,
        request_id=told.get("request_id"),
        channel=told.get("channel"),
    )
