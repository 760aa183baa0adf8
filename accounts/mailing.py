"""Sending mail: by a worker, to one user, not too often."""

from __future__ import annotations

from typing import Any

import structlog
from celery.exceptions import CeleryError
from django.conf import settings
from django.core.mail import send_mail
from kombu.exceptions import KombuError

from accounts.models import User
from accounts.throttle import mail_allowed

log = structlog.get_logger(__name__)


def mail_enqueue(name: str, **arguments: Any) -> bool:
    """Hand a mail's task to the workers, never in a transaction; False if they are not there."""
    # The tasks call the modules that call this one; importing them above would be a circle.
    from accounts import tasks

    try:
        getattr(tasks, name).apply_async(kwargs=arguments, retry=False)
    except (KombuError, CeleryError) as error:
        log.error("mail_not_queued", task=name, error=type(error).__name__)
        return False
    return True


def mail_send(user: User, *, address: str, subject: str, lines: list[str]) -> bool:
    """Send a mail unless mail is off or the user has had enough of it; whether it was sent."""
    if settings.EMAIL_URL == "off:":
        log.error("mail_is_off", user_id=user.pk, subject=subject)
        return False
    if not mail_allowed(user.pk):
        log.warning("mail_held_back", user_id=user.pk, subject=subject)
        return False
    send_mail(subject, "\n".join([f"Hello {user.username},", "", *lines, ""]), None, [address])
    log.info("mail_sent", user_id=user.pk, subject=subject)
    return True


def notice_mail(*, user_id: int, subject: str, text: str) -> bool:
    """Send a notice to a user's verified address, if there is one; whether it was sent."""
    user = User.objects.filter(id=user_id).first()
    if user is None or not user.is_active or not user.verified_email:
        return False
    return mail_send(user, address=user.verified_email, subject=subject, lines=[text])
