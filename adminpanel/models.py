"""Figures over time, written by the worker alone, and exports that operators asked for."""

from django.db import models

from adminpanel.enums import ExportStatus
from common.fields import KeyField
from common.ids import make_id


class Series(models.Model):
    """
    One line of a chart: a metric and what tells its lines apart (a market, a source, or "").

    The key is 31 bits of a hash of both, or the next free number.
    """

    id = KeyField(editable=False)
    metric = models.CharField(max_length=32)
    label = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["metric", "label"], name="series_metric_label"),
        ]
        verbose_name_plural = "series"

    def __str__(self) -> str:
        """Return metric and label."""
        return f"{self.metric} {self.label}".rstrip()


class Sample(models.Model):
    """
    What a series was in one bucket of time.

    The key is (resolution, minute at which the bucket begins, series), so that a chart is one
    range of the primary key and the same bucket written twice is the same row
    (``adminpanel.samples.sample_key``). ``value`` is a sum, a last or a highest value as the
    metric says; a mean is ``value`` / ``number``.
    """

    id = KeyField(editable=False)
    value = models.BigIntegerField()
    number = models.IntegerField()

    def __str__(self) -> str:
        """Return the key."""
        return f"sample {self.id}"


class SampleCursor(models.Model):
    """
    How far a source of samples was read: the highest number, or minute, that counts already.

    It moves by a conditional update in the transaction that writes the samples, so that what
    was read counts once however many workers read it. ``total`` is how many there were.
    """

    id = KeyField(editable=False)
    position = models.BigIntegerField()
    total = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        """Return the source and its position."""
        return f"source {self.id} at {self.position}"


class Export(models.Model):
    """
    One export: what was asked for, by whom and why, and how far a worker is.

    ``filters`` are JSON (``adminpanel.exports.filters``). ``attempt`` counts the workers that
    took it, so that one that was given up writes nothing more. The user is a number alone: the
    history outlives users. ``request_id`` is that of the request that asked for it last: one
    task writes all that wait, whoever asked.
    """

    id = KeyField(default=make_id, editable=False)
    kind = models.CharField(max_length=16)
    filters = models.TextField()
    reason = models.CharField(max_length=200)
    requested_by_id = models.BigIntegerField()
    requested_by = models.CharField(max_length=32)
    request_id = models.CharField(max_length=64, blank=True, default="")
    status = models.CharField(
        max_length=8, choices=ExportStatus.choices, default=ExportStatus.PENDING
    )
    attempt = models.IntegerField(default=0)
    percent = models.SmallIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    size_bytes = models.BigIntegerField(default=0)
    file_name = models.CharField(max_length=40, blank=True, default="")
    error = models.CharField(max_length=200, blank=True, default="")
    created_ms = models.BigIntegerField()
    heartbeat_ms = models.BigIntegerField(default=0)
    finished_ms = models.BigIntegerField(default=0)
    expires_ms = models.BigIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["status", "id"], name="export_status"),
            models.Index(fields=["requested_by_id", "id"], name="export_requester"),
        ]

    def __str__(self) -> str:
        """Return what it is an export of."""
        return f"export {self.pk} of {self.kind}"
