"""
Seeded random commands for a small, crowded exchange.

Few accounts, few prices and small books make orders meet; a share of the values is wrong
on purpose. A command never depends on what an exchange answered, so a failing run can be
shrunk by leaving commands out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from exchange.core import commands as c
from exchange.core.enums import (
    AccountStatus,
    MarketKind,
    MarketStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
    WalletKind,
    WithdrawalStep,
)
from exchange.core.safety import MarketSafety

ATOMS = 10**8
START_MS = 1_700_000_000_000
ACCOUNTS = (5_000_001, 5_000_002, 5_000_003, 5_000_004, 5_000_005, 5_000_006)
UNKNOWN_ACCOUNT = 5_999_999
GOLD, CASH, DUST = 1, 2, 3
# Values nobody should send; each is tried in every numeric place.
STRANGE = (0, -1, 1, 7, -ATOMS, 2**31, 2**62, 2**62 + 1, 2**63 - 1)

# The wallets that owners move money between.
WALLETS = (WalletKind.SPOT, WalletKind.MARGIN)

# Good-till-date needs an expiry, which plain orders do not have.
PLAIN_TIMES = (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)


@dataclass(frozen=True)
class TimedCommand:
    """
    A command and how many milliseconds after the one before it comes.

    ``pick`` asks whoever drives the exchange to cancel the open order of that rank (modulo
    their count) instead of what ``command`` names, if any order is open: one in ten times in
    the name of the command's account, whoever owns it. An amendment is picked alike.
    ``steps`` is how many internal steps follow at most (None: all there are), and
    ``expires_first`` whether what is due expires before the command comes.
    """

    delay_ms: int
    command: c.AnyCommand
    pick: int | None = None
    steps: int | None = None
    expires_first: bool = True


@dataclass(frozen=True)
class MarketShape:
    """What the generator must know of a market to hit its grid."""

    market_id: int
    tick: int
    lot: int
    middle: int


# One ordinary market, and one whose trades are worth so little that fees are all rounding.
MARKETS = (
    MarketShape(market_id=1, tick=ATOMS // 100, lot=ATOMS // 1000, middle=100 * ATOMS),
    MarketShape(market_id=2, tick=1, lot=ATOMS, middle=40),
)


# In the first market protected orders wait when last and mark price are 0.1 % apart; the
# second breaks now and then, for a moment.
GOLD_SAFETY = MarketSafety(trigger_protect_e8=ATOMS // 1_000)
DUST_SAFETY = MarketSafety(
    breaker_band_e8=ATOMS // 10 * 2,
    breaker_window_ms=400,
    halt_ms=200,
    cancel_only_ms=40,
    post_only_ms=60,
    trigger_protect_e8=ATOMS // 20,
)


def configure_market(
    shape: MarketShape, status: MarketStatus, safety: MarketSafety | None = None
) -> c.ConfigureMarket:
    """Return the configuration of one of the two markets."""
    base, quote = (GOLD, CASH) if shape.market_id == 1 else (DUST, CASH)
    ordinary = shape.market_id == 1
    return c.ConfigureMarket(
        market_id=shape.market_id,
        symbol="GOLD-CASH" if ordinary else "DUST-CASH",
        kind=MarketKind.SPOT,
        base_asset_id=base,
        quote_asset_id=quote,
        tick_atoms=shape.tick,
        lot_atoms=shape.lot,
        quantity_min_atoms=2 * shape.lot if ordinary else 0,
        quantity_max_atoms=50_000 * shape.lot if ordinary else 0,
        price_min_atoms=50 * ATOMS if ordinary else 0,
        price_max_atoms=200 * ATOMS if ordinary else 0,
        notional_min_atoms=ATOMS // 2 if ordinary else 0,
        price_band_e8=ATOMS // 1000 * 3 if ordinary else 0,
        market_band_e8=ATOMS // 1000 * 2 if ordinary else 0,
        status=status,
        safety=safety or (GOLD_SAFETY if ordinary else DUST_SAFETY),
    )


def opening(open_orders_max: int) -> Iterator[TimedCommand]:
    """Yield what makes an empty exchange tradable."""
    setup: list[c.AnyCommand] = [
        c.ConfigureAsset(asset_id=GOLD, code="GOLD", name="Gold", decimals=8),
        c.ConfigureAsset(asset_id=CASH, code="CASH", name="Cash", decimals=8),
        c.ConfigureAsset(asset_id=DUST, code="DUST", name="Dust", decimals=0),
        c.ConfigureFeeTier(tier=0, maker_rate_e8=100_000, taker_rate_e8=200_000),
        c.ConfigureFeeTier(tier=1, maker_rate_e8=-10_000, taker_rate_e8=40_003),
        c.ConfigureFeeTier(tier=2, maker_rate_e8=3_333_333, taker_rate_e8=10_001),
    ]
    setup += [configure_market(shape, MarketStatus.TRADING) for shape in MARKETS]
    for index, account_id in enumerate(ACCOUNTS):
        setup.append(
            c.ConfigureAccount(
                account_id=account_id,
                fee_tier=index % 3,
                open_orders_max=open_orders_max,
                self_trade_mode=list(SelfTradeMode)[index % 4],
            )
        )
        for asset_id in (GOLD, CASH, DUST):
            amount = 20_000 * ATOMS if asset_id == CASH else 4_000 * ATOMS
            setup.append(credit(account_id, asset_id, amount))
    yield from (TimedCommand(1, command) for command in setup)


def credit(account_id: int, asset_id: int, amount: int) -> c.Credit:
    """Return a deposit to a spot wallet."""
    return c.Credit(
        account_id=account_id,
        wallet=WalletKind.SPOT,
        asset_id=asset_id,
        amount_atoms=amount,
        reason="simulation",
        actor="simulation",
    )


class PlainCommands:
    """
    An endless stream of commands that one seed decides.

    A ``crowded`` one lets books grow by many tiny orders and then meets them with a few
    huge ones, so that the limits on work (fills of a taker, cancels of a step) are reached.
    """

    def __init__(self, seed: int, *, crowded: bool = False) -> None:
        self.random = Random(seed)
        # Choices that must not move the ones above, which tests have tuned seeds to.
        self.aside = Random(seed + 1)
        self.crowded = crowded
        self.shapes: tuple[MarketShape, ...] = MARKETS
        self.placed = 0
        self.now_ms = START_MS
        self.epoch = 0
        self.kinds: tuple[tuple[Callable[[], c.AnyCommand], float], ...] = (
            (self.place_limit, 48),
            (self.place_market, 0.2 if crowded else 8),
            *(() if crowded else self.special_kinds()),
            (self.cancel, 2 if crowded else 18),
            (self.cancel_all, 0.1 if crowded else 2),
            (self.transfer, 3),
            (self.deposit, 3),
            (self.withdraw, 3),
            (self.index_prices, 0.1 if crowded else 3),
            (self.market_status, 0.1 if crowded else 2),
            (self.account, 0 if crowded else 2),
            (self.configuration, 1),
            (self.leadership, 0.01),
        )

    def special_kinds(self) -> tuple[tuple[Callable[[], c.AnyCommand], float], ...]:
        """Return what else comes, and how often; a crowd knows plain orders only."""
        return ()

    def take(self, count: int) -> list[TimedCommand]:
        """Return the opening and then ``count`` random commands."""
        makers, weights = zip(*self.kinds, strict=True)
        chosen = self.random.choices(makers, weights, k=count)
        first = self.opening(2_000 if self.crowded else 12)
        last = [c.CancelAllOrders(account_id) for account_id in ACCOUNTS] if self.crowded else []
        commands = [self._timed(make()) for make in chosen]
        return [*first, *commands, *(self._timed(command) for command in last)]

    def opening(self, open_orders_max: int) -> Iterator[TimedCommand]:
        """Yield what makes an empty exchange tradable."""
        return opening(open_orders_max)

    def delay_ms(self) -> int:
        """Return how long the next command waits."""
        return self.random.choices((0, 1, 40, 700), (33, 33, 33, 1))[0]

    def _timed(self, command: c.AnyCommand) -> TimedCommand:
        r = self.random
        able = isinstance(command, c.CancelOrder | c.AmendOrder)
        picked = able and r.random() < (0.7 if isinstance(command, c.CancelOrder) else 0.95)
        delay_ms = self.delay_ms()
        self.now_ms += delay_ms
        lazy = not self.crowded and r.random() < 0.3
        return TimedCommand(
            delay_ms,
            command,
            r.randrange(1000) if picked else None,
            r.randrange(2) if lazy else None,
            r.random() < 0.7,
        )

    def account_id(self) -> int:
        """Return one of the accounts, rarely one that does not exist."""
        return UNKNOWN_ACCOUNT if self.random.random() < 0.005 else self.random.choice(ACCOUNTS)

    def rarely_strange(self, value: int) -> int:
        """Return the value, or one in two hundred times something wrong."""
        if self.random.random() < 0.995:
            return value
        return self.random.choice((*STRANGE, value + 1, -value, min(value * 10**6, 2**63 - 1)))

    def client_id(self) -> tuple[str, int]:
        """Return a client id and a request hash; now and then both or one were used before."""
        if self.random.random() < 0.7:
            return "", 0
        return f"id-{self.random.randrange(40 + self.placed)}", self.random.choice((11, 11, 12))

    def place_limit(self) -> c.PlaceOrder:
        """Return a limit order near the middle; half of them would cross."""
        r = self.random
        if self.crowded:
            return self.place_in_crowd()
        shape = r.choice(self.shapes)
        side = r.choice(list(Side))
        away = r.randint(-6, 9) * (-1 if side is Side.BUY else 1)
        if r.random() < 0.03:
            away *= 20
        time_in_force = r.choices(PLAIN_TIMES, (80, 12, 8))[0]
        name, request_hash = self.client_id()
        self.placed += 1
        return c.PlaceOrder(
            account_id=self.account_id(),
            market_id=self.rarely_strange(shape.market_id),
            side=side,
            order_type=OrderType.LIMIT,
            time_in_force=time_in_force,
            price_atoms=self.rarely_strange(shape.middle + away * shape.tick),
            quantity_atoms=self.rarely_strange(self.quantity(shape)),
            quote_quantity_atoms=0 if r.random() < 0.998 else r.choice(STRANGE),
            post_only=(time_in_force is TimeInForce.GTC and r.random() < 0.1) or r.random() < 0.003,
            client_order_id=name,
            request_hash=request_hash,
            slippage_rate_e8=0 if r.random() < 0.998 else r.choice(STRANGE),
            self_trade_mode=r.choice((None, None, None, None, *SelfTradeMode)),
        )

    def place_in_crowd(self) -> c.PlaceOrder:
        """Return a tiny order that rests or, seldom, a huge one that meets hundreds."""
        r = self.random
        shape = MARKETS[1]
        side = r.choice(list(Side))
        huge = r.random() < 0.003
        away = -30 if huge else r.randint(1, 9)
        self.placed += 1
        return c.PlaceOrder(
            account_id=r.choices(ACCOUNTS[:2], (4, 1))[0],
            market_id=shape.market_id,
            side=side,
            order_type=OrderType.LIMIT,
            time_in_force=r.choice(PLAIN_TIMES) if huge else TimeInForce.GTC,
            price_atoms=shape.middle + away * (-1 if side is Side.BUY else 1),
            quantity_atoms=shape.lot * (r.choice((300, 900, 3_000)) if huge else 1),
            self_trade_mode=r.choice((SelfTradeMode.EXPIRE_MAKER, SelfTradeMode.DECREMENT)),
        )

    def place_market(self) -> c.PlaceOrder:
        """Return a market order sized in base or in quote."""
        r = self.random
        shape = r.choice(self.shapes)
        by_quote = r.random() < 0.5
        name, request_hash = self.client_id()
        self.placed += 1
        quote = shape.middle * self.quantity(shape) // ATOMS + r.randint(-50, 50)
        return c.PlaceOrder(
            account_id=self.account_id(),
            market_id=shape.market_id,
            side=r.choice(list(Side)),
            order_type=OrderType.MARKET,
            time_in_force=r.choices(
                (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC), (90, 9, 1)
            )[0],
            price_atoms=0 if r.random() < 0.995 else r.choice(STRANGE),
            quantity_atoms=0 if by_quote else self.rarely_strange(self.quantity(shape)),
            quote_quantity_atoms=self.rarely_strange(quote) if by_quote else 0,
            post_only=r.random() < 0.003,
            client_order_id=name,
            request_hash=request_hash,
            slippage_rate_e8=r.choice((0, 0, 0, 10_000, 50_000, 1_000_000))
            if r.random() < 0.98
            else r.choice(STRANGE),
            self_trade_mode=r.choice((None, None, *SelfTradeMode)),
        )

    def quantity(self, shape: MarketShape) -> int:
        """Return a quantity on the lot; mostly small, so that books stay short."""
        most = self.random.choice((5, 50, 500, 4_000))
        return shape.lot * self.random.randint(1, most)

    def cancel(self) -> c.CancelOrder:
        """Return the cancel of an order that may be open, gone, another's or never placed."""
        r = self.random
        order_id = max(0, self.placed - int(r.expovariate(1 / 40)))
        by_name = r.random() < 0.2
        return c.CancelOrder(
            account_id=self.account_id(),
            order_id=0 if by_name else self.rarely_strange(order_id),
            client_order_id=f"id-{r.randrange(40 + self.placed)}" if by_name else "",
            by_operator=r.random() < 0.1,
        )

    def cancel_all(self) -> c.CancelAllOrders:
        """Return a cancel-all, in one market or in all."""
        return c.CancelAllOrders(
            account_id=self.account_id(),
            market_id=self.rarely_strange(self.random.choice((0, 1, 2))),
            by_operator=self.random.random() < 0.1,
        )

    def amount(self, asset_id: int) -> int:
        """Return an amount of an asset, sometimes finer than its decimals allow."""
        r = self.random
        whole = r.choice((1, 10, 1_000)) * ATOMS
        return self.rarely_strange(whole if asset_id == DUST else r.randint(1, whole))

    def transfer(self) -> c.Transfer:
        """Return a transfer between wallets of one account or of two."""
        r = self.random
        asset_id = r.choice((GOLD, CASH, DUST))
        account_id = self.account_id()
        name, request_hash = self.client_id()
        return c.Transfer(
            account_id=account_id,
            wallet=r.choices(WALLETS, (3, 1))[0],
            target_account_id=account_id if r.random() < 0.5 else self.account_id(),
            target_wallet=r.choices(WALLETS, (3, 1))[0],
            asset_id=self.rarely_strange(asset_id),
            amount_atoms=self.amount(asset_id),
            client_transfer_id=name,
            request_hash=request_hash,
        )

    def deposit(self) -> c.Credit:
        """Return a deposit."""
        asset_id = self.random.choice((GOLD, CASH, DUST))
        return credit(self.account_id(), self.rarely_strange(asset_id), self.amount(asset_id))

    def withdraw(self) -> c.Debit | c.MoveWithdrawal:
        """Return a withdrawal, at times larger than the balance, or a step of one that waits."""
        asset_id = self.random.choice((GOLD, CASH, DUST))
        name, request_hash = self.client_id()
        debit = c.Debit(
            account_id=self.account_id(),
            wallet=self.random.choices(WALLETS, (4, 1))[0],
            asset_id=self.rarely_strange(asset_id),
            amount_atoms=self.amount(asset_id),
            reason="simulation",
            actor="simulation",
            client_transfer_id=name,
            request_hash=request_hash,
        )
        return debit if self.aside.random() < 0.4 else self._step_of(debit)

    def _step_of(self, debit: c.Debit) -> c.MoveWithdrawal:
        """Return what a withdrawal would be in steps, as often as not one without a hold."""
        return c.MoveWithdrawal(
            account_id=debit.account_id,
            step=self.aside.choices(list(WithdrawalStep), (3, 2, 2, 1))[0],
            asset_id=debit.asset_id,
            amount_atoms=debit.amount_atoms,
            fee_atoms=self.aside.choices((0, ATOMS, -1, 7, 2**62), (40, 50, 3, 4, 3))[0],
            note="simulation",
            client_transfer_id=debit.client_transfer_id,
            request_hash=debit.request_hash,
        )

    def index_prices(self) -> c.UpdateIndexPrices:
        """Return index prices around the middle, now and then for a market nobody knows."""
        r = self.random
        chosen = r.sample(self.shapes, r.choice((1, 2)))
        return c.UpdateIndexPrices(
            prices=tuple(
                (
                    self.rarely_strange(shape.market_id),
                    self.rarely_strange(shape.middle + r.randint(-20, 20) * shape.tick),
                )
                for shape in chosen
            )
        )

    def market_status(self) -> c.SetMarketStatus:
        """Return a change of status; trading is the likeliest."""
        return c.SetMarketStatus(
            market_id=self.rarely_strange(self.random.choice(self.shapes).market_id),
            status=self.random.choices(list(MarketStatus)[:4], (60, 1, 1, 1))[0],
            reason="simulation",
        )

    def account(self) -> c.ConfigureAccount:
        """Return a change of an account: status, tier, limit, self-trade mode."""
        r = self.random
        return c.ConfigureAccount(
            account_id=r.choice(ACCOUNTS),
            status=r.choices(list(AccountStatus), (60, 1, 1))[0],
            fee_tier=r.randrange(3),
            open_orders_max=self.rarely_strange(r.choice((3, 12, 20))),
            self_trade_mode=r.choice(list(SelfTradeMode)),
        )

    def configuration(self) -> c.AnyCommand:
        """Return a change of an asset, a market or a fee tier, possible or not."""
        r = self.random
        kind = r.randrange(3)
        if kind == 0:
            asset_id = r.choice((GOLD, CASH, DUST))
            decimals = 0 if asset_id == DUST else r.choice((8, 8, 7, 9, -1))
            code = {GOLD: "GOLD", CASH: "CASH", DUST: "DUST"}[asset_id]
            return c.ConfigureAsset(asset_id, r.choice((code, code, "")), "renamed", decimals)
        if kind == 1:
            maker = r.choice((100_000, -10_000, 0, 3_333_333))
            taker = self.rarely_strange(r.choice((200_000, 40_003, 10_001, 9_999)))
            return c.ConfigureFeeTier(r.randrange(3), maker, taker)
        shape = r.choice(self.shapes)
        if r.random() < 0.1:
            shape = MarketShape(shape.market_id, shape.tick * 10, shape.lot, shape.middle)
        return configure_market(shape, MarketStatus.TRADING, self.safety())

    def safety(self) -> MarketSafety | None:
        """Return what a market does about prices that run away; mostly what it did before."""
        r = self.random
        if r.random() < 0.7:
            return None
        values = (
            r.choice((0, 60_000, 100_000, ATOMS // 10)),
            r.choice((1, 7, 300, 2_000)),
            r.choice((0, 100, 300)),
            r.choice((0, 50)),
            r.choice((0, 80)),
            r.choice((0, 20_000, ATOMS // 50)),
        )
        return MarketSafety(*(self.rarely_strange(value) for value in values))

    def leadership(self) -> c.StartLeadership:
        """Return the first command of a new leader after a short or a long pause."""
        self.epoch += 1
        return c.StartLeadership(
            epoch=self.epoch - self.random.randrange(2),
            down_ms=self.random.choice((0, 9_999, 10_000)),
        )
