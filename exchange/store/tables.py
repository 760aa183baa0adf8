"""The exchange's own tables as the store writes them; columns as in ``exchange.models``."""

from exchange.projection import Table

POSITION = Table(
    name="exchange_logposition",
    columns=(
        "id",
        "epoch",
        "owner",
        "owner_pid",
        "owner_started",
        "heartbeat",
        "renewed_ms",
        "stream_epoch",
        "system_offset",
        "system_taken",
        "orders_offset",
        "orders_taken",
        "batch",
        "merged_batch",
        "last_command",
        "last_order",
        "last_trade",
        "last_entry",
        "last_wallet",
        "last_transfer",
        "time_ms",
        "core_epoch",
        "cancel_only_until_ms",
        "post_only_until_ms",
        "tasks",
        "last_prices",
        "last_slot",
        "last_liquidation",
        "live_sums",
        "checksum",
    ),
)

BATCHES = Table(
    name="exchange_batch",
    columns=(
        "id",
        "epoch",
        "first_command",
        "last_command",
        "first_ms",
        "last_ms",
        "stream_epoch",
        "system_offset",
        "orders_offset",
        "payload",
        "checksum",
    ),
    append_only=True,
    partition_rows=500_000,
)

BATCH_SUMS = Table(
    name="exchange_batchsums", columns=("id", "row_sums", "checksum"), append_only=True
)

CLIENT_KEYS = Table(
    name="exchange_clientkey",
    columns=("id", "account_id", "client_key", "reference_id", "request_hash", "checksum"),
)

OPERATOR_COMMANDS = Table(
    name="exchange_operatorcommand",
    columns=("id", "type", "actor", "reason", "request_id", "payload", "code", "time_ms"),
    append_only=True,
)

QUARANTINE = Table(
    name="exchange_quarantine",
    columns=(
        "id",
        "command_id",
        "type",
        "market_id",
        "attempts",
        "error",
        "payload",
        "created_ms",
    ),
)
