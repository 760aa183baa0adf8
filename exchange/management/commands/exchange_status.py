"""``manage.py exchange_status``: who leads, how far it is, what waits."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand

from exchange import gateway
from exchange.models import POSITION_ID, LogPosition
from exchange.quarantine import waiting_count

TRADING = "trading"
# Commands that may wait before somebody should look; new orders are refused at 5,000.
LAG_NOTICED = 500
EXIT_DOWN, EXIT_DOUBTFUL = 1, 2


class Command(BaseCommand):
    """Shows the exchange as its leader and its database tell it."""

    help = "Show leader, epoch, lag, phase and quarantine; exit code 1: down, 2: look into it"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take the form of the answer."""
        parser.add_argument("--json", action="store_true", help="one object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the state; the exit code says whether all is well."""
        state = exchange_state()
        if options["json"]:
            self.stdout.write(json.dumps(state))
        else:
            for name, value in state.items():
                self.stdout.write(f"{name.replace('_', ' '):<20} {value}")
        if state["verdict"] != "ok":
            raise SystemExit(EXIT_DOWN if state["verdict"] == "down" else EXIT_DOUBTFUL)


def exchange_state() -> dict[str, Any]:
    """Return what the leader and the database say, times in UTC milliseconds."""
    status = gateway.status()
    position = LogPosition.objects.filter(id=POSITION_ID).first()
    quarantined = waiting_count()
    doubtful = quarantined or status.lag >= LAG_NOTICED or status.phase != TRADING
    verdict = "down" if status.down or not status.leader else "doubtful" if doubtful else "ok"
    return {
        "verdict": verdict,
        "phase": status.phase,
        "epoch": status.epoch or (position.epoch if position is not None else 0),
        "leader": position.owner if position is not None else "",
        "leader_process": position.owner_pid if position is not None else 0,
        "last_sign_of_life": position.renewed_ms if position is not None else 0,
        "commands_waiting": status.lag,
        "last_command": position.last_command if position is not None else 0,
        "last_batch": position.batch if position is not None else 0,
        "client_ids_behind": position.batch - position.merged_batch if position is not None else 0,
        "in_quarantine": quarantined,
    }
