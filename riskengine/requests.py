"""From operators' bodies to commands of the risk engine: shape only, the exchange decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from common.decimals import parse_atoms
from common.errors import FieldError, invalid_fields
from common.pagination import PageQuery
from common.query import QuerySerializer
from exchange.core.commands import ConfigureContract, ConfigureInsurance
from exchange.core.events import ContractConfigured, InsuranceChanged
from exchange.core.margin import BRACKETS_MAX
from markets.types import MarketInfo
from orders.fields import (
    RequestField,
    RequestTable,
    boolean_field,
    choice_field,
    decimal_field,
    read_body,
    table_of,
    text_field,
    whole_field,
)
from riskengine.enums import FundDirection

REASON_LENGTH_MAX = 200

_DECIMAL_SCHEMA = {"type": "string", "pattern": r"^-?(0|[1-9][0-9]{0,10})(\.[0-9]{1,8})?$"}


def _amount_field(
    name: str, description: str, example: str, *, signed: bool = False
) -> RequestField:
    """Return a field that takes a decimal string, 0 included, as 10^-8."""

    def read(value: object, name: str, _market: MarketInfo | None) -> int:
        if signed and isinstance(value, str) and value.startswith("-"):
            return -parse_atoms(value[1:], field=name)
        return parse_atoms(value, field=name)

    schema = {**_DECIMAL_SCHEMA, "description": description, "example": example}
    return RequestField(name, read, schema)


def _read_reason(value: object, name: str, _market: MarketInfo | None) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise FieldError(field=name, code="INVALID")
    if len(value) > REASON_LENGTH_MAX:
        raise FieldError(field=name, code="TOO_LONG")
    return value


REASON = RequestField(
    "reason",
    _read_reason,
    {
        "type": "string",
        "minLength": 1,
        "maxLength": REASON_LENGTH_MAX,
        "description": "Why; kept in the audit log.",
    },
    required=True,
)

_BRACKET_FIELDS: RequestTable = table_of(
    RequestField(
        "floor",
        lambda value, name, _market: parse_atoms(value, field=name),
        {**_DECIMAL_SCHEMA, "description": "Notional from which it holds; the first is 0."},
        required=True,
    ),
    RequestField(
        "maintenance_rate",
        lambda value, name, _market: parse_atoms(value, field=name),
        {**_DECIMAL_SCHEMA, "description": "As a fraction.", "example": "0.004"},
        required=True,
    ),
    whole_field("max_leverage", description="1 to 125.", example=125, required=True),
)


def _read_brackets(
    value: object, name: str, market: MarketInfo | None
) -> tuple[tuple[int, int, int], ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise FieldError(field=name, code="INVALID")
    if not 1 <= len(value) <= BRACKETS_MAX:
        raise FieldError(field=name, code="OUT_OF_RANGE")
    rows = [read_body(_BRACKET_FIELDS, item, market) for item in value]
    return tuple((row["floor"], row["maintenance_rate"], row["max_leverage"]) for row in rows)


_CONTRACT_FIELDS = (
    whole_field("funding_interval_ms", description="1 minute to 1 day.", example=28_800_000),
    _amount_field("interest_rate", "Per 8 hours, as a fraction.", "0.0001", signed=True),
    _amount_field("funding_cap", "Largest rate either way; 0: 0.75 x first rate.", "0.003"),
    _amount_field("impact_notional", "What impact prices are averaged over.", "25000"),
    _amount_field("liquidation_fee", "As a fraction, at most a quarter of the rate.", "0.005"),
    _amount_field("max_position_notional", "0: not limited.", "200000000"),
    _amount_field("max_open_interest", "Notional of all longs; 0: not limited.", "500000000"),
    RequestField(
        "brackets",
        _read_brackets,
        {
            "type": "array",
            "minItems": 1,
            "maxItems": BRACKETS_MAX,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": list(_BRACKET_FIELDS),
                "properties": {name: dict(f.schema) for name, f in _BRACKET_FIELDS.items()},
            },
            "description": "By rising floor, rates rise and leverages fall.",
        },
    ),
    whole_field("default_leverage", description="Of accounts that set none.", example=10),
    boolean_field("liquidations_paused", description="Nobody is liquidated in this market."),
)
_INSURANCE_FIELDS = (
    _amount_field("notional_cap", "Inherited notional / fund at which takeovers stop.", "1"),
    _amount_field("shock", "Adverse move that the fund must survive, as a fraction.", "0.1"),
    _amount_field("drawdown", "Fall from the 8-hour high at which takeovers stop.", "0.3"),
    _amount_field("recovery", "Fall within which they start again.", "0.25"),
)
PARAM_FIELDS = table_of(
    text_field(
        "symbol",
        description="Perpetual market whose terms change; or insurance_group.",
        example="BTC-USDT-PERP",
        required=False,
    ),
    whole_field("insurance_group", description="Or the group whose terms change.", example=1),
    REASON,
    *_CONTRACT_FIELDS,
    *_INSURANCE_FIELDS,
)
FUND_FIELDS = table_of(
    whole_field("insurance_group", description="The group.", example=1, required=True),
    text_field("currency", description="Currency.", example="USDT", required=True),
    RequestField(
        "amount",
        lambda value, name, _market: parse_atoms(value, field=name),
        {**_DECIMAL_SCHEMA, "description": "How much.", "example": "10000"},
        required=True,
    ),
    choice_field("direction", FundDirection, description="Into or out of.", required=True),
    REASON,
)
SETTLE_FIELDS = table_of(
    decimal_field(
        "price", description="Settlement price; default the mark price.", example="60000"
    ),
    REASON,
)

# Names outside and in the events.
_CONTRACT_NAMES = {
    "funding_interval_ms": "funding_interval_ms",
    "interest_rate": "interest_rate_e8",
    "funding_cap": "funding_cap_e8",
    "impact_notional": "impact_notional_atoms",
    "liquidation_fee": "liquidation_fee_e8",
    "max_position_notional": "position_notional_max_atoms",
    "max_open_interest": "open_interest_max_atoms",
    "brackets": "brackets",
    "default_leverage": "leverage_default",
    "liquidations_paused": "liquidations_paused",
}
_INSURANCE_NAMES = {
    "notional_cap": "notional_cap_e8",
    "shock": "shock_e8",
    "drawdown": "drawdown_e8",
    "recovery": "recovery_e8",
}


class TierQuery(QuerySerializer):
    """Parameters of the margin tiers."""

    symbol = serializers.CharField(
        required=False, max_length=64, help_text="Only this market, e.g. BTC-USDT-PERP."
    )


class LiquidationQuery(PageQuery):
    """Parameters of the liquidations."""

    symbol = serializers.CharField(
        required=False, max_length=64, help_text="Only this market, e.g. BTC-USDT-PERP."
    )


def parse_params(body: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the values of a change of risk parameters.

    Raises:
        ApiError: 400 for its shape; exactly one of ``symbol`` and ``insurance_group`` is needed,
            with something of its own to change, and nothing of the other's.
    """
    values = read_body(PARAM_FIELDS, body, None)
    if ("symbol" in values) is ("insurance_group" in values):
        code = "CONFLICT" if "symbol" in values else "REQUIRED"
        raise invalid_fields({"symbol": code})
    own, others = _CONTRACT_NAMES, _INSURANCE_NAMES
    if "symbol" not in values:
        own, others = others, own
    conflicts = [name for name in values if name in others]
    if conflicts:
        raise invalid_fields(dict.fromkeys(conflicts, "CONFLICT"))
    if not any(name in values for name in own):
        raise invalid_fields(dict.fromkeys(own, "REQUIRED"))
    return values


def contract_command(
    values: Mapping[str, Any], current: ContractConfigured, *, actor: str
) -> ConfigureContract:
    """Return the command that changes a contract's terms; what is left out stays."""
    changes = {inner: values[name] for name, inner in _CONTRACT_NAMES.items() if name in values}
    settings = {
        inner: changes.get(inner, getattr(current, inner)) for inner in _CONTRACT_NAMES.values()
    }
    if "brackets" not in changes:
        # A command carries no maintenance amounts: they follow.
        settings["brackets"] = tuple((row[0], row[1], row[3]) for row in current.brackets)
    return ConfigureContract(
        market_id=current.market_id,
        insurance_group=current.insurance_group,
        reason=values["reason"],
        actor=actor,
        **settings,
    )


def insurance_command(
    values: Mapping[str, Any], current: InsuranceChanged, *, actor: str
) -> ConfigureInsurance:
    """Return the command that changes an insurance group's terms; what is left out stays."""
    settings = {
        inner: values.get(name, getattr(current, inner)) for name, inner in _INSURANCE_NAMES.items()
    }
    return ConfigureInsurance(
        group_id=current.group_id, reason=values["reason"], actor=actor, **settings
    )


def parse_fund(body: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the values of a payment into or out of an insurance fund.

    Raises:
        ApiError: 400 for its shape.
    """
    values = read_body(FUND_FIELDS, body, None)
    if values["amount"] == 0:
        raise FieldError(field="amount", code="OUT_OF_RANGE")
    return values


def parse_settle(body: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the values of the settlement of a market.

    Raises:
        ApiError: 400 for its shape.
    """
    return read_body(SETTLE_FIELDS, body, None)
