"""Closed vocabularies of the back-office."""

from django.db.models import TextChoices


class ExportStatus(TextChoices):
    """How far an export is."""

    PENDING = "pending", "waits"
    RUNNING = "running", "is being written"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    EXPIRED = "expired", "expired"
