"""
The way of a message through order entry, from its text to the text of its answer.

The steps are those of a connection (``orders.ws_entry``), with an exchange in this process
that commits to the default database: parsed, prepared, carried out, answered.
"""

from __future__ import annotations

import json
from collections import Counter

from common.exceptions import to_api_error
from common.parsers import parse_object
from common.ws import messages
from exchange import gateway
from exchange.core.commands import (
    CancelAllOrders,
    ConfigureAccount,
    ConfigureAsset,
    ConfigureContract,
    ConfigureFeeTier,
    ConfigureMarket,
    Credit,
    MoveInsurance,
    SetMarketStatus,
    UpdateIndexPrices,
)
from exchange.core.enums import MarketKind, MarketStatus, WalletKind
from exchange.core.rejects import Code
from exchange.core.units import ATOMS
from exchange.inline import InlineExchange
from markets.selectors import cache_clear
from orders.consumers import UserConsumer
from orders.entry import OPERATIONS
from orders.ws_entry import Entry

BTC, ETH, USDT = 1, 2, 3
SPOT_BTC, SPOT_ETH, PERPETUAL = 1, 2, 3
ACCOUNTS = (1_001, 1_002)
INDEX = UpdateIndexPrices(
    ((SPOT_BTC, 50_000 * ATOMS), (SPOT_ETH, 3_000 * ATOMS), (PERPETUAL, 50_000 * ATOMS))
)
# Of the core or the database, never of a client.
FAULTS = frozenset({Code.QUARANTINED, Code.PLANNING_FAILED, Code.DATA_REFUSED})
# Open orders, and all that must hold of them, are looked at each so many messages.
AUDIT_EVERY = 200


class BrokenError(Exception):
    """A message did what none may do; tells the message."""


class Desk:
    """
    Two accounts that send whatever is drawn, on two spot markets and a perpetual one.

    The default database must be migrated and empty.
    """

    def __init__(self) -> None:
        """
        List the markets and pay in.

        Raises:
            RuntimeError: if the exchange refuses one of them.
        """
        self.ends: Counter[str] = Counter()
        self._exchange = InlineExchange()
        gateway.use_inline(self._exchange)
        for command in (*_listing(), *_money()):
            outcome = self._exchange.apply(command)
            if outcome.code is not Code.OK:
                raise RuntimeError(f"{command}: {outcome.code.name} {outcome.detail}")
        cache_clear()

    @property
    def newest_order(self) -> int:
        """The number of the last order that was placed."""
        return self._exchange.processor.position.last_order

    def close(self) -> None:
        """Leave the gateway as it was."""
        gateway.use_inline(None)
        cache_clear()

    def take(self, text: str) -> None:
        """
        Carry out one message.

        Raises:
            BrokenError: if it was answered as a fault of ours, or what must hold no longer does.
        """
        number = self.ends.total()
        try:
            self.ends[self._answer(text, ACCOUNTS[number % len(ACCOUNTS)])] += 1
            if number % AUDIT_EVERY == AUDIT_EVERY - 1:
                self._audit()
        except Exception as error:
            raise BrokenError(f"{type(error).__name__}: {error} after {text!r}") from error

    def _answer(self, text: str, account_id: int) -> str:
        try:
            head = messages.decode_head(text)
            kind, _ = UserConsumer.operations.get(head.op, (messages.MessageHead, ""))
            message = messages.decode_message(text, kind)
        except messages.MessageError as error:
            _readable(messages.error_answer(error, 1))
            return error.code
        if not isinstance(message, Entry) or message.op not in OPERATIONS:
            return "no order"
        try:
            return self._carry_out(message, account_id)
        except Exception as error:
            told = to_api_error(error)
            if told is None:
                raise
            body = {"code": told.code, "message": told.message, "fields": told.fields}
            _readable(messages.answer("error", message.id, status=told.status_code, error=body))
            if told.status_code >= 500:
                raise
            return told.code

    def _carry_out(self, message: Entry, account_id: int) -> str:
        operation = OPERATIONS[message.op]
        body = parse_object(bytes(message.params))
        operation.cost(body)
        job = operation.prepare(body, account_id)
        outcomes = gateway.submit_many(job.commands) if job.commands else []
        if bad := [outcome for outcome in outcomes if outcome.code in FAULTS]:
            raise RuntimeError(f"{bad[0].code.name} {bad[0].detail}")
        status, data = job.reply(outcomes)
        _readable(messages.answer("result", message.id, status=status, data=data))
        return f"{message.op} {status}"

    def _audit(self) -> None:
        self._exchange.exchange.check_all()
        for command in (*(CancelAllOrders(account_id, 0) for account_id in ACCOUNTS), INDEX):
            outcome = self._exchange.apply(command)
            if outcome.code in FAULTS:
                raise RuntimeError(f"{outcome.code.name} {outcome.detail}")
        self._exchange.published.clear()


def _readable(text: str) -> None:
    json.loads(text.encode())


def _listing() -> list[object]:
    spot = [
        ConfigureMarket(
            market_id,
            symbol,
            MarketKind.SPOT,
            base,
            USDT,
            tick_atoms=ATOMS // 100,
            lot_atoms=ATOMS // 100_000,
            quantity_min_atoms=ATOMS // 100_000,
            quantity_max_atoms=1_000 * ATOMS,
            price_min_atoms=0,
            price_max_atoms=0,
            notional_min_atoms=ATOMS,
            price_band_e8=0,
            market_band_e8=0,
        )
        for market_id, symbol, base in ((SPOT_BTC, "BTC-USDT", BTC), (SPOT_ETH, "ETH-USDT", ETH))
    ]
    perpetual = ConfigureMarket(
        PERPETUAL,
        "BTC-USDT-PERP",
        MarketKind.PERPETUAL,
        BTC,
        USDT,
        tick_atoms=ATOMS // 10,
        lot_atoms=ATOMS // 1_000,
        quantity_min_atoms=ATOMS // 1_000,
        quantity_max_atoms=10_000 * ATOMS,
        price_min_atoms=ATOMS // 10,
        price_max_atoms=10_000_000 * ATOMS,
        notional_min_atoms=5 * ATOMS,
        price_band_e8=0,
        market_band_e8=5_000_000,
        status=MarketStatus.HALTED,
    )
    contract = ConfigureContract(
        market_id=PERPETUAL,
        insurance_group=1,
        funding_interval_ms=8 * 3_600_000,
        interest_rate_e8=10_000,
        funding_cap_e8=0,
        impact_notional_atoms=25_000 * ATOMS,
        liquidation_fee_e8=500_000,
        position_notional_max_atoms=200_000_000 * ATOMS,
        open_interest_max_atoms=0,
        brackets=((0, 400_000, 125), (50_000 * ATOMS, 500_000, 100)),
    )
    return [
        ConfigureAsset(BTC, "BTC", "Bitcoin", 8),
        ConfigureAsset(ETH, "ETH", "Ether", 8),
        ConfigureAsset(USDT, "USDT", "Tether", 8),
        ConfigureFeeTier(0, 100_000, 100_000),
        *spot,
        perpetual,
        contract,
        SetMarketStatus(PERPETUAL, MarketStatus.TRADING),
        MoveInsurance(1, USDT, 1_000_000 * ATOMS, "seed", "fuzz"),
        INDEX,
    ]


def _money() -> list[object]:
    return [
        command
        for account_id in ACCOUNTS
        for command in (
            ConfigureAccount(account_id),
            *(
                Credit(account_id, wallet, asset, 10_000_000 * ATOMS, "seed", "fuzz")
                for wallet, asset in (
                    (WalletKind.SPOT, BTC),
                    (WalletKind.SPOT, ETH),
                    (WalletKind.SPOT, USDT),
                    (WalletKind.MARGIN, USDT),
                )
            ),
        )
    ]
