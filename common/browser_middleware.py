"""
Django's session middleware for pages only.

The API knows callers by their tokens. Opening a session, a lazy user and a message store for
each of its requests took a fifth of an order's time in the web process (profiled).
"""

from collections.abc import Awaitable

from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from common.middleware import API_PREFIX


class _PagesOnly(MiddlewareMixin):
    """Passes requests of the API by."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer, with what the middleware adds unless the API is asked."""
        if request.path_info.startswith(API_PREFIX):
            return self.get_response(request)
        return super().__call__(request)


class SessionMiddleware(_PagesOnly, sessions.SessionMiddleware):
    """Sessions of the back-office."""


class AuthenticationMiddleware(_PagesOnly, auth.AuthenticationMiddleware):
    """The user of a session."""


class MessageMiddleware(_PagesOnly, messages.MessageMiddleware):
    """Notes shown on the next page."""
