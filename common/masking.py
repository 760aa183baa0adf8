"""Names and texts that must not be shown: for logs and the audit log alike."""

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
_SECRET_WORDS = (
    "authorization",
    "cookie",
    "password",
    "private_key",
    "secret",
    "signature",
    "ticket",
    "token",
)
# A token or credential inside free text: JSON web tokens, bearer headers, user:password@ in URLs.
_SECRET_TEXT = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
    r"|(?i:bearer)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)
# ``?ticket=...``: servers write down whole addresses. Names are bounded, else a long one would
# take quadratic time.
_SECRET_PARAMETER = re.compile(
    rf"([?&][\w.-]{{0,40}}(?:{'|'.join(_SECRET_WORDS)})[\w.-]{{0,40}}=)[^&#\s\"']+", re.IGNORECASE
)


def is_secret_name(name: str) -> bool:
    """Return whether a field of this name holds a secret."""
    lowered = name.lower()
    return any(word in lowered for word in _SECRET_WORDS)


def mask_text(text: str) -> str:
    """Return a text without the credentials inside it."""
    return _SECRET_PARAMETER.sub(rf"\1{MASK}", _SECRET_TEXT.sub(MASK, text))


def masked(value: Any) -> Any:
    """Return a copy of JSON-like data without secrets, at whatever depth."""
    if isinstance(value, Mapping):
        return {
            str(name): MASK if is_secret_name(str(name)) else masked(inner)
            for name, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [masked(inner) for inner in value]
    return mask_text(value) if isinstance(value, str) else value
