"""Middleware of the site itself."""

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class ContentPolicyMiddleware(CSPMiddleware):
    """
    Sends the strict policy of the site, and wider ones where a vendored page needs them.

    The back-office's theme evaluates expressions (Alpine), Swagger UI writes inline styles.
    """

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
