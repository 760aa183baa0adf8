"""
``manage.py run_exchange`` as if on a host of its own: ``python -m simulation.takeovers.elsewhere``.

On one host a standby kills the leader that it replaces. Between hosts it cannot, and the
replaced leader wakes up; ``EXCHANGE_HOST`` makes two processes of one machine such strangers.
"""

from __future__ import annotations

import os

import django
from django.core.management import execute_from_command_line


def main() -> None:
    """Run the exchange under another host name."""
    django.setup()
    from exchange import lease

    lease._host = lambda: os.environ["EXCHANGE_HOST"]
    execute_from_command_line(["manage.py", "run_exchange"])


if __name__ == "__main__":
    main()
