"""REST of the account's limits and what is left of them."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import caller_of, requires
from accounts.permissions import Permission
from common.limits import Rate, look_cancels, look_orders, look_requests
from common.openapi import LOGIN_ERRORS, QUERY_ERRORS, errors
from common.query import read_query
from common.tiers import limits_of


class RateOutput(serializers.Serializer):
    """One rate; a limit of 0 is none."""

    limit = serializers.IntegerField()
    window_s = serializers.IntegerField()
    remaining = serializers.IntegerField()
    resets_in_ms = serializers.IntegerField(help_text="0 while nothing was taken.")


class SocketLimitsOutput(serializers.Serializer):
    """Bounds of WebSockets; 0 is none."""

    connections_max = serializers.IntegerField(help_text="Per server process.")
    channels_max = serializers.IntegerField(help_text="Per connection.")
    messages = serializers.IntegerField(help_text="Per connection and window.")
    messages_window_s = serializers.IntegerField()


class AccountLimitsOutput(serializers.Serializer):
    """The limits of an account; all its sessions and keys share them."""

    limit_tier = serializers.CharField()
    requests = RateOutput()
    orders = RateOutput(help_text="Each order of a batch counts.")
    cancels = RateOutput(help_text="Apart from orders: these never keep anybody from cancelling.")
    open_orders_max = serializers.IntegerField(help_text="Per market.")
    sockets = SocketLimitsOutput()


def _rate(rate: Rate, window_s: int) -> dict[str, int]:
    return {
        "limit": rate.limit,
        "window_s": window_s,
        "remaining": rate.remaining,
        "resets_in_ms": rate.ends_in_ms,
    }


class AccountLimitsView(APIView):
    """The account's limits."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW)]

    @extend_schema(
        operation_id="account_limits",
        summary="See the account's limits and what is left of them",
        tags=["account"],
        responses={200: AccountLimitsOutput, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return every limit of the account, and what is left of its rates; this one counts too."""
        read_query(request)
        caller = caller_of(request)
        limits = limits_of(caller.tier)
        body: dict[str, Any] = {
            "limit_tier": str(caller.tier),
            "requests": _rate(look_requests(caller), limits.requests_window_s),
            "orders": _rate(look_orders(caller), 1),
            "cancels": _rate(look_cancels(caller), 1),
            "open_orders_max": limits.open_orders_max,
            "sockets": {
                "connections_max": limits.ws_connections_max,
                "channels_max": limits.ws_channels_max,
                "messages": limits.ws_messages,
                "messages_window_s": limits.ws_messages_window_s,
            },
        }
        return Response(body)
