"""Show what runs."""

import json
import urllib.error
import urllib.request
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from tradingplatform.supervisor import state as states


class Command(BaseCommand):
    """Show the processes, their restarts and what readiness says."""

    help = "Show the processes and what /api/health/ready says; exit code 1 when not ready"
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print one line for each process and one for each dependency."""
        state = states.read(settings.VAR_DIR)
        if state is None or states.holder(settings.VAR_DIR) is None:
            self.stdout.write("not running: start it with make run")
            raise SystemExit(1)
        self.stdout.write(f"{state.phase} at {state.url} (process {state.pid})")
        for name, child in state.children.items():
            where = f"process {child.pid}" if child.pid else "ended"
            self.stdout.write(f"  {name:<10} {where:<16} restarts {child.restarts}")
        ready, checks = readiness(state.url)
        for name, check in checks.items():
            self.stdout.write(f"  {name:<10} {_describe(check)}")
        self.stdout.write("ready" if ready else "not ready")
        if not ready:
            raise SystemExit(1)


def readiness(url: str) -> tuple[bool, dict[str, Any]]:
    """Return whether the platform is ready, and each check of ``/api/health/ready``."""
    try:
        address = f"{url}/api/health/ready"
        with urllib.request.urlopen(address, timeout=3) as response:  # noqa: S310  # nosec B310
            return True, json.load(response).get("checks", {})
    except urllib.error.HTTPError as error:
        try:
            return False, json.load(error).get("checks", {})
        except ValueError:
            return False, {}
    except (OSError, ValueError):
        return False, {"web": {"ok": False, "detail": "does not answer"}}


def _describe(check: dict[str, Any]) -> str:
    mark = "ok" if check.get("ok") else "PROBLEM"
    return f"{mark:<16} {check.get('detail', '')}".rstrip()
