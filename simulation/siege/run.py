"""
A siege of real processes: races, very many bad requests, and then a look at what is left.

Redis, exchange, projector and web run as an operator starts them, on a database of their own.
Every secret of the run is a canary; afterwards no log may hold one, each line of a log must be
one JSON object, and ledger and audit log must verify.
"""

from __future__ import annotations

import itertools
import json
import random
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

from simulation.kill.setup import ATOMS, configuration, do
from simulation.kill.world import World
from simulation.siege import races
from simulation.siege.client import Client
from simulation.siege.requests import Generator, Operation, Request, corpus
from simulation.siege.verdict import Verdict

# Looked for in the logs afterwards. Made for each run: hypothesis collects the literals of the
# sources, and would put these into addresses itself.
PASSWORD = f"horse-{secrets.token_hex(8)}"
CANARY_TOKEN = f"eyJjYW5hcnkiOjF9x.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
CANARY_SIGNATURE = secrets.token_hex(32)
AFFORDABLE = 50
RICH = 10**6
THREADS = 3
# Of a hundred requests so many come from schemathesis, which takes twenty times as long to draw.
DRAWN_PERCENT = 10
DRAWN_AT_ONCE = 20
# These end the session that the siege itself uses.
ENDS_SESSION = frozenset({"auth_logout", "auth_sessions_revoke_all", "auth_session_revoke"})


# These answer 401 to whoever sends wrong credentials in a body.
LOGINS = frozenset(
    f"/api/auth/{name}"
    for name in ("login", "login/2fa", "refresh", "profile", "2fa/setup", "2fa/disable")
)


class SiegeRun:
    """One siege: ``requests`` in all, or as many as fit into ``seconds`` (0: no limit)."""

    def __init__(self, requests: int, *, seed: int, seconds: float = 0) -> None:
        """Prepare a directory; nothing is started yet."""
        self.requests = requests
        self.seed = seed
        self.seconds = seconds
        self.directory = Path(tempfile.mkdtemp(prefix="siege-"))
        self.world = World(self.directory, pauses="")
        # Whatever could be written is written.
        self.world.environment["LOG_LEVEL"] = "debug"
        self.verdict = Verdict()
        self.races: list[str] = []
        self.left: list[str] = []
        self._lock = threading.Lock()
        self._taken = 0
        self._members: dict[str, races.Member] = {}
        self._tokens: set[str] = set()
        self.logins = 0

    @property
    def address(self) -> tuple[str, int]:
        """Return where the web process listens."""
        return "127.0.0.1", self.world.port

    def run(self) -> bool:
        """Run everything; returns whether all of it held. The directory stays if not."""
        try:
            self.world.start_all()
            self.world.start("projector", "manage.py", "run_projector")
            self._prepare()
            self._race()
            self._bombard()
            self._look_at_what_is_left()
        finally:
            self.world.end()
        held = not (self.races or self.verdict.faults_found or self.left)
        if held:
            shutil.rmtree(self.directory, ignore_errors=True)
        return held

    def lines(self) -> list[str]:
        """Return what to print."""
        return [
            f"4 races, {len(self.races)} wrong results",
            *self.races,
            *self.verdict.lines(),
            f"{self.logins} times the session was gone and opened anew",
            f"logs, ledger and audit log: {len(self.left)} faults",
            *self.left,
        ]

    def _prepare(self) -> None:
        from exchange.core import commands as c

        self.world.wait(self._has_leader, "an exchange leads")
        for command in configuration():
            do(command)
        do(c.UpdateIndexPrices(((1, 50_000 * ATOMS),)))
        self._member("seller", BTC=AFFORDABLE * ATOMS // 1_000)
        self._member("sender", USDT=AFFORDABLE * ATOMS)
        self._member("receiver")
        self._member("twin", USDT=RICH * ATOMS)
        self._member("besieger", BTC=RICH * ATOMS, USDT=RICH * ATOMS)
        self.world.wait(self._has_market_data, "the projector has market data")

    @staticmethod
    def _has_leader() -> bool:
        from exchange import gateway

        status = gateway.status()
        return status.leader and not status.down

    def _has_market_data(self) -> bool:
        return Client(*self.address).call("GET", "/api/markets/BTC-USDT/ticker")[0] == 200

    def _member(self, username: str, **balances: int) -> None:
        from accounts.models import User
        from exchange.core import commands as c
        from exchange.core.enums import WalletKind

        body = {"username": username, "email": f"{username}@example.com", "password": PASSWORD}
        status, found = Client(*self.address).call("POST", "/api/auth/register", body)
        if status != 201:
            raise SystemExit(f"{username} was not registered: {status} {found}")
        account_id = int(found["user"]["account_id"])
        user = User.objects.get(username=username)
        user.limit_tier = "internal"
        user.save(update_fields=["limit_tier"])
        do(c.ConfigureAccount(account_id, open_orders_max=100_000))
        for number, code in ((1, "BTC"), (2, "USDT")):
            if balances.get(code):
                do(
                    c.Credit(
                        account_id, WalletKind.SPOT, number, balances[code], "siege", "simulation"
                    )
                )
        self._members[username] = self._logged_in(username, account_id)

    def _logged_in(self, username: str, account_id: int) -> races.Member:
        """Return a member with a new session, whose limits are those of its tier."""
        body = {"username": username, "password": PASSWORD}
        status, found = Client(*self.address).call("POST", "/api/auth/login", body)
        if status != 200:
            raise SystemExit(f"{username} could not log in: {status} {found}")
        return races.Member(username, account_id, found["access_token"], found["refresh_token"])

    def _race(self) -> None:
        of = self._members
        self.races += races.race_orders(self.address, of["seller"], affordable=AFFORDABLE)
        self.races += races.race_transfers(
            self.address, of["sender"], of["receiver"], affordable=AFFORDABLE
        )
        self.races += races.race_client_ids(self.address, of["twin"])
        self.races += races.race_refreshes(self.address, of["receiver"])

    def _bombard(self) -> None:
        from drf_spectacular.generators import SchemaGenerator

        from tradingplatform import urls  # Loads every view, and what describes it.

        assert urls.urlpatterns  # noqa: S101 - names the import's purpose
        generator = Generator(SchemaGenerator().get_schema(request=None, public=True))
        operations = [
            operation
            for operation in generator.operations(self.seed)
            if operation.name not in ENDS_SESSION
        ]
        ends = time.monotonic() + (self.seconds or float("inf"))
        # hypothesis draws in one thread; the corpus needs no help.
        with ThreadPoolExecutor(THREADS) as pool:
            jobs = [
                pool.submit(self._send_all, self._drawn(generator), ends, self._drawn_max()),
                *(
                    pool.submit(self._send_all, self._corpus(operations, number), ends, None)
                    for number in range(1, THREADS)
                ),
            ]
            for job in jobs:
                job.result()

    def _drawn_max(self) -> int:
        return self.requests * DRAWN_PERCENT // 100

    @staticmethod
    def _corpus(operations: list[Operation], number: int) -> Iterator[Request]:
        return corpus(operations, number)

    def _drawn(self, generator: Generator) -> Iterator[Request]:
        for round_number in itertools.count():
            for index in range(generator.count):
                for valid in (True, False):
                    seed = self.seed + round_number
                    for request in generator.draw(
                        index, valid=valid, count=DRAWN_AT_ONCE, seed=seed
                    ):
                        if request.operation not in ENDS_SESSION:
                            yield request

    def _send_all(self, drawn: Iterator[Request], ends: float, most: int | None) -> None:
        client, chance = Client(*self.address), random.Random(self.seed)
        for sent, request in enumerate(drawn):
            if time.monotonic() > ends or (most is not None and sent >= most):
                break
            with self._lock:
                if self._taken >= self.requests:
                    break
                self._taken += 1
            prepared = self._with_credentials(request, chance)
            answer = client.send(prepared)
            with self._lock:
                self.verdict.take(prepared, answer)
                if answer.status == 401 and self._own(prepared):
                    self._log_in_again(prepared)
        client.close()

    def _own(self, request: Request) -> bool:
        """Return whether a request carries the token that is used at present."""
        token = self._members["besieger"].access_token
        return request.headers.get("Authorization") == f"Bearer {token}"

    def _log_in_again(self, request: Request) -> None:
        """
        Get a new token where the old one has expired, or a request ended its session.

        Not over HTTP: after twenty wrong passwords of a siege its address is locked out.
        """
        from accounts.models import User
        from accounts.services import session_open
        from accounts.types import Caller

        if request.target.partition("?")[0] in LOGINS:
            return
        self.logins += 1
        old = self._members["besieger"]
        user = User.objects.get(username=old.username)
        pair = session_open(user=user, caller=Caller(ip="127.0.0.1"))
        self._members["besieger"] = races.Member(
            old.username, old.account_id, pair.access_token, pair.refresh_token
        )
        self._tokens |= {old.access_token, old.refresh_token}

    def _with_credentials(self, request: Request, chance: random.Random) -> Request:
        """Return a request as a stranger, a user or a forger sends it."""
        drawn = chance.random()
        headers = dict(request.headers)
        if drawn < 0.7:
            token = self._members["besieger"].access_token
            headers.setdefault("Authorization", f"Bearer {token}")
        elif drawn < 0.8:
            headers["Authorization"] = f"Bearer {CANARY_TOKEN}"
        elif drawn < 0.85:
            headers["X-API-Key"] = "siege"
            headers["X-Signature"] = CANARY_SIGNATURE
        if request.body:
            headers.setdefault("Content-Type", "application/json")
        return Request(
            request.operation,
            request.method,
            request.target,
            headers,
            request.body,
            request.source,
        )

    def _look_at_what_is_left(self) -> None:
        for name in ("exchange", "projector", "web"):
            if not self.world.alive(name):
                self.left.append(f"{name} died:\n{self.world.output(name)[-2000:]}")
        canaries = {PASSWORD, CANARY_TOKEN, CANARY_SIGNATURE} | {
            token
            for member in self._members.values()
            for token in (member.access_token, member.refresh_token)
        }
        canaries |= self._tokens
        self.left += faults_of_logs(sorted(self.directory.glob("log/*")), canaries)
        outputs = sorted(self.directory.glob("*.out"))
        self.left += [
            f"{path.name} holds a secret"
            for path in outputs
            if any(secret in path.read_text(errors="replace") for secret in canaries)
        ]
        for command in ("verify_ledger", "verify_audit_log"):
            self.left += verified(command)


def faults_of_logs(paths: list[Path], secrets: set[str]) -> list[str]:
    """Return what is wrong with log files: secrets, and lines that are not one JSON object."""
    if not paths:
        return ["nothing was logged"]
    faults = []
    for path in paths:
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            found = [secret for secret in secrets if secret in line]
            if found:
                faults.append(f"{path.name}:{number} holds a secret: {line[:300]}")
            try:
                is_object = isinstance(json.loads(line), dict)
            except ValueError:
                is_object = False
            if not is_object:
                faults.append(f"{path.name}:{number} is no JSON object: {line[:300]}")
    return faults[:20]


def verified(command: str) -> list[str]:
    """Return what a management command that verifies the books finds."""
    from django.core.management import call_command

    out = StringIO()
    try:
        call_command(command, stdout=out)
    except SystemExit:
        return [f"{command}: {out.getvalue()[-1000:]}"]
    sys.stdout.write(out.getvalue())
    return []
