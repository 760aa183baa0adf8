"""Run the whole platform on this machine."""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from markets.selectors import markets_all
from tradingplatform.environment import password_hint
from tradingplatform.supervisor import preflight, redis_server
from tradingplatform.supervisor import state as states
from tradingplatform.supervisor.child import Child
from tradingplatform.supervisor.output import Output
from tradingplatform.supervisor.problems import PreflightError
from tradingplatform.supervisor.supervisor import Stage, Supervisor

EXIT_REFUSED = 2


class Command(BaseCommand):
    """Check, migrate, start every process, keep them running until Ctrl-C."""

    help = "Run the whole platform on this machine until Ctrl-C"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--reload", action="store_true", help="restart the web process when code changes"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run; exit code 2 and one line on stderr when the start is refused."""
        try:
            lock = states.lock(settings.VAR_DIR)
        except states.AlreadyRunningError as error:
            refuse(
                f"already running from {settings.VAR_DIR} (process {error}):"
                " use make status, or make stop first"
            )
        except OSError as error:
            refuse(
                f"directory {settings.VAR_DIR} cannot be written ({error.strerror}):"
                " free space or correct its permissions, or set VAR_DIR"
            )
        with lock:
            ended = states.end_leftovers(settings.VAR_DIR)
            if ended:
                self.stdout.write("ended processes of a run that was killed: " + ", ".join(ended))
            prepare()
            sys.exit(_supervisor(reload=options["reload"]).run())


def refuse(line: str) -> None:
    """End with one line on stderr and code 2."""
    sys.stderr.write(line + "\n")
    raise SystemExit(EXIT_REFUSED)


def prepare() -> None:
    """Check what the start needs, then bring the database to this version."""
    try:
        preflight.check_all()
        if _migrations_wait():
            call_command("migrate", interactive=False, verbosity=0)
    except PreflightError as error:
        refuse(str(error))
    except (DatabaseError, OSError) as error:
        detail = " ".join(str(error).split())
        refuse(
            f"database {settings.DATABASES['default']['NAME']} could not be migrated ({detail}):"
            " run make doctor"
        )
    finally:
        connections.close_all()


def _migrations_wait() -> bool:
    """Return whether the database lacks a migration; asking is cheaper than migrating nothing."""
    executor = MigrationExecutor(connections["default"])
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _supervisor(*, reload: bool) -> Supervisor:
    url = f"http://{public_host(settings.HOST)}:{settings.PORT}"
    return Supervisor(
        stages=stages(url, reload=reload),
        output=Output(
            directory=settings.LOG_DIR,
            size_max_bytes=settings.LOG_MAX_SIZE_BYTES,
            age_max_ms=settings.LOG_MAX_AGE_MS,
        ),
        var_dir=settings.VAR_DIR,
        url=url,
        on_ready=lambda: banner(url),
    )


def public_host(host: str) -> str:
    """Return a host that a browser on this machine can open."""
    return "localhost" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104  # nosec B104


def stages(url: str, *, reload: bool = False) -> list[Stage]:
    """Return the processes in the order of their start."""
    found = []
    if not settings.REDIS_IS_EXTERNAL:
        binary = redis_server.find_binary()
        if binary is None:
            refuse(redis_server.MISSING)
        else:
            found.append(_redis_stage(binary))
    # What a restart seeds again can wait; an empty database has nothing to trade without it.
    seeded = bool(markets_all())
    seed = Stage(_manage("seed", "seed", once=True), after_ready=seeded)
    found += [
        Stage(_manage("exchange", "run_exchange")),
        *([] if seeded else [seed]),
        Stage(_manage("projector", "run_projector")),
        Stage(_manage("web", "run_web", *(["--reload"] if reload else []))),
        Stage(_manage("feed", "run_feed")),
        Stage(Child("worker", worker_command()), after_ready=True),
        *([seed] if seeded else []),
    ]
    if settings.MARKET_MAKER and not settings.PRODUCTION:
        maker = _manage("maker", "run_market_maker", "--url", url, "--taker")
        found.append(Stage(maker, after_ready=True))
    connections.close_all()
    return found


def worker_command() -> list[str]:
    """Return the command line of the one Celery worker, which is beat too."""
    return [
        *(sys.executable, "-W", "ignore", "-m", "celery", "--quiet"),
        *("-A", "tradingplatform", "worker", "--beat", "--pool", "threads"),
        *("--concurrency", "4", "--loglevel", settings.LOG_LEVEL),
        *("--without-gossip", "--without-mingle"),
    ]


def _redis_stage(binary: str) -> Stage:
    return Stage(
        Child(
            "redis",
            redis_server.command(
                binary, var_dir=Path(settings.VAR_DIR), fsync=settings.REDIS_FSYNC
            ),
        ),
        ready=lambda: not redis_server.ping_problem(settings.REDIS_URL),
    )


def _manage(name: str, *words: str, once: bool = False) -> Child:
    manage = str(settings.BASE_DIR / "manage.py")
    return Child(name, [sys.executable, manage, *words], {"PYTHONUNBUFFERED": "1"}, once=once)


def prices_note(url: str) -> str:
    """Return what the prices are, in the platform's own words."""
    try:
        address = f"{url}/api/exchange-info"
        with urllib.request.urlopen(address, timeout=3) as response:  # noqa: S310  # nosec B310
            return str(json.load(response)["feed"]["note"])
    except (OSError, ValueError, KeyError):
        return f"see {url}/api/exchange-info"


def banner(url: str) -> str:
    """Return what a newcomer wants to know once the platform answers."""
    lines = [
        "",
        f"Ready. The exchange runs at {url}",
        f"  front page    {url}/",
        f"  API           {url}/api/docs",
        f"  back-office   {url}/{settings.ADMIN_PATH}/   {settings.ADMIN_EMAIL}"
        f"  password {password_hint(settings.ADMIN_PASSWORD)}",
        f"  health        {url}/api/health/ready",
        f"  logs          {settings.LOG_DIR}",
        f"  prices        {prices_note(url)}",
    ]
    if not settings.PRODUCTION:
        lines += [
            f"  demo logins   alice, bob   password {settings.DEMO_PASSWORD}",
            "Stop with Ctrl-C or make stop.",
        ]
    return "\n".join([*lines, ""])
