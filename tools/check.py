"""The static checks, one after the other; all of them run, the exit code is 1 if one failed."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = [
    "accounts",
    "adminpanel",
    "common",
    "exchange",
    "markets",
    "orders",
    "positions",
    "riskengine",
    "tradingplatform",
    "wallets",
]
SCANNED = [*CODE, "benchmarks", "sdk", "simulation", "tools", "manage.py"]
BIN = Path(sys.executable).parent
CHECKS: dict[str, list[str]] = {
    "ruff": [str(BIN / "ruff"), "check", "--quiet", "."],
    "format": [str(BIN / "ruff"), "format", "--check", "--quiet", "."],
    "imports": [str(BIN / "lint-imports"), "--no-cache"],
    # Findings of medium severity and above; each accepted one says so in its line.
    "bandit": [str(BIN / "bandit"), "-q", "-r", "-ll", *SCANNED],
    "types": [str(BIN / "mypy"), *CODE],
    "sdk": [str(BIN / "mypy"), "--config-file", "sdk/pyproject.toml", "sdk/src/tradingclient"],
    "migrations": [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"],
}
DOCUMENTS: dict[str, list[str]] = {
    "openapi": ["spectacular", "--validate", "--fail-on-warn"],
    "asyncapi": ["asyncapi"],
}


def run(name: str, command: list[str]) -> bool:
    """Run one check; its output is shown only when it fails."""
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    passed = done.returncode == 0
    if not passed:
        sys.stdout.write(done.stdout + done.stderr)
    report(name, passed, started)
    return passed


def document(name: str, command: list[str]) -> bool:
    """Check that a document under docs/ is what the code describes."""
    started = time.monotonic()
    committed = ROOT / "docs" / f"{name}.yaml"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / committed.name
        command = [sys.executable, "manage.py", *command, "--file", str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        same = (
            done.returncode == 0
            and committed.exists()
            and path.read_bytes() == committed.read_bytes()
        )
    if done.returncode != 0:
        sys.stdout.write(done.stdout + done.stderr)
    elif not same:
        sys.stdout.write(f"docs/{name}.yaml differs from the code: run make {name}\n")
    report(name, same, started)
    return same


def report(name: str, passed: bool, started: float) -> None:
    """Print the result of one check."""
    seconds = time.monotonic() - started
    sys.stdout.write(f"{name:<11} {'ok' if passed else 'FAILED':<7} {seconds:5.1f} s\n")
    sys.stdout.flush()


def main() -> int:
    """Run the named checks, or all."""
    names = sys.argv[1:] or [*CHECKS, *DOCUMENTS]
    results = [
        document(name, DOCUMENTS[name]) if name in DOCUMENTS else run(name, CHECKS[name])
        for name in names
    ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
