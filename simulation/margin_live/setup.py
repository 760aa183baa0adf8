"""A perpetual market on real processes, its prices, and people who trade in it."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from exchange.core import commands as c
from exchange.core.enums import MarketKind, MarketStatus, Side, WalletKind
from simulation.kill.setup import do
from simulation.kill.world import World
from simulation.siege.client import Client
from simulation.siege.races import Member

ATOMS = 10**8
PERP, USDT, GROUP = 1, 2, 1
SYMBOL = "BTC-USDT-PERP"
PRICE = 60_000
MARKS_PER_S = 4
PASSWORD = "long-enough-99"  # noqa: S105 - of users that live for a proof
BRACKETS = (
    (0, 400_000, 125),
    (50_000 * ATOMS, 500_000, 100),
    (600_000 * ATOMS, 650_000, 75),
    (3_000_000 * ATOMS, 1_000_000, 50),
)


class Marks(threading.Thread):
    """Publishes the index as the feed does; a book without two sides makes it the mark."""

    def __init__(self) -> None:
        super().__init__(name="marks", daemon=True)
        self.price = PRICE
        # When each update was sent and when it was committed, monotonic seconds.
        self.times: list[tuple[float, float]] = []
        self.faults: list[str] = []
        self._ended = threading.Event()

    def run(self) -> None:
        """Send the price so many times a second until told to stop."""
        from exchange import gateway
        from exchange.core.enums import Lane

        while not self._ended.is_set():
            began = time.monotonic()
            command = c.UpdateIndexPrices(((PERP, self.price * ATOMS),))
            try:
                gateway.submit(command, lane=Lane.SYSTEM)
                self.times.append((began, time.monotonic()))
            except gateway.ExchangeError as error:
                self.faults.append(f"a price was refused: {error.code}")
            self._ended.wait(max(0.0, 1 / MARKS_PER_S - (time.monotonic() - began)))

    def end(self) -> None:
        """Stop and wait."""
        self._ended.set()
        self.join(10)

    def fall_to(self, price: int) -> float:
        """Change the price; return the time after which it is sent."""
        self.price = price
        return time.monotonic()

    def ages_s(self, since: float) -> list[float]:
        """Return how old the mark had become each time that the next one was committed."""
        pairs = zip(self.times, self.times[1:], strict=False)
        return [done - sent for (sent, _), (_, done) in pairs if done > since]


class Stage:
    """Redis, exchange, projector, web and a Celery worker, with one perpetual market."""

    def __init__(self, name: str, *, fund: int) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self.world = World(self.directory, pauses="")
        self.world.environment["LOG_LEVEL"] = "warn"
        self.marks = Marks()
        self._fund = fund

    @property
    def address(self) -> tuple[str, int]:
        """Return where the web process listens."""
        return "127.0.0.1", self.world.port

    def __enter__(self) -> Self:
        try:
            self.world.start_all()
            self.world.start("projector")
            self._configure()
            self._hold_feed()
            self.marks.start()
            self.world.start(
                "worker",
                *("-W", "ignore", "-m", "celery", "--quiet", "-A", "tradingplatform", "worker"),
                *("--beat", "--pool", "threads", "--concurrency", "2", "--loglevel", "warning"),
                *("--without-gossip", "--without-mingle"),
                *("--schedule", str(self.directory / "beat")),
            )
        except BaseException:
            self.world.end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self.marks.end()
        self.world.end()
        if kind is None:
            shutil.rmtree(self.directory, ignore_errors=True)
        else:
            sys.stderr.write(f"files are kept in {self.directory}\n")

    @staticmethod
    def _hold_feed() -> None:
        """Keep the worker from feeding prices: those of the proof are the only ones."""
        from common import redis as redis_clients
        from markets.feeds import keys

        redis_clients.client().set(keys.holder_key(), b"stream:proof")

    def _configure(self) -> None:
        do(c.ConfigureAsset(1, "BTC", "Bitcoin", 8))
        do(c.ConfigureAsset(USDT, "USDT", "Tether", 8))
        do(c.ConfigureFeeTier(0, 20_000, 40_000))
        do(
            c.ConfigureMarket(
                market_id=PERP,
                symbol=SYMBOL,
                kind=MarketKind.PERPETUAL,
                base_asset_id=1,
                quote_asset_id=USDT,
                tick_atoms=ATOMS // 10,
                lot_atoms=ATOMS // 1_000,
                quantity_min_atoms=ATOMS // 1_000,
                quantity_max_atoms=10_000 * ATOMS,
                price_min_atoms=ATOMS // 10,
                price_max_atoms=10**6 * ATOMS,
                notional_min_atoms=ATOMS,
                price_band_e8=0,
                market_band_e8=5_000_000,
                status=MarketStatus.HALTED,
            )
        )
        do(
            c.ConfigureContract(
                PERP, GROUP, 8 * 3_600_000, 10_000, 0, ATOMS, 500_000, 0, 0, BRACKETS
            )
        )
        do(c.SetMarketStatus(PERP, MarketStatus.TRADING))
        do(c.UpdateIndexPrices(((PERP, PRICE * ATOMS),)))
        if self._fund:
            do(c.MoveInsurance(GROUP, USDT, self._fund * ATOMS, "seed", "simulation"))

    def member(self, username: str, *, margin: int) -> Member:
        """
        Register a user over REST who owns so many USDT of margin.

        Raises:
            SystemExit: if the platform refuses.
        """
        from accounts.models import User

        body = {"username": username, "email": f"{username}@example.com", "password": PASSWORD}
        client = Client(*self.address)
        status, found = client.call("POST", "/api/auth/register", body)
        if status != 201:
            raise SystemExit(f"{username} was not registered: {status} {found}")
        account_id = int(found["user"]["account_id"])
        User.objects.filter(username=username).update(limit_tier="internal")
        do(c.ConfigureAccount(account_id, open_orders_max=100_000))
        do(c.Credit(account_id, WalletKind.MARGIN, USDT, margin * ATOMS, "proof", "simulation"))
        # The session of a login carries the limits of the tier.
        login = {"username": username, "password": PASSWORD}
        _, tokens = client.call("POST", "/api/auth/login", login)
        client.close()
        return Member(username, account_id, tokens["access_token"], tokens["refresh_token"])


def order_body(side: Side, quantity: str, price: int) -> dict[str, str]:
    """Return the JSON of a limit order."""
    return {
        "symbol": SYMBOL,
        "side": side.name.lower(),
        "type": "limit",
        "quantity": quantity,
        "price": str(price),
    }
