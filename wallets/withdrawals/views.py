"""REST of withdrawals and the address book; for operators, the list of all."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import step_up
from accounts.access import caller_of, requires
from accounts.permissions import Permission
from common.decimals import parse_atoms
from common.openapi import (
    BODY_ERRORS,
    ENGINE_ERRORS,
    LOGIN_ERRORS,
    NOT_FOUND_ERRORS,
    QUERY_ERRORS,
    errors,
)
from common.pagination import PageQuery, decode_cursor, page_of
from common.query import read_query
from common.serializers import refuse_body, validated
from wallets.enums import SHOWN, WithdrawalState
from wallets.services import asset_of
from wallets.withdrawals import addresses, asking, schema
from wallets.withdrawals.forms import (
    AddressRequest,
    WithdrawalRequest,
    WithdrawalsQuery,
    payee_of,
)
from wallets.withdrawals.render import render_address, render_for_operators, render_withdrawal
from wallets.withdrawals.selectors import withdrawal_of, withdrawals_page
from wallets.withdrawals.types import WithdrawalInfo

_ASSET_ERRORS = {404: ("ASSET_NOT_FOUND",)}


def _page(request: Request, *, account_id: int | None) -> tuple[int, list[WithdrawalInfo]]:
    query = read_query(request, WithdrawalsQuery)
    keys = decode_cursor(query["cursor"])
    status, currency = query.get("status"), query.get("currency")
    rows = withdrawals_page(
        limit=query["limit"],
        account_id=account_id,
        states=[WithdrawalState(status)] if status else SHOWN,
        asset_id=asset_of(currency).asset_id if currency else None,
        below_id=keys[0] if keys else None,
    )
    return query["limit"], rows


class WithdrawalsView(APIView):
    """Withdrawals of the account."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW, write=Permission.WITHDRAW)]

    @extend_schema(
        operation_id="wallet_withdrawals",
        summary="List withdrawals",
        parameters=[WithdrawalsQuery],
        responses={
            200: schema.WITHDRAWAL_PAGE,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, _ASSET_ERRORS),
        },
    )
    def get(self, request: Request) -> Response:
        """Return a page of the account's withdrawals, newest first."""
        limit, rows = _page(request, account_id=caller_of(request).account_id)
        page = page_of(
            rows, limit=limit, key=lambda info: info.withdrawal_id, render=render_withdrawal
        )
        return Response(page.body())

    @extend_schema(
        operation_id="wallet_withdraw",
        summary="Ask for a withdrawal",
        parameters=[step_up.PARAMETER],
        request=WithdrawalRequest,
        responses={
            201: schema.WITHDRAWAL,
            200: schema.WITHDRAWAL,
            **errors(
                LOGIN_ERRORS,
                BODY_ERRORS,
                step_up.ERRORS,
                _ASSET_ERRORS,
                ENGINE_ERRORS,
                {
                    409: ("WITHDRAWAL_ID_CONFLICT",),
                    422: (
                        "ACCOUNT_SUSPENDED",
                        "ACCOUNT_CANCEL_ONLY",
                        "ADDRESS_TOO_NEW",
                        "ADDRESS_UNKNOWN",
                        "CREDENTIALS_CHANGED",
                        "INSUFFICIENT_BALANCE",
                        "INVALID_AMOUNT",
                        "WITHDRAWALS_CLOSED",
                        "WITHDRAWALS_FROZEN",
                        "WITHDRAWALS_HALTED",
                        "WITHDRAWALS_WAITING",
                        "WITHDRAWAL_LIMIT",
                        "WITHDRAWAL_TOO_SMALL",
                    ),
                },
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """
        Ask for an amount of the spot wallet to be paid out to an address of the book.

        Amount and fee leave the wallet at once and wait for an operator. Repeating a request with
        the same client_withdrawal_id answers 200 with the first withdrawal; a different request
        under that id is 409. No API key may do this.
        """
        read_query(request)
        data = validated(WithdrawalRequest, request.data)
        asset = asset_of(data["currency"])
        amount_atoms = parse_atoms(data["amount"], field="amount", decimals=asset.decimals)
        step_up.require_step_up(request)
        caller = caller_of(request)
        asked = asking.withdrawal_request(
            account_id=caller.account_id,
            actor=caller,
            tier=caller.tier,
            asset=asset,
            amount_atoms=amount_atoms,
            payee=payee_of(data),
            client_id=data["client_withdrawal_id"],
        )
        return Response(render_withdrawal(asked.withdrawal), status=200 if asked.repeated else 201)


class WithdrawalView(APIView):
    """One withdrawal of the account."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW, write=Permission.WITHDRAW)]

    @extend_schema(
        operation_id="wallet_withdrawal",
        summary="Get a withdrawal",
        responses={
            200: schema.WITHDRAWAL,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, NOT_FOUND_ERRORS),
        },
    )
    def get(self, request: Request, withdrawal_id: int) -> Response:
        """Return one of the account's withdrawals."""
        read_query(request)
        info = withdrawal_of(withdrawal_id, account_id=caller_of(request).account_id)
        return Response(render_withdrawal(info))

    @extend_schema(
        operation_id="wallet_withdrawal_cancel",
        summary="Cancel a withdrawal",
        responses={
            200: schema.WITHDRAWAL,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, NOT_FOUND_ERRORS, {409: ("WITHDRAWAL_STATE",)}),
        },
    )
    def delete(self, request: Request, withdrawal_id: int) -> Response:
        """
        Take a request back that nobody approved yet; its money returns, fee included.

        settled_at is null while the exchange has yet to give it back.
        """
        refuse_body(request)
        read_query(request)
        caller = caller_of(request)
        info = asking.withdrawal_cancel(
            account_id=caller.account_id, actor=caller, withdrawal_id=withdrawal_id
        )
        return Response(render_withdrawal(info))


class AddressesView(APIView):
    """The address book."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW, write=Permission.WITHDRAW)]

    @extend_schema(
        operation_id="wallet_addresses",
        summary="List addresses to withdraw to",
        parameters=[PageQuery],
        responses={200: schema.ADDRESS_PAGE, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of the account's addresses, newest first."""
        query = read_query(request, PageQuery)
        keys = decode_cursor(query["cursor"])
        rows = addresses.addresses_page(
            caller_of(request).account_id,
            limit=query["limit"],
            below_id=keys[0] if keys else None,
        )
        page = page_of(
            rows, limit=query["limit"], key=lambda info: info.address_id, render=render_address
        )
        return Response(page.body())

    @extend_schema(
        operation_id="wallet_address_add",
        summary="Add an address to withdraw to",
        parameters=[step_up.PARAMETER],
        request=AddressRequest,
        responses={
            201: schema.ADDRESS,
            **errors(
                LOGIN_ERRORS,
                BODY_ERRORS,
                step_up.ERRORS,
                _ASSET_ERRORS,
                {409: ("ADDRESS_EXISTS",), 422: ("ADDRESS_LIMIT",)},
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Add an address; it can be used from usable_at on, and its user is told of it."""
        read_query(request)
        data = validated(AddressRequest, request.data)
        asset = asset_of(data["currency"])
        step_up.require_step_up(request)
        caller = caller_of(request)
        info = addresses.address_add(
            account_id=caller.account_id,
            actor=caller,
            asset_id=asset.asset_id,
            label=data["label"],
            payee=payee_of(data),
        )
        return Response(render_address(info), status=201)


class AddressView(APIView):
    """One address of the book."""

    permission_classes = [requires(Permission.WITHDRAW)]

    @extend_schema(
        operation_id="wallet_address_remove",
        summary="Remove an address",
        responses={204: None, **errors(QUERY_ERRORS, LOGIN_ERRORS, NOT_FOUND_ERRORS)},
    )
    def delete(self, request: Request, address_id: int) -> Response:
        """Remove an address; withdrawals that were asked for go on."""
        refuse_body(request)
        read_query(request)
        caller = caller_of(request)
        addresses.address_remove(account_id=caller.account_id, actor=caller, address_id=address_id)
        return Response(status=204)


class AdminWithdrawalsView(APIView):
    """Withdrawals of everybody."""

    permission_classes = [requires(Permission.MONEY_VIEW)]

    @extend_schema(
        operation_id="admin_withdrawals",
        tags=["admin"],
        summary="List withdrawals of all users",
        parameters=[WithdrawalsQuery],
        responses={
            200: schema.OPERATORS_PAGE,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, _ASSET_ERRORS),
        },
    )
    def get(self, request: Request) -> Response:
        """Return a page of all withdrawals, newest first: what a custody connector reads."""
        limit, rows = _page(request, account_id=None)
        page = page_of(
            rows, limit=limit, key=lambda info: info.withdrawal_id, render=render_for_operators
        )
        return Response(page.body())


class AdminWithdrawalView(APIView):
    """One withdrawal of anybody."""

    permission_classes = [requires(Permission.MONEY_VIEW)]

    @extend_schema(
        operation_id="admin_withdrawal",
        tags=["admin"],
        summary="Get a withdrawal of any user",
        responses={
            200: schema.OPERATORS_WITHDRAWAL,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, NOT_FOUND_ERRORS),
        },
    )
    def get(self, request: Request, withdrawal_id: int) -> Response:
        """Return a withdrawal with whose it is and who decided."""
        read_query(request)
        return Response(render_for_operators(withdrawal_of(withdrawal_id)))
