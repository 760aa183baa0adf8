"""``manage.py reset_staff_access``: for the last administrator who is locked out."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.selectors import user_by_login
from accounts.staff_access import staff_access_reset


class Command(BaseCommand):
    """Gives a member of staff a new password without a second factor; audited."""

    help = "Give a member of staff a new password, remove the second factor, end all sessions."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take the user and the reason."""
        parser.add_argument("username")
        parser.add_argument("--reason", required=True, help="who asked, and how that was checked")

    def handle(self, *args: Any, **options: Any) -> None:
        """
        Reset the access and print the new password.

        Raises:
            CommandError: if there is no such member of staff.
        """
        user = user_by_login(options["username"])
        if user is None or not user.is_staff:
            raise CommandError("there is no such member of staff")
        password = staff_access_reset(user=user, actor="console", reason=options["reason"][:200])
        self.stdout.write(f"login {user.username}  password {password}")
        self.stdout.write("change it after the first login, and set up a second factor")
