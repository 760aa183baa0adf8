"""What operators do about risk: terms, insurance funds, the end of a market."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.conf import settings

from accounts.operation_fields import whole
from accounts.operation_targets import EXCHANGE
from accounts.operations import Call, Done, Operation, Target, TargetKind
from accounts.operators import operator_submit
from accounts.permissions import Permission
from accounts.user_operations import nothing_to_change
from common.errors import invalid_fields, raise_for_code
from common.openapi import BOOLEAN, DECIMAL, TEXT, list_of, object_of
from exchange.core.commands import MoveInsurance, SettleMarket
from exchange.core.enums import MarketKind
from exchange.core.events import ContractConfigured, InsuranceChanged
from exchange.core.rejects import Code
from exchange.core.units import format_atoms
from markets.configure_operations import LISTING_FIELDS, list_market
from markets.operations import MARKET, market_target
from markets.perpetual_seed import INTEREST_RATE_E8
from markets.selectors import cache_clear, market_by_symbol
from markets.types import MarketInfo
from riskengine import schema, selectors
from riskengine.affected import contract_of, terms_preview
from riskengine.render import render_balances, render_group, render_terms
from riskengine.requests import (
    CONTRACT_FIELDS,
    FUND_FIELDS,
    INSURANCE_FIELDS,
    SETTLE_FIELDS,
    contract_command,
    insurance_command,
    require_change,
)
from wallets.operations import asset_and_amount, weigh

_GROUP_DIGITS_MAX = 9


def _find_group(key: str) -> Target:
    usable = key.isascii() and key.isdigit() and len(key) <= _GROUP_DIGITS_MAX
    group = selectors.insurance_of(int(key)) if usable else None
    if group is None:
        raise_for_code(Code.INSURANCE_GROUP_NOT_FOUND)
    return Target(
        key=str(group.group_id),
        label=f"insurance group {group.group_id}",
        audit_name=f"insurance:{group.group_id}",
        subject=group,
    )


INSURANCE = TargetKind(
    name="insurance",
    collection="insurance-funds",
    parameter="insurance_group",
    find=_find_group,
    description="Number of the insurance group.",
)


def is_perpetual(target: Target) -> bool:
    """Return whether a market has terms."""
    market: MarketInfo = target.subject
    return bool(selectors.contracts_by_id([market.market_id]))


def _terms_check(call: Call) -> None:
    contract_of(call.target)


def _terms(call: Call) -> Done:
    current = contract_of(call.target)
    operator_submit(
        contract_command(call.values, current, reason=call.reason, actor=call.signed_by)
    )
    return Done(answer=render_terms(contract_of(call.target)), before=render_terms(current))


def _pause(is_paused: bool, call: Call) -> Done:
    current = contract_of(call.target)
    if current.liquidations_paused is is_paused:
        raise nothing_to_change()
    values = {"liquidations_paused": is_paused}
    operator_submit(contract_command(values, current, reason=call.reason, actor=call.signed_by))
    market: MarketInfo = call.target.subject
    return Done(
        answer={"symbol": market.symbol, **values},
        before={"liquidations_paused": not is_paused},
        after=values,
    )


def _pauses(is_paused: bool, target: Target) -> bool:
    return is_perpetual(target) and contract_of(target).liquidations_paused is not is_paused


def _terms_now(target: Target) -> dict[str, Any]:
    """Return the terms as the fields of a form take them."""
    shown = render_terms(contract_of(target))
    tiers = [
        {
            "floor": tier["floor"],
            "maintenance_rate": tier["maintenance_rate"],
            "max_leverage": tier["max_leverage"],
        }
        for tier in shown["tiers"]
    ]
    fields = {field.name for field in CONTRACT_FIELDS}
    now = {name: value for name, value in shown.items() if name in fields and value is not None}
    return {**now, "brackets": tiers}


def _group_terms(call: Call) -> Done:
    current: InsuranceChanged = call.target.subject
    operator_submit(
        insurance_command(call.values, current, reason=call.reason, actor=call.signed_by)
    )
    changed = selectors.insurance_of(current.group_id)
    return Done(answer=render_group(changed or current), before=render_group(current))


def _group_terms_now(target: Target) -> dict[str, Any]:
    fields = {field.name for field in INSURANCE_FIELDS}
    return {name: value for name, value in render_group(target.subject).items() if name in fields}


def _fund_move(call: Call) -> Done:
    group: InsuranceChanged = call.target.subject
    asset, amount = asset_and_amount(call)
    signed = amount * call.values["direction"]
    operator_submit(
        MoveInsurance(
            group_id=group.group_id,
            asset_id=asset.asset_id,
            amount_atoms=signed,
            reason=call.reason,
            actor=call.signed_by,
            client_transfer_id=call.once_key,
            request_hash=call.once_hash,
        )
    )
    return Done(
        answer={
            "insurance_group": group.group_id,
            "balances": render_balances(selectors.fund_balances(group.group_id)),
        },
        after={"moved": format_atoms(signed, asset.decimals)},
    )


def _listing_shape(values: Mapping[str, Any]) -> None:
    missing = [name for name in _LISTING_TERMS if name not in values]
    if missing:
        raise invalid_fields(dict.fromkeys(missing, "REQUIRED"))


def _list_perpetual(call: Call) -> Done:
    values = call.values
    symbol = list_market(values, kind=MarketKind.PERPETUAL)
    cache_clear()
    market = market_by_symbol(symbol)
    terms = ContractConfigured(
        market_id=market.market_id,
        insurance_group=values["insurance_group"],
        funding_interval_ms=settings.FUNDING_INTERVAL_MS,
        interest_rate_e8=INTEREST_RATE_E8,
        funding_cap_e8=0,
        impact_notional_atoms=0,
        liquidation_fee_e8=settings.LIQUIDATION_FEE_E8,
        position_notional_max_atoms=0,
        open_interest_max_atoms=0,
        brackets=(),
        leverage_default=settings.DEFAULT_LEVERAGE,
        liquidations_paused=False,
    )
    operator_submit(contract_command(values, terms, reason=call.reason, actor=call.signed_by))
    return Done(answer=render_terms(contract_of(market_target(symbol))))


def _settle(call: Call) -> Done:
    market: MarketInfo = call.target.subject
    price_atoms = call.values.get("price", 0)
    operator_submit(
        SettleMarket(
            market_id=market.market_id,
            price_atoms=price_atoms,
            reason=call.reason,
            actor=call.signed_by,
        )
    )
    cache_clear()
    return Done(
        answer={"symbol": market.symbol, "status": "settled"},
        before={"status": market.status.name.lower()},
        after={"price": market.price_text(price_atoms) if price_atoms else "mark"},
    )


_REFUSALS = {
    404: ("MARKET_NOT_FOUND",),
    422: ("NOT_A_PERPETUAL", "INVALID_CONFIGURATION", "INVALID_BRACKETS", "MARKET_SETTLED"),
}

_LISTING_TERMS = ("impact_notional", "brackets")

OPERATIONS = (
    Operation(
        name="exchange-list-perpetual",
        title="List a perpetual market",
        description="Make a market with margin. tick_size x lot_size must be a whole number of"
        " 10^-8. It begins halted: open it when it has prices and an insurance fund.",
        target=EXCHANGE,
        permission=Permission.RISK_MANAGE,
        perform=_list_perpetual,
        answer=schema.TERMS_PROPERTIES,
        fields=(
            *LISTING_FIELDS,
            whole("insurance_group", "Whose fund stands behind it.", example=1),
            *CONTRACT_FIELDS,
        ),
        refusals={
            404: ("ASSET_NOT_FOUND",),
            409: ("MARKET_EXISTS",),
            422: (
                "TICK_LOT_RULE",
                "INVALID_CONFIGURATION",
                "INVALID_BRACKETS",
                "CONFIGURATION_IN_USE",
            ),
        },
        shape=_listing_shape,
    ),
    Operation(
        name="market-terms",
        title="Change terms and margin tiers",
        description="Leverage caps, maintenance, funding, limits. What is left out stays;"
        " positions are judged by new tiers at the next mark.",
        target=MARKET,
        permission=Permission.RISK_MANAGE,
        perform=_terms,
        answer=schema.TERMS_PROPERTIES,
        fields=CONTRACT_FIELDS,
        refusals=_REFUSALS,
        check=_terms_check,
        shape=lambda values: require_change(CONTRACT_FIELDS, values),
        preview=terms_preview,
        initial=_terms_now,
        applies=is_perpetual,
    ),
    *(
        Operation(
            name=f"market-{action}",
            title=title,
            description=description,
            target=MARKET,
            permission=Permission.RISK_MANAGE,
            perform=partial(_pause, is_paused),
            answer={
                "symbol": {**TEXT, "example": "BTC-USDT-PERP"},
                "liquidations_paused": BOOLEAN,
            },
            refusals={**_REFUSALS, 409: ("NOTHING_TO_CHANGE",)},
            danger=is_paused,
            applies=partial(_pauses, is_paused),
        )
        for action, title, description, is_paused in (
            (
                "pause-liquidations",
                "Pause liquidations",
                "Nobody is liquidated in this market until they are resumed.",
                True,
            ),
            (
                "resume-liquidations",
                "Resume liquidations",
                "Whoever is below maintenance is liquidated at the next mark.",
                False,
            ),
        )
    ),
    Operation(
        name="market-settle",
        title="Settle for good",
        description="Cancel all orders and close all positions at one price; this cannot be"
        " undone. Positions close in bounded steps after the answer.",
        target=MARKET,
        permission=Permission.RISK_MANAGE,
        perform=_settle,
        answer={
            "symbol": {**TEXT, "example": "BTC-USDT-PERP"},
            "status": {"type": "string", "enum": ["settled"]},
        },
        fields=SETTLE_FIELDS,
        refusals={404: ("MARKET_NOT_FOUND",), 422: ("NOT_A_PERPETUAL", "MARKET_SETTLED")},
        step_up=True,
        danger=True,
        applies=is_perpetual,
    ),
    Operation(
        name="insurance-terms",
        title="Change when takeovers stop",
        description="Of an insurance group. What is left out stays.",
        target=INSURANCE,
        permission=Permission.RISK_MANAGE,
        perform=_group_terms,
        answer=schema.GROUP_PROPERTIES,
        fields=INSURANCE_FIELDS,
        refusals={404: ("INSURANCE_GROUP_NOT_FOUND",), 422: ("INVALID_CONFIGURATION",)},
        shape=lambda values: require_change(INSURANCE_FIELDS, values),
        initial=_group_terms_now,
    ),
    Operation(
        name="insurance-move",
        title="Pay into or take out of the fund",
        description="Move money between an insurance fund and outside. Above the daily limit of an"
        " operator it waits for a second person.",
        target=INSURANCE,
        permission=Permission.MONEY_MANAGE,
        perform=_fund_move,
        answer={
            "insurance_group": {"type": "integer"},
            "balances": list_of(object_of({"currency": TEXT, "amount": DECIMAL})),
        },
        fields=FUND_FIELDS,
        refusals={
            404: ("ASSET_NOT_FOUND", "INSURANCE_GROUP_NOT_FOUND"),
            422: ("INSUFFICIENT_INSURANCE", "BALANCE_LIMIT", "INVALID_AMOUNT"),
        },
        step_up=True,
        danger=True,
        weigh=weigh,
    ),
)
