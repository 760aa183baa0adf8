"""The RSA keys that sign and check tokens."""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.key_files import file_made_once
from common.once import Once

KEY_BITS = 2048
_FILE_NAME = "jwt_private.pem"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The key that signs, and every key whose signatures count, by key id."""

    kid: str
    private_key: RSAPrivateKey
    public_keys: dict[str, RSAPublicKey]


def key_id(public_key: RSAPublicKey) -> str:
    """Return the id of a key: the start of the hash of its public half."""
    der = public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()[:16]


def _parse_private(pem: bytes, origin: str) -> RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise ImproperlyConfigured(f"{origin} is not an unencrypted PEM private key") from error
    if not isinstance(key, RSAPrivateKey) or key.key_size < KEY_BITS:
        raise ImproperlyConfigured(f"{origin} must be an RSA key of at least {KEY_BITS} bits")
    return key


def _parse_public(pem: bytes, origin: str) -> RSAPublicKey:
    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError as error:
        raise ImproperlyConfigured(f"{origin} is not a PEM public key") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < KEY_BITS:
        raise ImproperlyConfigured(f"{origin} must be an RSA key of at least {KEY_BITS} bits")
    return key


def _make_pem() -> bytes:
    key = generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_key_ring() -> KeyRing:
    """
    Return the keys of this installation.

    From ``JWT_PRIVATE_KEY``; without it, outside production, from a file under ``var/keys``
    that the first start makes. ``JWT_PUBLIC_KEY`` may name the key before the present one,
    whose tokens then stay good until they expire.

    Raises:
        ImproperlyConfigured: if a key is missing in production or unusable.
    """
    if settings.JWT_PRIVATE_KEY:
        private_key = _parse_private(settings.JWT_PRIVATE_KEY.encode(), "JWT_PRIVATE_KEY")
    elif settings.PRODUCTION:
        raise ImproperlyConfigured("JWT_PRIVATE_KEY must be set in production")
    else:
        path = settings.KEYS_DIR / _FILE_NAME
        private_key = _parse_private(file_made_once(path, _make_pem), str(path))
    own = private_key.public_key()
    kid = key_id(own)
    public_keys = {kid: own}
    if settings.JWT_PUBLIC_KEY:
        other = _parse_public(settings.JWT_PUBLIC_KEY.encode(), "JWT_PUBLIC_KEY")
        public_keys.setdefault(key_id(other), other)
    return KeyRing(kid=kid, private_key=private_key, public_keys=public_keys)


# Parsing costs more than a check of a signature, so a process does it once.
key_ring = Once(load_key_ring)
