"""The platform as production runs it, behind a real nginx: every command of the Procfile."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
import websockets

from tests.support.deployment import HOST, Deployment, trusting
from tests.support.platform import ROOT
from tests.support.signing import Signer
from tradingplatform.schedule import BEAT_SCHEDULE
from tradingplatform.supervisor.redis_server import find_binary

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_binary() is None, reason="no Redis binary"),
    pytest.mark.skipif(
        shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin") is None,
        reason="nginx is not installed",
    ),
]

PASSWORD = "a-pass-of-some-length-9"
LIVES_FOR_S = 12.0
WAIT_S = 90.0


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("deployment")
    with Deployment(directory, LOG_LEVEL="debug", EMAIL_URL="file:") as found:
        found.start_redis()
        found.run("release")
        collect = [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"]
        assert found.spawn("static", collect).wait(WAIT_S) == 0
        for name in ("exchange", "projector", "web", "ws", "worker", "beat"):
            found.start(name)
        found.start("standby", kind="exchange")
        found.start_nginx()
        for name in ("web", "ws"):
            found.wait_for(lambda name=name: lives(found, name), f"{name} answers", WAIT_S)  # type: ignore[misc]
        found.run("seed")
        yield found


def lives(deployment: Deployment, name: str) -> bool:
    return probe(deployment, "--port", str(deployment.ports[name])) == 0


def probe(deployment: Deployment, *words: str) -> int:
    """Return the exit code of the health check that containers run."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "tools/alive.py", *words],
        cwd=ROOT,
        env={"VAR_DIR": deployment.environment["VAR_DIR"]},
        capture_output=True,
        check=False,
    ).returncode


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> Iterator[httpx.Client]:
    context = trusting(deployment.directory)
    with httpx.Client(
        base_url=deployment.url, verify=context, headers={"Host": HOST}, timeout=10
    ) as found:
        yield found


@pytest.fixture(scope="module")
def trader(client: httpx.Client) -> dict[str, str]:
    """A user who registered and logged in through the proxy; the headers of his requests."""
    body = {"username": "carol", "email": "carol@exchange.example", "password": PASSWORD}
    assert client.post("/api/auth/register", json=body).status_code == 201
    answer = client.post("/api/auth/login", json={"username": "carol", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_everything_that_needs_no_venue_is_ready(
    deployment: Deployment, client: httpx.Client
) -> None:
    def checks() -> dict[str, bool]:
        found = client.get("/api/health/ready").json()["checks"]
        return {name: check["ok"] for name, check in found.items() if name != "feed"}

    deployment.wait_for(lambda: all(checks().values()), "ready", WAIT_S)


def test_health_tells_of_each_job_when_it_ran_and_when_it_does_next(
    deployment: Deployment, client: httpx.Client
) -> None:
    def jobs() -> dict[str, dict[str, Any]]:
        return {job["name"]: job for job in client.get("/api/health/ready").json()["jobs"]}

    def in_time() -> bool:
        return all(job["last_run"] and not job["late"] for job in jobs().values())

    deployment.wait_for(in_time, "every job in time", WAIT_S)
    found, now_ms = jobs(), time.time() * 1_000

    assert set(found) == {str(entry["task"]) for entry in BEAT_SCHEDULE.values()}
    for name, job in found.items():
        assert job["last_run"] < job["next_run"] <= now_ms + job["period"], name
    assert found["positions.verify_ledger"]["next_run"] > now_ms


@pytest.mark.parametrize("name", ["exchange", "standby", "projector", "worker", "beat"])
def test_every_loop_turns(deployment: Deployment, name: str) -> None:
    deployment.wait_for(lambda: probe(deployment, name, "5") == 0, f"{name} turns", WAIT_S)


def test_back_office_and_its_files_are_served(client: httpx.Client) -> None:
    page = client.get("/admin/login/")

    assert page.status_code == 200
    assert page.headers["strict-transport-security"].startswith("max-age=")
    assert "__Host-csrftoken" in page.headers["set-cookie"]
    for path in ("/static/site.css", "/static/unfold/css/styles.css"):
        assert client.get(path).status_code == 200, path


def test_bodies_are_bounded_by_the_platform_and_then_by_the_proxy(
    client: httpx.Client, trader: dict[str, str]
) -> None:
    headers = {**trader, "Content-Type": "application/json"}
    for size in (70_000, 2**20 + 1):
        answer = client.post("/api/orders", content=b" " * size, headers=headers)

        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "BODY_TOO_LARGE")


def test_t19_the_address_is_the_one_that_the_proxy_saw(
    client: httpx.Client, trader: dict[str, str]
) -> None:
    body = {"username": "carol", "password": PASSWORD}
    client.post("/api/auth/login", json=body, headers={"X-Forwarded-For": "6.6.6.6"})

    sessions = client.get("/api/auth/sessions", headers=trader).json()

    assert {session["ip"] for session in sessions["items"]} == {"127.0.0.1"}


def test_an_order_reaches_the_exchange_and_its_id_every_log(
    deployment: Deployment, client: httpx.Client, trader: dict[str, str]
) -> None:
    order = {
        "symbol": "BTC-USDT",
        "side": "buy",
        "type": "limit",
        "price": "20000",
        "quantity": "0.01",
    }

    answer = client.post(
        "/api/orders", json=order, headers={**trader, "X-Request-Id": "order-of-carol-1"}
    )
    client.post(
        "/api/auth/password/reset",
        json={"username": "carol"},
        headers={"X-Request-Id": "mail-of-carol-1"},
    )

    assert (answer.status_code, answer.headers["x-request-id"]) == (422, "order-of-carol-1")
    assert answer.json()["error"]["request_id"] == "order-of-carol-1"
    # Whichever of the two came first leads.
    for names in (("nginx",), ("web",), ("exchange", "standby")):
        deployment.wait_for(
            lambda names=names: any("order-of-carol-1" in deployment.log(name) for name in names),  # type: ignore[misc]
            f"the id in the log of {names[0]}",
        )
    for name in ("nginx", "web", "worker"):
        deployment.wait_for(
            lambda name=name: "mail-of-carol-1" in deployment.log(name),  # type: ignore[misc]
            f"the id in the log of {name}",
        )


async def first_frames(deployment: Deployment) -> list[dict[str, Any]]:
    address = f"wss://{HOST}/ws/market"
    async with websockets.connect(
        address,
        host="127.0.0.1",
        port=deployment.ports["https"],
        ssl=trusting(deployment.directory),
    ) as connection:
        await connection.send(
            json.dumps({"op": "subscribe", "id": "1", "channels": ["book:BTC-USDT"]})
        )
        async with asyncio.timeout(20):
            frames = []
            while not any(frame.get("type") == "snapshot" for frame in frames):
                frames.append(json.loads(await connection.recv()))
            return frames


def test_sockets_work_through_the_proxy(deployment: Deployment) -> None:
    frames = asyncio.run(first_frames(deployment))

    assert frames[-1]["channel"] == "book:BTC-USDT"


def test_figures_of_every_process_are_read_with_the_token(
    deployment: Deployment, client: httpx.Client
) -> None:
    address = f"http://127.0.0.1:{deployment.ports['web']}/api/metrics"
    names = ("exchange", "standby", "projector", "web", "ws", "worker", "beat", "platform")

    def page() -> str:
        bearer = {"Authorization": f"Bearer {deployment.token}"}
        return httpx.get(address, headers=bearer).text

    deployment.wait_for(
        lambda: all(f'process="{name}"' in (text := page()) for name in names) and bool(text),
        "all processes on the page",
        WAIT_S,
    )
    assert httpx.get(address).status_code == 404
    assert client.get("/api/metrics").status_code == 404


def told(answer: httpx.Response, *names: str) -> list[str]:
    """Return what an answer tells its reader alone."""
    assert answer.status_code < 300, answer.text
    return [str(answer.json()[name]) for name in names]


def set_up_second_factor(client: httpx.Client, variables: dict[str, str]) -> list[str]:
    """Let the administrator set up a second factor and ask for an export; return the secrets."""
    who = {"username": variables["ADMIN_EMAIL"], "password": variables["ADMIN_PASSWORD"]}
    tokens = told(client.post("/api/auth/login", json=who), "access_token", "refresh_token")
    headers = {"Authorization": f"Bearer {tokens[0]}", "X-Request-Id": "export-of-admin-1"}
    body = {"current_password": who["password"]}
    secret, uri = told(
        client.post("/api/auth/2fa/setup", json=body, headers=headers), "secret", "uri"
    )
    confirmed = client.post(
        "/api/auth/2fa/confirm", json={"code": pyotp.TOTP(secret).now()}, headers=headers
    )
    assert confirmed.status_code == 200, confirmed.text
    export = {"kind": "users", "reason": "look for secrets"}
    asked = client.post("/api/admin/exports", json=export, headers=headers)
    assert asked.status_code == 201, asked.text
    return [*tokens, secret, uri, *confirmed.json()["recovery_codes"]]


def use_key(client: httpx.Client, trader: dict[str, str]) -> tuple[Signer, list[str]]:
    """Make an API key and sign a request with it; return the key and the secrets."""
    body = {"name": "bot", "scopes": ["read", "trade"]}
    key, secret = told(
        client.post("/api/auth/api-keys", json=body, headers=trader), "key", "secret"
    )
    signer = Signer(key, secret)
    signed = signer.headers("GET", "/api/account")
    assert client.get("/api/account", headers=signed).status_code == 200
    return signer, [secret, signed["X-Signature"]]


async def use_sockets(
    deployment: Deployment, tickets: list[str], signer: Signer, forged: dict[str, str]
) -> list[str]:
    """Log in to /ws/user in each way, with forged credentials beside it; return the secrets."""
    signed = signer.parts("GET", "/ws/user")
    secrets = [*tickets, signed["signature"]]
    logins = [
        (f"?ticket={tickets[0]}", []),
        ("", [{"op": "auth", "ticket": tickets[1]}]),
        ("", [{"op": "auth", "key": signer.key, **signed}]),
    ]
    for query, first in logins:
        async with (
            asyncio.timeout(WAIT_S),
            websockets.connect(
                f"wss://{HOST}/ws/user{query}",
                host="127.0.0.1",
                port=deployment.ports["https"],
                ssl=trusting(deployment.directory),
                additional_headers=forged,
            ) as connection,
        ):
            for message in first:
                await connection.send(json.dumps(message))
            assert json.loads(await connection.recv())["type"] == "authenticated"
            await connection.send(json.dumps({"op": "place", "id": 1, "params": {}}))
            while json.loads(await connection.recv()).get("id") != 1:
                pass
    return secrets


def test_t37_no_log_of_any_process_holds_a_secret(
    deployment: Deployment, client: httpx.Client, trader: dict[str, str]
) -> None:
    forged = {
        "Authorization": "Bearer canary-of-a-bearer-1",
        "Cookie": "__Host-sessionid=canary-of-a-session-2",
    }
    secrets = ["canary-of-a-bearer-1", "canary-of-a-session-2", "canary-of-a-password-3"]
    secrets += [deployment.password, PASSWORD, trader["Authorization"].removeprefix("Bearer ")]
    named = ("SESSION_SECRET", "SECRETS_KEYS", "AUDIT_KEYS", "METRICS_TOKEN", "ADMIN_PASSWORD")
    secrets += [deployment.variables[name] for name in named]
    secrets += deployment.variables["JWT_PRIVATE_KEY"].split("\\n")[1:-1]

    secrets += set_up_second_factor(client, deployment.variables)
    signer, found = use_key(client, trader)
    secrets += found
    tickets = [told(client.post("/api/auth/ws-ticket", headers=trader), "ticket")[0]]
    tickets += told(client.post("/api/auth/ws-ticket", headers=trader), "ticket")
    secrets += asyncio.run(use_sockets(deployment, tickets, signer, forged))
    assert client.get("/api/account", headers=forged).status_code == 401
    wrong = {"username": "carol", "password": "canary-of-a-password-3"}
    assert client.post("/api/auth/login", json=wrong).status_code == 401
    page = client.get("/admin/login/").text
    (csrf,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[:1]
    refused = client.post(
        "/admin/login/",
        data={**wrong, "csrfmiddlewaretoken": csrf},
        headers={"Referer": f"https://{HOST}/admin/login/"},
    )
    assert (refused.status_code, "correct" in refused.text) == (200, True)
    asked = client.post(
        "/api/auth/email/verification", headers={**trader, "X-Request-Id": "mail-of-carol-2"}
    )
    assert asked.status_code < 300, asked.text
    mails = Path(deployment.environment["VAR_DIR"]) / "mail"
    deployment.wait_for(lambda: any(mails.glob("*")), "a mail")
    secrets += re.findall(r"^    (\S{40,})$", next(mails.glob("*")).read_text(), re.MULTILINE)
    verified = client.post("/api/auth/email/verify", json={"token": secrets[-1]})
    assert verified.status_code < 300, verified.text

    for name, said in (
        ("worker", ("mail-of-carol-2", "export-of-admin-1")),
        ("ws", ("order_entry_answered",)),
        ("web", ("mail-of-carol-2", "export-of-admin-1")),
    ):
        deployment.wait_for(
            lambda name=name, said=said: all(word in deployment.log(name) for word in said),  # type: ignore[misc]
            f"what was done in the log of {name}",
        )
    logs = {path.stem: path.read_text() for path in deployment.directory.glob("*.log")}
    assert {"nginx", "web", "ws", "exchange", "projector", "worker", "beat"} <= set(logs)
    assert [
        (name, secret) for name, log in logs.items() for secret in secrets if secret in log
    ] == []


def test_p20_two_beats_and_a_killed_worker_run_each_period_once(deployment: Deployment) -> None:
    deployment.start("beat-2", kind="beat")
    deployment.start("worker-2", kind="worker")
    deployment.wait_for(lambda: bool(runs(deployment, "worker-2")), "the second works", WAIT_S)
    began = max(runs(deployment, "worker-2"))[1]

    os.killpg(deployment.processes["worker"].pid, signal.SIGKILL)
    deployment.processes.pop("worker").wait()
    deployment.start("worker-3", kind="worker")
    deployment.wait_for(lambda: bool(runs(deployment, "worker-3")), "the third works", WAIT_S)
    time.sleep(LIVES_FOR_S)

    done = [run for name in ("worker", "worker-2", "worker-3") for run in runs(deployment, name)]
    assert [pair for pair, count in Counter(done).items() if count > 1] == []
    swept = sorted(period for job, period in done if job == "riskengine.sweep" and period >= began)
    # The kill takes what the dead worker had in hand; a loaded machine lets some runs expire.
    assert len(swept) >= 0.7 * (swept[-1] - swept[0] + 1)


def runs(deployment: Deployment, name: str) -> list[tuple[str, int]]:
    """Return job and period of each run that a worker ended well."""
    found = []
    for line in deployment.log(name).splitlines():
        if '"job_run"' in line:
            record = json.loads(line)
            if record["outcome"] == "success" and record["period"] is not None:
                found.append((record["job"], record["period"]))
    return found


def test_everything_stops_when_told(deployment: Deployment) -> None:
    codes = deployment.stop()

    assert {name: code for name, code in codes.items() if code not in (0, -signal.SIGTERM)} == {}
