"""From the body of a request, or a form, to the kind and filters of an export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from accounts.selectors import account_by_id
from adminpanel.exports.filters import Filters
from adminpanel.exports.kinds import KINDS, Kind
from adminpanel.exports.services import now_ms
from common.errors import ApiError, raise_for_code
from common.serializers import IdField, StrictSerializer, TextField, validated
from exchange.core.rejects import Code
from markets.selectors import MarketNotFound, market_by_symbol

TIME_MAX_MS = 2**53


class ExportRequest(StrictSerializer):
    """The body of a request for an export."""

    kind = serializers.ChoiceField(choices=list(KINDS), help_text="What to export.")
    account_id = IdField(required=False, help_text="Of this account alone.")
    symbol = TextField(
        required=False, max_length=32, help_text="Of this market alone: orders and fills."
    )
    since = serializers.IntegerField(
        required=False,
        default=0,
        min_value=0,
        max_value=TIME_MAX_MS,
        help_text="From this time on, ms UTC; the beginning without it.",
    )
    until = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=TIME_MAX_MS,
        help_text="Up to but without this time, ms UTC; now without it.",
    )
    reason = TextField(min_length=1, max_length=200, help_text="Why, for the audit log.")


def _refuse(field: str, code: str) -> ApiError:
    message = "Some fields are not valid."
    return ApiError("VALIDATION_ERROR", message, 400, fields={field: code})


def parse_export(data: Mapping[str, Any]) -> tuple[Kind, Filters, str]:
    """
    Return kind, filters and reason.

    Raises:
        ApiError: ``UNKNOWN_FIELD``, ``VALIDATION_ERROR``, ``MARKET_NOT_FOUND`` or
            ``ACCOUNT_NOT_FOUND``.
        rest_framework.exceptions.ValidationError: ``VALIDATION_ERROR`` with its fields.
    """
    values = validated(ExportRequest, data)
    kind = KINDS[values["kind"]]
    for name in ("account_id", "symbol"):
        if name in values and name not in kind.filters:
            raise _refuse(name, "CONFLICT")
        if name in kind.needed and name not in values:
            raise _refuse(name, "REQUIRED")
    now = now_ms()
    until = min(values.get("until", now), now)
    if values["since"] >= until:
        raise _refuse("since", "TOO_LARGE")
    account_id = values.get("account_id")
    if account_id is not None and account_by_id(account_id) is None:
        raise_for_code(Code.ACCOUNT_NOT_FOUND)
    market_id = None
    if "symbol" in values:
        try:
            market_id = market_by_symbol(values["symbol"]).market_id
        except MarketNotFound:
            raise_for_code(Code.MARKET_NOT_FOUND)
    filters = Filters(values["since"], until, account_id, market_id)
    return kind, filters, values["reason"]
