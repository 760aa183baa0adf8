#!/usr/bin/env python
"""Entry point of all management commands."""

import os
import sys
from pathlib import Path

# The client library is a distribution of its own; our bots and tools use it from where it lies.
SDK = Path(__file__).resolve().parent / "sdk" / "src"


def main() -> None:
    """Run one management command."""
    sys.path.append(str(SDK))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingplatform.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
