"""
Secrets that must be read again, encrypted at rest: those of API keys and second factors.

Fernet is AES-128-CBC with HMAC-SHA256. The purpose and the row's owner are part of what is
encrypted, so that a row's secret put into another row does not open.
"""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.key_files import file_made_once
from common.once import Once

_FILE_NAME = "secrets.key"


class VaultError(Exception):
    """A stored secret does not open: another key encrypted it, or the row was tampered with."""


def load_vault() -> MultiFernet:
    """
    Return what encrypts with the first and decrypts with every key of ``SECRETS_KEYS``.

    Without it, outside production, with a key under ``var/keys`` that the first start makes.

    Raises:
        ImproperlyConfigured: if the keys are missing in production or unusable.
    """
    texts = list(settings.SECRETS_KEYS)
    if not texts:
        if settings.PRODUCTION:
            raise ImproperlyConfigured("SECRETS_KEYS must be set in production")
        path = settings.KEYS_DIR / _FILE_NAME
        texts = [file_made_once(path, Fernet.generate_key).decode("ascii").strip()]
    try:
        return MultiFernet([Fernet(text) for text in texts])
    except ValueError as error:
        raise ImproperlyConfigured(
            "SECRETS_KEYS must be keys of 32 bytes in URL-safe base64"
        ) from error


vault = Once(load_vault)


def seal(secret: str, *, purpose: str, owner_id: int) -> str:
    """Return a secret in the form in which its row keeps it."""
    return vault().encrypt(f"{purpose}:{owner_id}:{secret}".encode()).decode("ascii")


def unseal(sealed: str, *, purpose: str, owner_id: int) -> str:
    """
    Return the secret in a row.

    Raises:
        VaultError: if it does not open, or was sealed for another purpose or owner.
    """
    try:
        text = vault().decrypt(sealed.encode()).decode()
    except (InvalidToken, UnicodeError) as error:
        raise VaultError(f"the {purpose} secret of {owner_id} does not open") from error
    prefix = f"{purpose}:{owner_id}:"
    if not text.startswith(prefix):
        raise VaultError(f"the {purpose} secret of {owner_id} belongs to another row")
    return text.removeprefix(prefix)
