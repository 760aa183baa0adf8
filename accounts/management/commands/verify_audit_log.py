"""``manage.py verify_audit_log``: prove that the audit log is what was written."""

import argparse
import re
from typing import Any

from django.core.management.base import BaseCommand

from accounts.audit_verify import audit_verify
from common.db import read_snapshot

_ANCHOR = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")


def anchor(text: str) -> tuple[int, str]:
    """
    Return the number and seal in ``NUMBER:SEAL``.

    Raises:
        argparse.ArgumentTypeError: if the text is neither.
    """
    match = _ANCHOR.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected NUMBER:SEAL, was {text[:100]!r}")
    return int(match[1]), match[2]


class Command(BaseCommand):
    """Prints one line; exit code 1 and the first broken event if the chain does not hold."""

    help = "Check that no event of the audit log was altered, deleted or inserted."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take the number and seal of an event noted earlier."""
        parser.add_argument(
            "--anchor",
            type=anchor,
            metavar="NUMBER:SEAL",
            help="an event noted outside of the database, as audit_recorded lines of the logs are",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """
        Check in one snapshot and print the result.

        Raises:
            SystemExit: 1 if the chain is broken.
        """
        with read_snapshot():
            report = audit_verify(anchor=options["anchor"])
        if report.fault:
            self.stdout.write(
                f"BROKEN: {report.fault}; good up to event {report.number}, seal {report.seal}"
            )
            raise SystemExit(1)
        self.stdout.write(f"ok: {report.number} events, anchor {report.number}:{report.seal}")
