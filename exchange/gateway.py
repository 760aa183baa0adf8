"""
How everyone else submits commands to the exchange and learns what became of them.

An outcome with a refusal code is returned; what is raised means that no answer came (see
``exchange.errors``). Nothing may be submitted inside a database transaction: on SQLite it
holds the lock that the exchange is waiting for, anywhere else it would time out reading
rows it cannot see.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connections

from exchange.connections import give_back_connections
from exchange.core.commands import AnyCommand
from exchange.core.enums import Lane
from exchange.core.events import Outcome
from exchange.errors import ExchangeBusy, ExchangeError, ExchangeUnavailable, StatusUnknown
from exchange.wire import COMMAND_AGE_MAX_MS, Submission, make_command_id

if TYPE_CHECKING:
    from exchange.inline import InlineExchange

__all__ = [
    "ExchangeBusy",
    "ExchangeError",
    "ExchangeStatus",
    "ExchangeUnavailable",
    "StatusUnknown",
    "make_command_id",
    "status",
    "submit",
    "submit_async",
    "submit_many",
    "submit_many_async",
    "use_inline",
    "wait_until_caught_up",
]

TIMEOUT_S = COMMAND_AGE_MAX_MS / 1000


@dataclass(frozen=True, slots=True)
class ExchangeStatus:
    """What the leader last said; ``down`` when it said nothing for two seconds."""

    leader: bool
    epoch: int
    lag: int
    command_number: int
    heartbeat_ms: int
    phase: str
    down: bool


class _Inline:
    """The exchange of this process, when there is one."""

    lock = threading.Lock()
    exchange: InlineExchange | None = None


def use_inline(exchange: InlineExchange | None) -> None:
    """Carry out this process's commands in the given exchange, or (None) no longer."""
    _Inline.exchange = exchange


def submit(
    command: AnyCommand,
    *,
    lane: Lane = Lane.ORDERS,
    request_id: str = "",
    command_id: str = "",
    age_max_ms: int = 0,
    timeout_s: float = TIMEOUT_S,
) -> Outcome:
    """
    Carry out one command and return its outcome after it is durable.

    With ``age_max_ms`` it is void (``EXPIRED_IN_QUEUE``) if it waited longer; 0 is the usual.

    Raises:
        ExchangeError: if no answer came; see ``exchange.errors``.
        RuntimeError: if called inside a database transaction.
    """
    submission = Submission(command_id or make_command_id(), command, request_id, age_max_ms)
    return _submit([submission], lane, timeout_s)[0]


def submit_many(
    commands: Sequence[AnyCommand],
    *,
    lane: Lane = Lane.ORDERS,
    request_id: str = "",
    age_max_ms: int = 0,
    timeout_s: float = TIMEOUT_S,
) -> list[Outcome]:
    """
    Carry out commands in order, in one hop, and return each one's outcome.

    Raises:
        ExchangeError: if no answer came for at least one of them.
        RuntimeError: if called inside a database transaction.
    """
    return _submit(_submissions(commands, request_id, age_max_ms), lane, timeout_s)


async def submit_async(
    command: AnyCommand,
    *,
    lane: Lane = Lane.ORDERS,
    request_id: str = "",
    command_id: str = "",
    age_max_ms: int = 0,
    timeout_s: float = TIMEOUT_S,
) -> Outcome:
    """Carry out one command from the event loop; as ``submit``."""
    submission = Submission(command_id or make_command_id(), command, request_id, age_max_ms)
    return (await _submit_async([submission], lane, timeout_s))[0]


async def submit_many_async(
    commands: Sequence[AnyCommand],
    *,
    lane: Lane = Lane.ORDERS,
    request_id: str = "",
    age_max_ms: int = 0,
    timeout_s: float = TIMEOUT_S,
) -> list[Outcome]:
    """Carry out commands from the event loop; as ``submit_many``."""
    return await _submit_async(_submissions(commands, request_id, age_max_ms), lane, timeout_s)


def _submissions(
    commands: Iterable[AnyCommand], request_id: str, age_max_ms: int
) -> list[Submission]:
    return [Submission(make_command_id(), command, request_id, age_max_ms) for command in commands]


def _inline() -> InlineExchange | None:
    """Return this process's own exchange, made at first use where settings ask for one."""
    if _Inline.exchange is None and settings.EXCHANGE_TRANSPORT == "inline":
        with _Inline.lock:
            if _Inline.exchange is None:
                from exchange.inline import InlineExchange

                _Inline.exchange = InlineExchange()
    return _Inline.exchange


def _refuse_inside_transaction() -> None:
    # ``connections.all()`` costs ten times as much, at every order.
    for alias in connections:
        blocks: list[Any] = connections[alias].atomic_blocks
        # A test's own transaction is not one of the code under test.
        if blocks and any(not block._from_testcase for block in blocks):
            raise RuntimeError("commands must not be submitted inside a database transaction")


def _submit(submissions: list[Submission], lane: Lane, timeout_s: float) -> list[Outcome]:
    _refuse_inside_transaction()
    inline = _inline()
    if inline is not None:
        return inline.submit(submissions, lane)
    from exchange.dispatch.threads import dispatcher

    # A pool has fewer connections than a process has threads that wait for a commit.
    give_back_connections()
    return dispatcher().submit(submissions, lane, timeout_s)


async def _submit_async(
    submissions: list[Submission], lane: Lane, timeout_s: float
) -> list[Outcome]:
    inline = _inline()
    if inline is not None:
        return inline.submit(submissions, lane)
    from exchange.dispatch.loop import dispatcher

    return await dispatcher().submit(submissions, lane, timeout_s)


def status() -> ExchangeStatus:
    """Return what the leader last said; at most 100 ms old."""
    inline = _inline()
    if inline is not None:
        position = inline.processor.position
        return ExchangeStatus(
            leader=True,
            epoch=inline.processor.epoch,
            lag=0,
            command_number=position.last_command,
            heartbeat_ms=position.renewed_ms,
            phase="trading",
            down=False,
        )
    from exchange.dispatch.threads import dispatcher

    message = dispatcher().status()
    if message is None:
        return ExchangeStatus(
            leader=False, epoch=0, lag=0, command_number=0, heartbeat_ms=0, phase="down", down=True
        )
    return ExchangeStatus(
        leader=message.leader,
        epoch=message.epoch,
        lag=message.orders_lag + message.system_lag,
        command_number=message.command_number,
        heartbeat_ms=message.heartbeat_ms,
        phase=message.phase,
        down=False,
    )


def wait_until_caught_up(timeout_s: float = TIMEOUT_S) -> None:
    """
    Wait until everything that was in the orders lane at the time of the call is committed.

    After it, a client id that is not found was never used.

    Raises:
        ExchangeError: if Redis or the leader is away, or it takes longer than the time-out.
    """
    if _inline() is not None:
        return
    from exchange.dispatch.threads import dispatcher

    dispatcher().wait_until_caught_up(timeout_s)
