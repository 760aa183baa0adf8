"""
The exchange's own rows in the back-office: read-only.

They are shown here because ``exchange`` imports nothing above it, the back-office included.
"""

from datetime import datetime

import msgspec
from django.contrib import admin
from django.db.models import Model
from unfold.decorators import display

from accounts.back_office import OperationsMixin
from common.back_office import ReadOnlyAdmin, shown_time
from exchange.core.rejects import Code
from exchange.models import Batch, ClientKey, LogPosition, OperatorCommand, Quarantine
from exchange.wire import decode_payload

admin.site.index_template = "adminpanel/dashboard.html"
admin.site.index_title = "Dashboard"

# Commands of a batch shown on its page.
SHOWN_COMMANDS_MAX = 500


def _all_fields_but(model: type[Model], *hidden: str) -> list[str]:
    """Return the names of a model's columns without those that are bytes."""
    return [field.name for field in model._meta.fields if field.name not in hidden]


@admin.register(LogPosition)
class LogPositionAdmin(ReadOnlyAdmin):
    """Who leads, and what the last committed batch was."""

    list_display = ["epoch", "owner", "owner_pid", "renewed", "batch", "last_command"]
    fields = [*_all_fields_but(LogPosition, "tasks", "last_prices"), "renewed"]
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
    list_display = ["command_id", "type", "market_id", "attempts", "set_aside", "error"]
    fields = [*_all_fields_but(Quarantine, "payload"), "set_aside"]
    readonly_fields = ["set_aside"]
    search_fields = ["command_id"]

    @display(description="set aside")
    def set_aside(self, command: Quarantine) -> datetime:
        """Return when it was set aside."""
        return shown_time(command.created_ms)


@admin.register(ClientKey)
class ClientKeyAdmin(ReadOnlyAdmin):
    """Client ids that are used up."""

    list_display = ["account_id", "client_key", "reference_id"]
    search_fields = ["id"]
    search_help_text = "Whole key; the table has no other index"
