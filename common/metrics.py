"""
Figures of processes as they lie in Redis: what each published last, under a key that expires.

Labels never carry accounts, orders or addresses: their number must stay bounded.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import redis
from prometheus_client.registry import Collector

from common import redis as redis_clients

# A process that has not published for this long has ended.
EXPIRES_S = 5
# Beyond this something publishes without bound; nobody looks at more.
PROCESSES_MAX = 200


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One figure: its full name, labels and value."""

    name: str
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, frozen=True, array_like=True):
    """The figures of one name."""

    name: str
    documentation: str
    kind: str
    samples: list[Sample]


class Publication(msgspec.Struct, frozen=True, array_like=True):
    """What one process publishes; ``member`` tells it from others of the same name."""

    process: str
    families: list[Family]
    member: str = ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Publication)


def index_key() -> str:
    """Return the key of the set of processes, as ``member_name`` names them, that published."""
    return redis_clients.key("metrics")


def member_key(member: str) -> str:
    """Return the key of what one process published last; it expires with the process."""
    return redis_clients.key("metrics", member)


def member_name(process: str) -> str:
    """
    Return what tells this process from all others, "name:host:pid".

    In containers every process has the number 1, so the host belongs to it.
    """
    return f"{process}:{socket.gethostname()}:{os.getpid()}"


def member_parts(member: str) -> tuple[str, str, str]:
    """Return name, host and pid of a process; the host is empty in "name:pid"."""
    rest, _, pid = member.rpartition(":")
    name, _, host = rest.partition(":")
    return name, host, pid


def collect(process: str, registry: Collector) -> Publication:
    """Return the present figures of a registry; creation times are left out."""
    families = []
    for metric in registry.collect():
        samples = [
            Sample(sample.name, dict(sample.labels), float(sample.value))
            for sample in metric.samples
            if not sample.name.endswith("_created")
        ]
        if samples:
            families.append(Family(metric.name, metric.documentation, metric.type, samples))
    return Publication(process, families)


def publish(client: redis.Redis, publication: Publication, *, member: str) -> None:
    """Write one process's figures; they expire when it publishes no more."""
    pipeline = client.pipeline(transaction=False)
    named = msgspec.structs.replace(publication, member=member)
    pipeline.set(member_key(member), _encoder.encode(named), ex=EXPIRES_S)
    pipeline.sadd(index_key(), member)
    pipeline.execute()


def read(client: redis.Redis) -> list[Publication]:
    """Return what the living processes published, forgetting those that have ended."""
    names: Any = client.smembers(index_key())
    members = members_of(names)
    if not members:
        return []
    values: Any = client.mget([member_key(name) for name in members])
    found = published(members, values)
    ended = [name for name in members if name not in found]
    if ended:
        client.srem(index_key(), *ended)
    return list(found.values())


def members_of(names: Iterable[bytes | str]) -> list[str]:
    """Return the processes to look at, in order, from what the index holds."""
    texts = [name.decode() if isinstance(name, bytes) else name for name in names]
    return sorted(texts)[:PROCESSES_MAX]


def published(members: Sequence[str], values: Sequence[bytes | None]) -> dict[str, Publication]:
    """Return what each process that still lives published, by its name in the index."""
    return {
        member: _decoder.decode(value)
        for member, value in zip(members, values, strict=True)
        if isinstance(value, bytes)
    }
