"""Commands of owners and operators in the perpetual markets of the naive exchange."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

from exchange.core import commands as c
from exchange.core.enums import (
    EndReason,
    MarginMode,
    MarketKind,
    MarketStatus,
    OrderStatus,
    OrderType,
    PriceQuality,
    Side,
    SystemAccount,
    TimeInForce,
    WalletKind,
    clearing_account,
)
from exchange.core.rejects import Code
from simulation.naive_accounts import AMOUNT_MAX, Answer, Refused, WalletKey
from simulation.naive_book import (
    ATOMS,
    MAY_REST,
    WAITS_FOR_RISE,
    DryRun,
    Judge,
    NaiveOrder,
    rounded_up,
    value_of,
)
from simulation.naive_checks import refuse_if
from simulation.naive_positions import (
    MakerJudge,
    NaivePosition,
    NaivePositions,
    Trial,
    loss_at_mark,
)

RESTING_STOPS = (EndReason.NO_LIQUIDITY, EndReason.PRICE_CAP)
MARK_AGE_MOST_MS = 10_000


class NaiveMargin(NaivePositions):
    """Orders of perpetual markets, and what owners change about positions."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers |= {
            c.SetLeverage: self.set_leverage,
            c.SetMarginMode: self.set_margin_mode,
            c.AdjustMargin: self.adjust_margin,
            c.ClosePosition: self.close_position,
        }

    # -- orders -----------------------------------------------------------------------

    def require_margin_terms(self, order: c.PlaceOrder) -> None:
        """Check prices, liquidation, and that what only reduces fits."""
        if order.market_id not in self.contracts:
            return
        special = order.special
        reduces = special is not None and (special.reduce_only or special.close_position)
        if not reduces:
            self.require_prices(order.market_id)
        liquidating = self.is_liquidating(order.account_id, order.market_id)
        refuse_if(liquidating, Code.ACCOUNT_LIQUIDATING)
        if not reduces:
            return
        slot = self.slots.get((order.account_id, order.market_id))
        if slot is None or not slot.is_reduced_by(order.side):
            raise Refused(Code.REDUCE_ONLY_NO_POSITION)
        if (order.order_type, order.side) in WAITS_FOR_RISE:
            return
        resting = sum(o.remaining for o in self.reducing(slot))
        too_much = order.quantity_atoms + resting > abs(slot.quantity)
        refuse_if(too_much, Code.REDUCE_ONLY_EXCEEDS)

    def require_prices(self, market_id: int) -> None:
        """Check that positions may be opened now."""
        age = self.now - self.marked_ms.get(market_id, 0)
        stale = not self.marks.get(market_id) or age > MARK_AGE_MOST_MS
        refuse_if(stale, Code.MARK_PRICE_STALE)
        refuse_if(self.quality[market_id] is not PriceQuality.LIVE, Code.MARKET_REDUCE_ONLY)

    def reducing(self, slot: NaivePosition) -> list[NaiveOrder]:
        """Return the resting orders that only reduce a position."""
        return [
            order
            for order in self.orders
            if (order.account_id, order.market_id) == (slot.account_id, slot.market_id)
            and order.reduces()
            and order.is_in_book()
        ]

    def judge(self, taker: NaiveOrder, market: c.ConfigureMarket) -> Judge | None:
        """Return who judges the makers of a taker in a perpetual market."""
        return MakerJudge(self) if taker.margined else super().judge(taker, market)

    def require_funds(self, taker: NaiveOrder, run: DryRun, market: c.ConfigureMarket) -> None:
        """Check that an account affords the fills, and what rests afterwards."""
        if not taker.margined:
            super().require_funds(taker, run, market)
            return
        trial = Trial(self, taker.account_id, taker.market_id)
        before, held = trial.exposure(), trial.slot.quantity
        # An amended order gives up what it counted before.
        trial.orders.pop(taker.order_id, None)
        filled = [step for step in run.steps if step.filled]
        opens = False
        for step in filled:
            opens |= trial.fill(taker, step.filled, step.maker.price, taker.taker_rate)
        rests = taker.price and taker.time_in_force in MAY_REST and run.stop in RESTING_STOPS
        rest = run.remaining if rests else 0
        if rest and not taker.reduce_only:
            value = value_of(taker.price, rest)
            trial.orders[taker.order_id] = (taker.side, value)
            opens |= trial.exposure() > before
            if opens:
                lost = loss_at_mark(taker.side, rest, value, trial.mark())
                trial.wallet -= lost + max(0, rounded_up(value * taker.taker_rate))
        if opens:
            self._require_limits(trial, max(0, trial.exposure() - before), held)
            refuse_if(trial.available() < 0, Code.INSUFFICIENT_MARGIN)
        elif filled:
            refuse_if(not trial.is_sound(), Code.BEYOND_BANKRUPTCY_PRICE)

    def _require_limits(self, trial: Trial, added: int, held: int) -> None:
        market_id = trial.slot.market_id
        terms = self.contracts[market_id]
        exposure = trial.exposure()
        most = terms.position_notional_max_atoms
        refuse_if(most > 0 and exposure > most, Code.POSITION_LIMIT)
        highest = terms.brackets[self.bracket(market_id, exposure)][2]
        refuse_if(trial.slot.leverage > highest, Code.LEVERAGE_TOO_HIGH)
        longs = sum(max(0, s.quantity) for s in self.slots.values() if s.market_id == market_id)
        interest = ceil(Fraction(longs * trial.mark(), ATOMS))
        cap = terms.open_interest_max_atoms
        refuse_if(cap > 0 and interest + added > cap, Code.OPEN_INTEREST_CAP)
        now = trial.slot.quantity
        opened = max(max(0, now) - max(0, held), max(0, -now) - max(0, -held), 0)
        filled = ceil(Fraction((longs + opened) * trial.mark(), ATOMS))
        refuse_if(cap > 0 and filled > cap, Code.OPEN_INTEREST_CAP)

    def carry_out(self, taker: NaiveOrder, run: DryRun, market: c.ConfigureMarket) -> None:
        """Do what a dry run said; whoever has an order in a perpetual market has a slot."""
        if taker.margined:
            self.slot(taker.account_id, taker.market_id)
        super().carry_out(taker, run, market)

    # -- trades -----------------------------------------------------------------------

    def exchange_assets(
        self,
        taker: NaiveOrder,
        maker: NaiveOrder,
        quantity: int,
        fees: tuple[int, int],
        market: c.ConfigureMarket,
    ) -> None:
        """Move a trade's quantity between positions."""
        if not taker.margined:
            super().exchange_assets(taker, maker, quantity, fees, market)
            return
        notional = value_of(maker.price, quantity)
        sides = [(taker, fees[0]), (maker, fees[1])]
        for order, fee in sorted(sides, key=lambda side: side[0].side):
            slot = self.slot(order.account_id, order.market_id)
            self.change_position(slot, order.side, quantity, notional, fee)
        self.add(SystemAccount.FEES, market.quote_asset_id, sum(fees))

    def change_position(
        self, slot: NaivePosition, side: Side, quantity: int, quote: int, fee: int = 0
    ) -> None:
        """Let a fill change a position, its wallets and the clearing account."""
        self.touch(slot)
        asset_id = self.markets[slot.market_id].quote_asset_id
        before, wallet_before = slot.quantity, slot.wallet
        gain = slot.trade(side, quantity, quote, self.mark_of(slot.market_id))
        self.add_margin(slot.account_id, asset_id, gain - fee)
        moved = gain + slot.wallet - wallet_before
        self.add_margin(clearing_account(slot.market_id), asset_id, -moved)
        self._account_for(slot, before, fee, quantity)

    def _account_for(self, slot: NaivePosition, before: int, fee: int, quantity: int) -> None:
        """Keep the numbers of a position that goes on; begin afresh with another."""
        turned = before * slot.quantity < 0
        slot.fee += fee
        if slot.quantity and before and not turned:
            return
        if before:
            share = fee * min(abs(before), quantity)
            slot.fee = fee - share // quantity if turned else 0
            slot.realised = slot.funding = 0
        if slot.quantity:
            slot.life += 1
            slot.funded = self.now

    def after_trade(self, taker: NaiveOrder, maker: NaiveOrder, market: c.ConfigureMarket) -> None:
        """Let orders that only reduce fit."""
        if taker.margined:
            for order in sorted((taker, maker), key=lambda order: order.side):
                self.fit(self.slot(order.account_id, order.market_id), taker)
        super().after_trade(taker, maker, market)

    def fit(self, slot: NaivePosition, taker: NaiveOrder | None = None) -> None:
        """End or trim orders that only reduce: worst-priced first, then the newest."""
        mine = [
            order
            for order in self.orders
            if (order.account_id, order.market_id) == (slot.account_id, slot.market_id)
            and order.reduces()
            and order.is_open()
            and order.status is not OrderStatus.WAITING
            and order is not taker
        ]
        for order in mine:
            if not slot.is_reduced_by(order.side):
                self.end(order, OrderStatus.EXPIRED, EndReason.POSITION_CLOSED)
        resting = [order for order in mine if order.is_in_book()]
        excess = sum(order.remaining for order in resting) - abs(slot.quantity)
        sign = 1 if slot.quantity < 0 else -1
        for order in sorted(resting, key=lambda order: (sign * order.price, -order.turn)):
            cut = min(max(0, excess), order.remaining)
            excess -= cut
            if cut == order.remaining:
                self.end(order, OrderStatus.EXPIRED, EndReason.REDUCE_ONLY_TRIMMED)
            else:
                order.quantity -= cut
                order.remaining -= cut

    def touch(self, slot: NaivePosition) -> None:
        """Settle what is pending before a position changes."""
        raise NotImplementedError

    # -- owners -----------------------------------------------------------------------

    def require_owned(self, account_id: int, market_id: int) -> None:
        """Check that an owner may change something about a position there."""
        refuse_if(account_id not in self.accounts, Code.ACCOUNT_NOT_FOUND)
        refuse_if(market_id not in self.markets, Code.MARKET_NOT_FOUND)
        refuse_if(market_id not in self.contracts, Code.NOT_A_PERPETUAL)
        settled = self.status[market_id] is MarketStatus.SETTLED
        refuse_if(settled, Code.MARKET_SETTLED)
        refuse_if(self.is_liquidating(account_id, market_id), Code.ACCOUNT_LIQUIDATING)

    def set_leverage(self, change: c.SetLeverage, _: object) -> Answer:
        """Set the leverage; what is open must fit it and be affordable with it."""
        self.require_owned(change.account_id, change.market_id)
        brackets = self.contracts[change.market_id].brackets
        refuse_if(not 1 <= change.leverage <= brackets[0][2], Code.INVALID_LEVERAGE)
        if (change.account_id, change.market_id) in self.slots:
            trial = Trial(self, change.account_id, change.market_id)
            # Leverage is judged by what is there, not by funding that is still to be paid.
            known = self.slots[change.account_id, change.market_id]
            exposure = self.exposure(known, trial.orders)
            highest = brackets[self.bracket(change.market_id, exposure)][2]
            refuse_if(change.leverage > highest, Code.LEVERAGE_TOO_HIGH)
            lowered = change.leverage < known.leverage
            stuck = lowered and known.isolated and known.quantity != 0
            refuse_if(stuck, Code.LEVERAGE_BELOW_POSITION)
            trial.slot.leverage = change.leverage
            poor = lowered and exposure > 0 and trial.available() < 0
            refuse_if(poor, Code.INSUFFICIENT_MARGIN)
        self.slot(change.account_id, change.market_id).leverage = change.leverage
        return Answer(Code.OK)

    def set_margin_mode(self, change: c.SetMarginMode, _: object) -> Answer:
        """Set the margin mode; nothing may be open."""
        self.require_owned(change.account_id, change.market_id)
        key = (change.account_id, change.market_id)
        known = self.slots.get(key)
        isolated = change.mode is MarginMode.ISOLATED
        same = isolated is (known is not None and known.isolated)
        refuse_if(same, Code.MARGIN_MODE_UNCHANGED)
        orders = any((o.account_id, o.market_id) == key for o in self.orders)
        refuse_if(orders, Code.MARGIN_MODE_HAS_ORDERS)
        held = known is not None and (known.quantity != 0 or known.due != 0)
        refuse_if(held, Code.MARGIN_MODE_HAS_POSITION)
        self.slot(*key).isolated = isolated
        return Answer(Code.OK)

    def adjust_margin(self, change: c.AdjustMargin, _: object) -> Answer:
        """Move quote between the margin wallet and an isolated one."""
        self.require_owned(change.account_id, change.market_id)
        key = (change.account_id, change.market_id)
        slot = self.slots.get(key)
        if slot is None or not slot.quantity:
            raise Refused(Code.POSITION_NOT_FOUND)
        refuse_if(not slot.isolated, Code.POSITION_NOT_ISOLATED)
        amount = change.amount_atoms
        refuse_if(amount == 0 or abs(amount) > AMOUNT_MAX, Code.INVALID_AMOUNT)
        trial = Trial(self, *key)
        mark = trial.mark()
        if amount > 0:
            short = amount > min(trial.wallet, trial.available())
            refuse_if(short, Code.INSUFFICIENT_MARGIN)
        else:
            own = trial.slot
            by_cost = own.wallet - ceil(Fraction(abs(own.cost), own.leverage))
            by_mark = (
                own.wallet + own.profit(mark) - ceil(Fraction(own.notional(mark), own.leverage))
            )
            refuse_if(-amount > max(0, min(by_cost, by_mark)), Code.MARGIN_NOT_REMOVABLE)
        self.touch(slot)
        slot.wallet += amount
        self.add_margin(slot.account_id, self.markets[slot.market_id].quote_asset_id, -amount)
        return Answer(Code.OK)

    def close_position(self, close: c.ClosePosition, finding: Any) -> Answer:
        """Place the order that closes a position, or turns it round."""
        self.require_owned(close.account_id, close.market_id)
        slot = self.slots.get((close.account_id, close.market_id))
        if slot is None or not slot.quantity:
            raise Refused(Code.POSITION_NOT_FOUND)
        exact = bool(close.quantity_atoms or close.price_atoms)
        refuse_if(close.reverse and exact, Code.INVALID_ORDER)
        size = abs(slot.quantity)
        limit = bool(close.price_atoms)
        order = c.PlaceOrder(
            close.account_id,
            close.market_id,
            slot.closing_side(),
            OrderType.LIMIT if limit else OrderType.MARKET,
            TimeInForce.GTC if limit else TimeInForce.IOC,
            close.price_atoms,
            2 * size if close.reverse else close.quantity_atoms or size,
            slippage_rate_e8=close.slippage_rate_e8,
            special=None if close.reverse else c.SpecialTerms(reduce_only=True),
        )
        return self.place(order, finding)

    # -- money ------------------------------------------------------------------------

    def require_free(self, source: WalletKey, amount: int) -> None:
        """Check that an amount may leave a margin wallet: unrealised profit never does."""
        account_id, kind, asset_id = source
        slots = self.own_slots(account_id, asset_id) if kind is WalletKind.MARGIN else []
        if not slots:
            return
        wallet = self.margin_wallet(account_id, asset_id)
        margins = {
            slot.market_id: self.initial(slot, self.resting(account_id, slot.market_id))
            for slot in slots
        }
        profit = sum(s.profit(self.mark_of(s.market_id)) for s in slots if not s.isolated)
        isolated = sum(margins[s.market_id] for s in slots if s.isolated)
        free = min(wallet - isolated, wallet + min(0, profit) - sum(margins.values()))
        refuse_if(amount > max(0, free), Code.MARGIN_IN_USE)

    def transfer(self, move: c.Transfer, finding: c.ClientIdFinding | None) -> Answer:
        """Move an available amount; isolated wallets are moved by adjusting a position."""
        if not finding:
            known = {move.account_id, move.target_account_id} <= self.accounts.keys()
            refuse_if(not known, Code.ACCOUNT_NOT_FOUND)
            isolated = WalletKind.ISOLATED in (move.wallet, move.target_wallet)
            refuse_if(isolated, Code.POSITION_NOT_FOUND)
        return super().transfer(move, finding)

    # -- configuration ----------------------------------------------------------------

    def configure_market(self, market: c.ConfigureMarket, _: object) -> Answer:
        """Create or change a market; a perpetual one stays halted until it has a contract."""
        unready = market.kind is MarketKind.PERPETUAL and market.market_id not in self.contracts
        halted = market.status is MarketStatus.HALTED
        refuse_if(unready and not halted, Code.INVALID_CONFIGURATION)
        return super().configure_market(market, _)

    def set_market_status(self, change: c.SetMarketStatus, _: object) -> Answer:
        """Halt, resume or restrict a market that has not been settled."""
        refuse_if(change.market_id not in self.markets, Code.MARKET_NOT_FOUND)
        settled = MarketStatus.SETTLED in (self.status[change.market_id], change.status)
        refuse_if(settled, Code.MARKET_SETTLED)
        market = self.markets[change.market_id]
        unready = market.kind is MarketKind.PERPETUAL and market.market_id not in self.contracts
        open_up = change.status is not MarketStatus.HALTED
        refuse_if(unready and open_up, Code.INVALID_CONFIGURATION)
        return super().set_market_status(change, _)
