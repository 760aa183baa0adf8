"""``manage.py reset_second_factor``: for an administrator who lost phone and recovery codes."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.selectors import user_by_login
from accounts.two_factor import factor_reset


class Command(BaseCommand):
    """Removes a user's second factor and ends its sessions; the audit log says why."""

    help = "Remove the second factor of a user who lost it."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take the user and the reason."""
        parser.add_argument("username")
        parser.add_argument("--reason", required=True, help="who asked, and how that was checked")

    def handle(self, *args: Any, **options: Any) -> None:
        """
        Remove it and say so.

        Raises:
            CommandError: if there is no such user or second factor.
        """
        user = user_by_login(options["username"])
        if user is None:
            raise CommandError("there is no such user")
        if not factor_reset(user=user, actor="console", reason=options["reason"][:500]):
            raise CommandError(f"{user.username} has no second factor")
        self.stdout.write(f"{user.username} has no second factor any more")
