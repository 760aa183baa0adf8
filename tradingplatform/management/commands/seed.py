"""Make markets, users and balances."""

from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError

from exchange.errors import ExchangeError
from markets.feeds.mode import FeedModeError
from markets.seed import SeedError as MarketSeedError
from tradingplatform.seed import SeedError, seed

EXIT_REFUSED = 2


class Command(BaseCommand):
    """Make what a fresh installation begins with; what exists is left alone."""

    help = "Make markets, demo users and balances; what exists is left alone"
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Seed and print the logins."""
        try:
            report = seed()
        except FeedModeError as error:
            raise CommandError(str(error), returncode=EXIT_REFUSED) from error
        except (SeedError, MarketSeedError, ExchangeError, redis.RedisError) as error:
            raise CommandError(f"the seed stopped: {error}", returncode=1) from error
        if report.made:
            self.stdout.write("made " + ", ".join(report.made))
        for login, password in report.logins:
            self.stdout.write(f"login {login}  password {password}")
