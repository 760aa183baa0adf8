"""What other processes tell accounts: handed to the one that numbers private streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import redis

from common.ws import topics

# Account (0: everybody who listens), channel, data.
Notice = tuple[int, str, dict[str, Any]]

# Notices that nobody takes are forgotten: what they tell are rows as well.
KEPT_MS = 60_000

_encode = msgspec.json.Encoder().encode
decode_notice = msgspec.json.Decoder(Notice).decode


def notices_push(client: redis.Redis, notices: Sequence[Notice]) -> None:
    """
    Hand notices over.

    Raises:
        redis.RedisError: if they cannot be handed over.
    """
    if not notices:
        return
    key = topics.notices_key()
    pipeline = client.pipeline(transaction=False)
    pipeline.rpush(key, *(_encode(notice) for notice in notices))
    pipeline.pexpire(key, KEPT_MS)
    pipeline.execute()
