"""Views whose POST is hot: judged and answered as by the framework, without its detours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import cached_property
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.key_authentication import identify
from common.exceptions import to_api_error
from common.parsers import BODY_BYTES_MAX, body_too_large, parse_object
from common.renderers import accepts_json, encode_json
from common.views import error_response

_JSON_TYPES = frozenset({"application/json", "application/json; charset=utf-8"})


class DirectRequest:
    """What a handler asks of the framework's request: who sent it, and the object in its body."""

    def __init__(self, request: HttpRequest) -> None:
        """
        Find out who is asking.

        Raises:
            ApiError: for a bad credential, as :func:`accounts.key_authentication.identify`.
        """
        self._request = request
        self.method = request.method
        self.META = request.META
        self.user = identify(request)

    # Django's: the standard library's takes one lock for all requests before Python 3.12.
    @cached_property
    def data(self) -> Mapping[str, Any]:
        """
        The object in the body.

        Raises:
            ApiError: as :func:`common.parsers.parse_object`.
        """
        if int(self.META["CONTENT_LENGTH"]) > BODY_BYTES_MAX:
            raise body_too_large()
        return parse_object(self._request.body)

    @property
    def rate_headers(self) -> dict[str, str]:
        """The headers that show a rate, on the request that the middleware sees."""
        shown: dict[str, str] = self._request.rate_headers  # type: ignore[attr-defined]
        return shown

    @rate_headers.setter
    def rate_headers(self, headers: dict[str, str]) -> None:
        self._request.rate_headers = headers  # type: ignore[attr-defined]


class DirectPostView(APIView):
    """
    An API view whose POST goes straight to ``post``.

    Negotiation, the framework's request and its response cost a hot view about as much as all
    that it does itself. Who may do it is judged by the same functions in the same order. Only a
    request that plainly sends and takes JSON goes this way; any other one, and any other
    method, goes through the framework. ``post`` must be exempt from the request rate, and
    is given a ``DirectRequest``.
    """

    rate_exempt: frozenset[str] = frozenset({"POST"})

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer; an exception that is no bug becomes its envelope."""
        if request.method != "POST" or not _is_plain(request.META):
            return super().dispatch(request, *args, **kwargs)
        try:
            direct = cast(Request, DirectRequest(request))
            self._check_permissions(direct)
            response: Response = self.post(direct, *args, **kwargs)  # type: ignore[attr-defined]
        except Exception as error:
            refusal = to_api_error(error)
            if refusal is None:
                raise
            return error_response(refusal)
        return HttpResponse(
            encode_json(response.data),
            status=response.status_code,
            content_type="application/json",
        )

    def _check_permissions(self, request: Request) -> None:
        for permission in self.get_permissions():
            if not permission.has_permission(request, self):
                raise PermissionDenied if request.user else NotAuthenticated


def _is_plain(meta: Mapping[str, Any]) -> bool:
    """Tell whether a request has a body of JSON, of known length, and takes JSON."""
    length = meta.get("CONTENT_LENGTH") or ""
    return (
        meta.get("CONTENT_TYPE") in _JSON_TYPES
        and length.isascii()
        and length.isdecimal()
        and int(length) > 0
        and accepts_json(meta.get("HTTP_ACCEPT", ""))
    )
