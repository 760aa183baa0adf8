"""
Ends the exchange before every single call it makes to database and Redis, one after the other.

A round is a short session of trading, by the seed the same in each. In round n the exchange ends
before its n-th call and another one takes over; whoever waits for an answer goes on waiting, and
asks again under the same id where there was none. What the session does to balances must be what
it did in a round without an end. The rounds go on until one has fewer calls than its number.
What is durable changes in calls alone, so these are all the moments that differ.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from signal import SIGUSR1
from typing import IO, TYPE_CHECKING

from simulation.kill.setup import ATOMS, GATEWAY_ACCOUNTS, prepare_gateway
from simulation.kill.verdict import check_books
from simulation.kill.world import ROOT, World, world_of_run

if TYPE_CHECKING:
    from exchange.core.commands import AnyCommand
    from exchange.core.events import Outcome

MIDDLE = 50_000
STEPS = 10
ASKED_FOR_S = 60.0
PROBLEMS_MAX = 5
Balances = dict[tuple[int, int], tuple[int, int]]


@dataclass(slots=True)
class CallsRun:
    """All calls of one seed's session; ``every`` 1, or only every so many of them."""

    seed: int
    every: int = 1
    seconds: float = 0.0
    rounds: int = 0
    ended: int = 0
    calls: int = 0
    asked_again: int = 0
    orders: dict[tuple[int, str], int] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def run(self) -> bool:
        """Prepare, go through all calls, judge; return whether everything held."""
        began = time.monotonic()
        with world_of_run("exc-", self.problems) as world:
            world.start_base()
            with (world.directory / "exchange.out").open("ab") as output:
                exchanges = _Exchanges(world, output)
                self._go_through(exchanges)
                if not self.problems:
                    exchanges.close()
                    self._judge(world)
        self.seconds = time.monotonic() - began
        return not self.problems

    def lines(self) -> list[str]:
        """Return the report as text."""
        answered = ", ".join(f"{name} {count:,d}" for name, count in self.answers.most_common())
        return [
            f"seed {self.seed}: {self.ended} ends, before each of {self.calls} calls of a start and"
            f" a session (every {self.every}.); {len(self.orders):,d} orders, {self.asked_again}"
            f" commands asked again; {self.seconds:.0f} s",
            f"answers: {answered}",
            *(f"PROBLEM {problem}" for problem in self.problems),
        ]

    def _go_through(self, exchanges: _Exchanges) -> None:
        exchanges.start(0)
        prepare_gateway()
        exchanges.stop()
        expected = self._round(exchanges, 0)
        number = 1 + self.seed % self.every
        while len(self.problems) < PROBLEMS_MAX:
            try:
                found = self._round(exchanges, number)
            except _NoAnswerError:
                self.problems.append(f"before call {number}: no answer in {ASKED_FOR_S:.0f} s")
                return
            if found != expected:
                self.problems.append(f"before call {number}: {found}, expected {expected}")
            if not exchanges.replaced:
                return
            self.ended += exchanges.replaced
            self.calls = number
            number += self.every

    def _round(self, exchanges: _Exchanges, number: int) -> Balances:
        """Trade once with an exchange that ends before a call; return how balances changed."""
        before = _balances()
        exchanges.start(number)
        session = Session(random.Random(self.seed), f"{self.rounds}")
        for command in session.commands():
            session.outcomes.append(self._ask(command))
        self.rounds += 1
        self.orders |= session.orders
        code = exchanges.stop()
        if code:
            self.problems.append(f"before call {number}: the exchange ended with {code}")
        if exchanges.replaced > 1:
            self.problems.append(f"before call {number}: ended {exchanges.replaced} times")
        after = _balances()
        return {
            key: (after[key][0] - before[key][0], after[key][1] - before[key][1]) for key in after
        }

    def _ask(self, command: AnyCommand) -> Outcome:
        """Ask until there is an answer; a command without one is asked again as it is."""
        from exchange import gateway
        from exchange.core.rejects import Code

        end = time.monotonic() + ASKED_FOR_S
        while True:
            try:
                outcome = gateway.submit(command)
            except gateway.ExchangeError as error:
                self.answers[error.code] += 1
                self.asked_again += isinstance(error, gateway.StatusUnknown)
                if time.monotonic() > end:
                    raise _NoAnswerError from error
                time.sleep(0.01)
                continue
            self.answers["REPEATED" if outcome.repeated else Code(outcome.code).name] += 1
            return outcome

    def _judge(self, world: World) -> None:
        from orders.models import Order

        rows = list(Order.objects.values_list("account_id", "client_order_id", "id"))
        found = {(account, client_id): number for account, client_id, number in rows}
        if len(found) != len(rows):
            self.problems.append(f"{len(rows) - len(found)} client ids have more than one order")
        if found != self.orders:
            self.problems.append(
                f"told and found differ: {set(found.items()) ^ set(self.orders.items())}"
            )
        check_books(world.output("exchange"), self.problems)


class _NoAnswerError(Exception):
    """Nobody leads, or nobody says so."""


class Session:
    """One round's commands; what is amended or cancelled is what an answer named."""

    def __init__(self, chance: random.Random, name: str) -> None:
        """Begin a round of a name that no other has."""
        self._chance = chance
        self._name = name
        self.outcomes: list[Outcome] = []
        self.orders: dict[tuple[int, str], int] = {}

    def commands(self) -> Iterator[AnyCommand]:
        """Yield each command after the one before was answered; the book is empty at the end."""
        from exchange.core import commands as c
        from exchange.core.enums import WalletKind

        chance = self._chance
        accounts = GATEWAY_ACCOUNTS
        yield c.Credit(
            accounts[0],
            WalletKind.SPOT,
            2,
            7 * ATOMS,
            "calls",
            "simulation",
            f"{self._name}-credit",
        )
        for step in range(STEPS):
            account, client_id = chance.choice(accounts), f"{self._name}-{step}"
            yield self._order(account, client_id)
            order_id = self.outcomes[-1].reference_id
            self.orders[account, client_id] = order_id
            roll = chance.random()
            if roll < 0.2:
                yield c.AmendOrder(account, order_id, price_atoms=(MIDDLE + 1) * ATOMS)
            elif roll < 0.4:
                yield c.CancelOrder(account, order_id)
        for account in accounts:
            yield c.CancelAllOrders(account)

    def _order(self, account: int, client_id: str) -> AnyCommand:
        from exchange.core.commands import PlaceOrder
        from exchange.core.enums import OrderType, Side, TimeInForce

        chance = self._chance
        return PlaceOrder(
            account_id=account,
            market_id=1,
            side=chance.choice((Side.BUY, Side.SELL)),
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            price_atoms=(MIDDLE + chance.randint(-2, 2)) * ATOMS,
            quantity_atoms=chance.randint(1, 20) * (ATOMS // 1_000),
            client_order_id=client_id,
            request_hash=1,
        )


class _Exchanges:
    """The process that forks exchanges, and the one that leads now."""

    def __init__(self, world: World, output: IO[bytes]) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "simulation.kill.forks"],
            cwd=ROOT,
            env=world.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
        )
        world.processes["exchange"] = process
        if process.stdin is None or process.stdout is None:
            raise SystemExit("the process that forks has no pipes")
        self._process, self._words, self._answers = process, process.stdin, process.stdout
        self.replaced = 0

    def start(self, end_before: int) -> None:
        """Start an exchange that ends before a call."""
        self._words.write(b"%d\n" % end_before)
        self._words.flush()

    def stop(self) -> int:
        """Ask the one that leads to stop; return its exit code."""
        self._process.send_signal(SIGUSR1)
        code, self.replaced = map(int, self._answers.readline().split())
        return code

    def close(self) -> None:
        """End the process that forks."""
        self._words.close()
        self._process.wait(ASKED_FOR_S)


def _balances() -> Balances:
    from wallets.models import Balance

    rows = Balance.objects.filter(account_id__in=GATEWAY_ACCOUNTS)
    columns = ("account_id", "asset_id", "total_atoms", "held_atoms")
    return {
        (account, asset): (total, held)
        for account, asset, total, held in rows.values_list(*columns)
    }
