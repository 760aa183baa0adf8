"""T19 to T22, T27 to T29 and T36: addresses, hosts, origins, the back-office, settings."""

from __future__ import annotations

import ast
import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib import admin as django_admin
from django.test import Client
from django.urls import get_resolver

from accounts.enums import Role
from accounts.models import Session
from accounts.services import user_create
from common import limits
from common.testing import ApiClient, error_code
from tests.support.operations import operations, schema
from tradingplatform.configuration import Environment
from tradingplatform.variables import ConfigurationError

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[3]
APPS = [name for name in django_settings.INSTALLED_APPS if (ROOT / name).is_dir()]
PASSWORD = "correct horse 9"


class TestAddresses:
    @pytest.fixture(autouse=True)
    def fresh_limits(self) -> Any:
        limits.reset()
        yield
        limits.reset()

    def left(self, **headers: str) -> int:
        answer = ApiClient(REMOTE_ADDR="198.51.100.7").get("/api/time", headers=headers)
        return int(answer["X-RateLimit-Remaining"])

    @pytest.mark.parametrize(
        "name", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "X-Client-IP"]
    )
    def test_t19_a_forged_address_buys_no_fresh_limit(self, name: str) -> None:
        first = self.left()

        assert [self.left(**{name: f"203.0.113.{n}"}) for n in range(3)] == [
            first - 1,
            first - 2,
            first - 3,
        ]

    def test_t19_behind_our_proxy_only_what_it_wrote_counts(self, settings: Any) -> None:
        settings.NUM_PROXIES = 1
        first = self.left(**{"X-Forwarded-For": "203.0.113.9"})

        forged = self.left(**{"X-Forwarded-For": "10.0.0.1, 203.0.113.9"})
        other = self.left(**{"X-Forwarded-For": "203.0.113.10"})

        assert (forged, other) == (first - 1, first)

    def test_t19_a_forged_address_is_not_recorded(self) -> None:
        user_create(username="alice", email="a@example.com", password=PASSWORD)
        ApiClient(REMOTE_ADDR="198.51.100.7").post(
            "/api/auth/login",
            {"username": "alice", "password": PASSWORD},
            headers={"X-Forwarded-For": "10.0.0.1"},
        )

        assert Session.objects.get().ip == "198.51.100.7"

    def test_t19_a_forged_scheme_is_not_believed_without_a_proxy(self) -> None:
        assert django_settings.NUM_PROXIES == 0
        assert django_settings.SECURE_PROXY_SSL_HEADER is None


class TestHosts:
    @pytest.mark.parametrize("path", ["/", "/api/time", "/api/orders", "/admin/"])
    @pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "a@localhost", ""])
    def test_t20_a_host_that_is_not_ours_is_refused(self, path: str, host: str) -> None:
        answer = Client(raise_request_exception=False).get(path, headers={"Host": host})

        assert (answer.status_code, error_code(answer)) == (400, "BAD_HOST")
        if host:
            assert host not in answer.content.decode()


class TestBackOffice:
    @pytest.mark.parametrize(
        ("remote", "status"),
        [("10.1.2.3", 200), ("192.0.2.1", 404), ("::1", 404), ("2001:db8::5", 200)],
    )
    def test_t27_strangers_addresses_do_not_find_it(
        self, settings: Any, remote: str, status: int
    ) -> None:
        settings.ADMIN_ALLOWED_NETWORKS = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]

        client = Client(REMOTE_ADDR=remote)

        assert client.get("/admin/login/").status_code == status
        assert client.get("/").status_code == 200
        if status == 404:
            hidden, missing = client.get("/admin/"), client.get("/nowhere/")
            assert hidden.json()["error"]["message"] == missing.json()["error"]["message"]
            assert hidden.json()["error"]["code"] == missing.json()["error"]["code"]

    def test_t27_money_is_read_only(self) -> None:
        user = user_create(
            username="root", email="r@example.com", password=PASSWORD, role=Role.ADMIN
        )
        owned = set(APPS) - {"accounts"}
        client = Client()
        client.force_login(user)
        changeable = []

        for model, page in django_admin.site._registry.items():
            if model._meta.app_label not in owned:
                continue
            base = f"/admin/{model._meta.app_label}/{model._meta.model_name}"
            assert client.get(f"{base}/").status_code == 200
            if client.get(f"{base}/add/").status_code != 403:
                changeable.append(page)
            request = client.get("/admin/").wsgi_request
            if page.has_change_permission(request) or page.has_delete_permission(request):
                changeable.append(page)

        assert changeable == []

    def test_t27_nobody_deletes(self) -> None:
        user = user_create(
            username="root", email="r@example.com", password=PASSWORD, role=Role.ADMIN
        )

        assert not any(
            user.has_perm(f"{model._meta.app_label}.delete_{model._meta.model_name}")
            for model in apps.get_models()
        )


def production(**changes: str) -> dict[str, str]:
    """Return a safe production environment with changes; None of this machine's own."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "NODE_ENV": "production",
        "SESSION_SECRET": "9b1f0c" * 9,
        "SECRETS_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "ADMIN_PASSWORD": "a-long-one-of-our-own",
        "JWT_PRIVATE_KEY": key.decode().replace("\n", "\\n"),
        "FEED_MODE": "live",
        "ALLOWED_HOSTS": "exchange.example",
        "NUM_PROXIES": "1",
        **changes,
    }


def manage(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing but the given environment."""
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "ENV_FILE": os.devnull,
            "VAR_DIR": django_settings.VAR_DIR.as_posix(),
            "DJANGO_SETTINGS_MODULE": "tradingplatform.settings",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def ask_settings(environment: dict[str, str], *names: str) -> str:
    """Return settings as a process with an environment has them."""
    done = manage(
        environment,
        "shell",
        "--no-imports",
        "--command",
        f"from django.conf import settings as s; print([getattr(s, n) for n in {names!r}])",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestSettings:
    def test_t28_a_safe_installation_passes_every_check(self) -> None:
        done = manage(production(), "check", "--deploy", "--fail-level", "WARNING")

        assert (done.returncode, done.stdout) == (
            0,
            "System check identified no issues (0 silenced).\n",
        ), done.stderr

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("SESSION_SECRET", "development-only-session-secret"),
            ("SESSION_SECRET", "twenty-nine-characters-of-it."),
            ("SESSION_SECRET", "abcd" * 20),
            ("ALLOWED_HOSTS", "*"),
            ("ALLOWED_HOSTS", ""),
            ("CORS_ORIGIN", "*"),
            ("CORS_ORIGIN", "http://exchange.example"),
            ("NUM_PROXIES", "0"),
            ("ADMIN_PASSWORD", "changeme123"),
            ("JWT_PRIVATE_KEY", ""),
            ("SECRETS_KEYS", ""),
            ("FEED_MODE", "replay"),
        ],
    )
    def test_t28_an_unsafe_one_is_refused_by_name(self, name: str, value: str) -> None:
        with pytest.raises(ConfigurationError, match=name):
            Environment(production(**{name: value})).validate()

    def test_t28_it_does_not_start_and_says_why_in_a_line(self) -> None:
        done = manage(production(SESSION_SECRET="your-session-secret"), "check")

        assert done.returncode == 2
        assert done.stderr.startswith("configuration: SESSION_SECRET must be")
        assert done.stderr.count("\n") == 1
        assert "your-session-secret" not in done.stderr

    def test_t27_t28_production_shows_nothing_and_sends_cookies_over_tls_only(self) -> None:
        found = ask_settings(
            production(DEBUG="true", ADMIN_PATH="office-7f3a"),
            "DEBUG",
            "SESSION_COOKIE_SECURE",
            "CSRF_COOKIE_SECURE",
            "SECURE_SSL_REDIRECT",
            "SECURE_HSTS_SECONDS",
            "CORS_ALLOWED_ORIGINS",
            "SECURE_PROXY_SSL_HEADER",
            "ADMIN_PATH",
            "SESSION_COOKIE_NAME",
            "CSRF_COOKIE_NAME",
        )

        assert found.strip() == (
            "[False, True, True, True, 31536000, [], ('HTTP_X_FORWARDED_PROTO', 'https'),"
            " 'office-7f3a', '__Host-exchange_session', '__Host-csrftoken']"
        )


def routes(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    """Yield the route of every address, those of included modules too."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


def _described(route: str) -> str:
    """Return a route as the description writes it: converters as plain names."""
    return re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", route)


@cache
def imports_of(path: Path) -> set[str]:
    """Return the modules that a file imports, dotted."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def importers(*modules: str) -> set[str]:
    """Return the files of the apps that import one of some modules."""
    return {
        path.relative_to(ROOT).as_posix()
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if any(
            found == module or found.startswith(f"{module}.")
            for found in imports_of(path)
            for module in modules
        )
    }


class TestOutgoing:
    def test_t29_no_address_that_a_user_gave_is_ever_fetched(self) -> None:
        clients = ("httpx", "requests", "urllib.request", "http.client", "aiohttp", "ccxt")

        found = {
            path
            for path in importers(*clients)
            # Addresses of the venues come from the operator's environment; the supervisor and
            # its commands ask this platform itself; the market maker is an ordinary client.
            if not path.startswith(("markets/feeds/", "tradingplatform/"))
        }

        assert found == set()

    def test_t29_no_operation_takes_an_address(self) -> None:
        text = str(schema()["components"]).lower()

        assert "'format': 'uri'" not in text
        assert not any(word in text for word in ("webhook", "callback_url", "redirect_uri"))


class TestSerialisation:
    def test_t36_nothing_unpickles(self) -> None:
        assert importers("pickle", "marshal", "shelve", "dill", "cloudpickle") == set()

    def test_t36_tasks_and_cache_are_json(self) -> None:
        from tradingplatform import settings as real
        from tradingplatform.celery import app

        assert list(app.conf.accept_content) == ["json"]
        assert app.conf.task_serializer == "json"
        assert app.conf.task_ignore_result is True
        assert real.CACHES["default"]["OPTIONS"]["SERIALIZER"] == (
            "django_redis.serializers.json.JSONSerializer"
        )
        assert "Pickle" not in django_settings.SESSION_SERIALIZER

    def test_every_address_of_the_api_is_described(self) -> None:
        described = {operation.path for operation in operations()}
        known = {"/api/metrics", "/api/schema", "/api/docs"}

        found = {
            f"/{route}"
            for route in (_described(route) for route in routes(get_resolver().url_patterns))
            if route.startswith("api/")
        }

        assert found - described == known
