"""REST of what guards an account's orders."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import body_of, caller_of, requires
from accounts.permissions import Permission
from common.errors import ApiError
from common.freshness import freshness
from common.limits import show_rate, take_cancels
from common.openapi import (
    BODY_ERRORS,
    BOOLEAN,
    DECIMAL_OR_NULL,
    ENGINE_ERRORS,
    FRESHNESS,
    LOGIN_ERRORS,
    MILLISECONDS,
    QUERY_ERRORS,
    TEXT,
    TEXT_OR_NULL,
    errors,
    list_of,
    object_of,
)
from common.query import read_query
from common.serializers import refuse_body
from exchange.core.commands import ConfigureProtection, ResetProtection
from exchange.core.rejects import MESSAGES, Code, http_status
from orders import safeguards
from orders.fields import schema_of
from orders.safeguard_requests import (
    CANCEL_ALL_AFTER_FIELDS,
    PROTECTION_FIELDS,
    market_named,
    parse_cancel_all_after,
    parse_protection,
)

_MILLISECONDS_OR_NULL: dict[str, Any] = {**MILLISECONDS, "type": ["integer", "null"]}
_LENGTH: dict[str, Any] = {"type": "integer", "format": "int64", "description": "Milliseconds."}

CANCEL_SWITCH = object_of(
    {
        "symbol": {**TEXT_OR_NULL, "description": "The market, null for all."},
        "timeout_ms": {**_LENGTH, "description": "0 when it is not armed."},
        "cancel_at": {**_MILLISECONDS_OR_NULL, "description": "When the orders are cancelled."},
    }
)
CANCEL_SWITCHES = object_of(
    {"items": list_of(CANCEL_SWITCH), **FRESHNESS}, optional=tuple(FRESHNESS)
)
PROTECTION_PROPERTIES: dict[str, Any] = {
    "symbol": TEXT,
    "window_ms": _LENGTH,
    "quantity": DECIMAL_OR_NULL,
    "fills": {"type": ["integer", "null"]},
    "frozen_ms": {**_LENGTH, "description": "0: until a reset."},
    "frozen": {**BOOLEAN, "description": "Whether orders that may rest are refused now."},
    "frozen_until": {**_MILLISECONDS_OR_NULL, "description": "Null: not frozen, or until a reset."},
}
PROTECTION = object_of(PROTECTION_PROPERTIES)
PROTECTION_READ = object_of({**PROTECTION_PROPERTIES, **FRESHNESS}, optional=tuple(FRESHNESS))
_MARKET_ERRORS = {404: ("MARKET_NOT_FOUND",)}
_NONE_ERRORS = {404: ("MARKET_NOT_FOUND", "NO_PROTECTION")}


class CancelAllAfterView(APIView):
    """Dead-man switches."""

    permission_classes = [requires(Permission.TRADE)]
    rate_exempt = frozenset({"POST"})

    @extend_schema(
        operation_id="orders_cancel_all_after",
        summary="Cancel all orders unless called again in time",
        request={"application/json": schema_of(CANCEL_ALL_AFTER_FIELDS)},
        responses={
            200: CANCEL_SWITCH,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                ENGINE_ERRORS,
                _MARKET_ERRORS,
                {422: ("INVALID_TIMEOUT",)},
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """
        Arm a dead-man switch: when its time is over, all open orders are cancelled.

        Each call starts the time anew; 0 disarms. That of a market and that of all markets
        are two switches. It counts as a cancel against the limits.
        """
        user = caller_of(request)
        show_rate(request, take_cancels(user))
        command = parse_cancel_all_after(body_of(request), account_id=user.account_id)
        return Response(
            safeguards.render_cancel_switch(safeguards.cancel_all_after(command=command))
        )

    @extend_schema(
        operation_id="orders_cancel_switches",
        summary="List armed dead-man switches",
        responses={200: CANCEL_SWITCHES, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return the account's armed switches, that of all markets first."""
        read_query(request)
        switches = safeguards.cancel_switches(caller_of(request).account_id)
        items = [safeguards.render_cancel_switch(switch) for switch in switches]
        return Response({"items": items, **freshness()})


class ProtectionView(APIView):
    """The market-maker protection of the account in one market."""

    permission_classes = [requires(Permission.TRADE)]
    rate_exempt = frozenset({"PUT", "DELETE"})

    @extend_schema(
        operation_id="orders_protection",
        summary="Get the market-maker protection",
        responses={200: PROTECTION_READ, **errors(QUERY_ERRORS, LOGIN_ERRORS, _NONE_ERRORS)},
    )
    def get(self, request: Request, symbol: str) -> Response:
        """Return the protection and whether it holds orders back now."""
        read_query(request)
        market = market_named(symbol)
        found = safeguards.protection_of(caller_of(request).account_id, market.market_id)
        if found is None:
            code = Code.NO_PROTECTION
            raise ApiError(code.name, MESSAGES[code], http_status(code))
        return Response({**safeguards.render_protection(found), **freshness()})

    @extend_schema(
        operation_id="orders_protection_set",
        summary="Set the market-maker protection",
        request={"application/json": schema_of(PROTECTION_FIELDS)},
        responses={
            200: PROTECTION,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                ENGINE_ERRORS,
                _MARKET_ERRORS,
                {422: ("INVALID_PROTECTION",)},
            ),
        },
    )
    def put(self, request: Request, symbol: str) -> Response:
        """
        Cancel what rests when more than so much of it fills within a window.

        Then orders that may rest are refused (``QUOTES_FROZEN``) for ``frozen_ms`` or until a
        reset. Counting starts anew with each call; a freeze that holds goes on.
        """
        user = caller_of(request)
        show_rate(request, take_cancels(user))
        command = parse_protection(
            body_of(request), account_id=user.account_id, market=market_named(symbol)
        )
        return Response(safeguards.render_protection(safeguards.protection_set(command=command)))

    @extend_schema(
        operation_id="orders_protection_remove",
        summary="Take the market-maker protection away",
        request=None,
        responses={
            200: PROTECTION,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, ENGINE_ERRORS, _NONE_ERRORS),
        },
    )
    def delete(self, request: Request, symbol: str) -> Response:
        """Take the protection away, and a freeze with it."""
        refuse_body(request)
        read_query(request)
        user = caller_of(request)
        show_rate(request, take_cancels(user))
        command = ConfigureProtection(user.account_id, market_named(symbol).market_id, 0)
        return Response(safeguards.render_protection(safeguards.protection_set(command=command)))


class ProtectionResetView(APIView):
    """The end of a freeze."""

    permission_classes = [requires(Permission.TRADE)]
    rate_exempt = frozenset({"POST"})

    @extend_schema(
        operation_id="orders_protection_reset",
        summary="Let orders rest again",
        request=None,
        responses={
            200: PROTECTION,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, ENGINE_ERRORS, _NONE_ERRORS),
        },
    )
    def post(self, request: Request, symbol: str) -> Response:
        """End a freeze at once and count from zero."""
        refuse_body(request)
        read_query(request)
        user = caller_of(request)
        show_rate(request, take_cancels(user))
        command = ResetProtection(user.account_id, market_named(symbol).market_id)
        return Response(safeguards.render_protection(safeguards.protection_reset(command=command)))
