"""API keys on REST: five headers instead of a token."""

from django.http import HttpRequest
from django.utils.encoding import escape_uri_path
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.authentication import count_refusal, identify_token
from accounts.signatures import SignedRequest, authenticate_signed
from accounts.types import Identity
from common.errors import ApiError
from common.network import client_ip


def identify_key(request: HttpRequest) -> Identity | None:
    """
    Return the identity behind a request that an API key signed, None without ``X-API-Key``.

    Raises:
        ApiError: as :func:`accounts.signatures.authenticate_signed`; 429 when the address has
            sent too many bad ones.
    """
    meta = request.META
    key = meta.get("HTTP_X_API_KEY")
    if key is None:
        return None
    signed = SignedRequest(
        key=key,
        timestamp=meta.get("HTTP_X_TIMESTAMP", ""),
        nonce=meta.get("HTTP_X_NONCE", ""),
        recv_window=meta.get("HTTP_X_RECV_WINDOW", ""),
        signature=meta.get("HTTP_X_SIGNATURE", ""),
        method=request.method or "",
        path=escape_uri_path(request.path),
        query=meta.get("QUERY_STRING", ""),
        body=request.body,
    )
    try:
        return authenticate_signed(signed, ip=client_ip(request))
    except ApiError as error:
        if error.status_code < 500:
            count_refusal(request)
        raise


def identify(request: HttpRequest) -> Identity | None:
    """
    Return who sent a request, by token or key, None if it carries neither.

    Raises:
        ApiError: if it carries a bad one.
    """
    return identify_token(request) or identify_key(request)


class ApiKeyAuthentication(BaseAuthentication):
    """``X-API-Key`` and the headers that sign the request; ``request.user`` is an ``Identity``."""

    def authenticate(self, request: Request) -> tuple[Identity, Identity] | None:
        """
        Return the identity, None without the header.

        Raises:
            ApiError: as :func:`identify_key`.
        """
        identity = identify_key(request._request)
        return None if identity is None else (identity, identity)

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return "Signature"
