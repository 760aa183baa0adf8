"""What the runner sends after a commit: answers, events, and word that it lives."""

from __future__ import annotations

from collections import deque

import msgspec

from exchange import keys
from exchange.events_stream import BatchEvents, BookImage, encode_batch_events
from exchange.link import Arguments, Link
from exchange.processor import Committed
from exchange.wire import StatusMessage, encode

# A leader that says nothing for this long is taken to be away.
STATUS_TTL_MS = 2_000
# Bounds of the events stream: a projector that fell further behind starts from rows.
EVENTS_BYTES_MAX = 64 * 1024 * 1024
EVENTS_ENTRIES_MAX = 50_000


class Publisher:
    """Sends through one link; a failure means that receivers missed something."""

    def __init__(self, link: Link) -> None:
        """Publish through a link."""
        self._link = link
        self._kept: deque[tuple[bytes, int]] = deque()
        self._kept_bytes = 0

    def publish(self, committed: Committed, images: list[BookImage], *, reset: bool) -> None:
        """
        Answer every gateway of a batch in one message each, and append its events.

        Raises:
            RedisError: if Redis is away; what was sent is unknown.
        """
        commands: list[Arguments] = [
            ("PUBLISH", reply_to, encode(answers))
            for reply_to, answers in committed.answers.items()
            if reply_to
        ]
        events = committed.events
        if images or reset:
            events = msgspec.structs.replace(events, book_images=images, reset=reset)
        data = encode_batch_events(events)
        commands.append(self._append(data))
        stream_id = self._link.call_all(commands)[-1]
        self._keep(stream_id, len(data))

    def publish_books(self, last: BatchEvents, images: list[BookImage]) -> None:
        """Append images alone, under the number of the last batch."""
        events = msgspec.structs.replace(last, events=[], book_images=images, reset=False)
        data = encode_batch_events(events)
        self._keep(self._link.call(*self._append(data)), len(data))

    def publish_status(self, status: StatusMessage) -> bool:
        """Say that the leader lives; returns whether somebody asked for images of all books."""
        replies = self._link.call_all(
            [
                ("SET", keys.status(), encode(status), "PX", STATUS_TTL_MS),
                ("GET", keys.books_wanted()),
                ("DEL", keys.books_wanted()),
            ]
        )
        return bool(replies[1])

    def withdraw_status(self) -> None:
        """Say that nobody leads."""
        self._link.call("DEL", keys.status())

    def _append(self, data: bytes) -> Arguments:
        # Trimmed by bytes: a batch of one order has 300 of them, a full one 150,000.
        command: list[str | bytes | int] = ["XADD", keys.events()]
        while self._kept and (
            self._kept_bytes > EVENTS_BYTES_MAX or len(self._kept) > EVENTS_ENTRIES_MAX
        ):
            self._kept_bytes -= self._kept.popleft()[1]
        if self._kept:
            command += ["MINID", "~", self._kept[0][0]]
        return [*command, "*", "d", data]

    def _keep(self, stream_id: bytes, size: int) -> None:
        self._kept.append((stream_id, size))
        self._kept_bytes += size
