"""
What travels from the projector to the web processes, and how a frame looks to a client.

A frame is ``{"channel", "epoch", "seq", "prev"?, "type", "ts", "data"}``. All but the
channel is the same for every subscriber, so the projector encodes it once as the *body*;
the hub puts the channel in front as the subscriber wrote it.
"""

from __future__ import annotations

import msgspec

SNAPSHOT = "snapshot"
DELTA = "delta"
UPDATE = "update"
RESET = "reset"
HEARTBEAT = "heartbeat"

_json = msgspec.json.Encoder()


class PublicFrame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    One frame of a public topic.

    ``prev`` is the sequence of the topic's frame before it; a frame whose ``prev`` is not
    the last one seen follows a gap. Whole-state kinds carry 0: the latest wins.
    """

    topic: str
    seq: int
    prev: int
    body: str


class PrivateFrame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    One frame of an account.

    ``seq`` rises by one over all private channels of the account; ``prev`` is the sequence
    of the frame before it on the same channel, so a client that listens to one channel
    only can tell a gap too.
    """

    account_id: int
    channel: str
    seq: int
    prev: int
    body: str


class AccountPosition(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The projector watches this account now; what follows continues from here."""

    account_id: int
    seq: int
    channel_seqs: dict[str, int]


class Packet(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    One flush of the projector.

    ``number`` rises by one inside an epoch: a receiver that misses one knows that it lost
    frames. ``reset`` opens an epoch, nothing seen before it counts.
    """

    epoch: int
    number: int
    time_ms: int
    reset: bool
    public: list[PublicFrame]
    private: list[PrivateFrame]
    positions: list[AccountPosition]


class SnapshotHead(msgspec.Struct, frozen=True, gc=False):
    """What the hub reads from a snapshot's JSON without decoding the rest."""

    epoch: int
    seq: int


encode_packet = msgspec.msgpack.Encoder().encode
decode_packet = msgspec.msgpack.Decoder(Packet).decode
encode_private = msgspec.msgpack.Encoder().encode
decode_private = msgspec.msgpack.Decoder(PrivateFrame).decode
decode_head = msgspec.json.Decoder(SnapshotHead).decode


def to_json(value: object) -> str:
    """Return a value as compact JSON text."""
    return _json.encode(value).decode()


def body(
    *, epoch: int, seq: int, kind: str, time_ms: int, data: str | None, prev: int | None = None
) -> str:
    """Return all of a frame but the channel; ``data`` is JSON text (None leaves it out)."""
    before = "" if prev is None else f'"prev":{prev},'
    after = "" if data is None else f',"data":{data}'
    return f'"epoch":{epoch},"seq":{seq},{before}"type":"{kind}","ts":{time_ms}{after}}}'


def prefix(channel: str) -> str:
    """Return the part of a frame that depends on how its subscriber wrote the channel."""
    return f'{{"channel":{to_json(channel)},'
