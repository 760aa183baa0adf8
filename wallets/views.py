"""REST of balances, transfers and the ledger."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import step_up
from accounts.access import caller_of, requires
from accounts.permissions import Permission
from common.freshness import freshness
from common.openapi import LOGIN_ERRORS, QUERY_ERRORS, errors
from common.pagination import decode_cursor, encode_cursor
from common.query import read_query
from common.serializers import validated
from wallets import schema, selectors, services
from wallets.render import (
    LEDGER_KINDS_BY_NAME,
    WALLETS_BY_NAME,
    render_balance,
    render_entry,
    render_margin,
    render_transfer,
)
from wallets.requests import HistoryQuery, TransferRequest


class WalletView(APIView):
    """All balances."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW)]

    @extend_schema(
        operation_id="wallet_balances",
        summary="List balances",
        responses={200: schema.BALANCES, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return every balance of the account, and what its margin wallets back."""
        read_query(request)
        account_id = caller_of(request).account_id
        balances = selectors.balances_of(account_id)
        return Response(
            {
                "balances": [render_balance(balance) for balance in balances],
                "margin": [
                    render_margin(summary) for summary in selectors.margin_summaries(account_id)
                ],
                **freshness(),
            }
        )


class CurrencyView(APIView):
    """Balances in one currency."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW)]

    @extend_schema(
        operation_id="wallet_currency",
        summary="Get the balances of one currency",
        responses={
            200: schema.CURRENCY_BALANCES,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, {404: ("ASSET_NOT_FOUND",)}),
        },
    )
    def get(self, request: Request, currency: str) -> Response:
        """Return the account's balances of a currency; none where it never had any."""
        read_query(request)
        asset = services.asset_of(currency)
        balances = selectors.balances_of(caller_of(request).account_id, asset_id=asset.asset_id)
        return Response(
            {
                "currency": asset.code,
                "balances": [render_balance(balance) for balance in balances],
                **freshness(),
            }
        )


class TransferView(APIView):
    """Transfers."""

    permission_classes = [requires(Permission.TRANSFER)]

    @extend_schema(
        operation_id="wallet_transfer",
        summary="Transfer between wallets or to another user",
        parameters=[step_up.PARAMETER],
        request=TransferRequest,
        responses={
            201: schema.TRANSFER,
            200: schema.TRANSFER,
            **errors(
                LOGIN_ERRORS,
                step_up.ERRORS,
                {
                    400: ("INVALID_JSON", "UNKNOWN_FIELD", "VALIDATION_ERROR"),
                    404: ("ASSET_NOT_FOUND", "RECIPIENT_NOT_FOUND"),
                    409: ("TRANSFER_ID_CONFLICT",),
                    413: ("BODY_TOO_LARGE",),
                    415: ("UNSUPPORTED_MEDIA_TYPE",),
                    422: (
                        "ACCOUNT_SUSPENDED",
                        "ACCOUNT_CANCEL_ONLY",
                        "INVALID_AMOUNT",
                        "INSUFFICIENT_BALANCE",
                        "SAME_WALLET",
                        "WITHDRAWALS_FROZEN",
                    ),
                    503: ("ENGINE_BUSY", "ENGINE_UNAVAILABLE", "EXPIRED_IN_QUEUE"),
                    504: ("STATUS_UNKNOWN",),
                },
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """
        Move an available amount between own wallets or to another user.

        Repeating a request with the same client_transfer_id answers 200 with the first
        transfer; a different request under that id is 409.
        """
        read_query(request)
        data = validated(TransferRequest, request.data)
        if "to_username" in data:
            step_up.require_step_up(request)
        transfer = services.transfer_make(
            account_id=caller_of(request).account_id,
            currency=data["currency"],
            amount=data["amount"],
            wallet=WALLETS_BY_NAME[data["from_wallet"]],
            target_wallet=WALLETS_BY_NAME[data["to_wallet"]],
            username=data.get("to_username", ""),
            client_transfer_id=data.get("client_transfer_id", ""),
        )
        return Response(render_transfer(transfer), status=200 if transfer.repeated else 201)


class HistoryView(APIView):
    """The ledger."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW)]
    rate_weight = 5

    @extend_schema(
        operation_id="wallet_history",
        summary="List ledger entries",
        parameters=[HistoryQuery],
        responses={
            200: schema.ENTRY_PAGE,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, {404: ("ASSET_NOT_FOUND",)}),
        },
    )
    def get(self, request: Request) -> Response:
        """
        Return a page of the account's ledger entries, newest first.

        A filtered page may be short or empty and still have a next_cursor.
        """
        query = read_query(request, HistoryQuery)
        currency, kind = query.get("currency"), query.get("kind")
        keys = decode_cursor(query["cursor"])
        page = selectors.entries_page(
            caller_of(request).account_id,
            limit=query["limit"],
            from_id=keys[0] if keys else None,
            asset_id=services.asset_of(currency).asset_id if currency else None,
            kind=LEDGER_KINDS_BY_NAME[kind] if kind else None,
        )
        return Response(
            {
                "items": [render_entry(entry) for entry in page.entries],
                "next_cursor": encode_cursor(page.next_id) if page.next_id else None,
                **freshness(),
            }
        )
