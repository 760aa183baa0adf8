"""System checks of the accounts app."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from accounts.keys import load_key_ring
from accounts.vault import load_vault


@register(Tags.security)
def check_keys(**_options: Any) -> list[CheckMessage]:
    """Return an error unless the keys that sign tokens can be used."""
    if not settings.PRODUCTION and not settings.JWT_PRIVATE_KEY:
        return []
    try:
        load_key_ring()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="accounts.E001")]
    return []


@register(Tags.security)
def check_vault(**_options: Any) -> list[CheckMessage]:
    """Return an error unless the keys that encrypt stored secrets can be used."""
    if not settings.PRODUCTION and not settings.SECRETS_KEYS:
        return []
    try:
        load_vault()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="accounts.E002")]
    return []
