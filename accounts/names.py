"""One normal form for user names and e-mail addresses, so that two users never look alike."""

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

# ASCII after normalising: a Cyrillic "a" or a full-width one can imitate nobody.
_USERNAME = re.compile(r"[a-z0-9_]{3,32}")
EMAIL_LENGTH_MAX = 254
_email_validator = EmailValidator()


def normalise_username(text: str) -> str:
    """
    Return the normal form of a user name: NFKC, case folded.

    Raises:
        ValidationError: ``invalid_username`` unless it is 3-32 of a-z, 0-9 and "_".
    """
    if len(text) > 64:
        raise ValidationError("The user name is too long.", code="invalid_username")
    normal = unicodedata.normalize("NFKC", text).casefold()
    if not _USERNAME.fullmatch(normal):
        raise ValidationError(
            "A user name is 3 to 32 letters, digits and underscores.", code="invalid_username"
        )
    return normal


def normalise_email(text: str) -> str:
    """
    Return the normal form of an e-mail address: NFKC, case folded as a whole.

    Raises:
        ValidationError: ``invalid_email`` if it is no address or not ASCII.
    """
    normal = unicodedata.normalize("NFKC", text).strip().casefold()
    if len(normal) > EMAIL_LENGTH_MAX or not normal.isascii():
        raise ValidationError("The e-mail address is not valid.", code="invalid_email")
    try:
        _email_validator(normal)
    except ValidationError as error:
        raise ValidationError("The e-mail address is not valid.", code="invalid_email") from error
    return normal
