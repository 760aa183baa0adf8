"""MONGODB_URI becomes Django's settings."""

import importlib.util
from typing import Any

import pytest

from tradingplatform.mongodb.settings import (
    check_mongodb_uri,
    installed_apps,
    mongodb_settings,
)
from tradingplatform.settings import INSTALLED_APPS
from tradingplatform.variables import ConfigurationError


def settings_of(uri: str) -> dict[str, Any]:
    return mongodb_settings(uri, name="crypto-trading", pool_min=2, pool_max=10)


class TestDatabase:
    def test_is_named_by_the_uri_or_else_by_db_name(self) -> None:
        assert settings_of("mongodb://localhost:27017/crypto")["NAME"] == "crypto"
        assert settings_of("mongodb://a,b,c/a%2Db?replicaSet=rs0")["NAME"] == "a-b"
        assert settings_of("mongodb://localhost:27017")["NAME"] == "crypto-trading"
        assert settings_of("mongodb+srv://user:x@cluster.example/")["NAME"] == "crypto-trading"

    def test_is_called_by_the_uri_as_it_is(self) -> None:
        uri = "mongodb://user:p%40ss@a:1,b:2/name?replicaSet=rs0&tls=true"

        assert settings_of(uri)["HOST"] == uri

    def test_has_a_bounded_pool(self) -> None:
        options = settings_of("mongodb://localhost/name")["OPTIONS"]

        assert (options["minPoolSize"], options["maxPoolSize"]) == (2, 10)

    def test_keeps_what_a_majority_has_on_disk(self) -> None:
        options = settings_of("mongodb://localhost/name?w=0")["OPTIONS"]

        assert (options["w"], options["journal"]) == ("majority", True)
        assert options["readConcernLevel"] == "majority"
        assert options["readPreference"] == "primary"

    def test_waits_for_no_server_for_ever(self) -> None:
        options = settings_of("mongodb://localhost/name")["OPTIONS"]

        for name in ("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS"):
            assert 0 < options[name] <= 20_000

    def test_tells_that_no_server_is_there_within_two_seconds(self) -> None:
        options = settings_of("mongodb://localhost/name")["OPTIONS"]

        assert options["serverSelectionTimeoutMS"] <= 1_000
        # From when a server stops to when the driver takes it for gone.
        assert options["heartbeatFrequencyMS"] + options["connectTimeoutMS"] <= 2_000


def test_apps_that_number_rows_are_replaced() -> None:
    found = installed_apps(INSTALLED_APPS)

    assert len(found) == len(INSTALLED_APPS)
    assert "django.contrib.auth" not in found
    assert "tradingplatform.mongodb.apps.MongoAuthConfig" in found


def test_the_driver_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    check_mongodb_uri("")
    with pytest.raises(ConfigurationError, match=r"pip install -r requirements-mongodb\.txt"):
        check_mongodb_uri("mongodb://localhost/name")
