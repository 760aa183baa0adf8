"""
Keeps a running exchange at its bound: ``python -m benchmarks.load STOP_FILE RESULT_FILE``.

Threads submit packs of orders and cancels through the gateway without pause until the stop
file appears; the result file then holds commands and seconds.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from pathlib import Path

import django

from simulation.kill.setup import ATOMS, GATEWAY_ACCOUNTS

THREADS = 4
RESTING, CROSSING, CANCELS = 60, 15, 25
MIDDLE = 50_000


class Load:
    """Counts what was answered."""

    def __init__(self, stop_file: Path) -> None:
        self.stop_file = stop_file
        self.lock = threading.Lock()
        self.answered = 0

    def run(self, seed: int) -> None:
        """Submit packs until the stop file appears."""
        from exchange import gateway
        from exchange.core.commands import CancelOrder
        from exchange.core.events import Outcome
        from exchange.core.rejects import Code

        chance = random.Random(seed)
        account = GATEWAY_ACCOUNTS[seed % len(GATEWAY_ACCOUNTS)]
        mine: list[int] = []
        while not self.stop_file.exists():
            chance.shuffle(mine)
            cancels = [CancelOrder(account, mine.pop()) for _ in range(min(CANCELS, len(mine)))]
            orders = [self._order(chance, account, number) for number in range(RESTING + CROSSING)]
            try:
                outcomes: list[Outcome] = gateway.submit_many([*orders, *cancels])
            except gateway.ExchangeError:
                time.sleep(0.01)
                continue
            resting = outcomes[:RESTING]
            mine += [one.reference_id for one in resting if one.code is Code.OK]
            with self.lock:
                self.answered += len(outcomes)

    def _order(self, chance: random.Random, account: int, number: int) -> object:
        from exchange.core.commands import PlaceOrder
        from exchange.core.enums import OrderType, Side, TimeInForce

        buy = chance.random() < 0.5
        away = chance.randint(1, 200) if number < RESTING else -5
        return PlaceOrder(
            account_id=account,
            market_id=1,
            side=Side.BUY if buy else Side.SELL,
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC if number < RESTING else TimeInForce.IOC,
            price_atoms=(MIDDLE - away if buy else MIDDLE + away) * ATOMS,
            quantity_atoms=chance.randint(1, 20) * (ATOMS // 1_000),
        )


def main() -> None:
    """Load until told to stop, then write what was reached."""
    django.setup()
    load = Load(Path(sys.argv[1]))
    started = time.monotonic()
    threads = [threading.Thread(target=load.run, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result = {"commands": load.answered, "seconds": time.monotonic() - started}
    Path(sys.argv[2]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
