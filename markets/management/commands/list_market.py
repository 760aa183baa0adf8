"""``manage.py list_market``: make a market, halted until somebody opens it."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from accounts.console import add_fields, console_run
from accounts.operations import all_operations

SPOT, PERPETUAL = "exchange-list-market", "exchange-list-perpetual"


class Command(BaseCommand):
    """Lists a spot market, or a perpetual one with its terms."""

    help = "List a market of two known assets; it begins halted (open it by market-resume)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take the kind of market and what each kind needs."""
        kinds = parser.add_subparsers(dest="kind", required=True)
        for kind, name in (("spot", SPOT), ("perpetual", PERPETUAL)):
            add_fields(kinds.add_parser(kind), all_operations()[name].fields)

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the market and say what it is called."""
        name = SPOT if options["kind"] == "spot" else PERPETUAL
        answer = console_run(name, "", options).answer
        self.stdout.write(f"{answer['symbol']} is listed, and halted")
