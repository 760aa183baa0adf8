"""Ask an advisory source whether a pinned dependency has a known fault; exit code 1 if one has."""

import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ("api.osv.dev", 443)
CONNECT_TIMEOUT_S = 3.0
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
# Fetched when it is needed: it has more dependencies than it would check here.
TOOL = (str(Path(sys.executable).parent / "uv"), "tool", "run", "pip-audit")


def is_reachable(address: tuple[str, int]) -> bool:
    """Return whether a server listens there."""
    try:
        socket.create_connection(address, CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def command(requirements: str) -> list[str]:
    """Return the command line for one file; nothing is resolved or installed."""
    options = ["--no-deps", "--disable-pip", "--vulnerability-service", "osv"]
    return [*TOOL, "--progress-spinner", "off", *options, "--requirement", requirements]


def main() -> int:
    """Check every requirements file."""
    if not is_reachable(SOURCE):
        sys.stdout.write(f"audit skipped: the advisory source {SOURCE[0]} cannot be reached\n")
        return 0
    results = [subprocess.run(command(name), cwd=ROOT, check=False) for name in REQUIREMENTS]
    return 0 if all(result.returncode == 0 for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
