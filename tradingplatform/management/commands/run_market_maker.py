"""Quote in every market through the public API."""

import random
import signal
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import redis
from django.core.management.base import BaseCommand, CommandParser

from common.redis import client as redis_client
from markets.feeds import keys
from tradingclient import Password, RestClient
from tradingplatform.market_maker.bot import MarketMaker, Recorded
from tradingplatform.market_maker.quotes import Style
from tradingplatform.seed import MAKER_USERNAME, TAKER_USERNAME, password_file

WAIT_FOR_SEED_S = 0.3


class Command(BaseCommand):
    """Run the market maker until SIGTERM or SIGINT; it cancels its quotes when it ends."""

    help = "Quote in every market through the public API"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        defaults = Style()
        parser.add_argument("--url", default="http://localhost:3000")
        parser.add_argument("--levels", type=int, default=defaults.levels, help="of each side")
        parser.add_argument(
            "--half-spread",
            type=Decimal,
            default=defaults.half_spread,
            help="distance of the best quotes from the index, as a fraction",
        )
        parser.add_argument(
            "--step", type=Decimal, default=defaults.step, help="distance between levels"
        )
        parser.add_argument(
            "--notional", type=Decimal, default=defaults.notional, help="size of the best level"
        )
        parser.add_argument(
            "--skew", type=Decimal, default=defaults.skew, help="shift at a one-sided inventory"
        )
        parser.add_argument("--interval", type=float, default=1.0, help="seconds between turns")
        parser.add_argument(
            "--taker",
            action="store_true",
            help="a second demo user trades against the quotes: the recorded trades in replay,"
            " small random ones with live prices",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Quote until told to stop."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not password_file(TAKER_USERNAME).exists():
            if stop.wait(WAIT_FOR_SEED_S):
                return
        names = [MAKER_USERNAME, *([TAKER_USERNAME] if options["taker"] else [])]
        clients = [_client(options["url"], name) for name in names]
        MarketMaker(
            maker=clients[0],
            taker=clients[1] if options["taker"] else None,
            recorded=recorded_depth(),
            style=Style(
                levels=options["levels"],
                half_spread=options["half_spread"],
                step=options["step"],
                notional=options["notional"],
                skew=options["skew"],
            ),
            interval_s=options["interval"],
            chance=random.Random(),  # noqa: S311 - sizes of demo trades
        ).run(stop)
        for client in clients:
            client.close()


def _client(url: str, username: str) -> RestClient:
    password = password_file(username).read_text(encoding="ascii").strip()
    # The bot waits by itself, so that it can be told to stop meanwhile.
    return RestClient(url, credentials=Password(username, password), timeout_s=8.0, retries=0)


def recorded_depth() -> Recorded:
    """Return a reader of the recorded books; it answers None while none is played."""
    decode: Callable[[bytes], dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode

    def read(symbol: str) -> dict[str, Any] | None:
        try:
            raw = redis_client().get(keys.replay_depth_key(symbol))
        except (redis.RedisError, OSError):
            return None
        return decode(raw) if isinstance(raw, bytes) else None

    return read
