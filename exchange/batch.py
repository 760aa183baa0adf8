"""One batch while it is being applied, and the rows it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from exchange.core.commands import (
    AnyCommand,
    CancelAllOrders,
    CancelOrder,
    ConfigureAccount,
    ConfigureAsset,
    ConfigureContract,
    ConfigureFeeTier,
    ConfigureInsurance,
    ConfigureMarket,
    Credit,
    Debit,
    Envelope,
    MoveInsurance,
    SetMarketStatus,
    SettleMarket,
)
from exchange.core.enums import Lane
from exchange.core.events import AnyEvent, OrderChanged, Outcome
from exchange.core.rejects import Code
from exchange.projection import Row
from exchange.store.sums import row_checksum
from exchange.wire import WIRE_VERSION, Answer, BatchPayload, Result, Submission, Unapplied, encode

# Commands of operators and of the platform itself; each leaves an audit row.
_AUDITED = frozenset(
    {
        Credit,
        Debit,
        ConfigureAsset,
        ConfigureMarket,
        SetMarketStatus,
        ConfigureFeeTier,
        ConfigureAccount,
        ConfigureContract,
        ConfigureInsurance,
        MoveInsurance,
        SettleMarket,
    }
)
_AUDITED_OF_OPERATORS = frozenset({CancelOrder, CancelAllOrders})
_NOTE_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Item:
    """
    One submission whose turn has come.

    ``verdict`` answers it without the core: void, superseded or not understood.
    """

    submission: Submission
    lane: Lane
    reply_to: str = ""
    verdict: Code | None = None


@dataclass(frozen=True, slots=True)
class Offsets:
    """How far both lanes are consumed; see ``exchange.models.LogPosition``."""

    stream_epoch: int = 0
    system_offset: str = "0-0"
    system_taken: int = 0
    orders_offset: str = "0-0"
    orders_taken: int = 0


@dataclass(slots=True)
class OpenBatch:
    """What has been applied since the last commit."""

    envelopes: list[Envelope] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    unapplied: list[Unapplied] = field(default_factory=list)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    events: list[AnyEvent] = field(default_factory=list)
    operator_rows: list[Row] = field(default_factory=list)

    def applied(self, item: Item, envelope: Envelope, outcome: Outcome) -> None:
        """Record a command that went through the core."""
        self.envelopes.append(envelope)
        order_ids = _cancelled_ids(envelope.command, outcome)
        self.results.append(Result(outcome.code, outcome.reference_id, outcome.repeated, order_ids))
        self.events.extend(outcome.events)
        self._answer(item, outcome)
        if is_audited(envelope.command):
            self.operator_rows.append(_operator_row(envelope, outcome.code))

    def refused(self, item: Item, code: Code) -> None:
        """Record a command that was answered without the core."""
        self.unapplied.append(Unapplied(item.submission.command_id, code))
        self._answer(item, Outcome(code, 0, ()))

    def command_ids(self) -> list[str]:
        """Return the ids of everything answered, applied or not."""
        ids = [envelope.command_id for envelope in self.envelopes]
        ids += [unapplied.command_id for unapplied in self.unapplied]
        return [command_id for command_id in ids if command_id]  # internal ones have none

    def request_ids(self) -> list[str]:
        """Return under which requests its commands came, each once, in order."""
        ids = (envelope.request_id for envelope in self.envelopes)
        return list(dict.fromkeys(request_id for request_id in ids if request_id))

    def log_row(
        self, *, number: int, epoch: int, last_command: int, time_ms: int, offsets: Offsets
    ) -> Row:
        """Return the row of the command log."""
        envelopes = self.envelopes
        payload = BatchPayload(WIRE_VERSION, envelopes, self.results, self.unapplied)
        row = (
            number,
            epoch,
            last_command - len(envelopes) + 1,
            last_command,
            envelopes[0].time_ms if envelopes else time_ms,
            time_ms,
            offsets.stream_epoch,
            offsets.system_offset,
            offsets.orders_offset,
            encode(payload),
        )
        return (*row, row_checksum(row))

    def _answer(self, item: Item, outcome: Outcome) -> None:
        if item.submission.command_id:
            answer = Answer(item.submission.command_id, outcome)
            self.answers.setdefault(item.reply_to, []).append(answer)


def _cancelled_ids(command: AnyCommand, outcome: Outcome) -> Sequence[int]:
    """Return what a cancel-all ended, since no reference leads to it when its answer is lost."""
    if type(command) is not CancelAllOrders:
        return ()
    return [event.order_id for event in outcome.events if type(event) is OrderChanged]


def is_audited(command: AnyCommand) -> bool:
    """Tell whether a command leaves an audit row: operators' and the platform's own do."""
    kind = type(command)
    if kind in _AUDITED_OF_OPERATORS:
        return bool(command.by_operator)  # type: ignore[union-attr]
    return kind in _AUDITED


def _operator_row(envelope: Envelope, code: Code) -> Row:
    command = envelope.command
    return (
        envelope.number,
        type(command).__name__,
        str(getattr(command, "actor", ""))[:_NOTE_LENGTH_MAX],
        str(getattr(command, "reason", ""))[:_NOTE_LENGTH_MAX],
        envelope.request_id,
        msgspec.json.encode(msgspec.structs.asdict(command)).decode(),
        int(code),
        envelope.time_ms,
    )
