"""Figures over time, for the charts of the back-office; written by the worker alone."""

from django.db import models

from common.fields import KeyField


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
