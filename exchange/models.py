"""
Rows of the exchange itself: who leads, how far the log is, and the log.

Written by the runner alone. No row here points to a table of another app.
"""

from django.db import models

from exchange.fields import RowKeyField

POSITION_ID = 1


class LogPosition(models.Model):
    """
    The one row that says who leads and what the last committed batch was.

    ``epoch`` is the fencing token: every batch first updates this row where the epoch is its
    own. ``heartbeat`` rises with each renewal and each batch; a standby watches it on its own
    clock. Offsets are Redis stream ids; the offset names the last entry that was touched and
    ``*_taken`` how many of its commands were consumed (0: all of them). ``live_sums`` are the
    sums over all rows that a start reads, ``checksum`` is over this row itself; empty and 0
    until a version that keeps them has led. See ``exchange.store.sums``.
    """

    id = RowKeyField()
    epoch = models.BigIntegerField(default=0)
    owner = models.CharField(max_length=200, blank=True, default="")
    owner_pid = models.BigIntegerField(default=0)
    owner_started = models.CharField(max_length=64, blank=True, default="")
    heartbeat = models.BigIntegerField(default=0)
    renewed_ms = models.BigIntegerField(default=0)
    stream_epoch = models.BigIntegerField(default=0)
    system_offset = models.CharField(max_length=41, default="0-0")
    system_taken = models.IntegerField(default=0)
    orders_offset = models.CharField(max_length=41, default="0-0")
    orders_taken = models.IntegerField(default=0)
    batch = models.BigIntegerField(default=0)
    merged_batch = models.BigIntegerField(default=0)
    last_command = models.BigIntegerField(default=0)
    last_order = models.BigIntegerField(default=0)
    last_trade = models.BigIntegerField(default=0)
    last_entry = models.BigIntegerField(default=0)
    last_wallet = models.BigIntegerField(default=0)
    last_transfer = models.BigIntegerField(default=0)
    time_ms = models.BigIntegerField(default=0)
    core_epoch = models.BigIntegerField(default=0)
    cancel_only_until_ms = models.BigIntegerField(default=0)
    post_only_until_ms = models.BigIntegerField(default=0)
    tasks = models.BinaryField(default=b"")
    last_prices = models.BinaryField(default=b"")
    last_slot = models.BigIntegerField(default=0)
    last_liquidation = models.BigIntegerField(default=0)
    live_sums = models.BinaryField(default=b"")
    checksum = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        """Return epoch and batch."""
        return f"epoch {self.epoch}, batch {self.batch}"


class Batch(models.Model):
    """
    One batch of the command log; its key is the batch number.

    ``payload`` is an ``exchange.wire.BatchPayload``: the envelopes as applied, a result for
    each, and the submissions that were answered without being applied. A batch of those
    alone has ``last_command`` = ``first_command`` - 1. ``checksum`` is over the row; null where
    an older version wrote it.
    """

    id = RowKeyField()
    epoch = models.BigIntegerField()
    first_command = models.BigIntegerField()
    last_command = models.BigIntegerField()
    first_ms = models.BigIntegerField()
    last_ms = models.BigIntegerField()
    stream_epoch = models.BigIntegerField()
    system_offset = models.CharField(max_length=41)
    orders_offset = models.CharField(max_length=41)
    payload = models.BinaryField()
    checksum = models.BigIntegerField(null=True)

    class Meta:
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        """Return the batch number."""
        return f"batch {self.id}"


class BatchSums(models.Model):
    """
    Digests of all rows that a batch wrote, kept when its row in the log goes.

    The key is the batch number, ``checksum`` is over the row; see ``exchange.store.sums``.
    """

    id = RowKeyField()
    row_sums = models.BinaryField()
    checksum = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "batch sums"

    def __str__(self) -> str:
        """Return the batch number."""
        return f"sums of batch {self.id}"


class ClientKey(models.Model):
    """
    A client id that an account has used, for ever.

    The key is 63 bits of a hash of (account, kind, client id); on a collision the next free
    number is taken. Rows are merged from the command log off the commit. ``checksum`` is over
    the row; null where an older version wrote it.
    """

    id = RowKeyField()
    account_id = models.BigIntegerField()
    client_key = models.CharField(max_length=66)
    reference_id = models.BigIntegerField()
    request_hash = models.BigIntegerField()
    checksum = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        """Return whose client id this is."""
        return f"{self.client_key} of {self.account_id}"


class OperatorCommand(models.Model):
    """Audit of a command that is not a trader's; the key is the command number."""

    id = RowKeyField()
    type = models.CharField(max_length=32)
    actor = models.CharField(max_length=200, blank=True, default="")
    reason = models.CharField(max_length=200, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")
    payload = models.TextField()
    code = models.IntegerField()
    time_ms = models.BigIntegerField()

    def __str__(self) -> str:
        """Return type and number."""
        return f"{self.type} {self.id}"


class Quarantine(models.Model):
    """
    A command set aside because the core raised while applying it.

    ``payload`` is the submission as it arrived, so that it can be looked into.
    """

    id = RowKeyField()
    command_id = models.CharField(max_length=64, unique=True)
    type = models.CharField(max_length=32)
    market_id = models.IntegerField(default=0)
    attempts = models.IntegerField(default=0)
    error = models.TextField()
    payload = models.BinaryField()
    created_ms = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "quarantine"
        indexes = [models.Index(fields=["created_ms", "id"], name="quarantine_by_time")]

    def __str__(self) -> str:
        """Return which command is set aside."""
        return f"{self.type} {self.command_id}"


class QuarantineDecision(models.Model):
    """What an operator decided about a command in quarantine; the key is that command's."""

    id = RowKeyField()
    decision = models.CharField(max_length=16)
    decided_ms = models.BigIntegerField()

    def __str__(self) -> str:
        """Return what was decided."""
        return f"{self.decision} {self.id}"
