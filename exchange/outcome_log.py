"""What became of a command whose answer did not arrive: the command log knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exchange.core.enums import Lane
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from exchange.models import POSITION_ID, Batch, LogPosition
from exchange.wire import BatchPayload, decode_payload, offset_key

# Without an entry id the newest batches are searched: more than commit in the time that a
# gateway waits.
BATCHES_SEARCHED_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Sent:
    """Where a submission went: the entry of a lane, "" when the reply to XADD was lost."""

    lane: Lane
    stream_epoch: int
    stream_id: str


def look_up(command_id: str, sent: Sent, *, since_ms: int) -> Outcome | None:
    """
    Return the outcome of a command without its events, or None when that is not known yet.

    A command whose stream was lost with Redis, or that was passed over, was never carried
    out and never will be: it is void. ``since_ms`` is when it was submitted.
    """
    # First: what is consumed by now has its batch in the log for the search that follows.
    behind = bool(sent.stream_id) and is_behind(sent)
    batches = _batches_of(sent) if sent.stream_id else _newest_batches(since_ms)
    for payload in batches:
        outcome = _outcome_in(payload, command_id)
        if outcome is not None:
            return outcome
    return Outcome(Code.EXPIRED_IN_QUEUE, 0, ()) if behind else None


def is_behind(sent: Sent) -> bool:
    """Tell whether the exchange has consumed an entry, or will never see it."""
    position = LogPosition.objects.get(id=POSITION_ID)
    if position.stream_epoch != sent.stream_epoch:
        return position.stream_epoch > sent.stream_epoch
    if sent.lane is Lane.SYSTEM:
        offset, taken = position.system_offset, position.system_taken
    else:
        offset, taken = position.orders_offset, position.orders_taken
    reached, wanted = offset_key(offset), offset_key(sent.stream_id)
    return reached > wanted or (reached == wanted and not taken)


def _batches_of(sent: Sent) -> Iterator[BatchPayload]:
    """Yield the batches that consumed an entry: offsets rise, so the first is found by halves."""
    wanted = (sent.stream_epoch, *offset_key(sent.stream_id))
    offset_name = "system_offset" if sent.lane is Lane.SYSTEM else "orders_offset"
    ends = Batch.objects.order_by("id").values_list("id", flat=True)
    low, last = ends.first(), ends.last()
    if low is None or last is None:
        return
    high = last + 1
    while low < high:
        middle = (low + high) // 2
        if _reached(middle, offset_name) < wanted:
            low = middle + 1
        else:
            high = middle
    for number in range(low, min(low + BATCHES_SEARCHED_MAX, last + 1)):
        batch = Batch.objects.filter(id=number).first()
        if batch is None or batch.stream_epoch != sent.stream_epoch:
            return
        yield decode_payload(batch.payload)
        # A large entry is spread over batches; the one that goes past it is its last.
        if offset_key(getattr(batch, offset_name)) > wanted[1:]:
            return


def _reached(number: int, offset_name: str) -> tuple[int, int, int]:
    found = Batch.objects.filter(id=number).values_list("stream_epoch", offset_name).first()
    return (found[0], *offset_key(found[1])) if found else (-1, 0, 0)


def _newest_batches(since_ms: int) -> Iterator[BatchPayload]:
    newest = Batch.objects.order_by("-id").values_list("last_ms", "payload")
    for last_ms, payload in newest[:BATCHES_SEARCHED_MAX].iterator():
        if last_ms < since_ms:
            return
        yield decode_payload(payload)


def _outcome_in(payload: BatchPayload, command_id: str) -> Outcome | None:
    for envelope, result in zip(payload.envelopes, payload.results, strict=True):
        if envelope.command_id == command_id:
            return Outcome(
                result.code,
                result.reference_id,
                (),
                result.repeated,
                order_ids=result.order_ids,
            )
    for unapplied in payload.unapplied:
        if unapplied.command_id == command_id:
            return Outcome(unapplied.code, 0, ())
    return None
