"""Contracts, insurance, prices, funding and liquidations -> rows, and the state back at start."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from exchange.core.enums import SYSTEM_RANGE_SIZE, PriceQuality
from exchange.core.events import (
    ContractConfigured,
    FundingSettled,
    InsuranceChanged,
    LiquidationStepped,
    PricesChanged,
)
from exchange.core.state import Changes, Image
from exchange.projection import Reader, Row, Table

CONTRACTS = Table(
    name="riskengine_contract",
    columns=("id", *ContractConfigured.__struct_fields__[1:]),
    booleans=("liquidations_paused",),
)
INSURANCES = Table(
    name="riskengine_insurance",
    columns=("id", *InsuranceChanged.__struct_fields__[1:]),
    booleans=("stopped",),
)
PRICES = Table(
    name="riskengine_price",
    columns=("id", *PricesChanged.__struct_fields__[1:]),
    booleans=("halted_for_price",),
)
FUNDINGS = Table(
    name="riskengine_funding",
    columns=("id", *FundingSettled.__struct_fields__),
    append_only=True,
    booleans=("skipped",),
)
LIQUIDATIONS = Table(
    name="riskengine_liquidation",
    columns=("id", *LiquidationStepped.__struct_fields__[1:]),
    append_only=True,
)

_BRACKETS = CONTRACTS.columns.index("brackets")
_PAUSED = CONTRACTS.columns.index("liquidations_paused")
_STOPPED = INSURANCES.columns.index("stopped")
_QUALITY = PRICES.columns.index("quality")
_BASIS = PRICES.columns.index("basis")
_HALTED = PRICES.columns.index("halted_for_price")
_KIND = LIQUIDATIONS.columns.index("kind")
_SIDE = LIQUIDATIONS.columns.index("side")

_encode_brackets = msgspec.json.Encoder().encode
_decode_brackets = msgspec.json.Decoder(tuple[tuple[int, int, int, int], ...]).decode
_encode_basis = msgspec.msgpack.Encoder().encode
_decode_basis = msgspec.msgpack.Decoder(tuple[tuple[int, int], ...]).decode


class RiskProjection:
    """The risk engine's part of the exchange's transaction."""

    tables = (CONTRACTS, INSURANCES, PRICES, FUNDINGS, LIQUIDATIONS)

    def rows(self, changes: Changes) -> Iterable[tuple[Table, list[Row]]]:
        """Return the rows to write for what a batch touched; pure, no I/O."""
        if changes.contracts:
            yield CONTRACTS, [_contract_row(contract) for contract in changes.contracts.values()]
        if changes.insurances:
            rows = [msgspec.structs.astuple(group) for group in changes.insurances.values()]
            yield INSURANCES, rows
        if changes.prices:
            yield PRICES, [_prices_row(prices) for prices in changes.prices.values()]
        if changes.fundings:
            yield (
                FUNDINGS,
                [
                    (funding_key(funding), *msgspec.structs.astuple(funding))
                    for funding in changes.fundings
                ],
            )
        if changes.liquidations:
            yield LIQUIDATIONS, [_liquidation_row(step) for step in changes.liquidations]

    def load(self, reader: Reader, image: Image) -> None:
        """Fill contracts, insurance groups and prices of the image, in the order of their ids."""
        image.contracts = [contract_from_row(row) for row in reader.rows(CONTRACTS)]
        image.insurances = [insurance_from_row(row) for row in reader.rows(INSURANCES)]
        image.prices = [prices_from_row(row) for row in reader.rows(PRICES)]


def funding_key(funding: FundingSettled) -> int:
    """Return the key of a funding: unique per market and time, rising with the time."""
    return funding.funding_ms * SYSTEM_RANGE_SIZE + funding.market_id


def _contract_row(contract: ContractConfigured) -> Row:
    values = list(msgspec.structs.astuple(contract))
    values[_BRACKETS] = _encode_brackets(contract.brackets).decode()
    return tuple(values)


def contract_from_row(row: Row) -> ContractConfigured:
    """Return the terms that a row of ``CONTRACTS.columns`` holds."""
    values = list(row)
    values[_BRACKETS] = _decode_brackets(row[_BRACKETS])
    values[_PAUSED] = bool(row[_PAUSED])
    return ContractConfigured(*values)


def insurance_from_row(row: Row) -> InsuranceChanged:
    """Return the group that a row of ``INSURANCES.columns`` holds."""
    values = list(row)
    values[_STOPPED] = bool(row[_STOPPED])
    return InsuranceChanged(*values)


def _prices_row(prices: PricesChanged) -> Row:
    values = list(msgspec.structs.astuple(prices))
    values[_QUALITY] = prices.quality.real
    values[_BASIS] = _encode_basis(prices.basis)
    return tuple(values)


def prices_from_row(row: Row) -> PricesChanged:
    """Return the prices that a row of ``PRICES.columns`` holds."""
    values = list(row)
    values[_QUALITY] = PriceQuality(row[_QUALITY])
    values[_BASIS] = _decode_basis(row[_BASIS])
    values[_HALTED] = bool(row[_HALTED])
    return PricesChanged(*values)


def _liquidation_row(step: LiquidationStepped) -> Row:
    values = list(msgspec.structs.astuple(step))
    values[_KIND] = step.kind.real
    values[_SIDE] = step.side.real
    return tuple(values)
