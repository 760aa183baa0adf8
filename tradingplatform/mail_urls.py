"""How e-mail is sent, from one address in the environment. Standard library only."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_BACKENDS = "django.core.mail.backends"
SCHEMES = ("smtp", "smtps", "console", "file", "off")
SEND_TIMEOUT_S = 10


def mail_settings(url: str, *, directory: Path) -> dict[str, Any]:
    """
    Return Django's settings for an address of mail.

    ``smtp://user:password@host:587`` (STARTTLS unless without a password), ``smtps://...:465``
    (TLS from the start), ``console:``, ``file:`` (one file per mail in ``directory``), ``off:``.

    Raises:
        ValueError: for any other address.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"expected one of {', '.join(SCHEMES)}")
    if parts.scheme == "console":
        return {"EMAIL_BACKEND": f"{_BACKENDS}.console.EmailBackend"}
    if parts.scheme == "file":
        return {
            "EMAIL_BACKEND": f"{_BACKENDS}.filebased.EmailBackend",
            "EMAIL_FILE_PATH": str(directory),
        }
    if parts.scheme == "off":
        return {"EMAIL_BACKEND": f"{_BACKENDS}.dummy.EmailBackend"}
    if not parts.hostname:
        raise ValueError("expected a host")
    is_tls = parts.scheme == "smtps"
    return {
        "EMAIL_BACKEND": f"{_BACKENDS}.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or (465 if is_tls else 587),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": is_tls,
        # A password never travels in the clear.
        "EMAIL_USE_TLS": not is_tls and bool(parts.password),
        "EMAIL_TIMEOUT": SEND_TIMEOUT_S,
    }
