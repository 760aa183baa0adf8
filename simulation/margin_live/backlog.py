"""
A thousand accounts with twenty orders each fall at one mark while everybody sends orders.

Real processes: the exchange carries out the cancels and takeovers in bounded steps between the
batches of its lanes, a flood through the gateway keeps the backlog of orders at its bound, and
users trade over REST. Orders are then refused (503 ``ENGINE_BUSY``) or served in their turn;
prices and cancels go on.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from benchmarks.report import percentile
from exchange.core import commands as c
from exchange.core.enums import OrderType, Side, TimeInForce, WalletKind
from simulation.kill.setup import do
from simulation.margin_live import flood
from simulation.margin_live.setup import ATOMS, PERP, PRICE, USDT, Stage, order_body
from simulation.siege.client import Client
from simulation.siege.races import Member
from simulation.siege.run import verified

FIRST_ACCOUNT, MAKER = 9_000_000, 8_999_999
ORDERS_EACH = 20
FALLEN = PRICE * 99 // 100
USERS = 2
# Resting orders of each user to cancel while the backlog is full.
TO_CANCEL = 150
CANCELS_PER_S = 20
DRAIN_BOUND_S, MARK_AGE_BOUND_S, CANCEL_BOUND_S = 5.0, 1.5, 1.0
WAIT_S = 120.0
SENT_AT_ONCE = 500
# Placing needs an answer of the exchange or one that says that it was not asked.
SERVED = {"201", "503 ENGINE_BUSY"}


class User(threading.Thread):
    """Cancels what rests at a fixed pace, and places orders in between, over REST."""

    def __init__(self, stage: Stage, member: Member, ended: threading.Event) -> None:
        super().__init__(name=member.username, daemon=True)
        self._client = Client(*stage.address)
        self._token = member.access_token
        self._ended = ended
        self.resting: list[str] = []
        self.placed: Counter[str] = Counter()
        self.cancelled: Counter[str] = Counter()
        self.cancel_s: list[float] = []
        self.busy = threading.Event()

    def rest(self) -> None:
        """Place what is to be cancelled later."""
        for number in range(TO_CANCEL):
            body = order_body(Side.BUY, "0.001", PRICE * 8 // 10 - number)
            status, found = self._client.call("POST", "/api/orders", body, self._token)
            if status != 201:
                raise SystemExit(f"an order of {self.name}: {status} {found}")
            self.resting.append(found["id"])

    def run(self) -> None:
        """Place until told to stop; cancel from the moment on that orders are refused."""
        number = 0
        while not self._ended.is_set():
            began, number = time.monotonic(), number + 1
            body = order_body(Side.BUY, "0.001", PRICE * 7 // 10 - number % 900)
            status, found = self._call("POST", "/api/orders", body)
            self.placed[_named(status, found)] += 1
            if status == 503:
                self.busy.set()
            if self.busy.is_set() and self.resting:
                path = f"/api/orders/{self.resting.pop()}"
                asked = time.monotonic()
                status, found = self._call("DELETE", path)
                self.cancel_s.append(time.monotonic() - asked)
                self.cancelled[_named(status, found)] += 1
            self._ended.wait(max(0.0, 1 / CANCELS_PER_S - (time.monotonic() - began)))
        self._client.close()

    def _call(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        """Send a request; one that is not answered at all has status 0."""
        try:
            return self._client.call(method, path, body, self._token)
        except (OSError, http.client.HTTPException):
            self._client.close()
            return 0, None


class BacklogRun:
    """One fall of very many accounts; ``faults`` says what was not as it must be."""

    def __init__(self, accounts: int) -> None:
        self.accounts = accounts
        self.faults: list[str] = []
        self.seen: list[str] = []

    def run(self) -> bool:
        """Run it; returns whether all was as it must be."""
        with Stage("backlog", fund=10**8) as stage:
            self._open(stage)
            self._fall(stage)
            self.faults += verified("verify_ledger")
        return not self.faults

    def lines(self) -> list[str]:
        """Return what to print."""
        return [*self.seen, f"backlog: {len(self.faults)} faults", *self.faults]

    def _open(self, stage: Stage) -> None:
        """Let each account be long a tenth, with sell orders above that take no margin."""
        for account in (MAKER, *flood.ACCOUNTS):
            do(c.ConfigureAccount(account, open_orders_max=100_000))
            do(c.Credit(account, WalletKind.MARGIN, USDT, 10**7 * ATOMS, "proof", "simulation"))
        openings = self._openings()
        while commands := list(islice(openings, SENT_AT_ONCE)):
            _submit_all(commands)
        stage.world.wait(lambda: self._standing() == self.accounts, "all are open", WAIT_S)

    def _openings(self) -> Iterator[c.AnyCommand]:
        for account in range(FIRST_ACCOUNT, FIRST_ACCOUNT + self.accounts):
            yield c.ConfigureAccount(account)
            # Fees of 2.4, then 75 behind 6,000: maintenance is 24, and 60 are lost at the fall.
            yield c.Credit(account, WalletKind.MARGIN, USDT, 78 * ATOMS, "proof", "simulation")
            yield c.SetLeverage(account, PERP, 125)
            yield _order(MAKER, Side.SELL, PRICE, ATOMS // 10)
            yield _order(account, Side.BUY, PRICE, ATOMS // 10)
            for number in range(ORDERS_EACH):
                yield _order(account, Side.SELL, PRICE + 100 + number, ATOMS // 1_000)

    def _standing(self) -> int:
        """Return how many of the accounts have a position by the committed rows."""
        from positions.models import Position

        last = FIRST_ACCOUNT + self.accounts
        found = Position.objects.filter(account_id__gte=FIRST_ACCOUNT, account_id__lt=last)
        return found.filter(is_open=True).count()

    def _fall(self, stage: Stage) -> None:
        ended = threading.Event()
        users = [
            User(stage, stage.member(f"user{number}", margin=10**6), ended)
            for number in range(USERS)
        ]
        for user in users:
            user.rest()
        stage.world.start("flood", "-m", "simulation.margin_live.flood", str(stage.world.stop_file))
        for user in users:
            user.start()
        stage.world.wait(
            lambda: all(user.busy.is_set() for user in users), "orders are refused", WAIT_S
        )
        busy_at = time.monotonic()
        began = stage.marks.fall_to(FALLEN)
        stage.world.wait(lambda: not self._standing(), "all are liquidated", WAIT_S)
        drained_s = time.monotonic() - began
        stage.world.wait(
            lambda: not any(user.resting for user in users), "all is cancelled", WAIT_S
        )
        ended.set()
        for user in users:
            user.join(10)
        stage.world.stop_file.touch()
        stage.world.wait(lambda: not stage.world.alive("flood"), "the flood ends", WAIT_S)
        self._judge(stage, users, drained_s, stage.marks.ages_s(busy_at))

    def _judge(
        self, stage: Stage, users: list[User], drained_s: float, ages_s: list[float]
    ) -> None:
        placed = sum((user.placed for user in users), Counter())
        cancelled = sum((user.cancelled for user in users), Counter())
        cancels = [seconds for user in users for seconds in user.cancel_s]
        answers = json.loads(stage.world.output("flood").splitlines()[-1])
        self.seen += [
            f"{self.accounts:,d} accounts with {ORDERS_EACH} orders each fell at one mark",
            f"orders over REST: {dict(placed)}; cancels: {dict(cancelled)}",
            f"flood: {answers}",
        ]
        self._bound("all liquidated and committed after", drained_s, DRAIN_BOUND_S)
        self._bound("age of the mark, p99", percentile(ages_s, 0.99), MARK_AGE_BOUND_S)
        self._bound("cancels over REST, p99", percentile(cancels, 0.99), CANCEL_BOUND_S)
        for what, found in (
            ("orders", set(placed) - SERVED),
            ("cancels", set(cancelled) - {"200"}),
        ):
            if found:
                self.faults.append(f"{what} were answered {sorted(found)}")
        self.faults += stage.marks.faults

    def _bound(self, what: str, seconds: float, most: float) -> None:
        line = f"{what}: {seconds:.2f} s, bound {most} s"
        self.seen.append(line)
        if seconds > most:
            self.faults.append(f"missed: {line}")


def _named(status: int, found: object) -> str:
    if not status:
        return "no answer"
    if status < 400:
        return str(status)
    return f"{status} {found['error']['code']}" if isinstance(found, dict) else str(status)


def _order(account: int, side: Side, price: int, quantity: int) -> c.PlaceOrder:
    return c.PlaceOrder(
        account, PERP, side, OrderType.LIMIT, TimeInForce.GTC, price * ATOMS, quantity
    )


def _submit_all(commands: list[c.AnyCommand]) -> None:
    from exchange import gateway
    from exchange.core.rejects import Code

    for command, outcome in zip(commands, gateway.submit_many(commands), strict=True):
        if outcome.code is not Code.OK:
            raise SystemExit(f"{command}: {Code(outcome.code).name}")
