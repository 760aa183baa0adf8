"""Periodic work of the accounts app."""

from typing import Any

import structlog
from celery import shared_task

from accounts.operation_requests import requests_expire
from accounts.password_reset import password_reset_mail, verification_mail
from accounts.services import sessions_purge

log = structlog.get_logger(__name__)

# Steps of one run; what is left over waits for the next.
STEPS_MAX = 100


@shared_task(name="accounts.purge_sessions")
def purge_sessions(**_options: Any) -> None:
    """Delete sessions that ended long ago; safe to run twice."""
    log.info("sessions_purged", deleted=sessions_purge(steps_max=STEPS_MAX))


@shared_task(name="accounts.expire_requests")
def expire_requests(**_options: Any) -> None:
    """End requests to move money that nobody decided in time; safe to run twice."""
    ended = requests_expire()
    if ended:
        log.info("requests_expired", ended=ended)


# A mail that its worker's death left unsent is sent by another worker; twice beats never.
@shared_task(name="accounts.mail_password_reset", acks_late=True)
def mail_password_reset(*, login: str, **_options: Any) -> None:
    """Send the mail of a forgotten password, if somebody has this login."""
    password_reset_mail(login)


@shared_task(name="accounts.mail_verification", acks_late=True)
def mail_verification(*, user_id: int, **_options: Any) -> None:
    """Send the mail that proves an address."""
    verification_mail(user_id)
