"""Prices of perpetual markets, who is liquidated by them, and funding, in the naive exchange."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from exchange.core import commands as c
from exchange.core.enums import (
    EndReason,
    MarketStatus,
    PriceQuality,
    StatusCause,
    SystemAccount,
    TriggerType,
    insurance_account,
    is_system_account,
    liquidation_account,
)
from exchange.core.rejects import Code
from simulation.naive_accounts import AMOUNT_MAX, BY_INDEX, Answer, Refused
from simulation.naive_book import ATOMS
from simulation.naive_checks import refuse_if
from simulation.naive_margin import MARK_AGE_MOST_MS
from simulation.naive_marks import Book, NaiveMark, Noted
from simulation.naive_positions import NaivePosition, Scope
from simulation.naive_waiting import NaiveWaiting

LIVE = PriceQuality.LIVE
# A last trade older than this says nothing of today.
LAST_AGE_MOST_MS = 10_000


@dataclass
class NaiveFunding:
    """Funding of a market under way: payers first, who pays in ``pool``; receivers share it."""

    time_ms: int
    rate: int
    mark: int
    paying: bool = True
    due: int = 0
    pool: int = 0
    left: int = 0


@dataclass
class NaiveGroup:
    """An insurance group: its terms, and the high of its running eight hours."""

    cap: int = ATOMS
    shock: int = ATOMS // 10
    drawdown: int = ATOMS // 10 * 3
    recovery: int = ATOMS // 4
    high: int = 0
    high_ms: int = 0
    stopped: bool = False


class NaivePrices(NaiveWaiting):
    """
    What prices do to positions.

    Marks and rates come from ``naive_marks``; who is liquidated by them and who pays is worked
    out here, looking at everybody.
    """

    def __init__(self) -> None:
        super().__init__()
        # Scopes by the number that names them among internal work.
        self.scopes: dict[int, Scope] = {}
        self.fundings: dict[int, NaiveFunding] = {}
        self.groups: dict[int, NaiveGroup] = {}
        self.ending: dict[int, EndReason] = {}
        # Every market's prices, and what the last update of them wrote into funding's history.
        self.prices: dict[int, NaiveMark] = {}
        self.noted: list[Noted] = []
        self.handlers |= {
            c.UpdateIndexPrices: self.update_index_prices,
            c.ConfigureContract: self.configure_contract,
            c.CheckLiquidation: self.check_liquidation,
        }

    def quote(self, market_id: int) -> int:
        """Return the asset a market settles in."""
        return self.markets[market_id].quote_asset_id

    def update_index_prices(self, update: c.UpdateIndexPrices, _: object) -> Answer:
        """Take new prices over, then liquidate, then fund, then offer what was inherited."""
        for market_id, price in update.prices:
            refuse_if(market_id not in self.markets, Code.MARKET_NOT_FOUND)
            refuse_if(not 0 < price <= AMOUNT_MAX, Code.INVALID_PRICE)
        unknown = {*update.degraded, *update.missing} - self.markets.keys()
        refuse_if(bool(unknown), Code.MARKET_NOT_FOUND)
        self.index.update(update.prices)
        named = dict.fromkeys([key for key, _ in update.prices])
        named.update(dict.fromkeys((*update.degraded, *update.missing)))
        for market_id, price in update.prices:
            own = self.prices.setdefault(market_id, NaiveMark())
            own.index, own.index_ms = price, self.now
        open_markets = [
            key
            for key in named
            if key in self.contracts and self.status[key] is not MarketStatus.SETTLED
        ]
        for market_id in open_markets:
            given = LIVE
            if market_id in update.missing:
                given = PriceQuality.MISSING
            elif market_id in update.degraded:
                given = PriceQuality.DEGRADED
            self._take_prices(market_id, given)
        marked = [key for key in open_markets if self.quality[key] is LIVE]
        self._start_fundings(marked)
        found = self._look(self.accounts, marked)
        self._start_liquidations(found)
        for market_id in marked:
            own_slot = self.slots.get((liquidation_account(market_id), market_id))
            if own_slot and own_slot.quantity and ("unwind", market_id) not in self.waiting:
                self.waiting.append(("unwind", market_id))
        # Who is to be liquidated comes before whoever's order the same price fires.
        self._show_prices(update.prices, marked)
        return Answer(Code.OK)

    def _show_prices(self, prices: tuple[tuple[int, int], ...], marked: list[int]) -> None:
        """Let conditional orders see new prices; a doubtful index fires none of a perpetual."""
        for market_id, price in prices:
            if market_id not in self.contracts:
                self.observe(market_id, price, BY_INDEX)
            elif self.quality[market_id] is LIVE:
                self.observe(market_id, price, (TriggerType.INDEX,))
        for market_id in marked:
            self.observe(market_id, self.marks[market_id], (TriggerType.MARK,))

    def _take_prices(self, market_id: int, given: PriceQuality) -> None:
        own, terms = self.prices[market_id], self.contracts[market_id]
        orders = [order for order in self.orders if order.market_id == market_id]
        book = Book(orders, terms.impact_notional_atoms)
        own.judge(given, self.now, book.middle())
        self.quality[market_id] = own.quality
        if own.quality is LIVE:
            self._open_again(market_id, own)
            traded = self.now - self.traded_ms.get(market_id, 0) <= LAST_AGE_MOST_MS
            last = self.last.get(market_id, 0) if traded else 0
            own.move(book, terms, self.now, last)
            self.marks[market_id], self.marked_ms[market_id] = own.mark, self.now
            return
        stopped = self.status[market_id] is MarketStatus.HALTED
        free = self.cause[market_id] in (StatusCause.NONE, StatusCause.CIRCUIT_BREAKER)
        if own.is_long_doubtful(self.now) and free and not stopped:
            own.halted = True
            self.set_status(market_id, MarketStatus.HALTED, StatusCause.NO_PRICE)
            self.ending[market_id] = EndReason.PRICE_DEGRADED
            self.waiting.append(("end", market_id))

    def _open_again(self, market_id: int, own: NaiveMark) -> None:
        if own.halted and self.cause[market_id] is StatusCause.NO_PRICE:
            self.set_status(market_id, MarketStatus.TRADING, StatusCause.NONE)
        own.halted = False

    def _start_fundings(self, marked: list[int]) -> None:
        self.noted = []
        for market_id in marked:
            if market_id in self.fundings:
                continue
            noted = self.prices[market_id].fund(market_id, self.contracts[market_id], self.now)
            self.noted += noted
            if noted and not noted[-1].skipped and noted[-1].rate and self._longs(market_id):
                last = noted[-1]
                self.fundings[market_id] = NaiveFunding(last.time_ms, last.rate, last.mark)
                self.waiting += [("pay", market_id), ("receive", market_id)]

    def _longs(self, market_id: int) -> int:
        return sum(max(0, s.quantity) for s in self.slots.values() if s.market_id == market_id)

    def configure_contract(self, terms: c.ConfigureContract, _: object) -> Answer:
        """Set the terms of a perpetual market."""
        market = self.markets.get(terms.market_id)
        if market is None:
            raise Refused(Code.MARKET_NOT_FOUND)
        bounds = (
            terms.impact_notional_atoms,
            terms.position_notional_max_atoms,
            terms.open_interest_max_atoms,
        )
        wrong = (
            terms.insurance_group not in range(1, 2**18)
            or terms.funding_interval_ms not in range(60_000, 24 * 3_600_000 + 1)
            or terms.liquidation_fee_e8 not in range(ATOMS)
            or any(bound not in range(AMOUNT_MAX + 1) for bound in bounds)
        )
        refuse_if(market.kind.name != "PERPETUAL", Code.NOT_A_PERPETUAL)
        refuse_if(wrong, Code.INVALID_CONFIGURATION)
        refuse_if(not terms.brackets, Code.INVALID_BRACKETS)
        known = self.contracts.get(terms.market_id)
        if known:
            settled = self.status[terms.market_id] is MarketStatus.SETTLED
            refuse_if(settled, Code.MARKET_SETTLED)
            moved = known.insurance_group != terms.insurance_group
            refuse_if(moved, Code.CONFIGURATION_IN_USE)
        self.groups.setdefault(terms.insurance_group, NaiveGroup())
        self.contracts[terms.market_id] = terms
        self.quality.setdefault(terms.market_id, PriceQuality.MISSING)
        self.prices.setdefault(terms.market_id, NaiveMark())
        return Answer(Code.OK)

    # -- funding ----------------------------------------------------------------------

    def _in_order(self, market_id: int) -> list[NaivePosition]:
        slots = [slot for slot in self.slots.values() if slot.market_id == market_id]
        return sorted(slots, key=lambda slot: slot.slot)

    def _owes(self, slot: NaivePosition) -> int:
        funding = self.fundings.get(slot.market_id)
        if funding is None or not funding.paying or slot.funded >= funding.time_ms:
            return 0
        amount = Fraction(slot.quantity * funding.mark * funding.rate, ATOMS * ATOMS)
        return ceil(amount) if amount > 0 else floor(amount)

    def owed(self, slot: NaivePosition) -> tuple[int, int]:
        """Return what touching a position will take from its isolated and its margin wallet."""
        amount = max(0, self._owes(slot))
        if not slot.isolated:
            return 0, amount
        wallet = self.margin_wallet(slot.account_id, self.quote(slot.market_id))
        from_isolated = min(amount, slot.wallet)
        return from_isolated, min(amount - from_isolated, max(0, wallet))

    def touch(self, slot: NaivePosition) -> None:
        """Let a position pay its funding, or note what it is due, before it changes."""
        funding = self.fundings.get(slot.market_id)
        if funding is None or not funding.paying:
            return
        if not slot.quantity or slot.funded >= funding.time_ms:
            return
        amount = self._owes(slot)
        exact = slot.quantity * funding.rate
        asset_id = self.quote(slot.market_id)
        if exact > 0:
            from_isolated, from_wallet = self.owed(slot)
            payer = slot.account_id
            if is_system_account(payer):
                payer = self._fund_account(slot.market_id)
                from_isolated = 0
                from_wallet = min(amount, max(0, self.margin_wallet(payer, asset_id)))
            slot.wallet -= from_isolated
            self.add_margin(payer, asset_id, -from_wallet)
            self.add_margin(SystemAccount.FUNDING, asset_id, from_isolated + from_wallet)
            slot.funding -= from_isolated + from_wallet
            funding.pool += from_isolated + from_wallet
        else:
            due = floor(Fraction(-exact * funding.mark, ATOMS * ATOMS))
            slot.due, slot.due_life = due, slot.life
            funding.due += due
        slot.funded = funding.time_ms

    def _pay(self, market_id: int) -> None:
        for slot in self._in_order(market_id):
            self.touch(slot)
        self.fundings[market_id].paying = False
        self.fundings[market_id].left = self.fundings[market_id].pool

    def _receive(self, market_id: int) -> None:
        funding = self.fundings.pop(market_id)
        asset_id = self.quote(market_id)
        share = (
            Fraction(min(funding.pool, funding.due), funding.due) if funding.due else Fraction(0)
        )
        for slot in self._in_order(market_id):
            amount = floor(slot.due * share)
            same = slot.life == slot.due_life and slot.quantity != 0
            slot.due = 0
            receiver = slot.account_id
            if is_system_account(receiver):
                receiver = self._fund_account(market_id)
            if slot.isolated and same:
                slot.wallet += amount
            else:
                self.add_margin(receiver, asset_id, amount)
            slot.funding += amount if same else 0
            self.add_margin(SystemAccount.FUNDING, asset_id, -amount)
            funding.left -= amount
        self.add_margin(SystemAccount.FUNDING, asset_id, -funding.left)
        self.add_margin(self._fund_account(market_id), asset_id, funding.left)

    def _fund_account(self, market_id: int) -> int:
        return insurance_account(self.contracts[market_id].insurance_group)

    def _fund(self, market_id: int) -> int:
        return self.margin_wallet(self._fund_account(market_id), self.quote(market_id))

    # -- who is liquidated ------------------------------------------------------------

    def _look(self, accounts: object, marked: list[int] | None) -> list[Scope]:
        """Return the unhealthy scopes of accounts, worst first, that a marked market is part of."""
        found: list[tuple[int, Scope]] = []
        scopes = {
            self.scope_of(slot)
            for slot in self.slots.values()
            if slot.quantity
            and slot.account_id in accounts  # type: ignore[operator]
            and (marked is None or slot.market_id in marked)
        }
        for scope in scopes - self.liquidating:
            balance, needed = self.health(scope)
            if balance <= needed:
                found.append((floor(Fraction(balance * ATOMS, needed)), scope))
        return [scope for _, scope in sorted(found)]

    def _start_liquidations(self, scopes: list[Scope]) -> None:
        ahead = sum(kind == "liquidate" for kind, _ in self.waiting)
        turns = [("liquidate", self.name(scope)) for scope in scopes]
        self.waiting[ahead:ahead] = turns
        self.liquidating |= set(scopes)

    def name(self, scope: Scope) -> int:
        """Return a number for a scope."""
        number = scope[0] * 1_000_000 + scope[1]
        self.scopes[number] = scope
        return number

    def _may(self, slot: NaivePosition) -> bool:
        age = self.now - self.marked_ms.get(slot.market_id, 0)
        return (
            self.quality[slot.market_id] is LIVE
            and age <= MARK_AGE_MOST_MS
            and not self.contracts[slot.market_id].liquidations_paused
            and self.status[slot.market_id] is not MarketStatus.SETTLED
        )

    def _is_unhealthy(self, slot: NaivePosition) -> bool:
        if not slot.quantity:
            return False
        balance, needed = self.health(self.scope_of(slot))
        return balance <= needed

    def _unhealthy(self, scope: Scope) -> list[NaivePosition]:
        slots = self.open_slots(scope)
        return [slot for slot in slots if self._may(slot) and self._is_unhealthy(slot)]

    def check_liquidation(self, check: c.CheckLiquidation, _: object) -> Answer:
        """Look at accounts now."""
        for account_id in check.account_ids:
            refuse_if(account_id not in self.accounts, Code.ACCOUNT_NOT_FOUND)
        found = self._look(set(check.account_ids), None)
        refuse_if(not found, Code.NOTHING_TO_LIQUIDATE)
        self._start_liquidations(found)
        return Answer(Code.OK)
