"""Reads of the exchange's own rows, for operators: bounded, by key."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.core.rejects import Code
from exchange.models import POSITION_ID, LogPosition, OperatorCommand


@dataclass(frozen=True, slots=True)
class LeaderInfo:
    """Who leads, and the numbers of the last that was committed; times in ms UTC."""

    owner: str
    epoch: int
    renewed_ms: int
    last_command: int
    last_order: int
    last_trade: int

    @property
    def host(self) -> str:
        """The machine's name, of what tells one start of one machine from all others."""
        return self.owner.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class CommandInfo:
    """One command that was not a trader's."""

    number: int
    type: str
    actor: str
    reason: str
    result: str
    time_ms: int


def leader_info() -> LeaderInfo | None:
    """Return what the database says about the leader, None before the first one."""
    columns = ("owner", "epoch", "renewed_ms", "last_command", "last_order", "last_trade")
    row = LogPosition.objects.filter(id=POSITION_ID).values_list(*columns).first()
    return None if row is None else LeaderInfo(*row)


def operator_commands_recent(limit: int) -> list[CommandInfo]:
    """Return the last commands that were not a trader's, newest first."""
    columns = ("id", "type", "actor", "reason", "code", "time_ms")
    rows = OperatorCommand.objects.order_by("-id").values_list(*columns)[:limit]
    return [
        CommandInfo(number, name, actor, reason, Code(code).name, time_ms)
        for number, name, actor, reason, code, time_ms in rows
    ]
