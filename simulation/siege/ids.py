"""
Very many client order ids, each sent five times at once, while the exchange is killed.

Four copies of a request are equal, the fifth asks for another quantity under the same id. A copy
that gets no definite answer is sent again. In the end either the four are answered with one
order and the fifth is refused, or the other way round; the rows have that order and no other.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from simulation.kill.verdict import check_books
from simulation.kill.world import World
from simulation.siege.client import Client
from simulation.streams.setup import Traders, prepare

COPIES = 5
# What is asked for under an id by the copies but the last, and by that one.
QUANTITIES = ("0.001", "0.002")
KILLS = 10
# Ids of the beginning that are asked again at the end, long after.
ASKED_LATE = 500
CREATED, CONFLICT = 201, 409
DEFINITE = {200, CREATED, CONFLICT}
# Ids on their way at a time.
AT_ONCE = 4
AGAIN_S = 0.05
GIVE_UP_S = 120.0
# Well before a token ends.
RENEW_S = 120.0
SHOWN_MAX = 20

Answer = tuple[int, str]


class IdsRun:
    """One run over so many ids; ``lines`` say what was answered and found."""

    def __init__(self, ids: int, *, seed: int) -> None:
        self.ids = ids
        self.seed = seed
        self.random = random.Random(seed)
        self.world = World(Path(tempfile.mkdtemp(prefix="exi-")), pauses="")
        self.answers: Counter[int] = Counter()
        self.told: dict[str, str] = {}
        self.kills = 0
        self.problems: list[str] = []
        self.hashes: object = None
        self.seconds = 0.0
        self._lock = threading.Lock()
        self._striking = threading.Lock()
        self._ended = threading.Event()

    def run(self) -> bool:
        """Run; return whether each id made exactly one order. Keeps its files on failure."""
        world = self.world
        try:
            world.start_all()
            people = prepare(1)
            began = time.monotonic()
            renewing = threading.Thread(target=self._renew, args=(people,), daemon=True)
            renewing.start()
            self._send_all(people.token_of(0))
            self._ended.set()
            self.seconds = time.monotonic() - began
            if code := world.ask_to_stop("exchange"):
                self.problems.append(f"the exchange ended with {code}")
            self._look_at_rows()
            self.hashes = check_books(world.output("exchange"), self.problems)
        finally:
            self._ended.set()
            world.end()
        if not self.problems:
            shutil.rmtree(world.directory, ignore_errors=True)
        return not self.problems

    def lines(self) -> list[str]:
        """Return the report."""
        answers = ", ".join(f"{number:,d} times {code}" for code, number in self.answers.items())
        lines = [
            f"seed {self.seed}, {self.ids:,d} ids, {COPIES} copies of each at once, "
            f"{self.kills} kills of the exchange, {self.seconds:.0f} s",
            f"answers: {answers}",
            f"hashes {self.hashes}",
            f"{len(self.problems)} problems",
            *(f"PROBLEM {problem}" for problem in self.problems[:SHOWN_MAX]),
        ]
        if self.problems:
            lines.append(f"files are kept in {self.world.directory}")
        return lines

    def _renew(self, people: Traders) -> None:
        while not self._ended.wait(RENEW_S):
            people.renew()

    def _send_all(self, token: Callable[[], str]) -> None:
        """Send all ids, some at a time so that batches hold several; then the first ones again."""
        numbers = iter([*range(self.ids), *range(min(ASKED_LATE, self.ids))])
        strikes = set(self.random.sample(range(self.ids), min(KILLS, self.ids)))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            senders = [pool.submit(self._sender, numbers, strikes, token) for _ in range(AT_ONCE)]
            for sender in senders:
                sender.result()

    def _sender(self, numbers: Iterator[int], strikes: set[int], token: Callable[[], str]) -> None:
        """Take one id after the other and send its copies in the same moment."""
        clients = [Client("127.0.0.1", self.world.port) for _ in range(COPIES)]
        gate = threading.Barrier(COPIES)

        def one(copy: int, client_id: str) -> Answer:
            gate.wait()
            return self._until_definite(clients[copy], body_of(client_id, copy), token)

        with ThreadPoolExecutor(COPIES) as pool:
            while True:
                with self._lock:
                    number = next(numbers, None)
                    # The first ids come again at the end, without a strike.
                    strikes_now = number in strikes
                    strikes.discard(number if number is not None else -1)
                if number is None:
                    break
                if strikes_now:
                    self._strike()
                client_id = f"id-{number}"
                answers = list(pool.map(one, range(COPIES), [client_id] * COPIES))
                self._judge(client_id, answers)
        for client in clients:
            client.close()

    def _judge(self, client_id: str, answers: list[Answer]) -> None:
        with self._lock:
            before = self.told.get(client_id)
            self.problems += problems_of(client_id, answers, before)
            self.told[client_id] = next((order_id for _, order_id in answers if order_id), "")

    def _until_definite(
        self, client: Client, body: dict[str, str], token: Callable[[], str]
    ) -> Answer:
        """Send a request until its answer says what became of it."""
        ends = time.monotonic() + GIVE_UP_S
        while True:
            status, found = client.call("POST", "/api/orders", body, token())
            with self._lock:
                self.answers[status] += 1
                if status >= 500 and status not in (503, 504):
                    self.problems.append(f"{body['client_order_id']}: {status} {found}")
            if status in DEFINITE:
                return status, str(found.get("id", ""))
            if time.monotonic() > ends:
                raise SystemExit(f"no definite answer: {body}, {status} {found}")
            time.sleep(AGAIN_S)

    def _strike(self) -> None:
        """Kill the exchange while ids of others are on their way, and start it again."""
        with self._striking:
            self.world.kill("exchange")
            self.kills += 1
            self.world.start("exchange")

    def _look_at_rows(self) -> None:
        from orders.models import Order

        rows: dict[str, list[str]] = {}
        for client_id, order_id in Order.objects.values_list("client_order_id", "id"):
            rows.setdefault(str(client_id), []).append(str(order_id))
        for client_id, told in self.told.items():
            if (found := rows.pop(client_id, [])) != [told]:
                self.problems.append(f"{client_id}: told {told}, found {found}")
        self.problems += [f"{client_id}: nobody sent it" for client_id in rows]


def body_of(client_id: str, copy: int) -> dict[str, str]:
    """Return what a copy asks for: the last one something else than the others."""
    return {
        "symbol": "BTC-USDT",
        "side": "buy",
        "type": "limit",
        "time_in_force": "ioc",
        "price": "1000",
        "quantity": QUANTITIES[copy == COPIES - 1],
        "client_order_id": client_id,
    }


def problems_of(client_id: str, answers: list[Answer], before: str | None) -> list[str]:
    """
    Return what is wrong with the definite answers to the copies of one id.

    ``before`` is the order that the id was answered with earlier, None the first time.
    """
    same, other = answers[:-1], answers[-1:]
    taken, refused = (same, other) if other[0][0] == CONFLICT else (other, same)
    orders = {order_id for _, order_id in taken}
    found = []
    if any(status == CONFLICT for status, _ in taken) or len(orders) != 1:
        found.append("not one order")
    if any(status != CONFLICT for status, _ in refused):
        found.append("both requests were taken")
    # None where the answer of the first was lost with the exchange.
    if sum(status == CREATED for status, _ in taken) > (before is None):
        found.append("made again")
    if before is not None and orders != {before}:
        found.append(f"was {before}")
    return [f"{client_id}: {', '.join(found)}: {answers}"] if found else []
