"""What a server sends over a WebSocket, and the rule by which a channel is followed."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

SNAPSHOT = "snapshot"
DELTA = "delta"
UPDATE = "update"
HEARTBEAT = "heartbeat"
RESET = "reset"

FRAME_TYPES = frozenset({SNAPSHOT, DELTA, UPDATE, HEARTBEAT, RESET})

_NOTHING = msgspec.Raw(b"null")


class Message(msgspec.Struct, gc=False):
    """Any message of the server: a frame of a channel, or an answer; ``data`` is not read yet."""

    type: str = ""
    channel: str | None = None
    epoch: int = 0
    seq: int = 0
    prev: int | None = None
    ts: int = 0
    data: msgspec.Raw = _NOTHING
    id: str | int | None = None
    op: str | None = None
    status: int = 0
    error: dict[str, Any] | None = None
    code: str | None = None
    channels: list[str] | None = None
    account_id: str | None = None
    expires_at: int | None = None


decode_message = msgspec.json.Decoder(Message).decode


class Verdict(enum.Enum):
    """What a frame means for the state that its channel keeps."""

    IGNORE = "ignore"
    REPLACE = "replace"
    CHANGE = "change"
    FORGET = "forget"
    GAP = "gap"
    # What is kept is the newest there is: a resumed stream has sent all that was missed.
    CURRENT = "current"


class ChannelRule:
    """
    Follows epoch and sequence of one channel, by the rule of the protocol.

    After a gap, and until the server has answered the new subscription, every frame is
    ignored: what is still on the way belongs to the old one. ``is_current`` is false from then
    on, until a snapshot or a heartbeat says that what is kept is the newest.
    """

    __slots__ = ("epoch", "gaps", "is_current", "last", "waits_for_answer")

    def __init__(self) -> None:
        self.epoch = 0
        self.last: int | None = None
        self.gaps = 0
        self.is_current = False
        self.waits_for_answer = False

    def judge(self, frame: Message) -> Verdict:
        """Return what to do with a frame, and keep its place."""
        if self.waits_for_answer or frame.epoch < self.epoch:
            return Verdict.IGNORE
        if frame.type == RESET:
            self.epoch, self.last = frame.epoch, None
            self.is_current = False
            return Verdict.FORGET
        if frame.type == SNAPSHOT:
            self.epoch, self.last = frame.epoch, frame.seq
            self.is_current = True
            return Verdict.REPLACE
        if self.last is None:
            return Verdict.IGNORE
        if frame.epoch > self.epoch:
            # A new epoch begins with a reset or a snapshot: this one's was lost.
            return self._lost()
        if frame.seq <= self.last:
            if frame.type == HEARTBEAT and not self.is_current:
                self.is_current = True
                return Verdict.CURRENT
            return Verdict.IGNORE
        if frame.type == HEARTBEAT or (frame.prev is not None and frame.prev > self.last):
            return self._lost()
        self.last = frame.seq
        return Verdict.CHANGE

    def expect_answer(self) -> None:
        """Ignore everything until ``answered``; epoch and place are kept, to resume from."""
        self.waits_for_answer = True
        self.is_current = False

    def answered(self) -> None:
        """Take frames again: the server has begun the subscription anew."""
        self.waits_for_answer = False

    def forget(self) -> None:
        """Take nothing but a snapshot from now on, of any epoch."""
        self.epoch, self.last = 0, None
        self.is_current = False

    def _lost(self) -> Verdict:
        self.gaps += 1
        self.last = None
        self.is_current = False
        self.waits_for_answer = True
        return Verdict.GAP
