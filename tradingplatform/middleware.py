"""Middleware of the site itself."""

import ipaddress
import time
from collections.abc import Callable

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from common.errors import not_found
from common.network import client_ip
from common.views import error_response
from tradingplatform.metrics import HTTP_SECONDS

# Anybody can invent methods; the label must stay bounded.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# Asked by machines inside the installation.
PROBED_PATHS = frozenset({"/api/health", "/api/health/live", "/api/health/ready", "/api/metrics"})

# JSON is not a page: nothing may be loaded by it, and nobody may frame it.
JSON_POLICY = "default-src 'none'; frame-ancestors 'none'"

# Nothing here needs a sensor, a camera or a payment sheet; a script that got in shall have none.
FEATURE_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer camera display-capture fullscreen geolocation gyroscope hid magnetometer"
        " microphone midi payment publickey-credentials-get screen-wake-lock serial usb"
    ).split()
)


class ProbeHostMiddleware:
    """
    Answer health checks and figures under whatever name they are asked.

    Containers and pods are asked by their addresses, which nobody lists in ``ALLOWED_HOSTS``;
    these answers contain no address that a forged Host header could bend.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Wrap the rest of the chain."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Let a probe's request have a host that nobody checks."""
        if request.path_info in PROBED_PATHS:
            first = str(settings.ALLOWED_HOSTS[0]).removeprefix(".")
            request.META["HTTP_HOST"] = "localhost" if first == "*" else first
            request.META.pop("HTTP_X_FORWARDED_HOST", None)
        return self.get_response(request)


class MetricsMiddleware:
    """Measures each request under its route pattern, never under its path."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Wrap the rest of the chain."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer and count."""
        started = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        HTTP_SECONDS.labels(
            request.method if request.method in _METHODS else "other",
            match.route if match is not None else "unknown",
            str(response.status_code),
        ).observe(time.perf_counter() - started)
        return response


class BackOfficeAddressMiddleware:
    """
    Hide the back-office from addresses outside of ``ADMIN_ALLOWED_NETWORKS``.

    They get what any unknown address of the site gets.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Wrap the rest of the chain; without networks there is nothing to do."""
        if not settings.ADMIN_ALLOWED_NETWORKS:
            raise MiddlewareNotUsed
        self.get_response = get_response
        self._prefix = f"/{settings.ADMIN_PATH}/"

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer 404 to a stranger who asks for the back-office."""
        if request.path_info.startswith(self._prefix):
            address = ipaddress.ip_address(client_ip(request))
            if not any(address in network for network in settings.ADMIN_ALLOWED_NETWORKS):
                return error_response(not_found())
        return self.get_response(request)


class ContentPolicyMiddleware(CSPMiddleware):
    """
    Sends the strict policy of the site, and wider ones where a vendored page needs them.

    The back-office's theme evaluates expressions (Alpine), Swagger UI writes inline styles.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Put the policies on an answer; JSON gets the strictest, without working one out."""
        response["Permissions-Policy"] = FEATURE_POLICY
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if response.get("Content-Type", "").startswith("application/json"):
            response["Content-Security-Policy"] = JSON_POLICY
            return response
        return super().process_response(request, response)

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        """Return the site's policy with the directives of the path's prefix put in."""
        parts = super().get_policy_parts(request, response, report_only)
        if not report_only:
            for prefix, directives in settings.CONTENT_POLICY_BY_PREFIX.items():
                if request.path_info.startswith(prefix):
                    parts.replace = {**(parts.replace or {}), **directives}
        return parts
