"""
The exchange's own rows in the back-office: read-only.

They are shown here because ``exchange`` imports nothing above it, the back-office included.
"""

from datetime import datetime

import msgspec
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.decorators import display

from accounts.back_office import OperationsMixin
from adminpanel.command_fields import command_fields
from common.back_office import ReadOnlyAdmin, shown_time
from common.keyset import KeysetChangeList
from exchange.core.rejects import Code
from exchange.models import Batch, ClientKey, LogPosition, OperatorCommand, Quarantine
from exchange.quarantine import DISCARDED, RELEASED, decisions_of
from exchange.wire import decode_payload, decode_submission
from markets.admin import symbol_of

admin.site.index_template = "adminpanel/dashboard.html"
admin.site.index_title = "Dashboard"

# Commands of a batch shown on its page.
SHOWN_COMMANDS_MAX = 500

# What a command in quarantine is as long as nobody has decided.
WAITING = "waiting"
_DECISION = "shown_decision"
_DECISION_LABELS = {WAITING: "danger", RELEASED: "success", DISCARDED: "info"}


def _all_fields_but(model: type[Model], *hidden: str) -> list[str]:
    """Return the names of a model's columns without those that are bytes."""
    return [field.name for field in model._meta.fields if field.name not in hidden]


@admin.register(LogPosition)
class LogPositionAdmin(ReadOnlyAdmin):
    """Who leads, and what the last committed batch was."""

    list_display = ["epoch", "owner", "owner_pid", "renewed", "batch", "last_command"]
    fields = [*_all_fields_but(LogPosition, "tasks", "last_prices", "live_sums"), "renewed"]
    readonly_fields = ["renewed"]

    @display(description="last sign of life")
    def renewed(self, position: LogPosition) -> datetime:
        """Return when the lease was last renewed."""
        return shown_time(position.renewed_ms)


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """The command log, one row a batch."""

    list_display = ["id", "epoch", "first_command", "last_command", "committed"]
    fields = [*_all_fields_but(Batch, "payload"), "committed", "commands"]
    readonly_fields = ["committed", "commands"]
    search_fields = ["id"]
    search_help_text = "Whole batch number"

    @display(description="time")
    def committed(self, batch: Batch) -> datetime:
        """Return the time of the last command."""
        return shown_time(batch.last_ms)

    @display(description="commands and results")
    def commands(self, batch: Batch) -> str:
        """Return the commands as JSON, one a line, each with its result."""
        payload = decode_payload(batch.payload)
        lines = [
            f"{envelope.number} {type(envelope.command).__name__} "
            f"{msgspec.json.encode(envelope.command).decode()} -> "
            f"{Code(result.code).name} {result.reference_id or ''}".rstrip()
            for envelope, result in zip(payload.envelopes, payload.results, strict=True)
        ]
        return "\n".join(lines[:SHOWN_COMMANDS_MAX])


@admin.register(OperatorCommand)
class OperatorCommandAdmin(ReadOnlyAdmin):
    """Commands that were not a trader's: who, what, why, with which result."""

    list_display = ["id", "type", "actor", "reason", "result", "time"]
    fields = [*_all_fields_but(OperatorCommand), "result", "time"]
    readonly_fields = ["result", "time"]
    search_fields = ["id"]
    search_help_text = "Whole command number"

    @display(description="result")
    def result(self, command: OperatorCommand) -> str:
        """Return the code by name."""
        return Code(command.code).name

    @display(description="time")
    def time(self, command: OperatorCommand) -> datetime:
        """Return when it was carried out."""
        return shown_time(command.time_ms)


@admin.register(Quarantine)
class QuarantineAdmin(OperationsMixin, ReadOnlyAdmin):
    """Commands set aside because the core raised at them."""

    target_kind = "quarantine"
    list_display = ["command_id", "state", "type", "market", "set_aside", "error"]
    fields = [
        *("state", "type", "market", "error", "command", "set_aside", "attempts"),
        *("command_id", "id"),
    ]
    readonly_fields = ["state", "market", "set_aside", "command"]
    search_fields = ["command_id"]
    # The key is a hash; the newest come first by their time.
    keyset_columns = ("created_ms", "id")

    def get_changelist_instance(self, request: HttpRequest) -> KeysetChangeList:
        """Return a page whose rows know what was decided about them, with one query for all."""
        shown: KeysetChangeList = super().get_changelist_instance(request)
        decided = decisions_of(row.pk for row in shown.result_list)
        for row in shown.result_list:
            setattr(row, _DECISION, decided.get(row.pk, ""))
        return shown

    @display(description="state", label=_DECISION_LABELS)
    def state(self, command: Quarantine) -> str:
        """Return whether it waits for an operator, or what one decided."""
        kept = vars(command)
        if _DECISION not in kept:
            kept[_DECISION] = decisions_of([command.pk]).get(command.pk, "")
        return kept[_DECISION] or WAITING

    @display(description="market")
    def market(self, command: Quarantine) -> str:
        """Return the market that was halted, "" if it concerned none."""
        return symbol_of(command.market_id) if command.market_id else ""

    @display(description="command")
    def command(self, command: Quarantine) -> str:
        """Return what was asked for, one field a line."""
        pairs = command_fields(decode_submission(bytes(command.payload)).command)
        return "\n".join(f"{name}: {text}" for name, text in pairs)

    @display(description="set aside (UTC)")
    def set_aside(self, command: Quarantine) -> datetime:
        """Return when it was set aside."""
        return shown_time(command.created_ms)


@admin.register(ClientKey)
class ClientKeyAdmin(ReadOnlyAdmin):
    """Client ids that are used up."""

    list_display = ["account_id", "client_key", "reference_id"]
    search_fields = ["id"]
    search_help_text = "Whole key; the table has no other index"
