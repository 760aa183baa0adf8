"""What operators send to the risk engine, and the commands it becomes: shape only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from accounts.operation_fields import (
    REASON,
    OperationField,
    choice,
    decimal,
    flag,
    rows,
    text,
    whole,
)
from common.errors import invalid_fields, unknown_fields
from common.pagination import PageQuery
from common.query import QuerySerializer
from exchange.core.commands import ConfigureContract, ConfigureInsurance
from exchange.core.events import ContractConfigured, InsuranceChanged
from exchange.core.margin import BRACKETS_MAX
from riskengine.enums import FundDirection

_BRACKET_FIELDS = (
    decimal("floor", "Notional from which it holds; the first is 0.", example="0"),
    decimal("maintenance_rate", "As a fraction.", example="0.004"),
    whole("max_leverage", "1 to 125.", example=125),
)


def _amount(name: str, description: str, example: str, *, signed: bool = False) -> OperationField:
    return decimal(name, description, required=False, signed=signed, example=example)


CONTRACT_FIELDS = (
    whole("funding_interval_ms", "1 minute to 1 day.", required=False, example=28_800_000),
    _amount("interest_rate", "Per 8 hours, as a fraction.", "0.0001", signed=True),
    _amount("funding_cap", "Largest rate either way; 0: 0.75 x first rate.", "0.003"),
    _amount("impact_notional", "What impact prices are averaged over.", "25000"),
    _amount("liquidation_fee", "As a fraction, at most a quarter of the rate.", "0.005"),
    _amount("max_position_notional", "0: not limited.", "200000000"),
    _amount("max_open_interest", "Notional of all longs; 0: not limited.", "500000000"),
    rows(
        "brackets",
        "By rising floor, rates rise and leverages fall.",
        _BRACKET_FIELDS,
        rows_max=BRACKETS_MAX,
        required=False,
    ),
    whole("default_leverage", "Of accounts that set none.", required=False, example=10),
    flag("liquidations_paused", "Nobody is liquidated in this market.", required=False),
)
INSURANCE_FIELDS = (
    _amount("notional_cap", "Inherited notional / fund at which takeovers stop.", "1"),
    _amount("shock", "Adverse move that the fund must survive, as a fraction.", "0.1"),
    _amount("drawdown", "Fall from the 8-hour high at which takeovers stop.", "0.3"),
    _amount("recovery", "Fall within which they start again.", "0.25"),
)
FUND_FIELDS = (
    text("currency", "Currency.", length_max=16, example="USDT"),
    decimal("amount", "How much.", positive=True, example="10000"),
    choice("direction", "Into or out of.", FundDirection),
)
SETTLE_FIELDS = (
    decimal(
        "price",
        "Settlement price; default the mark price.",
        required=False,
        positive=True,
        example="60000",
    ),
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


def contract_command(
    values: Mapping[str, Any], current: ContractConfigured, *, reason: str, actor: str
) -> ConfigureContract:
    """Return the command that changes a contract's terms; what is left out stays."""
    changes = {inner: values[name] for name, inner in _CONTRACT_NAMES.items() if name in values}
    settings = {
        inner: changes.get(inner, getattr(current, inner)) for inner in _CONTRACT_NAMES.values()
    }
    if "brackets" in changes:
        settings["brackets"] = tuple(
            (row["floor"], row["maintenance_rate"], row["max_leverage"])
            for row in changes["brackets"]
        )
    else:
        # A command carries no maintenance amounts: they follow.
        settings["brackets"] = tuple((row[0], row[1], row[3]) for row in current.brackets)
    return ConfigureContract(
        market_id=current.market_id,
        insurance_group=current.insurance_group,
        reason=reason,
        actor=actor,
        **settings,
    )


def insurance_command(
    values: Mapping[str, Any], current: InsuranceChanged, *, reason: str, actor: str
) -> ConfigureInsurance:
    """Return the command that changes an insurance group's terms; what is left out stays."""
    settings = {
        inner: values.get(name, getattr(current, inner)) for name, inner in _INSURANCE_NAMES.items()
    }
    return ConfigureInsurance(group_id=current.group_id, reason=reason, actor=actor, **settings)


# Exactly one of symbol and insurance_group says whose terms change.
PARAM_FIELDS = (
    text(
        "symbol",
        "Perpetual market whose terms change; or insurance_group.",
        required=False,
        length_max=64,
        example="BTC-USDT-PERP",
    ),
    whole("insurance_group", "Or the group whose terms change.", required=False),
    REASON,
    *CONTRACT_FIELDS,
    *INSURANCE_FIELDS,
)
PARAM_NAMES = frozenset(field.name for field in PARAM_FIELDS)


def split_params(body: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """
    Return the operation, its target and its body that a change of risk parameters means.

    Raises:
        ApiError: 400 unless exactly one of ``symbol`` and ``insurance_group`` is given.
    """
    unknown = [name for name in body if name not in PARAM_NAMES]
    if unknown:
        raise unknown_fields(unknown)
    rest = dict(body)
    symbol, group = rest.pop("symbol", None), rest.pop("insurance_group", None)
    if (symbol is None) is (group is None):
        raise invalid_fields({"symbol": "REQUIRED" if symbol is None else "CONFLICT"})
    if symbol is not None:
        if not isinstance(symbol, str):
            raise invalid_fields({"symbol": "INVALID"})
        return "market-terms", symbol, rest
    if type(group) is not int:
        raise invalid_fields({"insurance_group": "INVALID"})
    return "insurance-terms", str(group), rest


def require_change(fields: tuple[OperationField, ...], values: Mapping[str, Any]) -> None:
    """
    Do nothing if something is to change.

    Raises:
        ApiError: 400 naming all fields otherwise.
    """
    if not values:
        raise invalid_fields({field.name: "REQUIRED" for field in fields})
