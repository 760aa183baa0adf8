"""``manage.py credit``: pay into a user's wallet."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.console import add_fields, console_run
from accounts.operations import DONE
from accounts.selectors import user_by_login
from wallets.operations import FIELDS


class Command(BaseCommand):
    """Credits a user; above the daily limit a second person must agree in the back-office."""

    help = "Credit a user's wallet; above the daily limit it waits for an operator to agree."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take the user, the amount, its currency and wallet, and the reason."""
        parser.add_argument("username")
        add_fields(parser, FIELDS)

    def handle(self, *args: Any, **options: Any) -> None:
        """
        Credit the user and say what became of it.

        Raises:
            CommandError: if there is no such user, or the exchange refuses.
        """
        user = user_by_login(options["username"])
        if user is None:
            raise CommandError("there is no such user")
        result = console_run("account-credit", str(user.account_id), options)
        amount = f"{options['amount']} {options['currency']}"
        if result.status == DONE:
            transfer_id = result.answer["transfer_id"]
            self.stdout.write(f"{user.username} got {amount} (transfer {transfer_id})")
        else:
            self.stdout.write(
                f"{amount} for {user.username} waits for an operator to agree"
                f" (request {result.approval_id})"
            )
