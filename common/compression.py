"""Compression of answers that hold no secret."""

import re

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

# Headers under which a request says who it is.
_CREDENTIALS = ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_X_API_KEY")
# The framework overlooks that a weight of zero means "not this one".
_REFUSED = re.compile(r"\bgzip\s*;\s*q=0(\.0{0,3})?\s*(,|$)", re.ASCII)
_METHODS = frozenset({"GET", "HEAD"})


class PublicGZipMiddleware(GZipMiddleware):
    """
    Compress what strangers may read, and nothing else.

    The length of a compressed answer tells what it shares with the text of its request
    (BREACH). That is of no use where the answer to everybody is the same; where a request
    carries credentials, or is answered with tokens, nothing is compressed.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Compress a long enough answer of a read without credentials."""
        if response.streaming or request.method not in _METHODS:
            return response
        if _REFUSED.search(request.META.get("HTTP_ACCEPT_ENCODING", "")):
            return response
        if any(request.META.get(name) for name in _CREDENTIALS):
            return response
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed
