"""Periodic work of the accounts app."""

from typing import Any

import structlog
from celery import shared_task

from accounts.audit_verify import audit_check_keep
from accounts.mailing import notice_mail
from accounts.operation_requests import requests_expire
from accounts.password_reset import password_reset_mail, verification_mail
from accounts.services import sessions_purge

log = structlog.get_logger(__name__)

# Steps of one run; what is left over waits for the next.
STEPS_MAX = 100
# A chain of millions of events takes its minutes.
VERIFY_LIMIT_S = 1_800


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


@shared_task(name="accounts.verify_audit_log", time_limit=VERIFY_LIMIT_S)
def verify_audit_log(**_options: Any) -> str:
    """Check the chain of the audit log and keep the result; a broken one is an alarm."""
    check = audit_check_keep()
    if check.fault:
        log.critical("audit_log_broken", fault=check.fault)
    return check.fault or f"whole, {check.number} events"


# A mail that its worker's death left unsent is sent by another worker; twice beats never.
@shared_task(name="accounts.mail_password_reset", acks_late=True)
def mail_password_reset(*, login: str, **_options: Any) -> None:
    """Send the mail of a forgotten password, if somebody has this login."""
    password_reset_mail(login)


@shared_task(name="accounts.mail_verification", acks_late=True)
def mail_verification(*, user_id: int, **_options: Any) -> None:
    """Send the mail that proves an address."""
    verification_mail(user_id)


@shared_task(name="accounts.mail_notice", acks_late=True)
def mail_notice(*, user_id: int, subject: str, text: str, **_options: Any) -> None:
    """Send a notice to the user's verified address, if there is one."""
    notice_mail(user_id=user_id, subject=subject, text=text)
