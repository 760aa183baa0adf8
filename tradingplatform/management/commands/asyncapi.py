"""Write the AsyncAPI document."""

from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandParser

from tradingplatform.asyncapi import document


class _Plain(yaml.SafeDumper):
    """Writes everything out: anchors are no part of AsyncAPI."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


class Command(BaseCommand):
    """Print the AsyncAPI document of the WebSocket namespaces, or write it to a file."""

    help = "Write the AsyncAPI document of the WebSocket namespaces"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path, help="where to write it; default: print")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write it."""
        text = yaml.dump(document(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
        if options["file"] is None:
            self.stdout.write(text)
        else:
            options["file"].write_text(text)
