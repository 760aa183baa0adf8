"""Periodic work of the accounts app."""

from typing import Any

import structlog
from celery import shared_task

from accounts.services import sessions_purge

log = structlog.get_logger(__name__)

# Steps of one run; what is left over waits for the next.
STEPS_MAX = 100


@shared_task(name="accounts.purge_sessions")
def purge_sessions(**_options: Any) -> None:
    """Delete sessions that ended long ago; safe to run twice."""
    log.info("sessions_purged", deleted=sessions_purge(steps_max=STEPS_MAX))
