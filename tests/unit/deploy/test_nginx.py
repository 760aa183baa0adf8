"""A real nginx with the deployment's configuration, in front of stand-ins for the processes."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulation.nginx_server import find_nginx
from tests.support.deployment import HOST, render_nginx, trusting
from tests.support.platform import free_port, wait_until

NGINX = find_nginx()
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


# Requests that a process may have at once.
ROOM = 3


class StandIn(BaseHTTPRequestHandler):
    """Answers what it was asked; ``/dies`` takes the request and hangs up, ``/waits`` waits."""

    protocol_version = "HTTP/1.1"
    waiting = threading.Semaphore(0)
    go_on = threading.Event()

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.path == "/dies":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if self.path == "/waits":
            self.waiting.release()
            self.go_on.wait(60)
        answer = json.dumps(
            {
                "server": self.server.name,  # type: ignore[attr-defined]
                "path": self.path,
                "headers": dict(self.headers.items()),
                "body_bytes": len(body),
            }
        ).encode()
        upgraded = self.headers.get("Upgrade") == "websocket"
        self.send_response(101 if upgraded else 200)
        if upgraded:
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "upgrade")
        else:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.close_connection = upgraded

    do_POST = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class Proxy:
    def __init__(self, directory: Path, ports: dict[str, int], context: ssl.SSLContext) -> None:
        self.ports = ports
        self.context = context
        self.log = directory / "nginx.log"
        self.http = httpx.Client(
            base_url=f"https://127.0.0.1:{ports['https']}",
            verify=context,
            headers={"Host": HOST},
            timeout=5,
        )

    def raw(self, request: bytes) -> bytes:
        """Return what is answered to bytes over TLS."""
        with (
            socket.create_connection(("127.0.0.1", self.ports["https"]), timeout=5) as plain,
            self.context.wrap_socket(plain, server_hostname=HOST) as secured,
        ):
            secured.sendall(request)
            answer = b""
            with contextlib.suppress(TimeoutError, ssl.SSLError):
                while chunk := secured.recv(65_536):
                    answer += chunk
                    if b"\r\n\r\n" in answer and b'"path"' in answer:
                        break
            return answer


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    directory = tmp_path_factory.mktemp("nginx")
    static = directory / "static"
    static.mkdir()
    (static / "site.css").write_text("body { color: red }" * 200)
    ports = {name: free_port() for name in ("http", "https")}
    servers = []
    for name in ("web", "ws"):
        server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
        server.name = name  # type: ignore[attr-defined]
        ports[name] = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
    assert NGINX is not None
    main = render_nginx(directory, ports=ports, static=static, room=ROOM)
    checked = subprocess.run(
        [NGINX, "-t", "-q", "-c", str(main)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    with (directory / "nginx.log").open("wb") as log:
        process = subprocess.Popen(
            [NGINX, "-c", str(main), "-g", "daemon off;"], stdout=log, stderr=subprocess.STDOUT
        )
    found = Proxy(directory, ports, trusting(directory))
    try:
        wait_until(lambda: listens(ports["https"]), 10, "nginx does not listen")
        yield found
    finally:
        found.http.close()
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        for server in servers:
            server.shutdown()
            server.server_close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal in the platform's envelope."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    error = answer.json()["error"]
    assert error["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, error["code"]


def test_http_is_sent_to_https(proxy: Proxy) -> None:
    answer = httpx.get(
        f"http://127.0.0.1:{proxy.ports['http']}/api/time?x=1", headers={"Host": HOST}
    )

    assert answer.status_code == 308
    assert answer.headers["location"] == f"https://{HOST}/api/time?x=1"


def test_requests_reach_the_web_processes_with_what_they_must_know(proxy: Proxy) -> None:
    seen: dict[str, Any] = proxy.http.get(
        "/api/time", headers={"X-Request-Id": "of-the-client-1"}
    ).json()

    assert (seen["server"], seen["path"]) == ("web", "/api/time")
    assert seen["headers"]["Host"] == HOST
    assert seen["headers"]["X-Forwarded-Proto"] == "https"
    assert seen["headers"]["X-Forwarded-For"] == "127.0.0.1"
    assert seen["headers"]["X-Request-Id"] == "of-the-client-1"
    # The line is written once the answer is out.
    wait_until(
        lambda: '"request_id":"of-the-client-1"' in proxy.log.read_text(), 5, "nothing was logged"
    )


def test_t19_words_of_strangers_about_their_address_come_before_the_true_one(
    proxy: Proxy,
) -> None:
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Real-IP": "6.6.6.6",
        "X_Forwarded_For": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
    }

    headers = proxy.http.get("/api/time", headers=forged).json()["headers"]

    # NUM_PROXIES=1: the last entry counts.
    assert headers["X-Forwarded-For"] == "6.6.6.6, 127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "https"
    assert not {"X-Real-IP", "Forwarded", "X_Forwarded_For", "X-Forwarded-Host"} & set(headers)


def test_an_id_that_is_not_sane_is_replaced(proxy: Proxy) -> None:
    headers = proxy.http.get("/api/time", headers={"X-Request-Id": 'a"b c'}).json()["headers"]

    assert len(headers["X-Request-Id"]) == 32


def test_sockets_reach_the_ws_processes_upgraded(proxy: Proxy) -> None:
    answer = proxy.raw(
        f"GET /ws/prices HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )

    assert answer.startswith(b"HTTP/1.1 101 ")
    seen = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (seen["server"], seen["path"]) == ("ws", "/ws/prices")
    assert seen["headers"]["Connection"] == "upgrade"


def test_static_files_are_served_compressed_and_without_a_process(proxy: Proxy) -> None:
    answer = proxy.http.get("/static/site.css")

    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == "text/css"
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    assert refusal(proxy.http.get("/static/none.css")) == (404, "NOT_FOUND")
    bad = proxy.http.get("/static/../nginx.conf%00")
    assert refusal(bad) == (400, "BAD_REQUEST")


def test_figures_are_not_for_the_world(proxy: Proxy) -> None:
    assert refusal(proxy.http.get("/api/metrics")) == (404, "NOT_FOUND")


def test_t1_a_body_above_a_mebibyte_is_refused_unread(proxy: Proxy) -> None:
    answer = proxy.http.post("/api/orders", content=b"x" * (2**20 + 1))
    within = proxy.http.post("/api/orders", content=b"x" * 2**20)

    assert refusal(answer) == (413, "BODY_TOO_LARGE")
    assert within.json()["body_bytes"] == 2**20


def test_t25_a_head_that_is_too_large_is_refused(proxy: Proxy) -> None:
    assert refusal(proxy.http.get("/api/time", headers={"X-Large": "x" * 9_000})) == (
        431,
        "HEADERS_TOO_LARGE",
    )


def test_t25_two_lengths_are_refused(proxy: Proxy) -> None:
    answer = proxy.raw(
        f"POST /api/orders HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1\r\n"
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n".encode()
    )

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"BAD_REQUEST" in answer


def test_a_request_that_was_taken_and_lost_is_unknown(proxy: Proxy) -> None:
    answer = proxy.http.post("/dies", content=b"{}")

    assert refusal(answer) == (504, "STATUS_UNKNOWN")


def test_a_login_is_slowed_down_before_it_costs_anything(proxy: Proxy) -> None:
    answers = [proxy.http.post("/api/auth/login", content=b"{}") for _ in range(40)]

    refused = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(refused) < 20
    assert {refusal(answer) for answer in refused} == {(429, "RATE_LIMITED")}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}


def test_more_than_a_process_has_room_for_is_refused_and_cancels_are_not(proxy: Proxy) -> None:
    with ThreadPoolExecutor(ROOM) as pool:
        taken = [
            pool.submit(proxy.http.post, "/waits", content=b"{}", timeout=60) for _ in range(ROOM)
        ]
        try:
            for _ in taken:
                assert StandIn.waiting.acquire(timeout=60)
            refused = proxy.http.post("/api/orders", content=b"{}")
            cancel = proxy.http.delete("/api/orders/7?x=%2F")
            health = proxy.http.get("/api/health/live")
        finally:
            StandIn.go_on.set()

    assert refusal(refused) == (503, "SERVICE_UNAVAILABLE")
    assert refused.headers["retry-after"] == "1"
    assert cancel.json()["path"] == "/api/orders/7?x=%2F"
    assert (cancel.status_code, health.status_code) == (200, 200)
    assert [answer.result().status_code for answer in taken] == [200] * ROOM
    assert proxy.http.post("/api/orders", content=b"{}").status_code == 200


class TestNobodyBehind:
    """What a client hears while a process is not there."""

    def test_a_request_that_reached_nobody_did_nothing(self, tmp_path: Path, proxy: Proxy) -> None:
        assert NGINX is not None
        ports = {name: free_port() for name in ("http", "https", "web", "ws")}
        main = render_nginx(tmp_path, ports=ports, static=tmp_path)
        context = trusting(tmp_path)
        process = subprocess.Popen(
            [NGINX, "-c", str(main), "-g", "daemon off;"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: listens(ports["https"]), 10, "nginx does not listen")
            answer = httpx.post(
                f"https://127.0.0.1:{ports['https']}/api/orders", content=b"{}", verify=context
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)

        assert refusal(answer) == (503, "SERVICE_UNAVAILABLE")
        assert answer.headers["retry-after"] == "1"


def test_compose_mounts_the_paths_that_the_configuration_names() -> None:
    text = (Path(__file__).parents[3] / "docker-compose.yml").read_text(encoding="utf-8")

    assert "./deploy/tls:/etc/nginx/tls:ro" in text
    assert ":8443" in text
    assert ":8080" in text
