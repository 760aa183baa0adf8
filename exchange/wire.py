"""
What travels between gateway, runner and command log, and how it is packed.

Everything is MessagePack of arrays: a field is only ever appended, with a default. One
Redis entry carries many submissions, one publication many answers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import msgspec

from exchange.core.commands import AnyCommand, Envelope
from exchange.core.events import Outcome
from exchange.core.rejects import Code

WIRE_VERSION = 1

# A submission older than this when its turn comes is void; a gateway waits as long.
COMMAND_AGE_MAX_MS = 5_000


class Submission(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    One command on its way to the runner; ``command_id`` makes delivery exactly-once.

    ``age_max_ms`` is how old it may be when its turn comes, where its sender wants less than
    ``COMMAND_AGE_MAX_MS`` (0: that).
    """

    command_id: str
    command: AnyCommand
    request_id: str = ""
    age_max_ms: int = 0


class Packet(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of a lane: submissions of one gateway, which reads answers at ``reply_to``."""

    version: int
    reply_to: str
    submissions: list[Submission]


class RawPacket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A packet whose submissions are decoded one by one, to find the one that is broken."""

    version: int
    reply_to: str
    submissions: list[msgspec.Raw]


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The outcome of one submission, sent after its batch is committed."""

    command_id: str
    outcome: Outcome


class Result(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    What the log keeps of the outcome of one envelope.

    ``order_ids`` names the orders that a cancel-all ended by itself; its events are not kept.
    """

    code: Code
    reference_id: int
    repeated: bool = False
    order_ids: Sequence[int] = ()


class Unapplied(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A submission that was answered without reaching the core: void, set aside, superseded."""

    command_id: str
    code: Code


class BatchPayload(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The payload of one row of the command log; ``results`` run beside ``envelopes``."""

    version: int
    envelopes: list[Envelope]
    results: list[Result]
    unapplied: list[Unapplied]


class StatusMessage(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the runner tells gateways twice a second under the status key.

    ``orders_age_ms`` is how long the oldest command of the lane "orders" has waited.
    """

    leader: bool
    epoch: int
    stream_epoch: int
    phase: str
    command_number: int
    batch: int
    orders_lag: int
    system_lag: int
    heartbeat_ms: int
    commands_per_second: int = 0
    commit_ms: float = 0.0
    rows_per_batch: int = 0
    client_ids_waiting: int = 0
    orders_age_ms: int = 0


encode = msgspec.msgpack.Encoder().encode
decode_packet = msgspec.msgpack.Decoder(Packet).decode
decode_raw_packet = msgspec.msgpack.Decoder(RawPacket).decode
decode_submission = msgspec.msgpack.Decoder(Submission).decode
decode_answers = msgspec.msgpack.Decoder(list[Answer]).decode
decode_payload = msgspec.msgpack.Decoder(BatchPayload).decode
decode_status = msgspec.msgpack.Decoder(StatusMessage).decode


def offset_key(stream_id: str) -> tuple[int, int]:
    """Return a Redis stream id as numbers that compare in stream order."""
    milliseconds, _, sequence = stream_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def offset_before(stream_id: str) -> str:
    """Return the highest id below a stream id, to read that entry again."""
    milliseconds, sequence = offset_key(stream_id)
    if sequence:
        return f"{milliseconds}-{sequence - 1}"
    return f"{milliseconds - 1}-{2**64 - 1}" if milliseconds else "0-0"


def now_ms() -> int:
    """Return the wall clock in UTC milliseconds."""
    return time.time_ns() // 1_000_000


def make_command_id() -> str:
    """Return a new id of 128 bits: 48 of milliseconds, 80 random; ids sort by time."""
    return f"{now_ms():012x}{os.urandom(10).hex()}"
