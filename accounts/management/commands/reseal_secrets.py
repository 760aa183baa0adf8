"""``manage.py reseal_secrets``: encrypt stored secrets with the first of ``SECRETS_KEYS``."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.resealing import secrets_reseal


class Command(BaseCommand):
    """Run it after a new key was put first; then the old one may go. Safe to repeat."""

    help = "Encrypt the secrets of API keys and second factors with the newest key."

    def handle(self, *args: Any, **options: Any) -> None:
        """
        Encrypt them and say how many.

        Raises:
            CommandError: if some could not be read with any key.
        """
        done, unreadable = secrets_reseal()
        self.stdout.write(f"{done} secrets encrypted with the first key")
        if unreadable:
            raise CommandError(f"{unreadable} secrets open with none of SECRETS_KEYS")
