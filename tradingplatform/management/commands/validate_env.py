"""Check the environment variables."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from tradingplatform.configuration import Environment, load
from tradingplatform.env_example import render
from tradingplatform.environment import VARIABLES
from tradingplatform.variables import Kind, Variable


class Command(BaseCommand):
    """Check every variable; loading the settings has already refused what cannot be used."""

    help = "Check the environment variables and show those that differ from the defaults"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--write-example", action="store_true", help="write .env.example from the declarations"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Report; an invalid variable ends every command with code 2 before this."""
        if options["write_example"]:
            Path(settings.BASE_DIR, ".env.example").write_text(render(), encoding="utf-8")
            return
        environment = load(settings.BASE_DIR)
        for variable in VARIABLES:
            if environment.is_set(variable.name):
                self.stdout.write(f"{variable.name}={_shown(environment, variable)}")
        self.stdout.write(f"{len(VARIABLES)} variables are valid ({settings.ENVIRONMENT})")


def _shown(environment: Environment, variable: Variable) -> str:
    if variable.unused:
        return "(accepted and not used)"
    if variable.secret or variable.kind is Kind.KEY:
        return "***"
    return environment.text(variable.name)
