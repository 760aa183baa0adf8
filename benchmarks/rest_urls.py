"""The platform's addresses and, beside the order's, a view that does nothing."""

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tradingplatform.urls import handler400, handler403, handler404, handler500
from tradingplatform.urls import urlpatterns as platform_urls

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


class EmptyView(APIView):
    """Reads its body with the same parser and authentication as an order, and answers."""

    rate_exempt = frozenset({"POST"})

    def post(self, request: Request) -> Response:
        """Parse and answer."""
        return Response({"fields": len(request.data)}, status=201)


urlpatterns = [
    path("api/", include([path("empty", EmptyView.as_view())])),
    *platform_urls,
]
