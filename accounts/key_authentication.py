"""API keys on REST: five headers instead of a token."""

from django.utils.encoding import escape_uri_path
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.authentication import count_refusal
from accounts.signatures import SignedRequest, authenticate_signed
from accounts.types import Identity
from common.errors import ApiError
from common.network import client_ip


class ApiKeyAuthentication(BaseAuthentication):
    """``X-API-Key`` and the headers that sign the request; ``request.user`` is an ``Identity``."""

    def authenticate(self, request: Request) -> tuple[Identity, Identity] | None:
        """
        Return the identity, None without the header.

        Raises:
            ApiError: as :func:`accounts.signatures.authenticate_signed`.
        """
        meta = request.META
        key = meta.get("HTTP_X_API_KEY")
        if key is None:
            return None
        plain = request._request
        signed = SignedRequest(
            key=key,
            timestamp=meta.get("HTTP_X_TIMESTAMP", ""),
            nonce=meta.get("HTTP_X_NONCE", ""),
            recv_window=meta.get("HTTP_X_RECV_WINDOW", ""),
            signature=meta.get("HTTP_X_SIGNATURE", ""),
            method=plain.method or "",
            path=escape_uri_path(plain.path),
            query=meta.get("QUERY_STRING", ""),
            body=plain.body,
        )
        try:
            identity = authenticate_signed(signed, ip=client_ip(plain))
        except ApiError as error:
            if error.status_code < 500:
                count_refusal(plain)
            raise
        return identity, identity

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return "Signature"
