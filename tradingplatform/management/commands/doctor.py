"""Check everything that a run needs and say what to do about what is missing."""

import platform
import shutil
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from tradingplatform.supervisor import preflight
from tradingplatform.supervisor import state as states
from tradingplatform.supervisor.preflight import Finding

PYTHON_OLDEST = (3, 11)
PYTHON_NEWEST = (3, 13)


class Command(BaseCommand):
    """Print one line for each check, with the remedy where one fails."""

    help = "Check everything that a run needs; exit code 1 when something is missing"
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Check and report."""
        running = states.holder(settings.VAR_DIR)
        # The platform itself holds its port and its Redis socket.
        skip = frozenset({"port"}) if running is not None else frozenset()
        found = [
            _python(),
            Finding("settings", f"{settings.ENVIRONMENT}, feed {settings.FEED_MODE}"),
            *preflight.findings(skip=skip),
            Finding("platform", f"runs as process {running}" if running else "is not running"),
        ]
        for finding in found:
            mark = "PROBLEM" if finding.problem else "ok"
            self.stdout.write(f"{finding.name:<10} {mark:<8} {finding.problem or finding.detail}")
        if shutil.which("make") is None:
            self.stdout.write(
                "make       missing  use sh tools/bootstrap.sh --redis manage.py run_all"
            )
        if any(finding.problem for finding in found):
            raise SystemExit(1)


def _python() -> Finding:
    version = sys.version_info[:2]
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if PYTHON_OLDEST <= version <= PYTHON_NEWEST:
        return Finding("python", detail)
    return Finding(
        "python", detail, f"{detail} is not supported: install Python 3.11, 3.12 or 3.13"
    )
